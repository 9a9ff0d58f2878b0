"""The one reader of values on surfaces: GIFTI files that hold one array, and what they tell."""

import base64
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from bidsapp.errors import BadData, NoInput
from bidsapp.intake.regular import open_regular

ENDING = ".gii"
MAX_BYTES = 2**29
"""Of a file, and of what its arrays unpack to: a surface of 10 million points has less."""
_CHUNK = 2**20


def read_gifti(path: Path) -> tuple[np.ndarray, Mapping[str, str]]:
    """Read one value for each place of a surface, and the file's own metadata.

    Raises
    ------
    NoInput
        The file is not there, is no regular file, or its content was not fetched.
    BadData
        It is not GIFTI, or does not hold exactly one array of values; they lie in another file, or
        unpack to more than `MAX_BYTES`.
    """
    content = _content(path)
    try:
        image = _reader().from_bytes(content)
        told = dict(image.meta)
    except Exception as error:  # its reader raises whatever the XML and its arrays bring up
        raise BadData(f"{path}: cannot be read as GIFTI: {error}") from error
    if len(image.darrays) != 1:
        raise BadData(f"{path}: expected one array of values, found {len(image.darrays)}")
    return np.asarray(image.darrays[0].data), told


def read_surface(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read a surface: (n, 3) points in mm, float64, and (m, 3) triangles, int32.

    Raises
    ------
    NoInput
        As `read_gifti`.
    BadData
        It is not GIFTI, or does not hold one array of points and one of triangles; as `read_gifti`.
    """
    content = _content(path)
    try:
        image = _reader().from_bytes(content)
        (points,) = image.get_arrays_from_intent("NIFTI_INTENT_POINTSET")
        (triangles,) = image.get_arrays_from_intent("NIFTI_INTENT_TRIANGLE")
        found = np.asarray(points.data, np.float64), np.asarray(triangles.data, np.int32)
    except Exception as error:  # its reader raises whatever the XML and its arrays bring up
        raise BadData(f"{path}: cannot be read as a GIFTI surface: {error}") from error
    if found[1].size and not 0 <= found[1].min() <= found[1].max() < len(found[0]):
        raise BadData(f"{path}: its triangles name points that are not there")
    return found


def _content(path: Path) -> bytes:
    """Read the bytes of a file.

    An array may say that it lies in another file, of any path: a reader that knows only the bytes
    opens none.
    """
    try:
        with open_regular(path) as stream:
            content = stream.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise NoInput(f"{path} is not there.") from error
    except OSError as error:
        raise NoInput(f"{path} cannot be read: {error.strerror or error}.") from error
    if len(content) > MAX_BYTES:
        raise BadData(f"{path} is larger than {MAX_BYTES / 1e9:.1f} GB; no surface of a person is.")
    return content


@cache
def _reader() -> Any:
    """Give nibabel's reader, which unpacks no more than `MAX_BYTES` of an array."""
    from nibabel.gifti import GiftiImage
    from nibabel.gifti.parse_gifti_fast import GiftiImageParser

    class Parser(GiftiImageParser):
        def flush_chardata(self) -> None:
            if self.write_to == "Data":
                _require_end(self._char_blocks or ())
            super().flush_chardata()

    class Image(GiftiImage):
        parser = Parser

    return Image


def _require_end(blocks: Sequence[str]) -> None:
    """Refuse packed values of an array that unpack to more than `MAX_BYTES`.

    Raises
    ------
    ValueError
        They do; of what is no packed text the reader says what is wrong.
    """
    size, opened = 0, zlib.decompressobj()
    with suppress(ValueError, zlib.error):
        packed = base64.b64decode("".join(blocks).encode("ascii"))
        while packed:
            size += len(opened.decompress(packed, _CHUNK))
            packed = opened.unconsumed_tail
            if size > MAX_BYTES:
                break
    if size > MAX_BYTES:
        raise ValueError(f"an array unpacks to more than {MAX_BYTES / 1e9:.1f} GB")
