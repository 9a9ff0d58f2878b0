"""A cohort told in aggregates: what a model bundle may carry of the people it was made with.

No number here is made of fewer than five people, so that a bundle can be handed on with it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bidsapp.dataset.reading import FEWEST_NUMBERS
from bidsapp.evaluation.calibration import calibration_intercept, calibration_slope, log_odds
from bidsapp.evaluation.cohort_table import counts_difference, identifies
from bidsapp.evaluation.resampled import Resampled
from bidsapp.evaluation.sample import Sample
from bidsapp.evaluation.thresholds import youden
from bidsapp.evaluation.tsv import is_missing, numeric, reading_of

CELL = 5
"""The fewest people that a number may be made of."""
OTHER = "other"
CASE_MIX = (
    *("column", "value", "training", "validation", "standardised_difference"),
    *("outside", "note"),
)


def cohort_aggregates(people: pd.DataFrame, columns: Sequence[str]) -> list[dict[str, Any]]:
    """Describe columns of a cohort by numbers of five people or more.

    Numbers: how many, mean, SD, and the means of the five lowest and the five highest values in
    the place of the ends. Categories: counts; those of fewer than five people are counted
    together as ``other``, with the next larger one where they are fewer than five even so, as a
    cell that is left out could be worked out from the rest.

    Parameters
    ----------
    people
        A row per person; text, as cohort.tsv has it.
    columns
        To describe. Texts of which each person has an own one are left out, and whatever cannot
        be told without a smaller cell.

    Returns
    -------
    list of dict
        Plain values for JSON: `column`, `kind` (``numbers``, ``categories``), `n`, and `mean`,
        `sd`, `low`, `high`, or `counts`.
    """
    found = (_of_column(name, people[name]) for name in columns if not identifies(people[name]))
    return [one for one in found if one is not None]


def _of_column(name: str, values: pd.Series) -> dict[str, Any] | None:
    numbers = numeric(values)
    if reading_of(values).kind == "unclear":
        return None
    if numbers is not None and numbers.nunique() >= FEWEST_NUMBERS:
        there = np.sort(numbers.dropna().to_numpy(dtype=float))
        if len(there) < 2 * CELL:
            return None
        few = 0 < len(values) - len(there) < CELL  # how many lack it is a cell, too
        return _numbers(name, there, None if few else len(there))
    text = values[~values.map(is_missing)].astype(str)
    counts = {str(k): int(v) for k, v in text.value_counts().sort_index().items()}
    lacking = len(values) - len(text)
    pooled = _pooled(counts, lacking if lacking < CELL else 0)  # how many lack it is a cell, too
    return {"column": name, "kind": "categories", "counts": pooled} if pooled else None


def _numbers(name: str, there: np.ndarray, count: int | None) -> dict[str, Any]:
    return {
        "column": name,
        "kind": "numbers",
        "n": count,
        "mean": float(there.mean()),
        "sd": float(there.std(ddof=1)),
        "low": float(there[:CELL].mean()),
        "high": float(there[-CELL:].mean()),
    }


def _pooled(counts: Mapping[str, int], missing: int = 0) -> dict[str, int]:
    """Count small categories together until no cell is small; nothing where that leaves one.

    Parameters
    ----------
    counts
        People of each category.
    missing
        People without a value who are fewer than a cell: counted with the small categories.
    """
    kept = dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
    together = missing
    while kept and (min(kept.values()) < CELL or 0 < together < CELL):
        together += kept.popitem()[1]
    if together and OTHER in kept:
        together += kept.pop(OTHER)
    if not kept or together < CELL * bool(together):
        return {}
    return {name: kept[name] for name in sorted(kept)} | ({OTHER: together} if together else {})


def held_out_facts(sample: Sample, inflation: float) -> dict[str, Any]:
    """Describe the held-out scores of a model by numbers of all people or of a class.

    Parameters
    ----------
    sample
        Its pooled held-out scores.
    inflation
        What DeLong's variance is multiplied by, for training on other people.

    Returns
    -------
    dict
        `n`, `positive`; `auc` with `auc_low` and `auc_high`, one standard error to each
        side (allowing for training on other people); `intercept` and `slope` of the outcome on
        the logit; `logit` with mean and SD over all, positives and negatives; `threshold_fitted`
        (Youden's). Empty where a class has fewer than five people.
    """
    from bidsapp.evaluation.estimates import estimate_aucs

    positives = sample.positives
    if min(positives, sample.n - positives) < CELL:
        return {}
    logit = log_odds(sample.probability)
    view = Resampled(sample)
    slope = float(calibration_slope(view)[0])
    (auc,), _ = estimate_aucs(
        sample.outcome, sample.probability, sample.participant, inflation=inflation
    )
    low, high = auc.limits(1.0)
    found = {
        "n": sample.n,
        "positive": positives,
        "auc": auc.value,
        "auc_low": low,
        "auc_high": high,
        "calibration_in_the_large": float(calibration_intercept(view)[0]),
        "slope": slope,
        "intercept": _intercept_at(sample, slope),
        "threshold_fitted": youden(sample.outcome, sample.probability),
        "logit": {
            name: {"mean": float(values.mean()), "sd": float(values.std(ddof=1))}
            for name, values in (
                ("all", logit),
                ("positive", logit[:positives]),
                ("negative", logit[positives:]),
            )
        },
    }
    return {key: None if value != value else value for key, value in found.items()}


def _intercept_at(sample: Sample, slope: float) -> float:
    """Intercept of the logistic regression of the outcome on the logit, the slope being known."""
    from bidsapp.evaluation.recalibration import fit_logistic

    if slope != slope:
        return slope
    return fit_logistic(sample.outcome, slope * log_odds(sample.probability), "intercept")[0]


def compare_with_aggregates(
    training: Sequence[Mapping[str, Any]], people: pd.DataFrame
) -> pd.DataFrame:
    """Set a new cohort beside the aggregates of another, column by column.

    Parameters
    ----------
    training
        As `cohort_aggregates` gave it.
    people
        The new cohort, a row per person, text.

    Returns
    -------
    pandas.DataFrame
        Columns `CASE_MIX`; a category has a row per value. `standardised_difference` is new less
        training (Austin 2009, doi:10.1002/sim.3697; several categories: Yang & Dalton 2012, no
        sign); `outside` counts new people below or above what training saw (its five lowest and
        highest on average), or with a category that it did not list.
    """
    rows: list[dict[str, Any]] = []
    for told in training:
        name = str(told["column"])
        if name not in people:
            note = "not in the new cohort"
            shown = _shown(told) if told["kind"] == "numbers" else ""
            rows.append({"column": name, "value": "", "training": shown, "note": note})
        elif told["kind"] == "numbers":
            rows.append(_compare_numbers(told, people[name]))
        else:
            rows += _compare_counts(told, people[name])
    known = {str(told["column"]) for told in training}
    for name in people.columns:
        if name not in known:
            note = "nothing of this column is in the bundle"
            rows.append({"column": name, "value": "", "note": note})
    return pd.DataFrame(rows, columns=pd.Index(CASE_MIX))


def _shown(told: Mapping[str, Any]) -> str:
    return f"{told['mean']:.4g} ({told['sd']:.3g})"


def _compare_numbers(told: Mapping[str, Any], values: pd.Series) -> dict[str, Any]:
    row = {"column": told["column"], "value": "mean (SD)", "training": _shown(told)}
    numbers = numeric(values)
    there = np.empty(0) if numbers is None else numbers.dropna().to_numpy(dtype=float)
    if len(there) < 2:
        return row | {"note": "fewer than two numbers in the new cohort"}
    sd = float(there.std(ddof=1))
    spread = float(np.sqrt((sd**2 + float(told["sd"]) ** 2) / 2))
    gap = float(there.mean()) - float(told["mean"])
    outside = int(((there < told["low"]) | (there > told["high"])).sum())
    return row | {
        "validation": f"{there.mean():.4g} ({sd:.3g})",
        "standardised_difference": gap / spread if spread > 0 else np.nan,
        "outside": outside,
        "note": "" if spread > 0 else "no spread within the cohorts",
    }


def _compare_counts(told: Mapping[str, Any], values: pd.Series) -> list[dict[str, Any]]:
    there = values[~values.map(is_missing)].astype(str)
    before = {str(k): int(v) for k, v in told["counts"].items()}
    listed = [name for name in before if name != OTHER]
    new = {name: int((there == name).sum()) for name in listed}
    unlisted = int((~there.isin(listed)).sum())
    levels = [*listed, *([OTHER] if OTHER in before or unlisted else [])]
    first = np.array([before.get(level, 0) for level in levels])
    second = np.array([new.get(level, unlisted) for level in levels])
    difference = float("nan")
    if len(levels) > 1 and second.sum():
        difference = -counts_difference(np.stack([first, second]))
        difference = abs(difference) if len(levels) > 2 else difference
    rows: list[dict[str, Any]] = [
        {
            "column": told["column"],
            "value": level,
            "training": f"{first[k]} ({first[k] / first.sum():.0%})",
            "validation": f"{second[k]} ({second[k] / max(second.sum(), 1):.0%})",
        }
        for k, level in enumerate(levels)
    ]
    rows[0] |= {
        "standardised_difference": difference,
        "outside": 0 if OTHER in before else unlisted,
    }
    return rows
