"""What a bend along the phase makes of heads whose field is known, where nothing tells of it.

``python -m tests.benchmarks.bold_bend DATA [--heads 6]``. Series of labelled heads and synthetic
people as in `bold_boundary`, displaced by a known field or by none. Each is placed, bent, judged
and placed anew as in the app (`fitted_field`, `judged`). Error: root mean square over the brain of
the displacement that is left along the phase, and over where the field displaces by 1.5 mm or more.
Beside it, whether the judge (local correlation, by which nothing is fitted) tells the true field
from none, and from its reverse.
"""

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from bidsapp.modalities.bold.alignment import brain_mask, on_series
from bidsapp.modalities.bold.boundary import Placed, onto_boundary
from bidsapp.modalities.bold.coregister import coregister
from bidsapp.modalities.bold.field import fitted_field, none_because
from bidsapp.modalities.bold.reading import Run
from bidsapp.modalities.bold.susceptibility import Displacement, fit_to_t1w
from bidsapp.modalities.bold.timing import Timing
from bidsapp.modalities.bold.white_matter import white_matter_boundary
from tests.benchmarks.bold_boundary import USUAL, Case, heads, of_labels, of_phantom

_FAR_MM = 1.5
# Bars: no head without a field is bent, most with a strong one are, and no group is made worse.
MOST_BENT, LEAST_BENT = 0, 0.5


def rms(values: np.ndarray) -> float:
    """Root mean square; 0 of nothing."""
    return float(np.sqrt((values**2).mean())) if values.size else 0.0


def outcome(case: Case) -> list[float]:
    """Errors without and with the bend, over all and far voxels, used, judge right, CPU seconds."""
    run = Run(case.reference[..., None], case.affine, Timing(2.5, None, 2), (1, 1), [])
    boundary = white_matter_boundary(case.brain, case.brain_affine)
    share = (case.brain > 0).astype(np.float32)

    def placed(displacement: Displacement | None) -> tuple[np.ndarray, Placed]:
        mean = case.reference
        if displacement is not None:
            mean = displacement.undistorted(mean)
        mask = brain_mask(mean, case.affine)
        start = coregister(mean, case.affine, mask, case.brain, case.brain_affine)
        return mean, onto_boundary(mean, case.affine, boundary, start)

    def seen(at: Placed) -> tuple[np.ndarray, np.ndarray]:
        one, two = (
            on_series(each, case.brain_affine, at.to_series, run) for each in (case.brain, share)
        )
        return one, two

    def fit(displacement: Displacement | None) -> float:
        mean, at = placed(displacement)
        return fit_to_t1w(mean, *seen(at), run.voxel_sizes, 1)

    _, place = placed(None)
    before = fit(None)
    began = time.process_time()
    field = fitted_field(run, case.reference, boundary, place, none_because(""))
    if field.displacement is not None:
        field = field.judged(before, fit)
    spent = time.process_time() - began
    inside = seen(place)[1] > 0.5
    size = run.voxel_sizes[1]
    true = case.displaced[inside] * size
    found = 0 * true if field.displacement is None else field.displacement.voxels[inside] * size
    far = np.abs(true) > _FAR_MM
    right = np.nan
    if far.any():
        known = Displacement(case.displaced.astype(np.float32), 1)
        right = float(fit(known) > before > fit(known.reverse))
    errors = (rms(true), rms(found - true), rms(true[far]), rms((found - true)[far]))
    return [*errors, float(field.displacement is not None), right, spent]


def main() -> int:
    """Print a line for each kind of head; 1 where a bar is missed."""
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--heads", type=int, default=6)
    given = parser.parse_args()
    print(
        f"{'Displaced by, mm RMS':<34}all -> left     far -> left    bent     judge right   CPU s"
    )
    met = True
    for millimetres in (0.0, 6.0, 12.0):
        scanner = replace(USUAL, corrected=False, stretch_mm=millimetres)
        cases = [
            of_labels(given.data, one, scanner, n)
            for n, one in enumerate(heads(given.data, given.heads))
        ]
        found = table(f"labelled heads, largest {millimetres:g} mm", cases)
        met = met and found[:, 1].mean() <= found[:, 0].mean()
        if millimetres == 0:
            met = met and found[:, 4].sum() <= MOST_BENT
        if millimetres == 12:
            met = met and found[:, 4].mean() >= LEAST_BENT
    for corrected, words in ((True, "none"), (False, "6 mm")):
        cases = [of_phantom(seed, corrected) for seed in range(given.heads)]
        found = table(f"synthetic people, {words}", cases)
        met = met and found[:, 1].mean() <= found[:, 0].mean()
    print(
        f"bars: of labelled heads without a field {MOST_BENT} bent, of those with 12 mm at least "
        f"{LEAST_BENT:.0%}, no line with more left than there was"
    )
    return 0 if met else 1


def table(name: str, cases: list[Case]) -> np.ndarray:
    """Print and give what came of some heads."""
    found = np.array([outcome(case) for case in cases])
    mean = found.mean(axis=0)
    judged = found[~np.isnan(found[:, 5]), 5]
    told = f"{int(judged.sum())} of {len(judged)}" if len(judged) else "-"
    print(
        f"{name:<34}{mean[0]:.2f} -> {mean[1]:.2f}   {mean[2]:.2f} -> {mean[3]:.2f}   "
        f"{int(found[:, 4].sum())} of {len(found)}   {told:>12}   {mean[6]:5.1f}",
        flush=True,
    )
    return found


if __name__ == "__main__":
    sys.exit(main())
