"""Gzip read to its very end, where its checksums are: readers of images stop before them."""

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from bidsapp.errors import BadData

_MAGIC = b"\x1f\x8b"
_READ = 1 << 20  # bytes of the file at a time
_GROW = 1 << 24  # bytes that may come of them at a time
_GZIP = 31  # zlib's code for a gzip header and trailer, both checked


def unpack(path: Path, stream: BinaryIO, needed: Callable[[bytes], int], start: int) -> bytes:
    """Decompress a gzip file, all members of it, and check every checksum and length (RFC 1952).

    What follows the bytes that are needed is read, so that it is checked, and not kept. Bytes
    after the last member that are no gzip do not belong to it, and are passed over.

    Parameters
    ----------
    path
        Named in messages.
    stream
        The file, at its beginning.
    needed
        Given the first `start` bytes, says how many are needed in all; it may refuse.
    start
        How many bytes `needed` is shown; fewer where there are no more.

    Returns
    -------
    bytes
        So many as are needed, or as there are.

    Raises
    ------
    BadData
        The file is no gzip, ends early, fails a checksum, or goes on for longer again than what
        is needed.
    """
    parts: list[bytes] = []
    length, wanted = 0, -1
    for part in _pieces(path, stream):
        kept = part if wanted < 0 else part[: max(0, wanted - length)]
        length += len(part)
        if kept:
            parts.append(kept)
        if wanted < 0 and length >= start:
            whole = b"".join(parts)
            wanted = needed(whole[:start])
            parts = [whole[:wanted]]
        if wanted >= 0 and length > 2 * wanted + _READ:
            raise BadData(
                f"{path} unpacks to more than twice what its header says ({wanted} bytes); "
                "copy or convert it again."
            )
    content = b"".join(parts)
    if wanted < 0:
        content = content[: needed(content)]
    return content


def _pieces(path: Path, stream: BinaryIO) -> Iterator[bytes]:
    """Yield what comes of a gzip file, in pieces."""
    waiting = stream.read(_READ)
    if not waiting.startswith(_MAGIC):
        raise BadData(
            f"{path} is not a NIfTI image that can be read: it is not compressed, though its name "
            "says so; copy or convert it again."
        )
    while waiting.startswith(_MAGIC):
        member = zlib.decompressobj(_GZIP)
        while not member.eof:
            waiting = waiting or stream.read(_READ)
            try:
                piece = member.decompress(waiting, _GROW)
            except zlib.error as error:
                raise _damaged(path, str(error).rpartition(": ")[2]) from error
            if not (piece or waiting or member.eof):
                raise _damaged(path, "the compressed data end early")
            waiting = member.unconsumed_tail
            if piece:
                yield piece
        waiting = member.unused_data.lstrip(b"\0")  # zeros between members: tapes leave them
        while len(waiting) < len(_MAGIC) and (more := stream.read(_READ)):
            waiting = (waiting + more).lstrip(b"\0")


def _damaged(path: Path, reason: str) -> BadData:
    return BadData(f"{path} is damaged or cut short ({reason}); copy or convert it again.")
