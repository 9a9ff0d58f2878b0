"""The best of k folds, and how good it would be if the scores said nothing."""

from typing import Any

import numpy as np
import pandas as pd

from bidsapp.evaluation.metrics import METRICS
from bidsapp.evaluation.permutation import exchangeable, permutation_p, permuted
from bidsapp.evaluation.resampled import Resampled
from bidsapp.evaluation.sample import fold_names, make_sample

FOLD_METRICS = ("auc", "accuracy", "precision", "sensitivity", "f1")


def best_fold_table(
    rows: pd.DataFrame, threshold: float, permutations: int, rng: np.random.Generator
) -> pd.DataFrame:
    """Best fold by AUC of one variant beside what the best would be under chance.

    The best fold is the one of the largest AUC; its other metrics are those of that same fold.
    Chance keeps each fold's scores and number of positives and permutes outcomes within the fold;
    each time the fold of the largest AUC is taken again.

    Returns
    -------
    pandas.DataFrame
        `fold`, `metric`, `value`, `chance`, `chance_low`, `chance_high` (mean and central 95 %),
        `p` (one-sided), `folds`, `n`, `note`.
    """
    names = fold_names(rows)
    folds: dict[str, np.ndarray] = {}
    observed: dict[str, np.ndarray] = {}
    for name in names.drop_duplicates():
        part = rows[names == name]
        if part["outcome"].nunique() == 2:
            observed[str(name)], folds[str(name)] = _fold_values(part, threshold, permutations, rng)
    columns = ["fold", "metric", "value", "chance", "chance_low", "chance_high", "p"]
    if not folds:
        note = "no fold has both classes"
        undefined = [("n/a", metric, *[np.nan] * 5) for metric in FOLD_METRICS]
        table = pd.DataFrame(undefined, columns=pd.Index(columns))
        return table.assign(folds=0, n=0, note=note)
    labels = list(folds)
    best = labels[int(np.argmax([observed[label][0] for label in labels]))]
    stacked = np.stack([folds[label] for label in labels])
    chosen = np.argmax(stacked[:, 0, :], axis=0)
    chance = np.take_along_axis(stacked, chosen[None, None, :], axis=0)[0]
    records: list[tuple[Any, ...]] = []
    for number, metric in enumerate(FOLD_METRICS):
        value, null = float(observed[best][number]), chance[number]
        known = null[np.isfinite(null)]
        spread = np.percentile(known, [2.5, 97.5]) if len(known) else (np.nan, np.nan)
        mean = float(known.mean()) if len(known) else float("nan")
        p = permutation_p(value, null)
        records.append((best, metric, value, mean, float(spread[0]), float(spread[1]), p))
    table = pd.DataFrame(records, columns=pd.Index(columns))
    return table.assign(folds=len(labels), n=int((names == best).sum()), note="")


def _fold_values(
    part: pd.DataFrame, threshold: float, permutations: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """(metrics,) observed and (metrics, permutations) under permutation, of one fold."""
    score = part["probability"].to_numpy(dtype=float)
    outcome = part["outcome"].to_numpy(dtype=float)
    groups = exchangeable(part["participant_id"].to_numpy(), np.zeros(len(part)))
    shuffled = permuted(outcome, groups, permutations, rng)
    doubled = make_sample(np.repeat([1, 0], len(score)), np.concatenate([score, score]), threshold)
    order = np.argsort(score, kind="stable")
    truths = np.concatenate([outcome[None], shuffled])[:, order]
    view = Resampled(doubled, np.concatenate([truths, 1 - truths], axis=1))
    values = np.stack([METRICS[name].compute(view) for name in FOLD_METRICS])
    return values[:, 0], values[:, 1:]


def best_fold(scores: pd.DataFrame) -> tuple[int, int] | None:
    """Find the repeat and fold of the largest held-out AUC; the first of equals.

    Parameters
    ----------
    scores
        Columns repeat, fold, outcome (0 or 1), probability.

    Returns
    -------
    tuple of int, or None
        None where no fold has people of both classes.
    """
    found: dict[tuple[int, int], float] = {}
    for key, rows in scores.groupby(["repeat", "fold"], sort=True):
        positive = rows["outcome"].to_numpy() == 1
        m, n = int(positive.sum()), int((~positive).sum())
        if m and n:
            wins = rows["probability"].rank().to_numpy()[positive].sum() - m * (m + 1) / 2
            repeat, fold = np.atleast_1d(np.asarray(key, int))
            found[int(repeat), int(fold)] = float(wins) / (m * n)
    return max(found, key=lambda key: found[key]) if found else None
