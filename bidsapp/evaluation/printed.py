"""What a paper printed beside what this run gives."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import pandas as pd

from bidsapp.evaluation.thresholds import FITTED

CUTOFF = "cutoff"
ALIASES = {"recall": "sensitivity", "macro_recall": "balanced_accuracy"}
COLUMNS = (
    "variant",
    "scope",
    "metric",
    "printed",
    "ours",
    "ci_low",
    "ci_high",
    "ci_method",
    "inside",
    "note",
)


def compare_with_print(
    reported: Mapping[str, Mapping[str, float]],
    metrics: pd.DataFrame,
    best_folds: pd.DataFrame | None = None,
    default_scope: str = "mean",
    cutoffs: Mapping[str, pd.Series] = MappingProxyType({}),
) -> pd.DataFrame:
    """Set printed values beside ours.

    Parameters
    ----------
    reported
        Name, optionally with ``@scope`` -> metric -> printed value. ``recall`` is our
        `sensitivity`, ``macro_recall`` our `balanced_accuracy`; ``_fitted`` behind a name means
        the fitted threshold, and ``cutoff`` is that threshold itself, the mean of all folds.
    metrics
        `metrics.tsv`, baselines and ensembles included.
    best_folds
        `best_fold.best_fold_table` of each variant, with a column `variant`, for
        ``@best_fold``.
    cutoffs
        Variant to the fitted threshold of each fold (`thresholds.cutoffs`).

    Returns
    -------
    pandas.DataFrame
        Columns `COLUMNS`. `inside` is ``yes`` or ``no``: whether the printed value lies in our
        interval; ``n/a`` where we have no interval. `note` says why ours is missing.
    """
    records = []
    for key, values in reported.items():
        variant, _, scope = key.partition("@")
        scope = scope or default_scope
        for metric, printed in values.items():
            name = _own_name(metric)
            if metric == CUTOFF:
                ours, low, high, method, note = _cutoff(cutoffs.get(variant))
            elif scope == "best_fold":
                ours, low, high, method, note = _best_fold(best_folds, variant, name)
            else:
                ours, low, high, method, note = _ours(metrics, variant, scope, name)
            inside = "n/a"
            if np.isfinite(low) and np.isfinite(high):
                inside = "yes" if low <= printed <= high else "no"
            record = (variant, scope, metric, printed, ours, low, high, method, inside, note)
            records.append(record)
    return pd.DataFrame(records, columns=pd.Index(COLUMNS))


def _cutoff(folds: pd.Series | None) -> tuple[float, float, float, str, str]:
    nan = float("nan")
    if folds is None:
        return nan, nan, nan, "", "not run"
    known = folds.dropna()
    if len(known) < len(folds):
        return nan, nan, nan, "", "no threshold: not every fold has one"
    extent = f"{len(known)} folds, {known.min():.2f} to {known.max():.2f}"
    return float(known.mean()), nan, nan, "", extent if len(known) > 1 else ""


def _own_name(metric: str) -> str:
    base = metric.removesuffix("_fitted")
    name = ALIASES.get(base, base)
    return name if base == metric else name + FITTED


def _ours(
    metrics: pd.DataFrame, variant: str, scope: str, metric: str
) -> tuple[float, float, float, str, str]:
    nan = float("nan")
    mine = metrics[metrics["variant"] == variant]
    if mine.empty:
        return nan, nan, nan, "", "not run"
    row = mine[(mine["scope"] == scope) & (mine["metric"] == metric)]
    if row.empty:
        return nan, nan, nan, "", f"no {metric} in scope {scope}"
    first = row.iloc[0]
    limits = float(first["ci_low"]), float(first["ci_high"])
    return float(first["value"]), *limits, str(first["ci_method"]), str(first["note"])


def _best_fold(
    best: pd.DataFrame | None, variant: str, metric: str
) -> tuple[float, float, float, str, str]:
    nan = float("nan")
    if best is None or best.empty:
        return nan, nan, nan, "", "the best fold is printed in mode paper only"
    row = best[(best["variant"] == variant) & (best["metric"] == metric)]
    if row.empty:
        return nan, nan, nan, "", "not run"
    first = row.iloc[0]
    chance = (
        f"best of {first['folds']} folds; under chance {first['chance']:.2f} "
        f"({first['chance_low']:.2f} to {first['chance_high']:.2f})"
    )
    return float(first["value"]), nan, nan, "", chance
