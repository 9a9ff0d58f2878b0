"""How often an added value of a scan is claimed, falsely and truly, and what its intervals hold.

Run as ``python -m tests.benchmarks.added_value`` with ``OMP_NUM_THREADS=1``. Studies of people with
three clinical columns (AUC .70 together) and a linear 'image' are drawn, trained and judged by the
code that judges a run, `added_value.added_value`. The stacked regressions of all studies of a kind
are fitted at once; `check` compares them with `stacking.stacked_scores`. Beside it stand two wrong
ways to get a training person's logit: from the fold's own network, which learned from the person
(*in sample*), and from the outer networks of other folds, which learned from the people whom the
fold tests (*other folds*).
"""

import argparse
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import expit
from scipy.stats import norm, rankdata

from bidsapp.evaluation.added_value import TEST, added_value
from bidsapp.evaluation.held_out import held_out
from bidsapp.evaluation.planning import EIGHT_FOLDS, added_auc_power
from bidsapp.evaluation.settings import CLINICAL
from bidsapp.evaluation.stacking import Stack, stacked_scores, with_image
from tests.benchmarks import worlds

CLINIC = 0.70
FOLDS, INNER, FEATURES, NEW = 8, 5, 8, 500
SIZES = (60, 128, 300)
DISTANCE = {
    0.0: {60: 0.0, 128: 0.0, 300: 0.0},
    0.03: {60: 0.72, 128: 0.63, 300: 0.55},
    0.08: {60: 1.1, 128: 0.95, 300: 0.88},
}
"""Gain in AUC -> people -> distance of the classes in the image at which models gain about that."""
COPY = "0, pain seen"
"""Kind of study whose image shows baseline pain, with noise of its size, and nothing else."""
WAYS = ("as it is done", "in sample", "other folds")
RANGE = (0.1, 0.5)
COLUMNS = ("pain", "age", "sex")
_PENALTY = 1.0


class World(NamedTuple):
    """Studies of one kind: images and clinical columns of the people, and of new people."""

    design: worlds.Design
    image: np.ndarray  # (studies, n, features)
    clinic: np.ndarray  # (studies, n, columns)
    new_image: np.ndarray  # (studies, NEW, features)
    new_clinic: np.ndarray
    new_outcome: np.ndarray


def world(
    n: int, kind: str, studies: int, rng: np.random.Generator, stronger: float = 1.0
) -> World:
    """Draw studies in which the image tells the classes apart by as much as the kind says."""
    distance = 0.0 if kind == COPY else DISTANCE[float(kind)][n] * stronger
    outcome, new = ((np.arange(k) < k // 2).astype(int) for k in (n, NEW))
    image = worlds.images(outcome, FEATURES, distance, studies, rng)
    fresh = worlds.images(new, FEATURES, distance, studies, rng)
    columns = clinic(outcome, studies, rng), clinic(new, studies, rng)
    if kind == COPY:
        for seen, told in ((image, columns[0]), (fresh, columns[1])):
            seen[..., 0] = (seen[..., 0] + told[..., 0]) / np.sqrt(2)
    design = worlds.cross_validation(outcome, FOLDS, rng)
    return World(design, image, columns[0], fresh, columns[1], new)


def clinic(outcome: np.ndarray, studies: int, rng: np.random.Generator) -> np.ndarray:
    """(studies, n, columns): pain tells the classes apart, age and sex do not."""
    drawn = rng.normal(size=(studies, len(outcome), len(COLUMNS)))
    drawn[..., 0] += np.sqrt(2) * norm.ppf(CLINIC) * outcome
    drawn[..., 2] = drawn[..., 2] > 0
    return drawn


class Fold(NamedTuple):
    """Logits of one fold's networks, of every study."""

    test: np.ndarray  # (n,) whom it tests
    own: np.ndarray  # (studies, n) by its own network
    new: np.ndarray  # (studies, NEW)
    inner: np.ndarray  # (studies, n) training people, by the inner network that did not see them
    part: np.ndarray  # (n,) inner fold, -1 for whom it tests


def networks(drawn: World, rng: np.random.Generator, jitter: float = 0.0) -> list[Fold]:
    """Train the networks of every fold and inner fold (discriminant analyses).

    Parameters
    ----------
    jitter
        Length of the noise on the weights of each, in lengths of the weights (`worlds.shaken`).
    """
    found = []
    outcome = drawn.design.outcome

    def trained(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        weight, offset = worlds.discriminant(drawn.image[:, rows], outcome[rows])
        return (worlds.shaken(weight, jitter, rng) if jitter else weight), offset

    for _, _, test in drawn.design.folds:
        weight, offset = trained(~test)
        own = np.einsum("bnd,bd->bn", drawn.image, weight) + offset[:, None]
        new = np.einsum("bnd,bd->bn", drawn.new_image, weight) + offset[:, None]
        part = np.full(len(outcome), -1)
        part[~test] = worlds.stratified(outcome[~test], INNER, rng)
        inner = np.full(own.shape, np.nan)
        for k in range(INNER):
            learned = ~test & (part != k)
            weight, offset = trained(learned)
            logits = np.einsum("bnd,bd->bn", drawn.image, weight) + offset[:, None]
            inner[:, part == k] = logits[:, part == k]
        found.append(Fold(test, own, new, inner, part))
    return found


def regressions(
    design: np.ndarray, outcome: np.ndarray, rows: np.ndarray, asked: list[np.ndarray]
) -> list[np.ndarray]:
    """Fit a ridge logistic regression in every study at once, as scikit-learn does with C = 1.

    Parameters
    ----------
    design
        (studies, n, d).
    outcome
        (n,).
    rows
        (n,) who is learned from; columns are scaled by them.
    asked
        Designs (studies, m, d) whose log odds are wanted.
    """
    learned = design[:, rows]
    centre, scale = learned.mean(axis=1, keepdims=True), learned.std(axis=1, keepdims=True)

    def ready(values: np.ndarray) -> np.ndarray:
        scaled = (values - centre) / scale
        return np.concatenate([np.ones((*scaled.shape[:2], 1)), scaled], axis=2)

    x, y = ready(learned), outcome[rows]
    penalty = np.diag([0.0, *[1 / _PENALTY] * design.shape[2]])
    weight = np.zeros((len(design), x.shape[2]))
    for _ in range(12):
        p = expit(np.einsum("bnd,bd->bn", x, weight))
        slope = np.einsum("bnd,bn->bd", x, p - y) + weight @ penalty
        curve = np.einsum("bnd,bn,bne->bde", x, p * (1 - p), x, optimize=True) + penalty
        weight -= np.linalg.solve(curve, slope[..., None])[..., 0]
    return [np.einsum("bnd,bd->bn", ready(values), weight) for values in asked]


class Scored(NamedTuple):
    """Held-out log odds of every study by one model, and how it does in new people."""

    logits: np.ndarray  # (studies, n)
    new: np.ndarray  # (folds, studies, NEW)


def stacked(drawn: World, folds: list[Fold], way: str | None) -> Scored:
    """Fit the clinical model, or with a `way` to get logits of training people the stacked one."""
    n = len(drawn.design.outcome)
    logits, new = np.zeros((len(drawn.image), n)), []
    held_out_logits = np.zeros_like(logits)
    for fold in folds:
        held_out_logits[:, fold.test] = fold.own[:, fold.test]
    for fold in folds:
        design, fresh = drawn.clinic, drawn.new_clinic
        if way is not None:
            train = {WAYS[0]: fold.inner, WAYS[1]: fold.own, WAYS[2]: held_out_logits}[way]
            column = np.where(fold.test, fold.own, train)[..., None]
            design = np.concatenate([design, column], axis=2)
            fresh = np.concatenate([fresh, fold.new[..., None]], axis=2)
        own, other = regressions(design, drawn.design.outcome, ~fold.test, [design, fresh])
        logits[:, fold.test] = own[:, fold.test]
        new.append(other)
    return Scored(logits, np.stack(new))


def rows_of(drawn: World, name: str, logits: np.ndarray) -> pd.DataFrame:
    """Columns of scores.tsv of one study."""
    rows = drawn.design.rows
    place = rows["participant_id"].str[4:].astype(int).to_numpy()
    return rows.assign(variant=name, probability=expit(logits[place]))


def check(drawn: World, folds: list[Fold], both: Scored, study: int) -> float:
    """Largest difference in probability from the code of a run, in one study."""
    n = len(drawn.design.outcome)
    people = {"participant_id": worlds.name_of(np.arange(n)), "session_id": "n/a"}
    columns = {name: drawn.clinic[study, :, k].astype(str) for k, name in enumerate(COLUMNS)}
    cohort = pd.DataFrame(people | {"outcome": drawn.design.outcome} | columns)
    scores, inner = [], []
    for k, fold in enumerate(folds):
        who = cohort[["participant_id", "session_id", "outcome"]].assign(repeat=0, fold=k)
        who = who.assign(variant="net", inner=fold.part)
        scores.append(who.assign(probability=expit(fold.own[study]))[fold.test])
        inner.append(who.assign(probability=expit(fold.inner[study]))[~fold.test])
    stack = Stack(with_image("net"), COLUMNS, ("net",))
    found = stacked_scores(cohort, drawn.design.splits, stack, pd.concat(scores), pd.concat(inner))
    mine = rows_of(drawn, stack.name, both.logits[study])
    key = ["participant_id", "fold"]
    joined = mine.merge(found, on=key, suffixes=("", "_run"))
    assert len(joined) == n
    return float((joined["probability"] - joined["probability_run"]).abs().max())


MEASURES = ("auc", "brier", "log_likelihood", "net_benefit")


class Judged(NamedTuple):
    """What the code of a run says of every study."""

    gain: dict[str, np.ndarray]  # measure -> (studies, 3) gain, low, high
    truth: dict[str, np.ndarray]  # measure -> (studies,) gain in new people, mean over folds
    p: np.ndarray  # of the likelihood-ratio test


def judge(drawn: World, folds: list[Fold], clinical: Scored, both: Scored) -> Judged:
    """Judge every study, and look how its models do in new people."""
    images = np.zeros_like(clinical.logits)
    for fold in folds:
        images[:, fold.test] = fold.own[:, fold.test]
    gain: dict[str, list[tuple[float, ...]]] = {name: [] for name in MEASURES}
    p = []
    first = rows_of(drawn, CLINICAL, clinical.logits[0])
    how = held_out(first, drawn.design.splits)
    for study in range(len(images)):
        mine = (clinical.logits[study], both.logits[study], images[study])
        names = (CLINICAL, with_image("net"), "net")
        base, larger, image = map(rows_of, [drawn] * 3, names, mine)
        table = added_value(base, larger, image, how, RANGE).set_index("measure")
        for name in MEASURES:
            row = table.loc[name]
            gain[name].append((row["gain"], row["ci_low"], row["ci_high"]))
        p.append(table.loc[TEST, "p"])
    truth = {name: in_new(drawn, name, clinical, both) for name in MEASURES}
    return Judged({k: np.array(v) for k, v in gain.items()}, truth, np.array(p))


def in_new(drawn: World, measure: str, clinical: Scored, both: Scored) -> np.ndarray:
    """(studies,) gain in new people, mean over the models of the folds."""
    y = drawn.new_outcome
    values = []
    for one in (clinical, both):
        if measure == "auc":
            ranks = rankdata(one.new, axis=2)[..., y == 1].sum(axis=2)
            m = y.sum()
            values.append((ranks - m * (m + 1) / 2) / (m * (len(y) - m)))
        elif measure == "brier":
            values.append(-((expit(one.new) - y) ** 2).mean(axis=2))
        elif measure == "log_likelihood":
            values.append(-np.logaddexp(0, np.where(y == 1, -one.new, one.new)).mean(axis=2))
        else:
            grid = np.linspace(*RANGE, 41)
            worth = sum(np.where(y == 1, 1.0, -t / (1 - t)) * (expit(one.new) >= t) for t in grid)
            values.append((worth / len(grid)).mean(axis=2))
    return np.asarray((values[1] - values[0]).mean(axis=0))


def show(n: int, kind: str, studies: int, seed: int, jitter: float = 0.0) -> None:
    """Print the lines of one kind of study, as Markdown."""
    rng = np.random.default_rng([n, *kind.encode(), seed])
    drawn = world(n, kind, studies, rng, np.hypot(1.0, jitter))
    folds = networks(drawn, rng, jitter)
    clinical = stacked(drawn, folds, None)
    for way in WAYS if kind == "0.0" else WAYS[:1]:
        both = stacked(drawn, folds, way)
        found = judge(drawn, folds, clinical, both)
        if way == WAYS[0]:
            unlike = max(check(drawn, folds, both, study) for study in range(0, studies, 100))
            assert unlike < 0.005, unlike
        for name in MEASURES if way == WAYS[0] else MEASURES[:1]:
            values, truth = found.gain[name], float(found.truth[name].mean())
            held = np.mean((values[:, 1] <= truth) & (truth <= values[:, 2]))
            both_ways = (values[:, 1] > 0) | ((found.p < 0.05) & (values[:, 0] > 0))
            claimed, worse = np.mean(values[:, 1] > 0), np.mean(values[:, 2] < 0)
            spread = values[:, 0].std() / np.mean((values[:, 2] - values[:, 1]) / 3.92)
            cells = [way, name, n, kind, f"{truth:.3f}", f"{values[:, 0].mean():.3f}"]
            cells += [
                _share(float(held), studies),
                _share(float(claimed), studies),
                f"{100 * worse:.1f}",
            ]
            power, tested = "", ""
            if name == "auc":
                plan = added_auc_power(truth, CLINIC, n // 2, n - n // 2, EIGHT_FOLDS)
                power = f"{100 * plan:.0f}" if truth > 0.005 else ""
                tested = _share(float(np.mean(both_ways)), studies)
            cells += [power, tested, f"{spread:.2f}"]
            print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def _share(share: float, studies: int) -> str:
    return f"{100 * share:.1f} ± {100 * np.sqrt(share * (1 - share) / studies):.1f}"


HEAD = (
    "logits of training people",
    "gain in",
    "people",
    "aim",
    "true gain",
    "mean gain",
    "interval holds the true gain, %",
    "claimed, %",
    "called worse, %",
    "promised, %",
    "claimed, or likelihood ratio p < .05 and a gain, %",
    "SD of the gain / its error",
)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=400)
    parser.add_argument("--people", type=int, nargs="+", choices=SIZES, default=SIZES)
    kinds = [*map(str, DISTANCE), COPY]
    parser.add_argument("--kinds", nargs="+", choices=kinds, default=kinds)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jitter", type=float, default=0.0, help="noise on a network's weights")
    asked = parser.parse_args()
    print(f"| {' | '.join(HEAD)} |\n|{'---|' * len(HEAD)}")
    for kind in asked.kinds:
        for n in asked.people:
            show(n, kind, asked.studies, asked.seed, asked.jitter)


if __name__ == "__main__":
    main()
