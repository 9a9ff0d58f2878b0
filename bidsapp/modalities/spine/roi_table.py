"""Boxes around foramina from a table, ``*_desc-foramen_roi.tsv``: read, and held against the image.

Indices count voxels of the image's file, from 0; of a box, i and j count along the two axes that
are not the slices', in the file's order, and name the first and the last voxel inside it. The
sidecar may say otherwise of where counting begins, and what image the boxes were drawn on.
"""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bidsapp.dataset.tables import read_rows
from bidsapp.errors import BadData, NoInput
from bidsapp.intake.json_text import read_json
from bidsapp.modalities.spine.injections import Injection, read_injection
from bidsapp.modalities.spine.stack import Stack

BOX = ("i0", "i1", "j0", "j1")
REQUIRED = ("level", "side", "slice", *BOX)
OPTIONAL = ("injection_id", "rater", "date", "status")
CONFIRMED, PROPOSED = "confirmed", "proposed"
MIN_BOX = 6
"""Voxels along each side of a box, at the least."""


@dataclass(frozen=True)
class Roi:
    """Where the foramen of an injection lies.

    Attributes
    ----------
    injection
        Level and side.
    slice
        Voxel index along the slices' axis, from 0.
    box
        i0, i1, j0, j1: first and last voxel along the other two axes of the file.
    source
        Name of the file that says it.
    rater
        Who drew it; empty where that is not said.
    status
        ``confirmed`` by a person, or ``proposed`` by the app.
    date
        When it was drawn, where that is said.
    blinded
        Whether the person who drew it could not know the outcome; None where that is not said.
    """

    injection: Injection
    slice: int
    box: tuple[int, int, int, int]
    source: str
    rater: str = ""
    status: str = CONFIRMED
    date: datetime.date | None = None
    blinded: bool | None = None


def read_roi_table(path: Path, stack: Stack) -> list[Roi]:
    """Read the boxes of one image.

    Parameters
    ----------
    path
        The table; its sidecar lies beside it under the same name in ``.json``.
    stack
        The image that it is about.

    Returns
    -------
    list of Roi
        In the order of the table; several of one injection where several people drew them.

    Raises
    ------
    NoInput
        Table or sidecar cannot be read.
    BadData
        A row cannot be understood, does not fit the image, or is there twice; the message names
        the line.
    """
    sidecar = _sidecar(path)
    base = _index_base(path, sidecar, stack)
    blinded = sidecar.get("BlindedToOutcome")
    rois: list[Roi] = []
    seen: dict[tuple[Injection, str], int] = {}
    for line, row in read_rows(path, REQUIRED):
        if not any(row.values()):
            continue
        roi = _roi(path, line, row, base, blinded if isinstance(blinded, bool) else None)
        check_fits(f"{path}: line {line}", roi, stack, base)
        key = (roi.injection, roi.rater)
        if key in seen:
            by = f" by {roi.rater}" if roi.rater else ""
            raise BadData(
                f"{path}: line {line} repeats line {seen[key]} ({roi.injection.label}{by}). Keep "
                "one row for each injection; where two people drew it, name each in rater."
            )
        seen[key] = line
        rois.append(roi)
    return rois


def check_fits(where: str, roi: Roi, stack: Stack, base: int = 0) -> None:
    """Refuse a box that does not lie inside the image.

    Parameters
    ----------
    where
        File and line, the beginning of the message.
    roi
        Counted from 0.
    stack
        The image.
    base
        What the file counts from.

    Raises
    ------
    BadData
        Slice or box lie outside, end before they begin, or hold too few voxels.
    """
    sizes = [stack.data.shape[axis] for axis in stack.box_axes]
    i0, i1, j0, j1 = roi.box
    ends = (("slice", roi.slice, stack.slices), ("i0", i0, sizes[0]), ("i1", i1, sizes[0]),
            ("j0", j0, sizes[1]), ("j1", j1, sizes[1]))  # fmt: skip
    for name, value, size in ends:
        if 0 <= value < size:
            continue
        hint = ""
        if value == size and base == 0:
            hint = (
                " It is one too many: if the table counts from 1, say IndexBase: 1 in its sidecar."
            )
        elif value == -1 and base == 1:
            hint = " If the table counts from 0, say IndexBase: 0 in its sidecar."
        raise BadData(
            f"{where} has {name} {value + base}, and the image has {base} to {size - 1 + base} "
            f"there.{hint} Draw the box on this image again, or correct the row."
        )
    for first, last, size in (("i0", "i1", i1 - i0 + 1), ("j0", "j1", j1 - j0 + 1)):
        if size < MIN_BOX:
            raise BadData(
                f"{where} has a box of {size} voxel{'s' * (size != 1)} from {first} to {last}; at "
                f"least {MIN_BOX} are needed. {first} is the first voxel inside, {last} the last."
            )


def _roi(path: Path, line: int, row: Mapping[str, str], base: int, blinded: bool | None) -> Roi:
    where = f"{path}: line {line}"
    try:
        injection = read_injection(row["level"], row["side"])
    except ValueError as error:
        raise BadData(f"{where}: {error}.") from None
    numbers = {name: _index(where, name, row[name]) - base for name in ("slice", *BOX)}
    status = row.get("status", "") or CONFIRMED
    if status not in (CONFIRMED, PROPOSED):
        raise BadData(f"{where}: status {status!r} is neither {CONFIRMED} nor {PROPOSED}.")
    text, date = row.get("date", ""), None
    if text:
        try:
            date = datetime.date.fromisoformat(text[:10])
        except ValueError:
            raise BadData(f"{where}: date {text!r} is not a date such as 2024-03-31.") from None
    box = (numbers["i0"], numbers["i1"], numbers["j0"], numbers["j1"])
    rater = row.get("rater", "")
    return Roi(injection, numbers["slice"], box, path.name, rater, status, date, blinded)


def _index(where: str, name: str, text: str) -> int:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not value.is_integer():
        shown = repr(text) if text else "nothing"
        raise BadData(f"{where} has {shown} in {name}; a whole number is expected.")
    return int(value)


def _sidecar(path: Path) -> dict[str, Any]:
    """Read what lies beside the table; empty where nothing does."""
    beside = path.with_suffix(".json")
    if not beside.exists():
        return {}
    try:
        content = read_json(beside)
    except OSError as error:
        raise NoInput(f"{beside} cannot be read: {error.strerror or error}.") from None
    except ValueError as error:
        raise BadData(f"{beside} is not JSON ({error}); correct or remove it.") from None
    if not isinstance(content, dict):
        raise BadData(f"{beside} is no JSON object; correct or remove it.")
    return content


def _index_base(path: Path, sidecar: Mapping[str, Any], stack: Stack) -> int:
    """Check what the sidecar says of image and indices; gives what they count from."""
    beside = path.with_suffix(".json")
    base = sidecar.get("IndexBase", 0)
    if base not in (0, 1) or isinstance(base, bool):
        raise BadData(f"{beside}: IndexBase is {base!r}; 0 or 1 is expected.")
    axis = sidecar.get("SliceAxis", stack.slice_axis)
    if axis != stack.slice_axis:
        raise BadData(
            f"{beside}: SliceAxis is {axis!r}, and the image's slices follow one another along "
            f"axis {stack.slice_axis} (counted from 0). The boxes were drawn on another image, or "
            "the image was reoriented since: draw them again."
        )
    shape = sidecar.get("ImageShape")
    if shape is not None and shape != list(stack.data.shape):
        raise BadData(
            f"{beside}: ImageShape is {shape}, and the image has {list(stack.data.shape)} voxels. "
            "The boxes were drawn on another image: draw them again."
        )
    affine = sidecar.get("ImageAffine")
    if affine is not None and not _same(affine, stack.affine):
        raise BadData(
            f"{beside}: ImageAffine is not that of the image. The boxes were drawn on another "
            "image, or its header was changed since: draw them again."
        )
    return int(base)


def _same(affine: Any, other: np.ndarray) -> bool:
    try:
        numbers = np.array(affine, dtype=float)
    except (TypeError, ValueError):
        return False
    return numbers.shape == (4, 4) and bool(np.allclose(numbers, other, atol=1e-2))
