"""The optimiser with its two learning rates, and their course over the steps."""

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch

from bidsapp.networks.registry import head_prefix
from bidsapp.recipes.learning import Training

WARM_UP = 0.3
START = 1 / 25
END = 1e-4
EPSILON = 1e-8


def _one_cycle(progress: float) -> float:
    """Rise from 1/25 over the first 30 %, then fall, both along a cosine (Smith 2018)."""
    if progress < WARM_UP:
        return START + (1 - START) * (1 - math.cos(math.pi * progress / WARM_UP)) / 2
    return END + (1 - END) * (1 + math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP))) / 2


SCHEDULES: Mapping[str, Callable[[float], float]] = MappingProxyType(
    {
        "constant": lambda progress: 1.0,
        "cosine": lambda progress: (1 + math.cos(math.pi * progress)) / 2,
        "one_cycle": _one_cycle,
    }
)


class MemoryOrder(torch.optim.Optimizer):
    """An optimiser that sees weights in the order of their memory.

    torch's fused step on a CPU (2.13) takes weight and gradient number by number as they lie in
    memory, so that channels last beside C order is silently wrong; and it copies every gradient
    that is channels last, for nothing. So it gets views whose axes are in the order of memory.

    Parameters
    ----------
    groups
        As torch takes them; the weights must stay where they are in memory.
    settings
        As the optimiser of torch takes them that is mixed with this one.
    """

    def __init__(self, groups: Sequence[Mapping[str, Any]], **settings: Any) -> None:
        self.views: list[tuple[torch.nn.Parameter, torch.nn.Parameter, list[int]]] = []
        seen = [{**group, "params": [self._view(p) for p in group["params"]]} for group in groups]
        super().__init__(seen, **settings)

    def _view(self, weight: torch.nn.Parameter) -> torch.nn.Parameter:
        strides = weight.stride()
        order = sorted(range(weight.dim()), key=lambda axis: -strides[axis])
        view = torch.nn.Parameter(weight.detach().permute(order))
        self.views.append((weight, view, order))
        return view

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of the weights."""
        for weight, _, _ in self.views:
            weight.grad = None

    def step(self, closure: Any = None) -> Any:
        """Change the weights by their gradients.

        Raises
        ------
        TypeError
            If a closure is given: gradients are made before the step.
        RuntimeError
            If a weight has left its place in memory.
        """
        if closure is not None:
            raise TypeError(f"{type(self).__name__}.step takes no closure")
        for weight, view, order in self.views:
            if weight.data_ptr() != view.data_ptr():
                raise RuntimeError("a weight was moved in memory after its optimiser was built")
            if weight.grad is not None:
                view.grad = weight.grad.permute(order).contiguous()
        super().step()
        super().zero_grad()


class MemoryOrderAdamW(MemoryOrder, torch.optim.AdamW):
    """AdamW (Loshchilov and Hutter 2019) on weights in the order of their memory."""


class MemoryOrderAdam(MemoryOrder, torch.optim.Adam):
    """Adam (Kingma and Ba 2015) on weights in the order of their memory."""


class MemoryOrderSGD(MemoryOrder, torch.optim.SGD):
    """Gradient descent with momentum on weights in the order of their memory."""


class MemoryOrderRMSprop(MemoryOrder, torch.optim.RMSprop):
    """RMSprop (Tieleman and Hinton 2012) on weights in the order of their memory."""


def build_optimizer(network: torch.nn.Module, section: Training) -> torch.optim.Optimizer:
    """Build the recipe's optimiser with one rate for the head, another for the rest.

    Weights that ask for no gradient are left out.
    """
    head = head_prefix(network)
    parts: dict[str, list[torch.nn.Parameter]] = {"backbone": [], "head": []}
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        parts["head" if name.startswith(head) else "backbone"].append(parameter)
    groups = [
        {"params": parts["backbone"], "lr": section.lr.backbone},
        {"params": parts["head"], "lr": section.lr.head},
    ]
    decay, epsilon = section.weight_decay, section.epsilon or EPSILON
    if section.optimizer == "adamw":
        return MemoryOrderAdamW(groups, weight_decay=decay, eps=epsilon, fused=True)
    if section.optimizer == "adam":
        return MemoryOrderAdam(groups, weight_decay=decay, eps=epsilon, fused=True)
    if section.optimizer == "sgd":
        return MemoryOrderSGD(groups, weight_decay=decay, momentum=section.momentum)
    return MemoryOrderRMSprop(
        groups,
        weight_decay=decay,
        eps=epsilon,
        alpha=section.decay,
        momentum=section.momentum,
    )


def set_rates(optimizer: torch.optim.Optimizer, section: Training, progress: float) -> None:
    """Set both rates for a step; `progress` runs from 0 (first step) to 1 (after the last)."""
    factor = SCHEDULES[section.schedule](progress)
    backbone, head = optimizer.param_groups
    backbone["lr"], head["lr"] = section.lr.backbone * factor, section.lr.head * factor
