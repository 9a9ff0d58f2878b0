"""Numbers behind figures that evaluation does not write: bands, histograms, counts, folds."""

import zlib

import numpy as np
import pandas as pd

from bidsapp.evaluation.bootstrap import bootstrap_weights, strata_of
from bidsapp.evaluation.sample import Sample, at_threshold, from_scores
from bidsapp.evaluation.thresholds import fitted_threshold
from bidsapp.reports.run.files import RunFiles

BINS = 20
_RESAMPLES = 1000
_GRID = np.linspace(0, 1, 101)


def roc_bands(run: RunFiles) -> pd.DataFrame:
    """Pointwise band of each variant's ROC curve, by bootstrap within outcome classes.

    Returns
    -------
    pandas.DataFrame
        `variant`, `false_positive_rate`, `ci_low`, `ci_high` (percentiles of the true positive
        rate at that false positive rate); no rows for a variant with one class.
    """
    tables = []
    for variant in run.variants:
        sample = run.sample(variant)
        if 0 < sample.positives < sample.n:
            rng = np.random.default_rng([run.settings.seed, zlib.crc32(variant.encode())])
            low, high = roc_band(sample, rng, run.settings.level)
            columns = {"false_positive_rate": _GRID, "ci_low": low, "ci_high": high}
            tables.append(pd.DataFrame({"variant": variant, **columns}))
    names = ["variant", "false_positive_rate", "ci_low", "ci_high"]
    return pd.concat(tables, ignore_index=True) if tables else _empty(names)


def roc_band(
    sample: Sample, rng: np.random.Generator, level: float, resamples: int = _RESAMPLES
) -> tuple[np.ndarray, np.ndarray]:
    """Percentiles of the true positive rate at 101 false positive rates.

    Persons are drawn with replacement within strata of outcome. At each false positive rate the
    curve is taken at the largest threshold set that does not exceed it (the upper end of a step).

    Returns
    -------
    low, high : ndarray
        (101,) each.
    """
    order = np.argsort(-sample.probability, kind="stable")
    score, truth = sample.probability[order], sample.outcome[order]
    last = np.append(score[1:] != score[:-1], True)  # observations with one score move together
    low_high = []
    curves = []
    for weights in bootstrap_weights(sample, strata_of(sample), resamples, rng):
        drawn = weights[:, order]
        tpr = np.cumsum(drawn * truth, axis=1)[:, last]
        fpr = np.cumsum(drawn * ~truth, axis=1)[:, last]
        tpr, fpr = tpr / tpr[:, -1:], fpr / fpr[:, -1:]
        curves.append(np.stack([_upper(f, t) for f, t in zip(fpr, tpr, strict=True)]))
    values = np.concatenate(curves)
    low_high = np.percentile(values, [50 * (1 - level), 50 * (1 + level)], axis=0)
    return low_high[0], low_high[1]


def _upper(fpr: np.ndarray, tpr: np.ndarray) -> np.ndarray:
    place = np.searchsorted(fpr, _GRID + 1e-9, side="right") - 1
    return np.where(place >= 0, tpr[place], 0.0)


def distributions(run: RunFiles) -> pd.DataFrame:
    """Histogram of each variant's pooled scores: `variant`, `low`, `high`, `positive`, `negative`.

    Twenty bins of equal width; the last holds 1 too.
    """
    edges = np.linspace(0, 1, BINS + 1)
    tables = []
    for variant in run.variants:
        sample = run.sample(variant)
        counts = {
            name: np.histogram(sample.probability[inside], edges)[0]
            for name, inside in (("positive", sample.outcome), ("negative", ~sample.outcome))
        }
        frame = {"variant": variant, "low": edges[:-1], "high": edges[1:], **counts}
        tables.append(pd.DataFrame(frame))
    names = ["variant", "low", "high", "positive", "negative"]
    return pd.concat(tables, ignore_index=True) if tables else _empty(names)


def confusions(run: RunFiles) -> pd.DataFrame:
    """Count decisions: `variant`, `rule`, `words`, `tp`, `fn`, `fp`, `tn`.

    A person who was held out in several repeats counts once, with the mean of the scores.
    """
    records = []
    for variant in run.variants:
        rows, own = run.scores_of(variant), run.settings.of(variant)
        sample = at_threshold(run.sample(variant), own.threshold)
        records.append(_counts(variant, f"at {own.threshold:g}", "fixed", sample))
        fitted = fitted_threshold(rows, own.fitted_threshold, run.inner)
        if len(rows) and fitted.notna().all():
            seen = {"test_fold": "this fold: LEAK", "inner": "inner splits"}.get(
                own.fitted_threshold, "other folds"
            )
            records.append(_counts(variant, "fitted", f"on {seen}", from_scores(rows, fitted)))
    names = ["variant", "rule", "words", "tp", "fn", "fp", "tn"]
    return pd.DataFrame(records, columns=pd.Index(names))


def _counts(variant: str, rule: str, words: str, sample: Sample) -> tuple[object, ...]:
    truth, called = sample.outcome, sample.decision
    cells = (truth & called, truth & ~called, ~truth & called, ~truth & ~called)
    return (variant, rule, words, *[int(cell.sum()) for cell in cells])


def _empty(names: list[str]) -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(dtype=float) for name in names})
