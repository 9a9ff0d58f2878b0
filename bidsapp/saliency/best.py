"""Which fold did best on the people whom it held out: a choice by test data, for paper mode."""

import numpy as np
import pandas as pd


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
