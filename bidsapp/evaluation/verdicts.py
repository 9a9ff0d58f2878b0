"""What an AUC or a difference of AUCs shows: the one rule that every table and sentence uses."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

CHANCE = 0.5
ALPHA = 0.05
RETRAINED = "auc@retrained"
WITHIN = "auc@within"
LEADING = (WITHIN, RETRAINED, "auc")
"""Rows of metrics.tsv that may lead, the first that there is: its interval is the verdict's."""

ChanceVerdict = Literal["better", "worse", "not shown", "cannot be told"]
CHANCE_WORDS: Mapping[ChanceVerdict, str] = {
    "better": "better than chance (0.50)",
    "worse": "worse than chance (0.50)",
    "not shown": "not shown to differ from chance (0.50)",
    "cannot be told": "whether that is better than chance (0.50) cannot be told",
}


def against_chance(low: float, high: float) -> ChanceVerdict:
    """Judge an AUC against chance by the interval that leads (`LEADING`).

    Parameters
    ----------
    low, high
        Its limits; NaN where there is none.

    Returns
    -------
    str
        ``better`` where the interval lies above .5, ``worse`` where it lies below.
    """
    if not np.isfinite([low, high]).all():
        return "cannot be told"
    if low > CHANCE:
        return "better"
    return "worse" if high < CHANCE else "not shown"


def verdict(low: float, high: float, p_holm: float) -> str:
    """Say what a paired difference of AUCs shows.

    Parameters
    ----------
    low, high
        Its interval, uncorrected.
    p_holm
        Its p value after correction for all comparisons of the run; below `ALPHA` it counts.

    Returns
    -------
    str
        ``better`` or ``worse``; the same with ``, uncorrected`` where the interval lies beside 0
        and the corrected p is too large; ``no difference shown``; ``cannot be told`` where there
        is no interval.
    """
    if not np.isfinite([low, high, p_holm]).all():
        return "cannot be told"
    if low <= 0 <= high:
        return "no difference shown"
    side = "better" if low > 0 else "worse"
    return side if p_holm < ALPHA else f"{side}, uncorrected"


def after_correction(row: Mapping[Any, Any], side: str = "better") -> str:
    """Say why an uncorrected difference does not count; empty where there was none.

    Parameters
    ----------
    row
        Of `confounds.confound_check`, or of its table as text.
    side
        ``better`` or ``worse``: which of the two the sentence denies.
    """
    if row.get("verdict") != f"{side}, uncorrected":
        return ""
    count = int(float(row["comparisons"]))
    return f" after correction for {count} comparisons (p = {float(row['p_holm']):.3f}, Holm)"
