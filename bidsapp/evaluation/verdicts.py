"""What a paired difference of AUCs shows: the one rule that every table and sentence uses."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

ALPHA = 0.05


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


def after_correction(row: Mapping[Any, Any] | pd.Series, side: str = "better") -> str:
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
