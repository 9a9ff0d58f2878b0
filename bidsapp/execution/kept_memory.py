"""Keep freed memory within the process while one block after the other is asked for."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

# mallopt(3): sizes from which a block is asked of the system, and given back to it at once; how
# many blocks may be asked of the system beside the heap, with glibc's own default.
_TRIM_THRESHOLD = -1
_MMAP_THRESHOLD = -3
_MMAP_MAX, _USUAL_BLOCKS = -4, 65536
LARGEST_KEPT = 2**25
"""The largest block for which glibc's threshold can be set."""


@contextmanager
def kept_memory(*, every_size: bool = False) -> Iterator[None]:
    """Keep freed memory within the process until the end, instead of giving it to the system.

    A step asks for the same blocks as the one before; from the system they come page by page, each
    to be filled with zeros. Without effect where the C library is not glibc.

    Parameters
    ----------
    every_size
        Whether to keep blocks beyond `LARGEST_KEPT` too: for work whose blocks are few and alike,
        as they leave gaps in the heap else.
    """
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallopt"):
        yield
        return
    library.mallopt(_MMAP_THRESHOLD, LARGEST_KEPT)
    library.mallopt(_TRIM_THRESHOLD, 2**31 - 1)
    if every_size:
        library.mallopt(_MMAP_MAX, 0)
    try:
        yield
    finally:
        if every_size:
            library.mallopt(_MMAP_MAX, _USUAL_BLOCKS)
        library.mallopt(_TRIM_THRESHOLD, 2**17)
        library.malloc_trim(0)
