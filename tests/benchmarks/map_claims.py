"""How often maps pass their checks: of noise, of effects, of patterns unrelated to the network.

Run as ``OMP_NUM_THREADS=1 python -m tests.benchmarks.map_claims``; whole studies of linear networks
in closed form, judged by the code that judges a run.
"""

import argparse
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from bidsapp.evaluation.chance import Forecast, leading_forecast
from bidsapp.evaluation.held_out import HeldOut
from bidsapp.evaluation.metric_table import leading_rows
from bidsapp.representation.cohort_array import CohortArray
from bidsapp.saliency.checks import CHECKED, PERTURBED, RANDOM_ORDERS, FoldChecks, orders
from bidsapp.saliency.perturbation import effects, perturbation_curves
from bidsapp.saliency.sanity import Evidence, judge
from bidsapp.saliency.surrogates import Surrogates
from bidsapp.saliency.verdict import Findings
from bidsapp.spaces.grid import MaskedSmoother
from bidsapp.spaces.volume import volume
from bidsapp.training.splits import into_folds

SHAPE, MM, FWHM = (10, 12, 10), (1.0, 1.0, 1.0), 2.0
INSIDE = np.ones(SHAPE, bool)
SPACE = volume(SHAPE, np.diag([*MM, 1.0]))
PLACE = (slice(3, 7), slice(4, 8), slice(3, 7))
FOLDS, SHUFFLES, RIDGE = 8, 2, 0.3
KINDS = ("noise", "effect", "pattern", "untrained")
SMOOTH = MaskedSmoother(INSIDE, MM, FWHM)


@dataclass(frozen=True)
class Cohort:
    """Images (n, voxels) and outcomes 0 or 1 of a study."""

    images: np.ndarray
    outcome: np.ndarray


def cohort_of(n: int, effect: float, rng: np.random.Generator) -> Cohort:
    """An anatomy that all have, smooth noise of SD 1, and in positives a cuboid of `effect` SD."""
    anatomy = 3 + 2 * unit(SMOOTH(SMOOTH(rng.standard_normal(INSIDE.size))))
    noise = np.stack([unit(SMOOTH(rng.standard_normal(INSIDE.size))) for _ in range(n)])
    outcome = np.arange(n) % 2
    cuboid = np.zeros(SHAPE)
    cuboid[PLACE] = effect
    return Cohort(anatomy + noise + outcome[:, None] * cuboid.ravel(), outcome)


def unit(values: np.ndarray) -> np.ndarray:
    """Mean 0, SD 1."""
    return (values - values.mean()) / values.std()


def weights_of(images: np.ndarray, outcome: np.ndarray) -> np.ndarray:
    """Weights of linear networks, (voxels, outcomes), for outcomes (n,) or (n, outcomes): ridge."""
    x = images - images.mean(axis=0)
    y = np.asarray(outcome, float).reshape(len(x), -1)
    kernel = x @ x.T
    kernel[np.diag_indices_from(kernel)] += RIDGE * np.trace(kernel) / len(x)
    return x.T @ np.linalg.solve(kernel, y - y.mean(axis=0))


def folds_of(outcome: np.ndarray, rng: np.random.Generator, folds: int = FOLDS) -> np.ndarray:
    """Fold of each person, stratified."""
    return into_folds(np.stack([1 - outcome, outcome], axis=1), folds, rng, stratified=True)


def map_of(weights: np.ndarray, images: np.ndarray, method: str) -> np.ndarray:
    """Maps (n, voxels) of a linear network."""
    return np.tile(weights, (len(images), 1)) if method == "gradient" else weights * images


class Study:
    """One study: its networks, their maps and what the checks look at.

    Parameters
    ----------
    kind
        ``noise``, ``effect``, ``pattern`` (an effect, but every trained network's map is one
        random smooth pattern) or ``untrained`` (an effect that no network has learned).
    """

    def __init__(self, kind: str, n: int, effect: float, method: str, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.cohort = cohort_of(n, 0.0 if kind == "noise" else effect, self.rng)
        self.kind, self.method, self.seed = kind, method, seed
        self.pattern = unit(SMOOTH(self.rng.standard_normal(INSIDE.size)))
        self.fold = folds_of(self.cohort.outcome, self.rng)

    def network(self, rows: np.ndarray, outcome: np.ndarray) -> np.ndarray:
        """Train, or draw weights where nothing is to be learned."""
        drawn = self.rng.standard_normal(INSIDE.size) * 0.01
        if self.kind == "untrained":
            return drawn
        return 0.1 * drawn + weights_of(self.cohort.images[rows], outcome)[:, 0]

    def maps(self, weights: np.ndarray, rows: np.ndarray, trained: bool = True) -> np.ndarray:
        """Explain some people."""
        if self.kind == "pattern" and trained:
            return np.tile(self.pattern, (len(rows), 1))
        return map_of(weights, self.cohort.images[rows], self.method)

    def checked(self, fold: int) -> np.ndarray:
        """People of a fold whom the checks look at."""
        mine = np.flatnonzero((self.fold == fold) & (self.cohort.outcome == 1))
        return mine[:CHECKED]

    def fold_checks(self, fold: int, weights: np.ndarray) -> FoldChecks:
        """What the checks find of a fold."""
        rows = self.checked(fold)
        maps = self.maps(weights, rows)
        drawn = self.maps(self.rng.standard_normal(INSIDE.size), rows, trained=False)
        fill = self.cohort.images[self.fold != fold].mean(axis=0).reshape(1, *SHAPE)
        surrogates = Surrogates(INSIDE, RANDOM_ORDERS, self.seed)
        slopes = self.method == "gradient"
        found, curves = [], []
        for row, own in zip(rows[:PERTURBED], maps, strict=False):
            image = self.cohort.images[row].reshape(1, *SHAPE)
            ranked = orders(own, SMOOTH, surrogates, slopes)

            def ask(changed: np.ndarray) -> np.ndarray:
                return changed.reshape(len(changed), -1) @ weights

            curve = perturbation_curves(ask, image, fill, INSIDE, ranked)
            found.append(effects(curve, ask(np.stack([image, fill])), slopes))
            curves.append(curve)
        total = maps.sum(axis=0).reshape(SHAPE)
        last = drawn.sum(axis=0).reshape(1, *SHAPE)
        return FoldChecks(
            len(rows), total, ("fc",), last, np.array(found), np.array(curves), slopes
        )

    def halves(self) -> np.ndarray:
        """Mean maps of the first fold's people by networks of either half of the others."""
        learning = np.flatnonzero(self.fold != 0)
        half = folds_of(self.cohort.outcome[learning], self.rng, 2)
        sides = []
        for side in (0, 1):
            rows = learning[half == side]
            truth = self.cohort.outcome[rows]
            shuffled = [self.rng.permutation(truth) for _ in range(SHUFFLES)]
            made = []
            for number, outcome in enumerate([truth, *shuffled]):
                weights = self.network(rows, outcome)
                held_out = np.flatnonzero(self.fold == 0)
                maps = self.maps(weights, held_out, trained=number == 0)
                made.append(maps.mean(axis=0).reshape(SHAPE))
            sides.append(made)
        return np.array(sides)

    def judged(self, folder: Path) -> tuple[Findings, Forecast]:
        """Train, score, explain and judge."""
        n, checks, scores = len(self.fold), [], np.zeros(len(self.fold))
        for fold in range(FOLDS):
            rows = np.flatnonzero(self.fold != fold)
            weights = self.network(rows, self.cohort.outcome[rows])
            held_out = self.fold == fold
            logit = (self.cohort.images[held_out] - self.cohort.images[rows].mean(axis=0)) @ weights
            scores[held_out] = 1 / (1 + np.exp(-4 * logit))
            checks.append(self.fold_checks(fold, weights))
        forecast = forecast_of(self.cohort.outcome, scores, self.fold)
        names = tuple(f"sub-{i}" for i in range(n))
        stored = self.cohort.images.reshape(n, 1, *SHAPE).astype(np.float16)
        np.save(folder / "cohort.npy", stored)
        array = CohortArray(
            folder / "cohort.npy", names, ("",) * n, ("t1w",), volume(SHAPE, np.eye(4)), "key"
        )
        evidence = Evidence(
            checks, self.halves(), forecast, array, self.cohort.outcome, INSIDE, FWHM, SPACE
        )
        return judge(evidence), forecast


def forecast_of(outcome: np.ndarray, scores: np.ndarray, fold: np.ndarray) -> Forecast:
    """The AUC of held-out scores as a run's metrics hold it."""
    people = [f"sub-{i}" for i in range(len(outcome))]
    rows = pd.DataFrame({"participant_id": people, "session_id": "n/a", "repeat": 0, "fold": fold})
    rows = rows.assign(variant="linear", outcome=outcome, probability=scores)
    folds = fold.max() + 1
    (row,) = leading_rows(rows, HeldOut(1 + folds / (folds - 1)), 0.95)
    metrics = row.assign(variant="linear", scope="pooled")
    return leading_forecast(metrics, "linear")


def verdicts(kind: str, n: int, effect: float, method: str, studies: int) -> str:
    """Judge many studies; a line of the table."""
    words: Counter[str] = Counter()
    passed: Counter[str] = Counter()
    aucs = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(studies):
            found, forecast = Study(kind, n, effect, method, seed).judged(Path(folder))
            words[found.verdict] += 1
            passed.update(found.passed)
            aucs.append(forecast.auc)
    share = words["pass"] / studies
    error = (share * (1 - share) / studies) ** 0.5
    each = ", ".join(f"{check} {passed[check] / studies:.2f}" for check in passed)
    return (
        f"{kind:<10}{n:>4}  {method:<17}{np.mean(aucs):>5.2f}  {share:.3f} ({error:.3f})  "
        f"{words['fail'] / studies:.3f}  {words['not decisive'] / studies:.3f}   {each}"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=400)
    parser.add_argument("--people", type=int, nargs="+", default=[60, 128])
    parser.add_argument("--effect", type=float, default=1.5)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    options = parser.parse_args()
    print(
        "study       n  method            AUC   pass (SE)       fail  not decisive   passed, each"
    )
    for n in options.people:
        for method in ("gradient", "gradient_x_input"):
            for kind in options.kinds:
                line = verdicts(kind, n, options.effect, method, options.studies)
                print(line, flush=True)


if __name__ == "__main__":
    main()
