"""The one rule by which a forecast is called better than chance, and its reading from a run."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from bidsapp.evaluation.tsv import read_table

CHANCE = 0.5
BETTER, WORSE, NOT_SHOWN, UNKNOWN = "better", "worse", "not shown", "cannot be told"
CHANCE_WORDS = {
    BETTER: "better than chance (0.50)",
    WORSE: "worse than chance (0.50)",
    NOT_SHOWN: "not shown to differ from chance (0.50)",
    UNKNOWN: "whether that is better than chance (0.50) cannot be told",
}
RETRAINED, WITHIN = "auc@retrained", "auc@within"
LEADING = (WITHIN, RETRAINED, "auc")
"""Rows of metrics.tsv that may lead, the first that there is: its interval is the verdict's."""


def against_chance(low: float, high: float) -> str:
    """Compare the interval of an AUC with chance.

    Parameters
    ----------
    low, high
        Its limits; NaN where there are none.

    Returns
    -------
    str
        `BETTER`, `WORSE`, `NOT_SHOWN` (the interval holds .5), or `UNKNOWN`.
    """
    if np.isnan(low) or np.isnan(high):
        return UNKNOWN
    if low > CHANCE:
        return BETTER
    return WORSE if high < CHANCE else NOT_SHOWN


def chance_words(low: float, high: float, stamp: str = "") -> str:
    """Say what the interval of an AUC shows against chance.

    Parameters
    ----------
    low, high
        Its limits; NaN where there are none.
    stamp
        That of the scores, ``LEAK: step`` or ``LEAK?: step``: where people who are scored were
        seen, or may have been, the interval shows nothing, wherever it lies.
    """
    if stamp.startswith("LEAK: "):
        return "which shows nothing, as something was fitted or chosen on held-out people (LEAK)"
    if stamp.startswith("LEAK?"):
        return "which shows nothing if something was fitted or chosen on held-out people (LEAK?)"
    return CHANCE_WORDS[against_chance(low, high)]


@dataclass(frozen=True)
class Forecast:
    """How well a variant forecasts people whom it has not seen.

    Attributes
    ----------
    auc, low, high
        The AUC that leads and its interval, 0 to 1; NaN where undefined.
    n
        People or scans that entered.
    note
        Why there is no interval.
    leak
        By which steps held-out people were seen; empty where they were not.
    """

    auc: float
    low: float
    high: float
    n: int = 0
    note: str = ""
    leak: str = ""

    @property
    def verdict(self) -> str:
        """`BETTER`, `WORSE`, `NOT_SHOWN` or `UNKNOWN`."""
        return against_chance(self.low, self.high)


NO_FORECAST = Forecast(float("nan"), float("nan"), float("nan"), note="there are no metrics")


def leading_forecast(metrics: pd.DataFrame, variant: str) -> Forecast:
    """Take the AUC by which a variant is judged from the rows of ``metrics.tsv``.

    That is the first of `LEADING`: the AUC within folds where folds cannot be compared, else the
    pooled one with the interval that allows for training on other people, else the plain one.
    """
    pooled = metrics[(metrics["variant"] == variant) & (metrics["scope"] == "pooled")]
    for metric in LEADING:
        for row in pooled[pooled["metric"] == metric].to_dict("records"):
            keys = ("value", "ci_low", "ci_high")
            auc, low, high = (float(pd.to_numeric(row[key], errors="coerce")) for key in keys)
            note = "" if row["note"] in ("", "n/a") or pd.isna(row["note"]) else str(row["note"])
            return Forecast(auc, low, high, int(row["n"]), note)
    return NO_FORECAST


def read_forecast(folder: Path, variant: str) -> Forecast:
    """Read `leading_forecast` from the ``metrics.tsv`` of a run; `NO_FORECAST` without the file."""
    path = folder / "metrics.tsv"
    needed = ("variant", "scope", "metric", "value", "ci_low", "ci_high", "n", "note")
    return leading_forecast(read_table(path, needed), variant) if path.is_file() else NO_FORECAST
