"""The rows of metrics.tsv: pooled, mean over folds, each fold, each subgroup."""

import zlib
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from bidsapp.contracts.unit import one_each
from bidsapp.evaluation.chance import RETRAINED, WITHIN
from bidsapp.evaluation.describe import ROW, describe
from bidsapp.evaluation.estimates import AucEstimate
from bidsapp.evaluation.held_out import (
    HeldOut,
    held_out,
    leading_estimate,
    splits_behind,
    within_estimate,
)
from bidsapp.evaluation.intervals import LEVEL, Interval, nadeau_bengio
from bidsapp.evaluation.metrics import METRICS
from bidsapp.evaluation.prevalence import prevalence_table, scope_of
from bidsapp.evaluation.sample import fold_names
from bidsapp.evaluation.settings import EvaluationSettings
from bidsapp.evaluation.thresholds import FITTED, fitted_threshold

COLUMNS = ("variant", "scope", *ROW)


def metric_table(
    scores: pd.DataFrame,
    splits: pd.DataFrame,
    settings: EvaluationSettings | None = None,
    subgroups: dict[str, pd.Series] | None = None,
    groups: Mapping[str, str] | None = None,
    inner: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Metrics of every variant: scopes ``pooled``, ``mean``, ``fold-<k>``, ``subgroup:...``.

    With ``evaluation.prevalence``, ``prevalence=<share>`` too: what depends on the share of
    positives, at that share.

    Intervals of pooled scores take the scores as given: they tell how the sample of people makes
    the value vary, not how training on other people would. Scores of cross-validated models are
    not independent, so across repetitions of a whole study a pooled value varies more than its
    interval says. What allows for that: the Nadeau-Bengio interval of the scope ``mean``, and the
    rows ``auc@retrained`` and ``auc@within`` of the scope ``pooled`` (`leading_rows`).

    Parameters
    ----------
    scores, splits
        As `state.read_state` gives them; ensembles among the scores are variants like others.
    settings
        Resamples, thresholds, level, seed. Each variant draws from a generator of its own, so
        that the order of the variants, and which others there are, changes nothing.
    subgroups
        ``<column>=<value>`` -> boolean for each row of `scores`.
    groups
        Participant to group, where people of a group are never divided.
    inner
        Scores of the people of inner splits, for thresholds from there.

    Returns
    -------
    pandas.DataFrame
        Columns `COLUMNS`; undefined values are NaN with the reason in `note`.
    """
    plan = settings or EvaluationSettings()
    tables = []
    for variant, rows in scores.groupby("variant", sort=False):
        own = plan.of(str(variant))
        rng = variant_generator(plan.seed, str(variant))
        threshold = fitted_threshold(rows, own.fitted_threshold, inner)
        how = held_out(rows, splits_behind(splits, str(variant), plan), groups)
        pooled = describe(rows, threshold, own, rng)
        parts = {"pooled": pd.concat([pooled, *leading_rows(rows, how, plan.level)])}
        if plan.prevalence is not None:
            parts[scope_of(plan.prevalence)] = prevalence_table(rows, own, rng)
        names = fold_names(rows)
        folds = {
            str(name): describe(rows[names == name], threshold[names == name], own)
            for name in names.drop_duplicates()
        }
        parts["mean"] = mean_over_folds(list(folds.values()), how, plan.level)
        parts |= folds
        for name, inside in (subgroups or {}).items():
            chosen = inside.loc[rows.index]
            part = describe(rows[chosen], threshold[chosen], own, rng)
            parts[f"subgroup:{name}"] = flag_small(part, rows[chosen])
        tables += [part.assign(variant=variant, scope=scope) for scope, part in parts.items()]
    return pd.concat(tables, ignore_index=True)[list(COLUMNS)]


def leading_rows(rows: pd.DataFrame, how: HeldOut, level: float) -> list[pd.DataFrame]:
    """AUCs whose intervals allow for training on other people: what a report leads with.

    ``auc@retrained`` is the pooled AUC with DeLong's variance multiplied by
    `held_out.inflation_of`. Against the mean true AUC of models trained on as many people it held
    the truth in 93 to 99 % (discriminant analysis of 3 to 50 features, n = 60 and 128, 4 and 8
    folds, 600 studies each); DeLong's own interval in 84 to 94 %. ``auc@within`` takes pairs
    within folds, where pairs of different folds should not be compared (`HeldOut.within`).

    Returns
    -------
    list of pandas.DataFrame
        A row each; none where the plain interval leads, or without an AUC.
    """
    if rows["outcome"].nunique() < 2:
        return []
    found = []
    if how.retrained:
        found.append(
            _auc_row(
                RETRAINED, leading_estimate(rows, replace(how, within=False)), rows, how, level
            )
        )
    if how.within:
        found.append(_auc_row(WITHIN, within_estimate(rows, how), rows, how, level))
    return found


def _auc_row(
    name: str, found: AucEstimate, rows: pd.DataFrame, how: HeldOut, level: float
) -> pd.DataFrame:
    interval = found.interval(level)
    widened = ", widened" if how.retrained else ""
    within = ", within folds" if name == WITHIN else ""
    method = f"{interval.method}{within}{widened}" if interval.known else ""
    note = "; ".join(filter(None, [interval.note, how.why if name == WITHIN else ""]))
    n = len(one_each(rows))
    record = (name, found.value, interval.low, interval.high, method, n, note)
    return pd.DataFrame([record], columns=pd.Index(ROW))


def variant_generator(seed: int, variant: str) -> np.random.Generator:
    """Return the random generator of one variant."""
    return np.random.default_rng([seed, zlib.crc32(variant.encode())])


def mean_over_folds(folds: list[pd.DataFrame], how: HeldOut, level: float = LEVEL) -> pd.DataFrame:
    """Mean of each metric over the folds that define it, with the Nadeau-Bengio interval.

    The interval is cut to the metric's range; a limit of 0 or 1 says that the folds are too few or
    too small for it.
    """
    together = pd.concat(folds, ignore_index=True)
    records = []
    for name, part in together.groupby("metric", sort=False):
        values = part["value"].to_numpy(dtype=float)
        known = values[np.isfinite(values)]
        interval = _mean_interval(str(name), values, how, level)
        if not len(known):
            reasons = "; ".join(sorted(set(part["note"])))
            interval = Interval(note=f"undefined in every fold: {reasons}")
        elif len(known) < len(values):
            lost = f"undefined in {len(values) - len(known)} of {len(values)} folds, left out"
            note = "; ".join(filter(None, [lost, interval.note]))
            interval = Interval(interval.low, interval.high, interval.method, note)
        mean = float(known.mean()) if len(known) else float("nan")
        limits = (interval.low, interval.high, interval.method)
        records.append((name, mean, *limits, int(part["n"].sum()), interval.note))
    return pd.DataFrame(records, columns=pd.Index(ROW))


def _mean_interval(name: str, values: np.ndarray, how: HeldOut, level: float) -> Interval:
    low, high = nadeau_bengio(values, how.ratio, level, how.tests)
    if not np.isfinite([low, high]).all():
        return Interval(note="fewer than two folds with a value: no interval")
    if low == high:
        return Interval(note="the same value in every fold: no interval")
    least, most = METRICS[name.removesuffix(FITTED)].range
    return Interval(max(low, least), min(high, most), "Nadeau-Bengio")


def flag_small(table: pd.DataFrame, rows: pd.DataFrame, least: int = 10) -> pd.DataFrame:
    """Put a warning before every note where a class has fewer than `least` people."""
    people = one_each(rows)
    positives = int(people["outcome"].sum())
    negatives = len(people) - positives
    if min(positives, negatives) >= least:
        return table
    flag = f"fewer than {least} of a class ({positives} positive, {negatives} negative)"
    return table.assign(note=[f"{flag}; {note}" if note else flag for note in table["note"]])
