"""What a model card prints of one variant: held-out results, subgroups, what weakens them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from bidsapp.evaluation.chance import LEADING, RETRAINED, WITHIN, chance_words
from bidsapp.evaluation.intervals import LEVEL
from bidsapp.evaluation.prevalence import SCOPE
from bidsapp.evaluation.tsv import read_table

_ON_THE_CARD = (
    "auc",
    RETRAINED,
    WITHIN,
    "balanced_accuracy",
    "sensitivity",
    "specificity",
    "brier",
)
_AT_PREVALENCE = ("precision", "negative_predictive_value", "calibration_intercept")
_SUBGROUP = "subgroup:"
_WEAKENING = ("confound", "baseline")
_OF_ALL = ("separation", "tried", "small")


def pooled_results(folder: Path, variant: str, level: float = LEVEL) -> dict[str, str]:
    """Read what was pooled over the held-out people of a run, and what it shows.

    Parameters
    ----------
    folder
        The run's; its ``metrics.tsv`` is read.
    variant
        Name of a variant or ensemble.
    level
        Coverage of the run's intervals.

    Returns
    -------
    dict
        Metric to text, as in ``{"auc": "0.71 (95 % CI 0.62 to 0.80, delong)"}``; predictive values
        at a prevalence of the recipe as ``precision, prevalence=0.05``; the judgement against
        chance under ``against chance``.

    Raises
    ------
    NoInput, BadData
        The table is not there, or cannot be used.
    """
    columns = ("variant", "scope", "metric", "value", "ci_low", "ci_high", "ci_method", "note")
    table = read_table(folder / "metrics.tsv", columns)
    mine = table[(table["variant"] == variant) & (table["value"] != "n/a")]
    pooled = mine[(mine["scope"] == "pooled") & mine["metric"].isin(_ON_THE_CARD)]
    found = {row["metric"]: _with_interval(row, level) for row in pooled.to_dict("records")}
    elsewhere = mine[mine["scope"].str.startswith(SCOPE) & mine["metric"].isin(_AT_PREVALENCE)]
    found |= {
        f"{row['metric']}, {row['scope']}": _with_interval(row, level)
        for row in elsewhere.to_dict("records")
    }
    led = [pooled[pooled["metric"] == metric] for metric in LEADING]
    leads = next((rows.iloc[0] for rows in led if len(rows)), None)
    if leads is not None:
        low, high = pd.to_numeric(leads[["ci_low", "ci_high"]], errors="coerce")
        found["against chance"] = chance_words(low, high, str(leads["note"]))
    return found


def subgroup_results(folder: Path, variant: str, level: float = LEVEL) -> dict[str, str]:
    """Read the held-out AUC of every subgroup; ``sex=F`` to text. Arguments as `pooled_results`."""
    columns = ("variant", "scope", "metric", "value", "ci_low", "ci_high", "ci_method", "n")
    table = read_table(folder / "metrics.tsv", columns)
    rows = table[(table["variant"] == variant) & (table["metric"] == "auc")]
    rows = rows[rows["scope"].str.startswith(_SUBGROUP) & (rows["value"] != "n/a")]
    cohort = read_table(folder / "cohort.tsv", ("participant_id",))
    unit = "scans" if cohort["participant_id"].duplicated().any() else "people"
    return {
        row["scope"].removeprefix(_SUBGROUP): f"{_with_interval(row, level)}, n = {row['n']} {unit}"
        for row in rows.to_dict("records")
    }


def doubts(folder: Path, variant: str) -> tuple[str, ...]:
    """Read what weakens the results of a variant, in the sentences of ``tables/findings.tsv``.

    Steps that are known to leak are not among them: they stand above everything as stamps.
    """
    table = read_table(folder / "tables" / "findings.tsv", ("kind", "text"))
    return tuple(
        text
        for kind, text in zip(table["kind"], table["text"], strict=True)
        if kind in _OF_ALL
        or (kind in _WEAKENING and f"{variant} (AUC" in text)
        or text.startswith(f"LEAK?: {variant}:")
    )


def _with_interval(row: Mapping[Any, str], level: float) -> str:
    value = f"{float(row['value']):.2f}"
    if row["ci_low"] in ("", "n/a"):
        return value
    low, high = float(row["ci_low"]), float(row["ci_high"])
    return f"{value} ({100 * level:g} % CI {low:.2f} to {high:.2f}, {row['ci_method']})"
