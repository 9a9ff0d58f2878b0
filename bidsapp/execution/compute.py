"""Which device and number format to compute with, and how many threads."""

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bidsapp.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch


def resolve_device(name: str) -> "torch.device":
    """Turn ``auto``, ``cpu``, ``cuda`` or ``cuda:<index>`` into a device that is there.

    Raises
    ------
    UsageError
        The name is none of these, or no such GPU can be used on this machine.
    """
    import torch

    if name == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"device {name!r}: expected auto, cpu, cuda or cuda:<index>.") from error
    if device.type not in ("cpu", "cuda"):
        raise UsageError(f"device {name!r}: expected auto, cpu, cuda or cuda:<index>.")
    if device.type == "cpu":
        return device
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if (device.index or 0) >= count:
        raise UsageError(
            f"device {name!r}: this machine offers {count} usable CUDA devices; use cpu, or check "
            "the driver and, in a container, the option that passes the GPU on (--gpus all, --nv)."
        )
    return torch.device("cuda", device.index or 0)


def check_device(name: str) -> None:
    """Refuse a device that is not there; torch is imported only where a GPU is named.

    Raises
    ------
    UsageError
        As `resolve_device`.
    """
    if name not in ("auto", "cpu"):
        resolve_device(name)


def has_bfloat16(device: "torch.device") -> bool:
    """Whether the hardware multiplies bfloat16 matrices itself; elsewhere it is only slower."""
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= 8
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


@contextmanager
def threads(count: int) -> "Iterator[None]":
    """Hold torch, SimpleITK and the BLAS and OpenMP pools to `count` threads for a block."""
    import SimpleITK as sitk
    import torch
    from threadpoolctl import threadpool_limits

    before, told = torch.get_num_threads(), os.environ.get("OMP_NUM_THREADS")
    filters = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    os.environ["OMP_NUM_THREADS"] = str(count)
    torch.set_num_threads(count)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(count)
    try:
        with threadpool_limits(count):
            yield
    finally:
        torch.set_num_threads(before)
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(filters)
        if told is None:
            os.environ.pop("OMP_NUM_THREADS", None)
        else:
            os.environ["OMP_NUM_THREADS"] = told
