"""The field in Hz from the phases of two echoes: unwrapped inside the head, over their distance."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.ndimage import binary_closing, distance_transform_edt, label, median_filter

from bidsapp.errors import BadData

_TURN = 2 * np.pi
GAP_SECONDS = (2e-4, 2e-2)
"""Least and largest distance of two echoes whose phases tell of a field."""
_LEAST_VOXELS = 200


def radians(values: np.ndarray, units: object, name: str) -> np.ndarray:
    """Give a phase in rad.

    Parameters
    ----------
    values
        As stored.
    units
        ``Units`` of its JSON: ``rad``, or BIDS's ``arbitrary``, where the range of the values is
        one turn, as scanners write it.
    name
        The image, for messages.

    Raises
    ------
    BadData
        It has no range, is not finite, or is in another unit.
    """
    if units not in (None, "", "rad", "arbitrary"):
        raise BadData(f"{name}: Units in its JSON are {units!r}; rad or arbitrary is expected.")
    if values.ndim != 3 or not np.isfinite(values).all() or np.ptp(values) == 0:
        raise BadData(f"{name} is no phase: one finite volume that is not constant is expected.")
    values = values.astype(np.float64)
    if units == "rad":
        return values
    # scanners write -4096 to 4095 or 0 to 4095; air takes all of it
    return (values - values.min()) / np.ptp(values) * _TURN - np.pi


def echo_gap(metadata: Mapping[str, Any], other: Mapping[str, Any] | None, name: str) -> float:
    """Give the seconds between two echoes.

    Parameters
    ----------
    metadata
        Of the phase difference (``EchoTime1``, ``EchoTime2``), or of the first echo.
    other
        Of the second echo, each with its ``EchoTime``; None where `metadata` has both.
    name
        The image, for messages.

    Raises
    ------
    BadData
        They are missing, or no times of two echoes in seconds.
    """
    if other is None:
        keys = "EchoTime1 and EchoTime2"
        one, two = (metadata.get(key) for key in ("EchoTime1", "EchoTime2"))
    else:
        keys = "EchoTime of _phase1 and _phase2"
        one, two = metadata.get("EchoTime"), other.get("EchoTime")
    numbers = [float(value) for value in (one, two) if isinstance(value, int | float)]
    if len(numbers) < 2 or not np.isfinite(numbers).all():
        raise BadData(f"{name} needs {keys} in seconds in its JSON (they are {one}, {two}).")
    gap = numbers[1] - numbers[0]
    if not GAP_SECONDS[0] <= gap <= GAP_SECONDS[1]:
        looks = ""
        if GAP_SECONDS[0] <= gap / 1000 <= GAP_SECONDS[1]:
            looks = " They look like milliseconds: divide them by 1000."
        raise BadData(
            f"{name}: {keys} in its JSON are {one} and {two} s, {gap:g} s apart; "
            f"{GAP_SECONDS[0] * 1000:g} to {GAP_SECONDS[1] * 1000:g} ms are expected.{looks}"
        )
    return gap


def hertz_of(phase: np.ndarray, magnitude: np.ndarray, gap: float, name: str) -> np.ndarray:
    """Turn the difference of two phases into a field.

    Parameters
    ----------
    phase
        In rad, wrapped, shape (X, Y, Z).
    magnitude
        Of the same voxels: where the head is.
    gap
        Seconds between the echoes.
    name
        The image, for messages.

    Returns
    -------
    numpy.ndarray
        Hz, shape (X, Y, Z), 0 at the head's median; beyond the head as at its nearest voxel.

    Raises
    ------
    BadData
        There is no head in the magnitude, or it has other voxels.

    Notes
    -----
    The difference of the phases over 2π times that of the echoes: Jezzard & Balaban (1995),
    doi:10.1002/mrm.1910340111. Unwrapped by reliability (Herráez et al. 2002,
    doi:10.1364/AO.41.007437). What is left of whole turns, and the field's mean, would shift the
    whole head: the registration to the T1w image finds that, so the median is taken out.
    """
    from skimage.restoration import unwrap_phase

    if magnitude.shape != phase.shape:
        raise BadData(f"{name} has shape {phase.shape}, its magnitude {magnitude.shape}.")
    head = _head(magnitude)
    if head.sum() < _LEAST_VOXELS:
        raise BadData(f"{name}: no head was found in its magnitude.")
    wrapped = np.angle(np.exp(1j * phase))
    unwrapped = unwrap_phase(np.ma.masked_array(wrapped, ~head), rng=0)
    values = np.where(head, np.ma.getdata(unwrapped), 0.0)
    values -= np.median(values[head])
    nearest = distance_transform_edt(~head, return_distances=False, return_indices=True)
    filled = values[tuple(nearest)]
    # a voxel of noise at the rim may lie whole turns away from all around it
    return np.asarray(median_filter(filled, 3) / (_TURN * gap))


def _head(magnitude: np.ndarray) -> np.ndarray:
    """Find the largest piece that is bright, with small gaps closed.

    By Otsu's threshold of the logarithm: near the coil a head is ten times as bright as far away.
    """
    from skimage.filters import threshold_otsu

    bright = np.log1p(np.clip(magnitude, 0, None).astype(np.float64))
    if np.ptp(bright) == 0:
        return np.zeros(magnitude.shape, bool)
    bright = binary_closing(bright > threshold_otsu(bright))
    pieces, count = label(bright)
    if not count:
        return np.zeros(magnitude.shape, bool)
    return np.asarray(pieces == 1 + np.argmax(np.bincount(pieces.ravel())[1:]))
