"""The record in a recalibrated bundle: on whom it was fitted, how it was judged, before, after."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from bidsapp.contracts.abstention import SIGNALS, Limits
from bidsapp.contracts.recalibration import Recalibration
from bidsapp.contracts.unit import PARTICIPANT, unit_columns
from bidsapp.errors import BadData
from bidsapp.evaluation.abstention import fit_limits
from bidsapp.evaluation.settings import CLINICAL, settings_of_run
from bidsapp.evaluation.stacking import with_image
from bidsapp.evaluation.tsv import is_missing, read_table
from bidsapp.evaluation.validation import RECALIBRATED
from bidsapp.evaluation.validation_files import read_facts

_CLINIC = {"clinical": "columns alone", "combined": "columns and scan"}
_JUDGED = ("calibration_intercept", "calibration_slope", "brier")


def recalibration_record(
    folder: Path,
    kind: str,
    before: Recalibration | None = None,
    clinic_before: Mapping[str, Recalibration] | None = None,
) -> tuple[Recalibration, dict[str, Recalibration], dict[str, Any]]:
    """Give the recalibration of a validation, fitted on all its people, and how it was judged.

    Parameters
    ----------
    folder
        Of the validation, evaluated.
    kind
        ``intercept`` or ``slope``.
    before, clinic_before
        The recalibrations that the validated bundle had, which the new ones are put upon.

    Returns
    -------
    recalibration
        Of the mean of the fold models.
    clinic
        Of the bundle's clinical part: ``clinical`` of the columns alone, ``combined`` of columns
        and scan. Empty where the bundle has none, or these people do not allow one of them.
    record
        For the bundle's history: people, outcome, how it was judged, calibration before and after.

    Raises
    ------
    BadData
        These people do not allow it: too few, or scores that do not rise with the outcome.
    """
    facts = read_facts(folder)
    row = _row(folder, "recalibration", kind)
    if row is None or is_missing(row["intercept"]):
        why = "it holds none" if row is None else row["note"]
        raise BadData(f"--recalibrate {kind}: {why}; no new bundle is written")
    metrics = read_table(folder / "metrics.tsv", ("variant", "scope", "metric", "value"))
    model = str(facts["model"]["name"])
    clinic, told = _clinic(folder, kind, metrics, model, dict(clinic_before or {}))
    if why := (facts.get("clinical") or {}).get("why"):
        told = {"clinical_part": f"gives no answer any more; {why}"}
    new = _of(row, kind).upon(before)
    cohort = read_table(folder / "cohort.tsv", ("participant_id", "outcome"))
    record = {
        "kind": kind,
        "people": int(cohort["participant_id"].nunique()),
        "positive_scans": int((cohort["outcome"] == "1").sum()),
        "outcome": facts["outcome"]["validation"],
        "judged": f"{row['folds']}-fold cross-validation among these people",
        **_judged(metrics, model, str(row["variant"])),
        **told,
    }
    return new, clinic, record


def limits_of_validation(folder: Path, kind: str, new: Recalibration) -> Limits | None:
    """Fit on the people of a validation from when on the recalibrated model does not answer.

    How far they are from the training people is told anew by them: where a scanner makes everybody
    unlike those of training, who is unlike its own people is what counts. Errors are those of the
    cross-validated recalibration.

    Parameters
    ----------
    folder
        Of the validation, evaluated.
    kind
        ``intercept`` or ``slope``.
    new
        The recalibration of the mean of the fold models, whatever was done to it before.

    Returns
    -------
    Limits or None
        None where the validation does not know how far its people are, or has too few of them.
    """
    path = folder / "answers.tsv"
    if not path.is_file():
        return None
    apart = read_table(path, (PARTICIPANT,))
    signals = [name for name in SIGNALS if name in apart]
    name = f"{read_facts(folder)['model']['name']}-{kind}"
    scores = read_table(folder / "scores.tsv", (PARTICIPANT, "outcome", "probability"))
    keys = unit_columns(apart)
    rows = apart[[*keys, *signals]].merge(scores[scores["variant"] == name], on=keys, how="inner")
    if not signals or rows.empty:
        return None
    limits = fit_limits(
        {one: pd.to_numeric(rows[one], errors="coerce").to_numpy(float) for one in signals},
        rows["outcome"].astype(float).to_numpy(),
        new.undo(rows["probability"].astype(float).to_numpy()),
        rows[PARTICIPANT].to_numpy(),
        float(new.undo(settings_of_run(folder).threshold)),
    )
    return None if limits is None else replace(limits, refitted=True)


def _clinic(
    folder: Path,
    kind: str,
    metrics: pd.DataFrame,
    model: str,
    before: dict[str, Recalibration],
) -> tuple[dict[str, Recalibration], dict[str, Any]]:
    """Give the recalibrations of the clinical part, and what is said of them in the record."""
    rows = {name: _row(folder, f"recalibration_{name}", kind) for name in _CLINIC}
    there = {name: row for name, row in rows.items() if row is not None}
    if len(there) < len(_CLINIC):
        return {}, {}
    failed = [
        f"{_CLINIC[name]}: {row['note']}"
        for name, row in there.items()
        if is_missing(row["intercept"])
    ]
    if failed:  # the three answers of a bundle belong together
        return {}, {"clinical_part": f"gives no answer any more; {'; '.join(failed)}"}
    was = {"clinical": CLINICAL, "combined": with_image(model)}
    told = {
        _CLINIC[name]: _judged(metrics, was[name], str(row["variant"]))
        for name, row in there.items()
    }
    made = {name: _of(row, kind).upon(before.get(name)) for name, row in there.items()}
    return made, {"clinical_part": told}


def _row(folder: Path, name: str, kind: str) -> Mapping[str, Any] | None:
    """Find the row of one kind in a table of recalibrations; None where there is none."""
    path = folder / "tables" / f"{name}.tsv"
    if not path.is_file():
        return None
    table = read_table(path, RECALIBRATED)
    rows = table[table["kind"] == kind]
    return {str(name): value for name, value in rows.iloc[0].items()} if len(rows) else None


def _of(row: Mapping[str, Any], kind: str) -> Recalibration:
    return Recalibration(kind, float(row["intercept"]), float(row["slope"]))


def _judged(metrics: pd.DataFrame, before: str, after: str) -> dict[str, dict[str, str]]:
    """Give the calibration of a model as it was and as it would be, with intervals."""
    found = {}
    for word, variant in (("before", before), ("after", after)):
        rows = metrics[(metrics["variant"] == variant) & (metrics["scope"] == "pooled")]
        found[word] = {
            str(one["metric"]): f"{one['value']} ({one['ci_low']} to {one['ci_high']})"
            for one in rows.to_dict("records")
            if one["metric"] in _JUDGED
        }
    return found
