"""The optimiser with its two learning rates, and their course over the steps."""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch

from bidsapp.networks.registry import head_name
from bidsapp.recipes.learning import Training

WARM_UP = 0.3
START = 1 / 25
END = 1e-4


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


def build_optimizer(network: torch.nn.Module, section: Training) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter 2019) with one rate for the head, another for the rest."""
    head = head_name(network) + "."
    parts: dict[str, list[torch.nn.Parameter]] = {"backbone": [], "head": []}
    for name, parameter in network.named_parameters():
        parts["head" if name.startswith(head) else "backbone"].append(parameter)
    groups = [
        {"params": parts["backbone"], "lr": section.lr.backbone},
        {"params": parts["head"], "lr": section.lr.head},
    ]
    return torch.optim.AdamW(groups, weight_decay=section.weight_decay, fused=True)


def set_rates(optimizer: torch.optim.Optimizer, section: Training, progress: float) -> None:
    """Set both rates for a step; `progress` runs from 0 (first step) to 1 (after the last)."""
    factor = SCHEDULES[section.schedule](progress)
    backbone, head = optimizer.param_groups
    backbone["lr"], head["lr"] = section.lr.backbone * factor, section.lr.head * factor
