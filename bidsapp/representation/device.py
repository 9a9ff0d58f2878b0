"""Which device computes, in which precision, and what a run records about both."""

import os
import platform
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import torch

from bidsapp.errors import UsageError
from bidsapp.execution.compute import has_bfloat16, resolve_device

__all__ = ["autocast", "environment", "has_bfloat16", "precision_dtype", "resolve_device", "steady"]

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


def memory_bytes(device: torch.device) -> float:
    """Memory that a GPU has, all of it."""
    return float(torch.cuda.get_device_properties(device).total_memory)


@contextmanager
def steady(device: torch.device, threads: int | None = None) -> Iterator[None]:
    """Hold what the bits of a result depend on, and give it back afterwards.

    Threads on a CPU; on a GPU algorithms that give the same bits every time, and float32 that is
    not cut to ten bits (TF32) where somebody asks for float32. What PyTorch has no such algorithm
    for is warned of, not refused.
    """
    with ExitStack() as stack:
        if threads is not None:
            stack.callback(torch.set_num_threads, torch.get_num_threads())
            torch.set_num_threads(threads)
        if device.type == "cuda":
            # read when cuBLAS is first used
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
            flags = torch.backends.cudnn.flags(
                enabled=True, benchmark=False, deterministic=True, allow_tf32=False
            )
            stack.enter_context(flags)
            before = torch.are_deterministic_algorithms_enabled()
            stack.callback(torch.use_deterministic_algorithms, before)
            torch.use_deterministic_algorithms(True, warn_only=True)
        yield


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
