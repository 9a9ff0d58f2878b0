"""Measure a prepared BOLD series: motion, noise, what is left, and how it fits."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import binary_dilation

from bidsapp.contracts.measure import judged
from bidsapp.modalities.bold.alignment import Aligned
from bidsapp.modalities.bold.cleaning import Cleaned
from bidsapp.modalities.bold.confounds import steady_volumes
from bidsapp.modalities.bold.coregister import mutual_information
from bidsapp.modalities.bold.measures import FD_OVER_MM, MEASURES
from bidsapp.modalities.bold.reading import Run
from bidsapp.modalities.bold.steps import Standard

if TYPE_CHECKING:
    import pandas as pd

# Voxels of a series that are measured at once, so that memory stays small.
_CHUNK = 32768


def measure(
    run: Run,
    aligned: Aligned,
    standard: Standard,
    table: "pd.DataFrame",
    cleaned: Cleaned,
    t1w: np.ndarray,
    doubts: Sequence[str] = (),
) -> dict[str, Any]:
    """Give the quality block of a series: every measure, verdict and reasons.

    Parameters
    ----------
    run, aligned, standard
        The series as acquired, aligned, and in standard space.
    table
        Its confounds.
    cleaned
        After denoising.
    t1w
        The normalised T1w brain inside the template's mask, shape (V,).
    doubts
        What keeps the verdict from ``pass`` whatever is measured, a sentence each.
    """
    still, between = steady_volumes(table), steady_volumes(table, changes=True)
    fd = table["framewise_displacement"].to_numpy(float)[1:]
    moves = table[["trans_x", "trans_y", "trans_z"]].to_numpy(float)
    inside = standard.covered & standard.brain
    mean = standard.series.mean(axis=0)
    block: dict[str, Any] = {
        "fd_mean": float(fd.mean()),
        "displacement_max": float(np.linalg.norm(moves - moves.mean(axis=0), axis=1).max()),
        "fd_over": float((fd > FD_OVER_MM).mean()),
        "minutes_left": len(cleaned.kept) * run.timing.tr / 60,
        "freedom": cleaned.freedom,
        "std_dvars": float(table["std_dvars"][between].mean()),
        "tsnr": float(np.median(tsnr(standard.series[np.ix_(still, inside)]))),
        "brain_dice": brain_dice(mean, standard.brain, standard.covered),
        "template_dice": brain_dice(mean, standard.covered, standard.covered),
        "mutual_information": mutual_information(mean[inside], t1w[inside]),
        "boundary_contrast": aligned.place.contrast,
        "coverage": float(standard.covered.mean()),
        "ghosting": ghosting(aligned.motion.reference, aligned.mask, run.phase),
    }
    verdict, reasons = judged(MEASURES, block, doubts)
    return block | {"verdict": verdict, "reasons": list(reasons)}


def tsnr(series: np.ndarray) -> np.ndarray:
    """Mean over standard deviation of every voxel, after a line is taken out; (T, V) to (V,).

    Source: nipype's `TSNR` with a polynomial of degree 1.
    """
    time = np.linspace(-1, 1, len(series))
    mean, sd = np.empty((2, series.shape[1]))
    for first in range(0, series.shape[1], _CHUNK):
        part = slice(first, first + _CHUNK)
        values = series[:, part].astype(np.float64)
        mean[part] = values.mean(axis=0)
        values -= mean[part]
        values -= np.outer(time, time @ values / (time @ time))
        sd[part] = values.std(axis=0)
    return np.divide(mean, sd, out=np.zeros_like(mean), where=sd > 0)


def brain_dice(mean: np.ndarray, brain: np.ndarray, covered: np.ndarray) -> float:
    """Overlap of what is bright in the mean volume with a brain, within the view.

    Parameters
    ----------
    mean
        Inside the template's mask, shape (V,).
    brain
        The person's own or the template's, booleans (V,).
    covered
        What lies in the field of view, booleans (V,).
    """
    brain = brain & covered
    limit = 0.3 * np.median(mean[brain]) if brain.any() else 0.0
    bright = (mean > limit) & covered
    both = bright.sum() + brain.sum()
    return float(2 * (bright & brain).sum() / both) if both else 0.0


def ghosting(volume: np.ndarray, mask: np.ndarray, phase: tuple[int, int] | None) -> float | None:
    """Give the ghost-to-signal ratio along the phase; None where there is no air or no phase.

    Source: Giannelli et al. (2010), doi:10.1120/jacmp.v11i4.3237.
    """
    if phase is None:
        return None
    near = binary_dilation(mask, iterations=2)
    ghost = np.roll(mask, mask.shape[phase[0]] // 2, axis=phase[0]) & ~near
    air = ~near & ~ghost
    if min(ghost.sum(), air.sum()) < 20:
        return None
    return float((volume[ghost].mean() - volume[air].mean()) / np.median(volume[mask]))
