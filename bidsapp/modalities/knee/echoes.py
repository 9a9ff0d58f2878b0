"""Echoes of a multi-echo spin echo: read, checked against one another, ordered by their times."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from bidsapp.errors import BadData
from bidsapp.intake.images import read_numbers
from bidsapp.intake.json_text import read_object

_LONGEST_S = 0.5
_SAME_PLACE_MM = 0.01


@dataclass(frozen=True)
class Echoes:
    """Echoes on one grid.

    Attributes
    ----------
    signals
        (i, j, k, echoes) float32.
    affine
        (4, 4) from their voxels to the scanner's millimetres, RAS+.
    times
        (echoes,) seconds, ascending.
    notes
        What was not as usual, a sentence each.
    """

    signals: np.ndarray
    affine: np.ndarray
    times: np.ndarray
    notes: tuple[str, ...] = ()


def sidecar_of(path: Path) -> Path:
    """Give the JSON file beside an image."""
    return path.with_name(path.name.removesuffix(".gz").removesuffix(".nii") + ".json")


def echo_time(path: Path) -> float:
    """Read an echo's time in seconds from its sidecar.

    Raises
    ------
    BadData
        It is not there, is no positive number, or is so long that it must be in milliseconds.
    """
    sidecar = sidecar_of(path)
    found = read_object(sidecar).get("EchoTime")
    if isinstance(found, bool) or not isinstance(found, int | float) or not found > 0:
        raise BadData(
            f"{sidecar}: EchoTime is {found!r}; T2 needs the time of every echo, in seconds."
        )
    if found > _LONGEST_S:
        raise BadData(
            f"{sidecar}: EchoTime is {found:g}; BIDS has it in seconds, and this looks like "
            f"milliseconds. Write {found / 1000:g}."
        )
    return float(found)


def read_echoes(paths: Sequence[Path]) -> Echoes:
    """Read the echoes of one acquisition.

    Parameters
    ----------
    paths
        ``_echo-<n>_MESE.nii.gz``, in any order; the times in their sidecars give the order.

    Raises
    ------
    BadData
        Fewer than two, two of the same time, or different sizes or places; a time that is missing
        or in milliseconds.
    NoInput
        A file cannot be read.
    """
    times = {path: echo_time(path) for path in paths}
    ordered = sorted(paths, key=lambda path: (times[path], path.name))
    if len(ordered) < 2:
        names = ", ".join(path.name for path in ordered) or "none"
        raise BadData(f"T2 needs at least two echoes; there is {names}.")
    for one, other in pairwise(ordered):
        if times[one] == times[other]:
            raise BadData(
                f"{one.name} and {other.name} have the same EchoTime, {times[one]:g} s; correct "
                "the sidecar of one."
            )
    signals: list[np.ndarray] = []
    affine = np.eye(4)
    for path in ordered:
        data, own = read_numbers(path)
        if data.ndim != 3:
            raise BadData(f"{path} has {data.ndim} axes; an echo has three, one file each.")
        if signals and data.shape != signals[0].shape:
            sizes = [" x ".join(map(str, shape)) for shape in (data.shape, signals[0].shape)]
            raise BadData(
                f"{path} has {sizes[0]} voxels and {ordered[0].name} {sizes[1]}; the echoes of "
                "one acquisition have one grid. Convert them again."
            )
        if signals and np.abs(own - affine).max() > _SAME_PLACE_MM:
            raise BadData(
                f"{path} lies elsewhere than {ordered[0].name} by its header; the echoes of one "
                "acquisition have one grid. Convert them again."
            )
        affine = own if not signals else affine
        signals.append(data)
    notes: tuple[str, ...] = ()
    if list(paths) != ordered:
        notes = ("The echoes' numbers are not in the order of their times; the times were used.",)
    return Echoes(
        np.stack(signals, axis=-1), affine, np.array([times[path] for path in ordered]), notes
    )


def sample_echoes(echoes: Echoes, points: np.ndarray, order: int = 3) -> np.ndarray:
    """Read all echoes at places of the scanner, by cubic splines as printed.

    Parameters
    ----------
    points
        (n, 3) mm, RAS+.
    order
        Of the spline.

    Returns
    -------
    numpy.ndarray
        (n, echoes) float64; NaN outside of the echoes' slices.
    """
    from scipy.ndimage import map_coordinates

    back = np.linalg.inv(echoes.affine)
    places = points @ back[:3, :3].T + back[:3, 3]
    size = np.array(echoes.signals.shape[:3])
    inside = ((places >= -0.5) & (places <= size - 0.5)).all(1)
    values = np.full((len(points), len(echoes.times)), np.nan)
    for echo in range(len(echoes.times)):
        own = map_coordinates(
            echoes.signals[..., echo], places[inside].T, order=order, mode="nearest"
        )
        values[inside, echo] = own
    return values
