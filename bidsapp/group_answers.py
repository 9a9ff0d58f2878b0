"""Predict a cohort with a bundle: its answers, each fold model's, and about whom it gives none."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bidsapp.contracts.abstention import UNLIKE
from bidsapp.contracts.unit import unit_columns, with_part
from bidsapp.dataset.covariates import users_column
from bidsapp.evaluation.settings import CLINICAL
from bidsapp.evaluation.stacking import with_image
from bidsapp.execution.status import telling
from bidsapp.recipes import Recipe
from bidsapp.training.columns import SCORES

if TYPE_CHECKING:
    from bidsapp.dataset.cohort import Cohort
    from bidsapp.networks.bundle import Bundle

_AT_ONCE = 32
CALIBRATED = ("calibrated", "calibrated_low", "calibrated_high")


@dataclass(frozen=True)
class Predicted:
    """What a bundle says of a cohort.

    Attributes
    ----------
    scores
        A row per scan, as scores.tsv has it.
    fold_models
        A row per scan and fold model, before any recalibration.
    answers
        A row per scan: how unlike training people it is, how the fold models disagree, whether
        there is no answer; None where the bundle carries nothing of that.
    """

    scores: pd.DataFrame
    fold_models: pd.DataFrame
    answers: pd.DataFrame | None


def unused_clinic(bundle: "Bundle", table: pd.DataFrame) -> str:
    """Say why the clinical part of a bundle gives no answer of a cohort; empty where it does."""
    part = bundle.about.clinical
    if part is None:
        return "the bundle has none"
    if bundle.about.recalibration is not None and not bundle.about.clinic_recalibration:
        return (
            "the model was recalibrated since, and its clinical part was not: on people without "
            "its columns, on too few, or by an earlier version"
        )
    there = list(map(str, table.columns))
    absent = [name for name in part.names if users_column(there, name) is None]
    return f"the tables of these people have no column {', '.join(absent)}" if absent else ""


def predict_cohort(
    bundle: "Bundle", recipe: Recipe, cohort: "Cohort", mask: Path, device: str
) -> Predicted:
    """Predict everybody of a cohort with all fold models.

    Raises
    ------
    BadData
        The images lie on another grid than the model reads.
    """
    from bidsapp.networks.familiarity import judge
    from bidsapp.networks.predict import predict, stacked
    from bidsapp.representation.sample import cohort_rows, read_mask, read_sample

    template, rows = read_mask(mask), cohort_rows(cohort)
    quality = [dict(file.quality_numbers) for file in cohort.files]
    units = cohort.table[unit_columns(cohort.table)].reset_index(drop=True)
    known = cohort.table.fillna("").astype(str)
    parts, judged = [], []
    with telling("prediction"):
        for start in range(0, len(rows), _AT_ONCE):
            samples = []
            for row in rows[start : start + _AT_ONCE]:
                sample, space = read_sample(row, recipe.representation, template)
                bundle.require(space)
                samples.append(sample)
            some = slice(start, start + _AT_ONCE)
            texts = {str(name): known[name].iloc[some].tolist() for name in known}
            images = stacked(bundle, samples)
            found = predict(bundle, images, device, columns=texts)
            parts.append(found.per_model)
            if bundle.about.familiar is None:
                continue
            one = judge(
                bundle.about.familiar, found.features, images, quality[some], found.per_model
            )
            judged.append(
                units[some].assign(
                    **one.distances,
                    unlikeness=one.unlikeness,
                    most_unlike=one.most_unlike,
                    disagreement=one.disagreement,
                    no_answer=one.reasons,
                )
            )
    per_model = np.concatenate(parts)
    answers = _answers(bundle, units, per_model, judged)
    table = cohort.table.assign(
        variant=bundle.name, repeat=0, fold=0, probability=bundle.answers(per_model)
    )
    whole = [table]
    part = bundle.about.clinical
    if part is not None and not unused_clinic(bundle, cohort.table):
        there = {name: users_column(map(str, known), name) or name for name in part.names}
        columns = {name: known[place].tolist() for name, place in there.items()}
        names = (CLINICAL, with_image(bundle.name))
        for name, values in zip(names, bundle.with_clinic(columns, per_model), strict=True):
            whole.append(table.assign(variant=name, probability=values))
    table = pd.concat(whole, ignore_index=True)
    each = [
        units.assign(repeat=model.repeat, fold=model.fold, probability=per_model[:, place])
        for place, model in enumerate(bundle.models)
    ]
    return Predicted(
        table[with_part(SCORES, table)].reset_index(drop=True),
        pd.concat(each),
        answers,
    )


def _answers(
    bundle: "Bundle", units: pd.DataFrame, per_model: np.ndarray, judged: list[pd.DataFrame]
) -> pd.DataFrame | None:
    """Join why there is no answer with what probabilities are worth; None where neither is told."""
    line = bundle.about.calibrated
    if not judged and line is None:
        return None
    table = pd.concat(judged) if judged else units.copy()
    if line is not None:
        likely = line.of(per_model.mean(axis=1))
        alike = table["no_answer"] != UNLIKE if judged else np.ones(len(table), bool)
        for name, values in zip(CALIBRATED, likely, strict=True):
            table[name] = np.where(alike, values, np.nan)
    return table
