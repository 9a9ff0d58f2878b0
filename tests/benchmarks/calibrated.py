"""How often the interval of a calibrated probability holds a person's true probability.

Run as ``python -m tests.benchmarks.calibrated`` with ``OMP_NUM_THREADS=1``. Studies of eight normal
features, of which one tells the classes apart; discriminant analyses of 5 folds stand for the
networks, and their mean answers new people, as a bundle does. The true probability of the outcome
given that answer is known. In the last kind the outcome is read wrongly in 15 %, so that no
straight line is right. Beside it stand the same interval without the factor for training anew, and
Venn-Abers' (the held-out scores of all folds together).
"""

import argparse
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import expit, logit

from bidsapp.evaluation.calibrated import fit_calibrated

FOLDS, FEATURES, NEW = 5, 8, 60
SIZES = (40, 60, 128, 300)
INFLATION = 1 + FOLDS / (FOLDS - 1)
HEAD = (
    *("people", "positive", "AUC of the best answer", "outcome read wrongly"),
    *("as it is: holds the truth, %", "width", "not widened: holds it, %", "width"),
    *("Venn-Abers: holds it, %", "width", "not to be had, %"),
)


class Kind(NamedTuple):
    """How a kind of study is drawn."""

    distance: float  # of the classes, in SD
    prevalence: float
    wrong: float  # share of outcomes that are read wrongly
    auc: str


KINDS = (
    Kind(0.0, 0.5, 0.0, ".50"),
    Kind(0.8, 0.5, 0.0, ".71"),
    Kind(1.8, 0.5, 0.0, ".90"),
    Kind(1.8, 0.25, 0.0, ".90"),
    Kind(1.8, 0.5, 0.15, ".90"),
)


class Study(NamedTuple):
    """Held-out probabilities of a study, and new people with their true probability."""

    outcome: np.ndarray
    held_out: np.ndarray
    answer: np.ndarray  # (NEW,) mean of the fold models
    truth: np.ndarray  # (NEW,)


def study(people: int, kind: Kind, rng: np.random.Generator) -> Study:
    """Draw a study, train its folds, and let their mean answer new people."""
    real = rng.permutation(np.arange(people) < round(people * kind.prevalence)).astype(float)
    mean = np.zeros(FEATURES)
    mean[0] = kind.distance
    x = rng.normal(size=(people, FEATURES)) + mean * real[:, None]
    seen = np.where(rng.random(people) < kind.wrong, 1 - real, real)
    fold = np.empty(people, int)
    for value in (0, 1):
        own = rng.permutation(np.flatnonzero(seen == value))
        fold[own] = np.arange(len(own)) % FOLDS
    held, weights, offsets = np.empty(people), [], []
    for k in range(FOLDS):
        train = fold != k
        a, b = x[train & (seen == 1)], x[train & (seen == 0)]
        spread = (np.cov(a.T) * (len(a) - 1) + np.cov(b.T) * (len(b) - 1)) / (train.sum() - 2)
        weight = np.linalg.solve(spread + 0.1 * np.eye(FEATURES), a.mean(0) - b.mean(0))
        offset = np.log(len(a) / len(b)) - weight @ (a.mean(0) + b.mean(0)) / 2
        held[~train] = expit(x[~train] @ weight + offset)
        weights.append(weight)
        offsets.append(offset)
    new = rng.normal(size=(NEW, FEATURES))
    new += mean * (rng.random(NEW) < kind.prevalence)[:, None]
    each = new @ np.array(weights).T + np.array(offsets)
    weight, offset = np.mean(weights, axis=0), np.mean(offsets)
    middle, far = each.mean(axis=1), offset + weight @ mean
    ratio = ((middle - offset) ** 2 - (middle - far) ** 2) / (2 * weight @ weight)
    true = expit(ratio + logit(kind.prevalence))
    truth = kind.wrong + (1 - 2 * kind.wrong) * true
    return Study(seen, held, expit(each).mean(axis=1), truth)


def venn_abers(outcome: np.ndarray, score: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Give both ends for each asked score, (n, 2): isotonic with it as a 0, and as a 1."""
    from sklearn.isotonic import isotonic_regression

    order = np.argsort(score)
    places = np.searchsorted(score[order], asked)
    ends = [
        [isotonic_regression(np.insert(outcome[order], k, value))[k] for value in (0.0, 1.0)]
        for k in places
    ]
    return np.array(ends)


def line(kind: Kind, people: int, studies: int, seed: int) -> str:
    """Say of one kind of study how often each interval holds the truth: a line of the table."""
    rng = np.random.default_rng([people, KINDS.index(kind), seed])
    found: list[tuple[float, ...]] = []
    for _ in range(studies):
        one = study(people, kind, rng)
        row: list[float] = []
        for inflation in (INFLATION, 1.0):
            told, _ = fit_calibrated(one.outcome, one.held_out, np.arange(people), inflation)
            if told is None:
                row += [np.nan, np.nan]
                continue
            _, low, high = told.of(one.answer)
            row += [float(((low <= one.truth) & (one.truth <= high)).mean()), (high - low).mean()]
        low, high = venn_abers(one.outcome, one.held_out, one.answer).T
        row += [float(((low <= one.truth) & (one.truth <= high)).mean()), (high - low).mean()]
        found.append(tuple(row))
    values = np.array(found)
    had = np.isfinite(values[:, 0])
    cells = [str(people), f"{kind.prevalence:.0%}", kind.auc, f"{kind.wrong:.0%}"]
    for k in range(0, 6, 2):
        own = values[had, k] if k < 4 else values[:, k]
        error = 100 * own.std() / np.sqrt(max(len(own), 1))
        width = np.nanmean(values[:, k + 1])
        cells += [f"{100 * own.mean():.1f} ± {error:.1f}", f"{width:.2f}"]
    return f"| {' | '.join([*cells, f'{100 * (1 - had.mean()):.0f}'])} |"


def main(argv: list[str] | None = None, out: Callable[[str], None] = print) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args(argv)
    out(f"| {' | '.join(HEAD)} |")
    out(f"|{'---|' * len(HEAD)}")
    for kind in KINDS:
        for people in SIZES:
            out(line(kind, people, asked.studies, asked.seed))


if __name__ == "__main__":
    main()
