"""What sites make of nothing, and what harmonisation makes of that, in the fold and over everybody.

Run as ``python -m tests.benchmarks.sites`` with ``OMP_NUM_THREADS=1``. Studies of people from
several sites are drawn, whose images differ by site in every feature (shift and spread). The
outcome goes with the site and with nothing else, or with eight features too. A ridge classifier is
judged by held-out people as they are; harmonised by ComBat as it was fitted in the training fold
(`combat.fit_sites`, as a run does it); over all people; over all people with the outcome kept as a
covariate, which an app that refuses leaks cannot be asked for; and with whole sites held out in
turn.
"""

import argparse
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata

from bidsapp.representation.combat import SiteEffects, fit_sites
from tests.benchmarks import worlds

FOLDS, FEATURES, TOLD = 8, 200, 8
PENALTY = 100.0
DISTANCE = 0.7
WORLDS = {
    "goes with the site": (0.8, 0.5, 0.2),
    "is the site": (1.0, 0.0),
    "evenly spread": (0.5, 0.5, 0.5),
}
ARMS = (
    "as they are",
    "harmonised in the fold",
    "harmonised over all people",
    "the same, the outcome kept",
    "whole sites held out",
)


class Study(NamedTuple):
    """People of one study."""

    values: np.ndarray  # (n, features)
    site: np.ndarray  # (n,)
    outcome: np.ndarray  # (n,)


def drawn(shares: tuple[float, ...], n: int, effect: float, rng: np.random.Generator) -> Study:
    """Draw people of some sites, whose features are shifted and spread by site."""
    size = n // len(shares)
    site = np.repeat(np.arange(len(shares)), size)
    outcome = np.concatenate([(np.arange(size) < round(size * s)).astype(int) for s in shares])
    values = rng.normal(size=(len(site), FEATURES))
    values[:, :TOLD] += effect * outcome[:, None]
    shift = rng.normal(0, 0.7, (len(shares), FEATURES))
    spread = rng.uniform(0.7, 1.4, (len(shares), FEATURES))
    return Study(values * spread[site] + shift[site], site, outcome)


def harmonised(study: Study, rows: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Harmonise everybody by what was fitted on some rows; `kept` is (n, K)."""
    values = study.values[rows]
    found: SiteEffects = fit_sites(
        lambda: values, study.site[rows], kept[rows], [slice(0, FEATURES)]
    )
    made = [found.harmonised(v, s, k) for v, s, k in zip(*study[:2], kept, strict=True)]
    return np.array(made)


def scores(values: np.ndarray, outcome: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Score held-out people by ridge regression on training people."""
    train = ~test
    mean, sd = values[train].mean(axis=0), values[train].std(axis=0)
    x = (values - mean) / sd
    y = 2.0 * outcome[train] - 1
    kernel = x[train] @ x[train].T + PENALTY * np.eye(train.sum())
    weights = x[train].T @ np.linalg.solve(kernel, y - y.mean())
    return np.asarray(x[test] @ weights)


def judged(study: Study, arm: str, rng: np.random.Generator) -> tuple[float, float]:
    """AUC over all held-out people, and over pairs of the same site."""
    in_turn = arm == ARMS[4]
    fold = study.site if in_turn else worlds.stratified(study.outcome, FOLDS, rng)
    nothing = np.zeros((len(fold), 0))
    whole = {
        ARMS[2]: lambda: harmonised(study, np.arange(len(fold)), nothing),
        ARMS[3]: lambda: harmonised(study, np.arange(len(fold)), study.outcome[:, None] * 1.0),
    }
    values = whole[arm]() if arm in whole else study.values
    found = np.full(len(fold), np.nan)
    for test in (fold == k for k in np.unique(fold)):
        own = harmonised(study, np.flatnonzero(~test), nothing) if arm == ARMS[1] else values
        found[test] = scores(own, study.outcome, test)
    pooled = np.nan if in_turn else auc(found, study.outcome)
    inside = [
        auc(found[study.site == k], study.outcome[study.site == k]) for k in np.unique(study.site)
    ]
    return pooled, float(np.nanmean(inside)) if np.isfinite(inside).any() else np.nan


def auc(values: np.ndarray, outcome: np.ndarray) -> float:
    """Area under the curve; NaN with one class only."""
    m, n = int(outcome.sum()), int((1 - outcome).sum())
    if not m or not n:
        return float("nan")
    return float((rankdata(values)[outcome == 1].sum() - m * (m + 1) / 2) / (m * n))


def rows_of(studies: int, seed: int) -> Iterator[tuple[str, ...]]:
    """Run every kind of study in every way; a row of the table each."""
    kinds = [(name, n, 0.0) for n in (60, 120) for name in ("goes with the site", "is the site")]
    kinds += [("evenly spread", 120, DISTANCE), ("goes with the site", 120, DISTANCE)]
    for name, n, effect in kinds:
        for arm in ARMS:
            if name == "is the site" and arm in ARMS[3:]:
                continue  # the outcome cannot be kept, and no site has both classes
            rng = np.random.default_rng([seed, n, round(100 * effect)])
            found = np.array(
                [judged(drawn(WORLDS[name], n, effect, rng), arm, rng) for _ in range(studies)]
            )
            told = "nothing" if not effect else f"{TOLD} of {FEATURES} features"
            yield (str(n), name, told, arm, *(_mean(column) for column in found.T))


def _mean(values: np.ndarray) -> str:
    known = values[np.isfinite(values)]
    if not len(known):
        return ""
    return f"{known.mean():.3f} ± {known.std(ddof=1) / np.sqrt(len(known)):.3f}"


def main(argv: list[str] | None = None, out: Callable[[str], None] = print) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args(argv)
    out("| people | the outcome | the image tells | images | AUC | AUC within sites |")
    out("|---|---|---|---|---|---|")
    for row in rows_of(asked.studies, asked.seed):
        out(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
