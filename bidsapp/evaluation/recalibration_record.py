"""The record in a recalibrated bundle: on whom it was fitted, how it was judged, before, after."""

from pathlib import Path
from typing import Any

from bidsapp.contracts.recalibration import Recalibration
from bidsapp.errors import BadData
from bidsapp.evaluation.tsv import is_missing, read_table
from bidsapp.evaluation.validation import RECALIBRATED, read_facts


def recalibration_record(
    folder: Path, kind: str, before: Recalibration | None = None
) -> tuple[Recalibration, dict[str, Any]]:
    """Give the recalibration of a validation, fitted on all its people, and how it was judged.

    Parameters
    ----------
    folder
        Of the validation, evaluated.
    kind
        ``intercept`` or ``slope``.
    before
        The recalibration that the validated bundle had, which the new one is put upon.

    Returns
    -------
    recalibration
        Of the mean of the fold models.
    record
        For the bundle's history: people, outcome, how it was judged, calibration before and after.

    Raises
    ------
    BadData
        These people do not allow it: too few, or scores that do not rise with the outcome.
    """
    facts = read_facts(folder)
    table = read_table(folder / "tables" / "recalibration.tsv", RECALIBRATED)
    row = table[table["kind"] == kind].iloc[0]
    if is_missing(row["intercept"]):
        raise BadData(f"--recalibrate {kind}: {row['note']}; no new bundle is written")
    new = Recalibration(kind, float(row["intercept"]), float(row["slope"]))
    if before is not None:
        slope = new.slope * before.slope
        shift = new.intercept + new.slope * before.intercept
        joint = "slope" if slope != 1 else kind
        new = Recalibration(joint, shift, slope)
    metrics = read_table(folder / "metrics.tsv", ("variant", "scope", "metric", "value"))
    model = str(facts["model"]["name"])
    judged: dict[str, Any] = {}
    for word, variant in (("before", model), ("after", str(row["variant"]))):
        rows = metrics[(metrics["variant"] == variant) & (metrics["scope"] == "pooled")]
        judged[word] = {
            str(one["metric"]): f"{one['value']} ({one['ci_low']} to {one['ci_high']})"
            for one in rows.to_dict("records")
            if one["metric"] in ("calibration_intercept", "calibration_slope", "brier")
        }
    cohort = read_table(folder / "cohort.tsv", ("participant_id", "outcome"))
    record = {
        "kind": kind,
        "people": int(cohort["participant_id"].nunique()),
        "positive_scans": int((cohort["outcome"] == "1").sum()),
        "outcome": facts["outcome"]["validation"],
        "judged": f"{row['folds']}-fold cross-validation among these people",
        **judged,
    }
    return new, record
