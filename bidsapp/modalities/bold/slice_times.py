"""Bring all slices of a volume to one moment, by interpolation over time."""

import numpy as np
from scipy.interpolate import make_interp_spline

from bidsapp.modalities.bold.timing import Timing

# Volumes that are mirrored before the first and after the last: a spline needs some beyond.
_PAD = 8


def correct_slice_times(data: np.ndarray, timing: Timing) -> np.ndarray:
    """Interpolate every slice to the middle of its volume's acquisition.

    Parameters
    ----------
    data
        Shape (X, Y, Z, T).
    timing
        Of the series; without times of slices, or with one time of all, nothing changes.

    Returns
    -------
    numpy.ndarray
        float32, the same shape; a voxel's value at volume ``n`` is that of the moment
        ``n · tr + timing.middle``.

    Notes
    -----
    Interpolation by splines of degree 5 over the whole series, mirrored at its ends: one T × T
    matrix for each time that a slice has, so that slices acquired together share it. Before
    motion is corrected, as in fMRIPrep: a voxel's time is its slice's.
    """
    if timing.slices is None or not timing.apart:
        return data
    moved = np.moveaxis(np.asarray(data, np.float32), timing.axis, 0)
    corrected = np.empty_like(moved)
    for time in np.unique(timing.slices):
        alike = timing.slices == time
        matrix = shift_matrix(data.shape[-1], (timing.middle - time) / timing.tr)
        corrected[alike] = moved[alike] @ matrix.T.astype(np.float32)
    return np.moveaxis(corrected, 0, timing.axis)


def shift_matrix(volumes: int, shift: float) -> np.ndarray:
    """Matrix (T, T) that reads a series so many volumes later; `shift` from -1 to 1."""
    pad = min(_PAD, volumes - 1)
    moments = np.arange(-pad, volumes + pad)
    spline = make_interp_spline(moments, np.eye(len(moments)), k=5)
    matrix = spline(np.clip(np.arange(volumes) + shift, moments[0], moments[-1]))
    # What lies beyond is the mirror of what is there: its columns are added to theirs.
    folded = np.zeros((volumes, volumes))
    for column, moment in zip(matrix.T, moments, strict=True):
        mirrored = -moment if moment < 0 else moment
        mirrored = 2 * (volumes - 1) - mirrored if mirrored >= volumes else mirrored
        folded[:, mirrored] += column
    return folded
