"""The rows of metrics.tsv: pooled, mean over folds, each fold, each subgroup."""

import zlib

import numpy as np
import pandas as pd

from bidsapp.evaluation.delong import auc_interval
from bidsapp.evaluation.describe import ROW, describe
from bidsapp.evaluation.intervals import LEVEL, Interval, nadeau_bengio
from bidsapp.evaluation.metrics import METRICS, point_estimates
from bidsapp.evaluation.sample import fold_names, from_scores
from bidsapp.evaluation.settings import EvaluationSettings
from bidsapp.evaluation.state import splits_of
from bidsapp.evaluation.thresholds import FITTED, fitted_threshold

RETRAINED = "auc@retrained"
COLUMNS = ("variant", "scope", *ROW)


def metric_table(
    scores: pd.DataFrame,
    splits: pd.DataFrame,
    settings: EvaluationSettings | None = None,
    subgroups: dict[str, pd.Series] | None = None,
) -> pd.DataFrame:
    """Metrics of every variant: scopes ``pooled``, ``mean``, ``fold-<k>``, ``subgroup:...``.

    Intervals of pooled scores take the scores as given: they tell how the sample of people makes
    the value vary, not how training on other people would. Scores of cross-validated models are
    not independent, so across repetitions of a whole study a pooled value varies more than its
    interval says. What allows for that: the Nadeau-Bengio interval of the scope ``mean``, and the
    row ``auc@retrained`` of the scope ``pooled`` (`retrained_row`).

    Parameters
    ----------
    scores, splits
        As `state.read_state` gives them; ensembles among the scores are variants like others.
    settings
        Resamples, thresholds, level, seed. Each variant draws from a generator of its own, so
        that the order of the variants, and which others there are, changes nothing.
    subgroups
        ``<column>=<value>`` -> boolean for each row of `scores`.

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
        threshold = fitted_threshold(rows, own.fitted_threshold)
        ratio = held_out_ratio(splits_of(splits, str(variant)))
        pooled = describe(rows, threshold, own, rng)
        extra = retrained_row(rows, ratio, plan.level)
        parts = {"pooled": pd.concat([pooled, extra]) if len(extra) else pooled}
        names = fold_names(rows)
        folds = {
            str(name): describe(rows[names == name], threshold[names == name], own)
            for name in names.drop_duplicates()
        }
        parts["mean"] = mean_over_folds(list(folds.values()), ratio, plan.level)
        parts |= folds
        for name, inside in (subgroups or {}).items():
            chosen = inside.loc[rows.index]
            part = describe(rows[chosen], threshold[chosen], own, rng)
            parts[f"subgroup:{name}"] = flag_small(part, rows[chosen])
        tables += [part.assign(variant=variant, scope=scope) for scope, part in parts.items()]
    return pd.concat(tables, ignore_index=True)[list(COLUMNS)]


def retrained_row(rows: pd.DataFrame, test_train_ratio: float, level: float) -> pd.DataFrame:
    """Pooled AUC with an interval that allows for training on other people.

    DeLong's variance is multiplied by ``1 + n / n_train``, which is what Nadeau and Bengio's
    correction does to the variance of a mean over folds. Against the mean true AUC of models
    trained on as many people it held the truth in 93 to 99 % (discriminant analysis of 3 to 50
    features, n = 60 and 128, 4 and 8 folds, 600 studies each); DeLong's own interval in 84 to 94 %.

    Returns
    -------
    pandas.DataFrame
        One row ``auc@retrained``; none without cross-validation or without an AUC.
    """
    folds = rows.groupby("repeat")["fold"].nunique().min() if len(rows) else 0
    sample = from_scores(rows)
    undefined = sample.outcome.all() or not sample.outcome.any()
    if folds < 2 or undefined or not np.isfinite(test_train_ratio):
        return pd.DataFrame(columns=pd.Index(ROW))
    inflation = 1 + float(folds) * test_train_ratio
    interval = auc_interval(
        sample.outcome, sample.probability, sample.participant, level, inflation
    )
    value = point_estimates(sample, ("auc",))["auc"]
    method = f"{interval.method}, widened" if interval.known else ""
    record = (RETRAINED, value, interval.low, interval.high, method, sample.n, interval.note)
    return pd.DataFrame([record], columns=pd.Index(ROW))


def variant_generator(seed: int, variant: str) -> np.random.Generator:
    """Return the random generator of one variant."""
    return np.random.default_rng([seed, zlib.crc32(variant.encode())])


def mean_over_folds(
    folds: list[pd.DataFrame], test_train_ratio: float, level: float = LEVEL
) -> pd.DataFrame:
    """Mean of each metric over the folds that define it, with the Nadeau-Bengio interval.

    The interval is cut to the metric's range; a limit of 0 or 1 says that the folds are too few or
    too small for it.
    """
    together = pd.concat(folds, ignore_index=True)
    records = []
    for name, part in together.groupby("metric", sort=False):
        values = part["value"].to_numpy(dtype=float)
        known = values[np.isfinite(values)]
        interval = _mean_interval(str(name), values, test_train_ratio, level)
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


def _mean_interval(
    name: str, values: np.ndarray, test_train_ratio: float, level: float
) -> Interval:
    low, high = nadeau_bengio(values, test_train_ratio, level)
    if not np.isfinite([low, high]).all():
        return Interval(note="fewer than two folds with a value: no interval")
    if low == high:
        return Interval(note="the same value in every fold: no interval")
    least, most = METRICS[name.removesuffix(FITTED)].range
    return Interval(max(low, least), min(high, most), "Nadeau-Bengio")


def held_out_ratio(splits: pd.DataFrame) -> float:
    """Mean over folds of people tested per person trained on (validation counts as training)."""
    tested = splits["role"] == "test"
    folds = tested.groupby([splits["repeat"], splits["fold"]])
    test, everybody = folds.sum(), folds.size()
    ratios = (test / (everybody - test)).replace(np.inf, np.nan).dropna()
    return float(ratios.mean()) if len(ratios) else float("nan")


def flag_small(table: pd.DataFrame, rows: pd.DataFrame, least: int = 10) -> pd.DataFrame:
    """Put a warning before every note where a class has fewer than `least` people."""
    people = rows.drop_duplicates(["participant_id", "session_id"])
    positives = int(people["outcome"].sum())
    negatives = len(people) - positives
    if min(positives, negatives) >= least:
        return table
    flag = f"fewer than {least} of a class ({positives} positive, {negatives} negative)"
    return table.assign(note=[f"{flag}; {note}" if note else flag for note in table["note"]])
