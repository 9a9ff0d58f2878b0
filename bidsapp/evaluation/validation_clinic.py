"""The clinical part of a bundle on new people: columns alone, with the scan, what that adds."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from bidsapp.evaluation.added_value import COLUMNS, TEST, added_value
from bidsapp.evaluation.held_out import HeldOut
from bidsapp.evaluation.settings import CLINICAL, EvaluationSettings
from bidsapp.evaluation.stacking import with_image
from bidsapp.evaluation.validation_words import outside_of, recalibrations, row_of, shown

_SHOWN = {"auc": ("AUC", 2), "brier": ("Brier score", 3), "net_benefit": ("net benefit", 3)}


def clinical_rows(scores: pd.DataFrame, model: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Take the scores of the columns alone, and of columns and scan; empty where there are none."""
    alone, both = (scores[scores["variant"] == name] for name in (CLINICAL, with_image(model)))
    return alone, both


def added_here(scores: pd.DataFrame, model: str, plan: EvaluationSettings) -> pd.DataFrame:
    """Measure what the scan adds to the clinical columns in new people.

    Nobody of them was seen by any of the models, so that no variance is widened.

    Parameters
    ----------
    scores
        Of the model, of its columns alone, and of both, in the columns of scores.tsv.
    model
        Its name.

    Returns
    -------
    pandas.DataFrame
        Columns `added_value.COLUMNS`; empty where there is no clinical part.
    """
    alone, both = clinical_rows(scores, model)
    if alone.empty or both.empty:
        return pd.DataFrame(columns=pd.Index(COLUMNS))
    image = scores[scores["variant"] == model]
    found = added_value(alone, both, image, HeldOut(), plan.net_benefit_range, plan.level)
    return found.assign(first=CLINICAL, second=with_image(model))[list(COLUMNS)]


def combined_sentence(
    model: str,
    facts: Mapping[str, Any],
    metrics: pd.DataFrame,
    added: pd.DataFrame,
    recalibrated: pd.DataFrame,
) -> str:
    """Say how the clinical part fared: alone, with the scan, its calibration, and recalibrated."""
    told = facts.get("clinical") or {}
    if told.get("why"):
        return f"The clinical part of the model was not judged: {told['why']}."
    if added.empty:
        return ""
    both = with_image(model)
    rows = {str(row["measure"]): row for row in added.to_dict("records")}
    area = rows["auc"]
    names = ", ".join(map(str, told.get("columns", ())))
    gains = "; ".join(
        f"{word} {rows[key]['gain']:+.{digits}f} ({rows[key]['ci_low']:.{digits}f} to "
        f"{rows[key]['ci_high']:.{digits}f})"
        for key, (word, digits) in _SHOWN.items()
        if rows[key]["gain"] == rows[key]["gain"]
    )
    p = rows[TEST]["p"]
    test = f"; likelihood-ratio test of the scan's logit p = {p:.2g}" if p == p else ""
    adds = "adds" if area["ci_low"] > 0 else "is not shown to add anything"
    large = row_of(metrics, both, "calibration_intercept")
    wrong = (
        "its probabilities do not hold here" if outside_of(large, 0) else "not shown to be wrong"
    )
    return (
        f"From {names} alone the AUC is {shown(row_of(metrics, CLINICAL, 'auc'))}, from them and "
        f"the scan {shown(row_of(metrics, both, 'auc'))}: beyond them the scan {adds} in these "
        f"people ({gains}{test}). Calibration in the large of both together {shown(large)}, slope "
        f"{shown(row_of(metrics, both, 'calibration_slope'))}: {wrong}."
        f"{_recalibrated(metrics, recalibrated)}"
    )


def _recalibrated(metrics: pd.DataFrame, table: pd.DataFrame) -> str:
    """Say what recalibrating the joined probability would give."""
    told = [
        f"{what}: in the large {shown(after)}, Brier {shown(row_of(metrics, variant, 'brier'), 3)}"
        for what, after, variant in recalibrations(metrics, table)
    ]
    if not told:
        return ""
    return f" Recalibrated, both together, by cross-validation here: {'; '.join(told)}."
