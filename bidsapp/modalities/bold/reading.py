"""A BOLD series from disk: checked, in RAS order, with its times."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bidsapp.errors import BadData
from bidsapp.intake.header import Placement, placement
from bidsapp.intake.images import open_image
from bidsapp.modalities.bold.timing import DIRECTIONS, Timing, direction_of, timing_of

MIN_VOLUMES = 20
"""A series with fewer says nothing of slow changes."""
MIN_VOXELS, MIN_EXTENT_MM = 10, 60.0
SIDES_UNKNOWN = "The header does not say what is left and right."
"""Doubt about a series whose header holds no orientation, or two that contradict each other."""


@dataclass
class Run:
    """A BOLD series as the scanner saw it.

    Attributes
    ----------
    data
        float32, shape (X, Y, Z, T), finite, in RAS order as far as the header can be trusted.
    affine
        4 × 4, voxel indices to RAS millimetres.
    timing
        Of volumes and slices; the slices lie along `timing.axis` of `data`, in its order.
    phase
        Axis of `data` along which the phase was encoded, and 1 or -1 for its sense; None where
        it is not known.
    notes
        What was repaired or assumed, a sentence each.
    doubts
        What keeps the verdict from ``pass`` whatever is measured, a sentence each.
    """

    data: np.ndarray
    affine: np.ndarray
    timing: Timing
    phase: tuple[int, int] | None
    notes: list[str]
    doubts: tuple[str, ...] = ()

    @property
    def voxel_sizes(self) -> np.ndarray:
        """Voxel sizes (3,) in mm."""
        return np.sqrt((self.affine[:3, :3] ** 2).sum(axis=0))


@dataclass(frozen=True)
class _Header:
    """What a series says of itself without its voxels."""

    image: Any
    shape: tuple[int, ...]
    place: "Placement"
    timing: Timing


def check_run(path: Path, metadata: Mapping[str, Any]) -> tuple[int, float]:
    """Refuse a series by its header and its JSON, which are read in no time; see `read_run`.

    Returns
    -------
    volumes : int
        Of the series.
    tr : float
        Seconds between them.
    """
    header = _header(path, metadata)
    return header.shape[3], header.timing.tr


def read_run(path: Path, metadata: Mapping[str, Any]) -> Run:
    """Read a BOLD series.

    Parameters
    ----------
    path
        The image.
    metadata
        Of its JSON files, by BIDS's inheritance.

    Raises
    ------
    NoInput
        The file is not there or may not be read.
    BadData
        It is damaged, not one series of grey-scale volumes, too short or too small, holds
        volumes without numbers, does not change, or its times contradict each other.
    """
    import nibabel as nib

    header = _header(path, metadata)
    place, timing = header.place, header.timing
    data = np.asarray(header.image.dataobj, dtype=np.float32).reshape(header.shape)
    notes = [*place.notes, *timing.notes]
    data = _finite(path, data, notes)
    turn = nib.io_orientation(place.affine)
    ras = np.ascontiguousarray(nib.apply_orientation(data, turn))
    affine = place.affine @ nib.orientations.inv_ornt_aff(turn, header.shape[:3])
    phase = _phase(metadata, turn)
    if phase is None and metadata.get("PhaseEncodingDirection") is not None:
        notes.append(phase_not_known(metadata))
    doubts = () if place.orientation_known else (SIDES_UNKNOWN,)
    return Run(ras, affine, _turned(timing, turn), phase, notes, doubts)


def _header(path: Path, metadata: Mapping[str, Any]) -> _Header:
    image = open_image(path)
    stored, shape = image.get_data_dtype(), image.shape
    if stored.fields is not None or stored.kind == "c":
        raise BadData(f"{path} holds colours or complex numbers; BOLD must be grey-scale.")
    while len(shape) > 4 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) == 3 or (len(shape) == 4 and shape[3] == 1):
        raise BadData(
            f"{path} is one volume (shape {shape}); BOLD must be a series of at least "
            f"{MIN_VOLUMES} volumes."
        )
    if len(shape) != 4:
        raise BadData(f"{path} has the shape {shape}; BOLD must have four dimensions.")
    if shape[3] < MIN_VOLUMES:
        raise BadData(
            f"{path} holds {shape[3]} volumes; BOLD at rest needs at least {MIN_VOLUMES}. Leave "
            "it out with --bids-filter-file."
        )
    place = placement(path, image)
    extent = np.array(shape[:3]) * np.sqrt((place.affine[:3, :3] ** 2).sum(axis=0))
    if min(shape[:3]) < MIN_VOXELS or extent.min() < MIN_EXTENT_MM:
        raise BadData(
            f"{path} is {' × '.join(map(str, shape[:3]))} voxels "
            f"({' × '.join(f'{size:.0f}' for size in extent)} mm); a brain needs at least "
            f"{MIN_VOXELS} voxels and {MIN_EXTENT_MM:.0f} mm along each axis."
        )
    unit = int(image.header["xyzt_units"]) & 0x38
    timing = timing_of(str(path), metadata, shape, float(image.header["pixdim"][4]), unit)
    return _Header(image, tuple(shape), place, timing)


def _finite(path: Path, data: np.ndarray, notes: list[str]) -> np.ndarray:
    """Set to 0 what is no number in every volume; refuse volumes that lack some."""
    bad = ~np.isfinite(data)
    if bad.any():
        always = bad.all(axis=3)
        some = np.flatnonzero((bad & ~always[..., None]).any(axis=(0, 1, 2)))
        if len(some):
            listed = ", ".join(str(number + 1) for number in some[:5])
            raise BadData(
                f"{path}: volumes {listed} (counted from 1) hold NaN or infinite values where "
                "others hold numbers. Export the series again, or leave it out."
            )
        data[always] = 0
        notes.append(
            f"{int(always.sum())} voxels hold no number in any volume; they were set to 0."
        )
    if not (np.ptp(data[:: max(1, data.shape[0] // 8)], axis=3) > 0).any():
        raise BadData(f"{path} does not change over time; it is no BOLD series.")
    return data


def _turned(timing: Timing, turn: np.ndarray) -> Timing:
    """Say along which axis of the turned array the slices lie, and in which order."""
    axis, sense = int(turn[timing.axis, 0]), turn[timing.axis, 1]
    slices = timing.slices
    if slices is not None and sense < 0:
        slices = slices[::-1].copy()
    return Timing(timing.tr, slices, axis, timing.notes)


def phase_of(metadata: Mapping[str, Any], path: Path) -> tuple[int, int] | None:
    """Give axis and sense of an image's phase in RAS order; None where it is not known."""
    import nibabel as nib

    return _phase(metadata, nib.io_orientation(open_image(path).affine))


def phase_not_known(metadata: Mapping[str, Any]) -> str:
    """Say why the phase of a series is not known."""
    told = metadata.get("PhaseEncodingDirection")
    if told is None:
        return "PhaseEncodingDirection is not in its JSON."
    return f"PhaseEncodingDirection is {told!r} in its JSON; {DIRECTIONS} is expected."


def _phase(metadata: Mapping[str, Any], turn: np.ndarray) -> tuple[int, int] | None:
    found = direction_of(metadata.get("PhaseEncodingDirection"))
    if found is None:
        return None
    axis, sense = found
    return int(turn[axis, 0]), int(sense * turn[axis, 1])
