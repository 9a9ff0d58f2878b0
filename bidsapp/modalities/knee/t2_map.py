"""A map of T2 that came with the images, in place of echoes: its unit checked, read at places."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bidsapp.contracts.scan import SourceFile
from bidsapp.dataset.scanners import metadata_of
from bidsapp.errors import BadData
from bidsapp.intake.images import read_numbers
from bidsapp.modalities.knee.t2 import BOUNDS_MS

_TO_MS: Mapping[str, float] = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1000.0),
    **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds"), 1.0),
}
_LIKELY_MS = (5.0, 500.0)
"""Between which the median T2 of cartilage lies in any knee; outside, the unit is another."""
_MOSTLY = 0.5


@dataclass(frozen=True)
class T2Map:
    """A map of T2.

    Attributes
    ----------
    values
        (i, j, k) in its own unit; 0, or what is not finite, where there is none.
    affine
        (4, 4) from its voxels to the scanner's millimetres, RAS+.
    unit
        As its JSON file says.
    path
        Of the map, for messages.
    """

    values: np.ndarray
    affine: np.ndarray
    unit: str
    path: Path


def metadata_of_map(file: SourceFile) -> dict[str, Any]:
    """Read what the JSON files of its dataset say of a map, by BIDS's inheritance."""
    return metadata_of(file.root, file.path, "T2map")


def unit_of(path: Path, metadata: Mapping[str, Any]) -> str:
    """Give the unit of a map, as its JSON file says; it is never guessed from the values.

    Raises
    ------
    BadData
        There is none, or it is no unit of time.
    """
    unit = metadata.get("Units")
    if not isinstance(unit, str) or unit.strip().lower() not in _TO_MS:
        said = "is not there" if unit is None else f"is {unit!r}"
        raise BadData(
            f"{path}: Units {said} in its JSON file. Write the unit of the map's values there: "
            '"Units": "s" (as BIDS has T2 maps) or "Units": "ms".'
        )
    return unit.strip().lower()


def read_t2_map(path: Path, metadata: Mapping[str, Any]) -> T2Map:
    """Read a map of T2.

    Parameters
    ----------
    path
        ``_T2map.nii.gz``.
    metadata
        Of the JSON files that hold for it.

    Raises
    ------
    BadData
        Its unit is not known, or it has not three axes.
    NoInput
        It cannot be read.
    """
    unit = unit_of(path, metadata)
    values, affine = read_numbers(path)
    values = values[..., 0] if values.ndim == 4 and values.shape[3] == 1 else values
    if values.ndim != 3:
        raise BadData(f"{path} has {values.ndim} axes; a map of T2 has three.")
    return T2Map(values, affine, unit, path)


def sample_t2(found: T2Map, points: np.ndarray) -> np.ndarray:
    """Read T2 at places of the scanner.

    Linear between the voxels that have a T2 within `t2.BOUNDS_MS`, by their weights alone, where
    these are at least half: a map that is cut out along the cartilage is not mixed with the zeros
    beside it, nor with fluid.

    Parameters
    ----------
    points
        (n, 3) mm, RAS+.

    Returns
    -------
    numpy.ndarray
        (n,) ms; NaN outside the map, and where it has no T2.

    Raises
    ------
    BadData
        No place lies within the map or has a T2 there, or its median cannot
        be T2 of cartilage in the map's unit.
    """
    from scipy.ndimage import map_coordinates

    back = np.linalg.inv(found.affine)
    places = points @ back[:3, :3].T + back[:3, 3]
    size = np.array(found.values.shape)
    inside = ((places >= -0.5) & (places <= size - 0.5)).all(1)
    if not inside.any():
        raise BadData(
            f"{found.path} lies beside the label map by its header: no voxel of cartilage is "
            "within it. Is it of the same knee and visit?"
        )
    milliseconds = found.values * _TO_MS[found.unit]
    told = np.isfinite(milliseconds) & (milliseconds > 0)
    nearest = tuple(np.clip(np.rint(places[inside]), 0, size - 1).astype(int).T)
    if not told[nearest].any():
        raise BadData(
            f"{found.path}: no voxel of cartilage has a T2 in it; there it is 0, negative or not "
            "a number (NaN). Is it the right map?"
        )
    _require_likely(found, float(np.median(milliseconds[nearest][told[nearest]])))
    known = told & (milliseconds > BOUNDS_MS[0]) & (milliseconds < BOUNDS_MS[1])
    total, weight = (
        map_coordinates(one, places[inside].T, order=1, mode="nearest")
        for one in (np.where(known, milliseconds, 0), known.astype(float))
    )
    t2 = np.full(len(points), np.nan)
    t2[inside] = np.where(weight >= _MOSTLY, total / np.maximum(weight, _MOSTLY), np.nan)
    return t2


def _require_likely(found: T2Map, median_ms: float) -> None:
    low, high = _LIKELY_MS
    if low <= median_ms <= high:
        return
    value = median_ms / _TO_MS[found.unit]
    other = "s" if _TO_MS[found.unit] == 1 else "ms"
    fits = low <= value * _TO_MS[other] <= high
    advice = f'; its values look like {other}. Correct it to "{other}"' if fits else ""
    raise BadData(
        f"{found.path}: the median in cartilage is {value:g}, and Units in its JSON file is "
        f"{found.unit!r}: no cartilage has a T2 of {median_ms:g} ms{advice or '. Is it a T2 map?'}"
        + ("." if advice else "")
    )
