"""Small layers of our own that stand in for library layers with the wrong gradient or bits."""

import torch
from torch import nn


class ShortcutA(nn.Module):
    """Parameter-free shortcut: every `stride`-th voxel, zeros for the channels that are new.

    He et al. 2016 (option A). Loads the same checkpoints as MONAI's shortcut "A", which cuts the
    gradient at this point; here it flows.
    """

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.channels = channels
        self.stride = stride

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, C, X, Y, Z) to (B, channels, ⌈X/stride⌉, …)."""
        s = self.stride
        kept = x[:, :, ::s, ::s, ::s]
        return nn.functional.pad(kept, (0, 0, 0, 0, 0, 0, 0, self.channels - x.shape[1]))


class GlobalMean(nn.Module):
    """Mean over the three spatial axes, kept as axes of one; deterministic on CUDA too."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, C, X, Y, Z) to (B, C, 1, 1, 1)."""
        half = x.dtype in (torch.bfloat16, torch.float16)
        return x.mean((2, 3, 4), keepdim=True, dtype=torch.float32 if half else None)


class LogitLinear(nn.Linear):
    """A linear layer that autocast leaves in float32.

    The eight bits of a bfloat16 logit would give different people the same score.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, features) to (B, outputs)."""
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.to(self.weight.dtype))


class SmallSafeConv3d(nn.Conv3d):
    """A convolution that stays in float32 where bfloat16 on a CPU gives a wrong gradient.

    oneDNN (as in torch 2.13) reads memory that nobody wrote for the gradient of 3D bfloat16
    weights when an axis of the input is about as short as the kernel: numbers differ from run to
    run, up to infinity. On CPUs with AMX the output itself is wrong where a strided axis shrinks
    to one voxel (pytorch issue 169688). Such layers are the last and smallest, so float32 costs
    next to nothing.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve (B, C, X, Y, Z)."""
        sizes = zip(x.shape[2:], self.kernel_size, self.dilation, self.stride, strict=True)
        short = any(n <= max(d * (k - 1) + 1, s) > 1 for n, k, d, s in sizes)
        if x.device.type != "cpu" or not short or not torch.is_autocast_enabled("cpu"):
            return super().forward(x)
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.to(self.weight.dtype))


def mend(network: nn.Module, head: str) -> nn.Module:
    """Swap layers of a library network for ours, in place; the names of weights stay.

    Parameters
    ----------
    network
        With average pools to one voxel, 3D convolutions and a linear head.
    head
        Dotted name of the layer that gives the logit.
    """
    for name, layer in list(network.named_modules()):
        # Where only forward differs the class alone changes; weights and settings stay.
        if name == head:
            layer.__class__ = LogitLinear
        elif type(layer) is nn.Conv3d:
            layer.__class__ = SmallSafeConv3d
        elif isinstance(layer, nn.AdaptiveAvgPool3d):
            network.set_submodule(name, GlobalMean())
    return network
