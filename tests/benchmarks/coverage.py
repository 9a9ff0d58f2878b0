"""How often 95 % intervals hold the truth, and how often permutation tests reject the null.

Run as ``python -m tests.benchmarks.coverage`` (about ten minutes on one core), or parts of it with
``--parts``; ``OMP_NUM_THREADS=1``. Every interval comes from the code that evaluates a run.
"""

import argparse
from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy.stats import norm

from bidsapp.evaluation.bootstrap import bootstrap_intervals
from bidsapp.evaluation.delong import delong_covariance
from bidsapp.evaluation.describe import formula_interval
from bidsapp.evaluation.estimates import auc_interval
from bidsapp.evaluation.held_out import HeldOut
from bidsapp.evaluation.intervals import LEVEL, nadeau_bengio, normal_quantile
from bidsapp.evaluation.metric_table import leading_rows
from bidsapp.evaluation.metrics import point_estimates
from bidsapp.evaluation.permutation import permutation_p, permute_outcomes
from bidsapp.evaluation.sample import make_sample

SIZES = (60, 128, 500)
PREVALENCES = (0.3, 0.5)
FOLDS = 8
PERMUTATIONS = 39  # the fewest with which a test at .05 is exact
WILSON = ("accuracy", "sensitivity", "specificity", "precision")
BCA = ("balanced_accuracy", "f1", "mcc", "average_precision", "brier")
Tally = dict[str, list[bool]]


def binormal(
    auc: float, n: int, prevalence: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes drawn at a prevalence, and scores whose true AUC is known."""
    outcome = rng.random(n) < prevalence
    shift = norm.ppf(auc) * np.sqrt(2)
    return outcome, norm.cdf(rng.normal(size=n) + shift * (outcome - 0.5))


def truths(auc: float, prevalence: float) -> dict[str, float]:
    """Values of the metrics in the population: closed forms, or a million people."""
    right = float(norm.cdf(norm.ppf(auc) / np.sqrt(2)))  # sensitivity and specificity at .5
    tp, fp = prevalence * right, (1 - prevalence) * (1 - right)
    fn, tn = prevalence - tp, 1 - prevalence - fp
    root = np.sqrt((tp + fp) * prevalence * (1 - prevalence) * (tn + fn))
    known = dict.fromkeys(("accuracy", "sensitivity", "specificity", "balanced_accuracy"), right)
    many = make_sample(*binormal(auc, 1_000_000, prevalence, np.random.default_rng(1)))
    drawn = point_estimates(many, ("average_precision", "brier"))
    closed = {"precision": tp / (tp + fp), "f1": 2 * tp / (2 * tp + fp + fn)}
    return known | closed | {"mcc": float((tp * tn - fp * fn) / root)} | drawn


def add(tally: Tally, name: str, limits: tuple[float, float], truth: float) -> None:
    """Note whether an interval that is defined holds the truth."""
    if np.isfinite(limits).all():
        tally.setdefault(name, []).append(bool(limits[0] <= truth <= limits[1]))


def wald_interval(auc: float, variance: float, level: float = LEVEL) -> tuple[float, float]:
    """DeLong's interval as most programs print it: AUC ± z SE, cut to 0..1."""
    half = normal_quantile(level) * np.sqrt(variance)
    return float(max(0.0, auc - half)), float(min(1.0, auc + half))


def of_given_scores(n: int, prevalence: float, auc: float, studies: int) -> Tally:
    """Intervals where the scores owe nothing to the people they are tested on."""
    rng = np.random.default_rng([n, round(10 * prevalence), round(100 * auc)])
    known = truths(auc, prevalence)
    tally: Tally = {}
    for _ in range(studies):
        outcome, score = binormal(auc, n, prevalence, rng)
        if min(outcome.sum(), n - outcome.sum()) < 2:
            continue
        found = delong_covariance(outcome, score)
        wald = wald_interval(float(found.auc[0]), float(found.covariance[0, 0]))
        add(tally, "AUC, DeLong, Wald", wald, auc)
        ours = auc_interval(outcome, score)
        add(tally, "AUC, DeLong, logit (ours)", (ours.low, ours.high), auc)
        sample = make_sample(outcome.astype(int), score)
        for method in ("percentile", "bca"):
            drawn = bootstrap_intervals(sample, ("auc",), 1000, rng, method)["auc"]
            add(tally, f"AUC, bootstrap, {method}", (drawn.low, drawn.high), auc)
        for name in WILSON:
            part = formula_interval(name, sample)
            add(tally, f"{name}, Wilson", (part.low, part.high), known[name])
        for name, part in bootstrap_intervals(sample, BCA, 1000, rng).items():
            add(tally, f"{name}, BCa", (part.low, part.high), known[name])
    return tally


def stratified(outcome: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Fold of everybody, the classes spread evenly."""
    fold = np.empty(len(outcome), dtype=int)
    for label in (0, 1):
        members = rng.permutation(np.flatnonzero(outcome == label))
        fold[members] = np.arange(len(members)) % FOLDS
    return fold


def discriminant(
    image: np.ndarray, outcome: np.ndarray, fold: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Held-out scores of a discriminant analysis per fold, and its weights (folds, features)."""
    score, weights = np.empty(len(outcome)), []
    for k in range(FOLDS):
        train = fold != k
        means = [image[train & (outcome == label)].mean(axis=0) for label in (0, 1)]
        ridge = 0.1 * np.eye(image.shape[1])
        weight = np.linalg.solve(np.cov(image[train].T) + ridge, means[1] - means[0])
        score[~train] = norm.cdf((image[~train] - (means[0] + means[1]) / 2) @ weight)
        weights.append(weight)
    return score, np.array(weights)


def study(
    n: int, prevalence: float, distance: float, features: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images of which one feature tells the classes apart, outcomes, folds."""
    outcome = (np.arange(n) < round(n * prevalence)).astype(int)
    image = rng.normal(size=(n, features))
    image[:, 0] += distance * outcome
    return image, outcome, stratified(outcome, rng)


def of_retrained_models(n: int, prevalence: float, distance: float, studies: int) -> Tally:
    """Intervals of cross-validated scores, the truth being what models trained anew are worth."""
    rng = np.random.default_rng([n, round(10 * prevalence), round(10 * distance)])
    found, truth = [], []
    for _ in range(studies):
        image, outcome, fold = study(n, prevalence, distance, 10, rng)
        score, weights = discriminant(image, outcome, fold)
        length = np.sqrt(2 * (weights**2).sum(axis=1))
        truth.append(norm.cdf(weights[:, 0] * distance / length).mean())
        rows = pd.DataFrame({"participant_id": [f"{i:03d}" for i in range(n)], "fold": fold})
        rows = rows.assign(session_id="n/a", repeat=0, outcome=outcome, probability=score)
        plain = auc_interval(outcome.astype(bool), score)
        wide = leading_rows(rows, HeldOut(1 + FOLDS / (FOLDS - 1)), 0.95)[0].iloc[0]
        inside = [fold == k for k in range(FOLDS)]
        parts = [make_sample(outcome[k], score[k]) for k in inside]
        aucs = np.array([point_estimates(part, ("auc",))["auc"] for part in parts])
        mean = nadeau_bengio(aucs, 1 / (FOLDS - 1))
        found.append(((plain.low, plain.high), (wide["ci_low"], wide["ci_high"]), mean))
    aim = float(np.mean(truth))
    names = ("pooled AUC, DeLong", "pooled AUC, auc@retrained", "mean over folds, Nadeau-Bengio")
    tally: Tally = {}
    for intervals in found:
        for name, limits in zip(names, intervals, strict=True):
            add(tally, name, (float(limits[0]), float(limits[1])), aim)
    return tally


def rejections(n: int, prevalence: float, studies: int) -> Tally:
    """How often permutation tests at .05 reject, the images being noise."""
    rng = np.random.default_rng([n, round(10 * prevalence), 7])
    tally: Tally = {}
    for _ in range(studies):
        image, outcome, fold = study(n, prevalence, 0.0, 10, rng)
        rows = pd.DataFrame({"participant_id": [f"{i:03d}" for i in range(n)]})
        rows = rows.assign(session_id="n/a", repeat=0, outcome=outcome, fold=0)
        given = rows.assign(probability=rng.random(n))
        p = permute_outcomes(given, PERMUTATIONS, rng).p
        tally.setdefault("outcomes, scores of other people's models", []).append(p <= 0.05)
        score, _ = discriminant(image, outcome, fold)
        own = rows.assign(probability=score, fold=fold)
        p = permute_outcomes(own, PERMUTATIONS, rng).p
        tally.setdefault("outcomes, cross-validated scores", []).append(p <= 0.05)
        null = []
        for _ in range(PERMUTATIONS):
            shuffled = outcome.copy()
            for k in range(FOLDS):
                shuffled[fold == k] = rng.permutation(outcome[fold == k])
            again = discriminant(image, shuffled, fold)[0]
            null.append(point_estimates(make_sample(shuffled, again), ("auc",))["auc"])
        observed = point_estimates(make_sample(outcome, score), ("auc",))["auc"]
        p = permutation_p(observed, np.array(null))
        tally.setdefault("whole pipeline, trained anew", []).append(p <= 0.05)
    return tally


def cells() -> Iterator[tuple[int, float]]:
    """Sizes and prevalences of the table."""
    yield from ((n, prevalence) for n in SIZES for prevalence in PREVALENCES)


def show(title: str, tallies: dict[str, Tally]) -> None:
    """Print a table: a row per method, a column per size and prevalence."""
    table = pd.DataFrame({c: {k: np.mean(v) for k, v in t.items()} for c, t in tallies.items()})
    print(f"\n{title}\n{(100 * table).round(1).to_string()}", flush=True)


def main() -> None:
    """Print the tables that were asked for."""
    parts = ("given", "retrained", "permutation")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=parts, default=list(parts))
    parser.add_argument("--auc", nargs="+", type=float, default=[0.7, 0.85], help="true AUCs")
    asked = parser.parse_args()
    if "given" in asked.parts:
        for auc in asked.auc:
            found = {f"{n}, {p}": of_given_scores(n, p, auc, 1500) for n, p in cells()}
            show(f"Coverage in %, given scores, true AUC {auc}, 1500 studies", found)
    if "retrained" in asked.parts:
        for distance in (0.0, 0.9):
            found = {f"{n}, {p}": of_retrained_models(n, p, distance, 600) for n, p in cells()}
            show(f"Coverage in %, {FOLDS} models, distance {distance} SD, 600 studies", found)
    if "permutation" in asked.parts:
        found = {f"{n}, {p}": rejections(n, p, 600) for n, p in cells()}
        show("Rejections at .05 in %, no effect, 600 studies", found)


if __name__ == "__main__":
    main()
