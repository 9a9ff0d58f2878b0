"""What a model card prints of one variant: held-out results, subgroups, what weakens them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bidsapp.evaluation.tables import read_table

_ON_THE_CARD = ("auc", "auc@retrained", "accuracy", "sensitivity", "specificity", "brier")
_SUBGROUP = "subgroup:"
_WEAKENING = ("confound", "baseline")


def pooled_results(folder: Path, variant: str) -> dict[str, str]:
    """Read what was pooled over the held-out people of a run.

    Parameters
    ----------
    folder
        The run's; its ``metrics.tsv`` is read.
    variant
        Name of a variant or ensemble.

    Returns
    -------
    dict
        Metric to text, as in ``{"auc": "0.71 (95 % CI 0.62 to 0.80, delong)"}``.

    Raises
    ------
    NoInput, BadData
        The table is not there, or cannot be used.
    """
    columns = ("variant", "scope", "metric", "value", "ci_low", "ci_high", "ci_method")
    table = read_table(folder / "metrics.tsv", columns)
    rows = table[(table["variant"] == variant) & (table["scope"] == "pooled")]
    rows = rows[rows["metric"].isin(_ON_THE_CARD) & (rows["value"] != "n/a")]
    return {row["metric"]: _with_interval(row) for row in rows.to_dict("records")}


def subgroup_results(folder: Path, variant: str) -> dict[str, str]:
    """Read the held-out AUC of every subgroup; ``sex=F`` to text. Arguments as `pooled_results`."""
    columns = ("variant", "scope", "metric", "value", "ci_low", "ci_high", "ci_method", "n")
    table = read_table(folder / "metrics.tsv", columns)
    rows = table[(table["variant"] == variant) & (table["metric"] == "auc")]
    rows = rows[rows["scope"].str.startswith(_SUBGROUP) & (rows["value"] != "n/a")]
    cohort = read_table(folder / "cohort.tsv", ("participant_id",))
    unit = "scans" if cohort["participant_id"].duplicated().any() else "people"
    return {
        row["scope"].removeprefix(_SUBGROUP): f"{_with_interval(row)}, n = {row['n']} {unit}"
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
        if kind in ("small", "tried")
        or (kind in _WEAKENING and f"{variant} (AUC" in text)
        or text.startswith(f"LEAK?: {variant}:")
    )


def _with_interval(row: Mapping[Any, str]) -> str:
    value = f"{float(row['value']):.2f}"
    if row["ci_low"] in ("", "n/a"):
        return value
    low, high = float(row["ci_low"]), float(row["ci_high"])
    return f"{value} (95 % CI {low:.2f} to {high:.2f}, {row['ci_method']})"
