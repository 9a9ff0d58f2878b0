"""How often maps pass their checks: of noise, of effects, of patterns unrelated to the network.

Run as ``OMP_NUM_THREADS=1 python -m tests.benchmarks.map_claims``; whole studies of linear networks
in closed form, judged by the code that judges a run. ``--world plates`` has images over a sphere
that are 0 beyond two plates of tissue, as those of cartilage are; ``--judged everywhere`` compares
their maps over the whole sphere, which cannot tell maps of tissue from one another.
"""

import argparse
import tempfile
from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from bidsapp.contracts.space import Smoother, Space
from bidsapp.evaluation.chance import Forecast, leading_forecast
from bidsapp.evaluation.held_out import HeldOut
from bidsapp.evaluation.metric_table import leading_rows
from bidsapp.representation.cohort_array import CohortArray
from bidsapp.saliency.checks import CHECKED, PERTURBED, RANDOM_ORDERS, FoldChecks, orders
from bidsapp.saliency.perturbation import effects, perturbation_curves
from bidsapp.saliency.sanity import EDGES_MM, Evidence, judge
from bidsapp.saliency.surrogates import Surrogates
from bidsapp.saliency.verdict import Findings
from bidsapp.spaces.sphere import Sphere
from bidsapp.spaces.volume import volume
from bidsapp.training.splits import into_folds

FOLDS, SHUFFLES, RIDGE = 8, 2, 0.3
KINDS = ("noise", "effect", "pattern", "untrained", "edges")


@dataclass(frozen=True)
class World:
    """Where images have tissue, positives differ, and maps are judged, smoothed by `fwhm`."""

    space: Space
    tissue: np.ndarray
    place: np.ndarray
    judged: np.ndarray
    fwhm: float

    @property
    def shape(self) -> tuple[int, ...]:
        return self.space.shape

    @cached_property
    def smooth(self) -> Smoother:
        return self.space.smoother(np.ones(self.shape, bool), self.fwhm)

    @property
    def bare(self) -> bool:
        """Whether there are places without tissue."""
        return not self.tissue.all()

    def noise(self, rng: np.random.Generator) -> np.ndarray:
        """(cells,) smooth noise of mean 0 and SD 1."""
        return unit(self.smooth(rng.standard_normal(self.tissue.size)))


def block() -> World:
    """A block of tissue, and a cuboid in it."""
    shape = (10, 12, 10)
    place = np.zeros(shape, bool)
    place[3:7, 4:8, 3:7] = True
    space = volume(shape, np.eye(4))
    return World(space, np.ones(shape, bool), place, np.ones(shape, bool), 2.0)


def plates() -> World:
    """Two plates over a sphere, bare bone around, and a round spot in one of them."""
    space = Sphere((48, 32), (-float(np.pi) / 2, float(np.pi) / 8), radius=30.0)
    x, y, z = np.moveaxis(space.directions, -1, 0)
    below = z < 0
    tissue = below & ((np.abs(np.abs(x) - 0.5) / 0.35) ** 2 + (y / 0.6) ** 2 < 1)
    place = below & (((x - 0.5) / 0.18) ** 2 + (y / 0.25) ** 2 < 1)
    return World(space, tissue, place, tissue, 6.0)


WORLDS = {"block": block, "plates": plates}


@dataclass(frozen=True)
class Cohort:
    """Images (n, voxels) and outcomes 0 or 1 of a study."""

    images: np.ndarray
    outcome: np.ndarray


def cohort_of(world: World, n: int, effect: float, rng: np.random.Generator) -> Cohort:
    """An anatomy that all have, smooth noise of SD 1, and in positives a spot of `effect` SD."""
    anatomy = 3 + 2 * unit(world.smooth(world.smooth(rng.standard_normal(world.tissue.size))))
    if world.bare:
        anatomy = anatomy + 5  # tissue is bright
    noise = np.stack([world.noise(rng) for _ in range(n)])
    outcome = np.arange(n) % 2
    spot = effect * world.place.ravel()
    images = anatomy + noise + outcome[:, None] * spot
    return Cohort(images * world.tissue.ravel(), outcome)


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
        random smooth pattern), ``untrained`` (an effect that no network has learned) or ``edges``
        (an effect, but every trained network's map has the edges of the person's own image).
    """

    def __init__(
        self, world: World, kind: str, n: int, effect: float, method: str, seed: int
    ) -> None:
        self.world, self.size, self.inside = world, world.tissue.size, world.judged
        self.smooth = world.space.smoother(self.inside, world.fwhm)
        self.rng = np.random.default_rng(seed)
        self.cohort = cohort_of(world, n, 0.0 if kind == "noise" else effect, self.rng)
        self.kind, self.method, self.seed = kind, method, seed
        self.pattern = world.noise(self.rng) * world.tissue.ravel()
        self.fold = folds_of(self.cohort.outcome, self.rng)

    def network(self, rows: np.ndarray, outcome: np.ndarray) -> np.ndarray:
        """Train, or draw weights where nothing is to be learned."""
        drawn = self.rng.standard_normal(self.size) * 0.01
        if self.kind == "untrained":
            return drawn
        return 0.1 * drawn + weights_of(self.cohort.images[rows], outcome)[:, 0]

    def maps(self, weights: np.ndarray, rows: np.ndarray, trained: bool = True) -> np.ndarray:
        """Explain some people."""
        if self.kind == "pattern" and trained:
            return np.tile(self.pattern, (len(rows), 1))
        if self.kind == "edges" and trained:
            images = self.cohort.images[rows].reshape(-1, *self.world.shape)
            return np.stack([self.world.space.edges(one, EDGES_MM).ravel() for one in images])
        return map_of(weights, self.cohort.images[rows], self.method)

    def checked(self, fold: int) -> np.ndarray:
        """People of a fold whom the checks look at."""
        mine = np.flatnonzero((self.fold == fold) & (self.cohort.outcome == 1))
        return mine[:CHECKED]

    def fold_checks(self, fold: int, weights: np.ndarray) -> FoldChecks:
        """What the checks find of a fold."""
        rows = self.checked(fold)
        maps = self.maps(weights, rows)
        drawn = self.maps(self.rng.standard_normal(self.size), rows, trained=False)
        fill = self.cohort.images[self.fold != fold].mean(axis=0).reshape(1, *self.world.shape)
        surrogates = Surrogates(self.inside, RANDOM_ORDERS, self.seed)
        slopes = self.method == "gradient"
        found, curves = [], []
        for row, own in zip(rows[:PERTURBED], maps, strict=False):
            image = self.cohort.images[row].reshape(1, *self.world.shape)
            ranked = orders(own[self.inside.ravel()], self.smooth, surrogates, slopes)

            def ask(changed: np.ndarray) -> np.ndarray:
                return changed.reshape(len(changed), -1) @ weights

            curve = perturbation_curves(ask, image, fill, self.inside, ranked)
            found.append(effects(curve, ask(np.stack([image, fill])), slopes))
            curves.append(curve)
        total = maps.sum(axis=0).reshape(self.world.shape)
        last = drawn.sum(axis=0).reshape(1, *self.world.shape)
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
                made.append(maps.mean(axis=0).reshape(self.world.shape))
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
        stored = self.cohort.images.reshape(n, 1, *self.world.shape).astype(np.float16)
        np.save(folder / "cohort.npy", stored)
        array = CohortArray(
            folder / "cohort.npy", names, ("",) * n, ("image",), self.world.space, "key"
        )
        evidence = Evidence(
            *(checks, self.halves(), forecast, array, self.cohort.outcome),
            *(self.inside, self.world.fwhm, self.world.space),
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


def verdicts(world: World, kind: str, n: int, effect: float, method: str, studies: int) -> str:
    """Judge many studies; a line of the table."""
    words: Counter[str] = Counter()
    passed: Counter[str] = Counter()
    aucs = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(studies):
            study = Study(world, kind, n, effect, method, seed)
            found, forecast = study.judged(Path(folder))
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
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS[:-1]))
    parser.add_argument("--world", choices=list(WORLDS), default="block")
    parser.add_argument("--judged", choices=["tissue", "everywhere"], default="tissue")
    options = parser.parse_args()
    world = WORLDS[options.world]()
    if options.judged == "everywhere":
        world = replace(world, judged=np.ones(world.shape, bool))
    print(
        "study       n  method            AUC   pass (SE)       fail  not decisive   passed, each"
    )
    for n in options.people:
        for method in ("gradient", "gradient_x_input"):
            for kind in options.kinds:
                line = verdicts(world, kind, n, options.effect, method, options.studies)
                print(line, flush=True)


if __name__ == "__main__":
    main()
