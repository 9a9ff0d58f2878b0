"""Maps on surfaces as GIFTI files, whole or not at all, and arrays packed into texts."""

import base64
import math
import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bidsapp.derivatives import atomic_path, write_json
from bidsapp.errors import BadData
from bidsapp.intake.gifti import MAX_BYTES, read_gifti
from bidsapp.intake.json_text import parse_json

EXTENSION, MESH = ".shape.gii", ".surf.gii"
_SPACE = "NociCastSpace"
_NUMBERS = re.compile(r"bool|float(16|32|64)|u?int(8|16|32|64)")


def write_values(path: Path, values: np.ndarray, space: str, sidecar: Mapping[str, Any]) -> None:
    """Write a value for each vertex (or cell of a picture, in C order) and, before it, its sidecar.

    Parameters
    ----------
    path
        Ends in `EXTENSION`.
    values
        Of any shape.
    space
        JSON of the space's `to_dict`, kept in the file.
    sidecar
        What the JSON file says.
    """
    from nibabel.gifti import GiftiDataArray, GiftiImage, GiftiMetaData

    write_json(path.with_name(path.name.removesuffix(EXTENSION) + ".json"), sidecar)
    data = np.asarray(values, np.float32).ravel()
    array = GiftiDataArray(data, intent="NIFTI_INTENT_SHAPE", datatype="NIFTI_TYPE_FLOAT32")
    image = GiftiImage(meta=GiftiMetaData({_SPACE: space}), darrays=[array])
    with atomic_path(path) as temporary:
        temporary.write_bytes(image.to_bytes())


def write_mesh(path: Path, vertices: np.ndarray, faces: np.ndarray) -> None:
    """Write a surface: (v, 3) mm RAS+ and (f, 3) numbers of vertices."""
    from nibabel.gifti import GiftiDataArray, GiftiImage

    arrays = [
        GiftiDataArray(
            np.asarray(vertices, np.float32),
            intent="NIFTI_INTENT_POINTSET",
            datatype="NIFTI_TYPE_FLOAT32",
        ),
        GiftiDataArray(
            np.asarray(faces, np.int32), intent="NIFTI_INTENT_TRIANGLE", datatype="NIFTI_TYPE_INT32"
        ),
    ]
    with atomic_path(path) as temporary:
        temporary.write_bytes(GiftiImage(darrays=arrays).to_bytes())


def read_values(path: Path) -> tuple[np.ndarray, dict[str, Any]]:
    """Read one value for each vertex, and the space that the file describes (empty if none).

    Raises
    ------
    BadData
        If the file is not GIFTI, or does not hold exactly one array of values.
    """
    values, meta = read_gifti(path)
    try:
        told = parse_json(meta.get(_SPACE, "{}"))
    except ValueError as error:
        raise BadData(f"{path}: cannot be read as GIFTI: {error}") from error
    return values, told if isinstance(told, dict) else {}


def packed(values: np.ndarray) -> dict[str, Any]:
    """Make of an array a text with its shape and type, for JSON."""
    array = np.ascontiguousarray(values)
    data = base64.b64encode(zlib.compress(array.astype(array.dtype.newbyteorder("<")).tobytes()))
    return {"dtype": array.dtype.name, "shape": list(array.shape), "zlib": data.decode()}


def unpacked(told: Mapping[str, Any]) -> np.ndarray:
    """Read what `packed` made.

    Raises
    ------
    ValueError, KeyError, TypeError
        If it cannot be used.
    """
    if not _NUMBERS.fullmatch(str(told["dtype"])):
        raise ValueError(f"an array of {str(told['dtype'])[:40]!r}")
    kind = np.dtype(str(told["dtype"])).newbyteorder("<")
    shape = [int(n) for n in told["shape"]]
    size = math.prod(shape) * kind.itemsize
    if min(shape, default=0) < 0 or size > MAX_BYTES:
        raise ValueError(f"an array of {shape}")
    try:
        # a small text can unpack without end: no more is unpacked than the shape has room for
        opened = zlib.decompressobj()
        data = opened.decompress(base64.b64decode(str(told["zlib"]), validate=True), size + 1)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if len(data) != size or not opened.eof:
        raise ValueError(f"an array of {shape} whose values are of another length")
    return np.frombuffer(data, kind).reshape(shape).astype(kind.newbyteorder("="))
