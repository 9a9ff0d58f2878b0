"""The clinical part of a model's bundle: the regressions that a run's added value was found by."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bidsapp.dataset.covariates import users_column
from bidsapp.errors import BadData
from bidsapp.evaluation.settings import settings_of_run
from bidsapp.evaluation.stacking import Design, StackFold, clinical_lacking, stack_folds
from bidsapp.evaluation.state import read_state, splits_of
from bidsapp.evaluation.tsv import read_table
from bidsapp.networks.clinical_part import KEY, ClinicalPart, TableModel
from bidsapp.representation.table_design import TableDesign

_CARRIED = "logistic"


def clinical_part(folder: Path, variant: str) -> ClinicalPart | None:
    """Fit the regressions of every fold of a run again, and write them as a bundle carries them.

    Parameters
    ----------
    folder
        Of the run.
    variant
        Whose networks' logits are joined.

    Returns
    -------
    ClinicalPart or None
        None where the run has no clinical columns, another model of them than the logistic one,
        or no scores by inner networks.
    """
    plan = settings_of_run(folder)
    if not plan.clinical or plan.clinical_model != _CARRIED:
        return None
    state = read_state(folder)
    cohort = state.measured
    if state.crossfit is None or variant not in set(state.crossfit["variant"]):
        return None
    if clinical_lacking(cohort, plan.clinical):
        return None
    splits = splits_of(state.splits, variant)
    try:
        folds = list(stack_folds(cohort, splits, (variant,), state.scores, state.crossfit))
    except BadData:
        return None  # the evaluation has said why
    models = {(one.repeat, one.fold): _models(cohort, plan.clinical, one) for one in folds}
    return ClinicalPart(tuple(plan.clinical), models, _found(folder, variant))


def _models(
    cohort: pd.DataFrame, names: tuple[str, ...], place: StackFold
) -> tuple[TableModel, TableModel]:
    clinical = Design.of(cohort, names)
    outcome = cohort["outcome"].to_numpy(dtype=int)
    there = list(map(str, cohort.columns))
    texts = {name: _texts(cohort[users_column(there, name) or name]) for name in names}
    stored = dict(zip(names, clinical.table.columns, strict=True))
    numbers = [name for name, column in stored.items() if column in clinical.numbers]
    rows = np.flatnonzero(place.train)
    design = TableDesign(names, KEY).fit(texts, rows, numbers)
    alone = clinical.fitted(_CARRIED, outcome, place.train)[-1]
    one = TableModel(design, _plain(alone.coef_[0]), float(alone.intercept_[0]))
    fitted = clinical.with_logits(place.logits).fitted(_CARRIED, outcome, place.train)[-1]
    coefficients = fitted.coef_[0]
    # the logit stands behind the columns of numbers, before what says where they are missing
    others = _plain(np.delete(coefficients, len(numbers)))
    (logits,) = place.logits.values()
    known = logits[place.train]
    sd = float(known.std()) or 1.0
    logit = (float(known.mean()), sd, float(coefficients[len(numbers)]))
    return one, TableModel(design, others, float(fitted.intercept_[0]), logit)


def _texts(column: "pd.Series[Any]") -> list[str]:
    return ["" if value is None or value != value else str(value) for value in column]


def _plain(values: np.ndarray) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def _found(folder: Path, variant: str) -> str:
    """Say what the run found that the scan adds."""
    path = folder / "tables" / "findings.tsv"
    if not path.is_file():
        return ""
    table = read_table(path, ("kind", "text"))
    mine = table[table["kind"] == "added"]
    if "variant" in table and (mine["variant"] == variant).any():
        mine = mine[mine["variant"] == variant]
    return str(mine["text"].iloc[0]) if len(mine) == 1 else ""
