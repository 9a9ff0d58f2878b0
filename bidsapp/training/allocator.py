"""What the C library does with memory that training gives back at every step."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

# mallopt(3): sizes from which a block is asked of the system, and given back to it at once
_TRIM_THRESHOLD = -1
_MMAP_THRESHOLD = -3
LARGEST_KEPT = 2**25
"""The largest block that glibc lets a process keep."""


@contextmanager
def kept_memory() -> Iterator[None]:
    """Keep freed memory within the process until the end, instead of giving it to the system.

    A step asks for the same blocks as the one before; from the system they come page by page, each
    to be filled with zeros. Without effect where the C library is not glibc.
    """
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallopt"):
        yield
        return
    library.mallopt(_MMAP_THRESHOLD, LARGEST_KEPT)
    library.mallopt(_TRIM_THRESHOLD, 2**31 - 1)
    try:
        yield
    finally:
        library.mallopt(_TRIM_THRESHOLD, 2**17)
        library.malloc_trim(0)
