"""One process per GPU: who comes waits for one that is free, and several are used in turn."""

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_WAIT_S = 0.2


@contextmanager
def gpu_turn(device: str) -> Iterator[str]:
    """Hold a GPU for a block; a CPU is not waited for.

    Parameters
    ----------
    device
        ``auto``, ``cpu``, ``cuda`` or ``cuda:<index>``. Without an index any GPU will do that this
        process sees.

    Yields
    ------
    str
        ``cuda:<index>`` of the GPU that is held; `device` itself where none is used.
    """
    import torch

    if device == "cpu" or not torch.cuda.is_available():
        yield device
        return
    count = torch.cuda.device_count()
    wanted = [f"cuda:{i}" for i in range(count)] if device in ("auto", "cuda") else [device]
    # the same GPU has another index in a process that is shown others
    names = [str(torch.cuda.get_device_properties(one).uuid) for one in wanted]
    with one_of(names, Path(tempfile.gettempdir()) / f"nocicast-gpus-{os.getuid()}") as taken:
        yield wanted[taken]


@contextmanager
def one_of(names: Sequence[str], folder: Path) -> Iterator[int]:
    """Hold one of several things that other processes may want too, waiting until one is free.

    Parameters
    ----------
    names
        Of the things, as every process calls them.
    folder
        Of the lock files, on a disk of this machine.

    Yields
    ------
    int
        Position in `names` of the one that is held.
    """
    folder.mkdir(parents=True, exist_ok=True)
    while True:
        for position, name in enumerate(names):
            with (folder / f"{name}.lock").open("w") as handle:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                yield position
                return
        time.sleep(_WAIT_S)
