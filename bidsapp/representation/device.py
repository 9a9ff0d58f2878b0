"""Which device computes, in which precision, and what a run records about both."""

import platform
from contextlib import AbstractContextManager
from typing import Any

import torch

from bidsapp.errors import UsageError

PRECISIONS = ("auto", "float32", "bfloat16")


def resolve_device(text: str = "auto") -> torch.device:
    """Turn ``auto``, ``cpu``, ``cuda`` or ``cuda:<index>`` into a device that is there.

    Raises
    ------
    UsageError
        If the text means nothing, or the GPU is not there.
    """
    if text == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(text)
    except RuntimeError as error:
        raise UsageError(f"device {text!r}: expected auto, cpu, cuda or cuda:<index>") from error
    if device.type not in ("cpu", "cuda"):
        raise UsageError(f"device {text!r}: expected auto, cpu, cuda or cuda:<index>")
    if device.type == "cuda":
        count = torch.cuda.device_count()
        if (device.index or 0) >= count:
            raise UsageError(f"device {text!r}: this machine offers {count} CUDA devices; use cpu")
        return torch.device("cuda", device.index or 0)
    return device


def has_bfloat16(device: torch.device) -> bool:
    """Whether the hardware multiplies bfloat16 matrices itself (else it would only be slower)."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= 8
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


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
