"""Which device computes, in which precision, and what a run records about both."""

import platform
from contextlib import AbstractContextManager
from typing import Any

import torch

from bidsapp.errors import UsageError
from bidsapp.normalization.compute import has_bfloat16, resolve_device

__all__ = ["autocast", "environment", "has_bfloat16", "precision_dtype", "resolve_device"]

PRECISIONS = ("auto", "float32", "bfloat16")


def precision_dtype(precision: str, device: torch.device) -> torch.dtype:
    """Choose the dtype of autocast; float32 means none.

    Raises
    ------
    UsageError
        If the precision does not exist.
    """
    if precision not in PRECISIONS:
        raise UsageError(f"training.precision: {precision!r} is not one of {', '.join(PRECISIONS)}")
    if precision == "bfloat16" or (precision == "auto" and has_bfloat16(device)):
        return torch.bfloat16
    return torch.float32


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager:
    """Autocast to bfloat16, or a context that does nothing for float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=dtype == torch.bfloat16)


def environment(device: torch.device, dtype: torch.dtype) -> dict[str, Any]:
    """List what a result depends on besides data and seed: hardware, threads, versions."""
    import monai
    import numpy

    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return {
        "device": str(device),
        "device_name": name,
        "precision": str(dtype).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "versions": {
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "monai": monai.__version__,
            "numpy": numpy.__version__,
        },
    }
