"""What a sample of this size can show, before any training."""

import numpy as np
import pandas as pd

from bidsapp.evaluation.intervals import LEVEL, normal_quantile, wilson

AUCS = (0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)
_POWER = 0.8


def auc_standard_error(auc: float, positives: int, negatives: int) -> float:
    """Hanley & McNeil 1982 (doi:10.1148/radiology.143.1.7063747), exponential scores.

    NaN without people of both classes.
    """
    if min(positives, negatives) < 1:
        return float("nan")
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = (
        auc * (1 - auc) + (positives - 1) * (q1 - auc**2) + (negatives - 1) * (q2 - auc**2)
    ) / (positives * negatives)
    return float(np.sqrt(variance))


def auc_precision(
    auc: float, positives: int, negatives: int, level: float = LEVEL
) -> tuple[float, float]:
    """Interval to expect around an AUC, on the logit scale."""
    half = normal_quantile(level) * auc_standard_error(auc, positives, negatives)
    half /= auc * (1 - auc)
    centre = np.log(auc / (1 - auc))
    return float(1 / (1 + np.exp(half - centre))), float(1 / (1 + np.exp(-half - centre)))


def auc_power(
    auc: float, positives: int, negatives: int, null: float = 0.5, alpha: float = 0.05
) -> float:
    """Chance that a two-sided test at `alpha` tells this AUC from `null` (the right way round)."""
    from scipy.special import ndtr

    at_null = auc_standard_error(null, positives, negatives)
    at_truth = auc_standard_error(auc, positives, negatives)
    return float(ndtr((abs(auc - null) - normal_quantile(1 - alpha) * at_null) / at_truth))


def smallest_detectable_auc(
    positives: int, negatives: int, power: float = _POWER, alpha: float = 0.05
) -> float:
    """Smallest AUC above .5 that is found with this power; NaN where none is."""
    from scipy.optimize import brentq

    def lacking(auc: float) -> float:
        return auc_power(auc, positives, negatives, alpha=alpha) - power

    highest = 1 - 1e-6
    if min(positives, negatives) < 1 or lacking(highest) < 0:
        return float("nan")
    return float(brentq(lacking, 0.5 + 1e-6, highest))


def t_test_power(effect: float, first: int, second: int, alpha: float = 0.05) -> float:
    """Power of a two-sided two-sample t test for Cohen's d (noncentral t).

    It is what clinical papers print post hoc. It says nothing about a classifier.
    """
    from scipy.stats import nct, t

    degrees = first + second - 2
    shift = effect * np.sqrt(first * second / (first + second))
    edge = t.ppf(1 - alpha / 2, degrees)
    return float(nct.sf(edge, degrees, shift) + nct.cdf(-edge, degrees, shift))


def planning_table(positives: int, negatives: int, level: float = LEVEL) -> pd.DataFrame:
    """Precision and power of this sample for AUCs from .6 to .9.

    It supposes one held-out score per person and independent people; the scores of k models are
    not quite independent, so take it as the best case.

    Returns
    -------
    pandas.DataFrame
        `quantity`, `value`, `ci_low`, `ci_high` (the interval to expect), `power`, `n`, `note`.
    """
    n = positives + negatives
    rows: list[tuple[object, ...]] = []
    nan = float("nan")
    for auc in AUCS:
        if min(positives, negatives) < 2:
            rows.append(("auc", auc, nan, nan, nan, n, "fewer than two of a class"))
            continue
        limits = auc_precision(auc, positives, negatives, level)
        power = auc_power(auc, positives, negatives, alpha=1 - level)
        rows.append(("auc", auc, *limits, power, n, "power against AUC .5"))
    least = smallest_detectable_auc(positives, negatives, alpha=1 - level)
    note = "" if least == least else "no AUC is found with power .8 in a sample this small"
    rows.append(("smallest_detectable_auc", least, nan, nan, _POWER, n, note))
    for name, size in (("accuracy", n), ("sensitivity", positives), ("specificity", negatives)):
        limits = wilson(0.75 * size, size, level)
        rows.append((name, 0.75, *limits, nan, size, "Wilson"))
    names = ["quantity", "value", "ci_low", "ci_high", "power", "n", "note"]
    return pd.DataFrame(rows, columns=pd.Index(names))


def plan_text(positives: int, negatives: int, level: float = LEVEL) -> str:
    """Say in a few lines what a sample of this size can show, before any training."""
    table = planning_table(positives, negatives, level)
    lines = [
        f"{positives} positive and {negatives} negative people, each scored once while held out:"
    ]
    known = table[table["quantity"] == "auc"]
    if known["power"].isna().all():
        return f"{lines[0]} too few of a class for anything."
    lines += [
        f"  true AUC {row['value']:.2f}: {level:.0%} interval about {row['ci_low']:.2f} to "
        f"{row['ci_high']:.2f}, power {row['power']:.2f} against chance"
        for _, row in known.iterrows()
    ]
    least = float(table.loc[table["quantity"] == "smallest_detectable_auc", "value"].iloc[0])
    if np.isfinite(least):
        lines.append(f"  smallest AUC found with power {_POWER:g}: {least:.2f}")
    else:
        lines.append(f"  no AUC is found with power {_POWER:g}")
    lines += [
        f"  {row['quantity']} of {row['value']:.2f}: {row['ci_low']:.2f} to {row['ci_high']:.2f}"
        for _, row in table[table["note"] == "Wilson"].iterrows()
    ]
    lines.append(
        "  This is the best case: models trained on other people would vary more "
        "(auc@retrained), and a confound or a small subgroup costs more still."
    )
    return "\n".join(lines)
