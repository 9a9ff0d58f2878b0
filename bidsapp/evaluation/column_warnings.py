"""What the cohort's columns will lack or give away, said before anything is trained."""

from collections.abc import Sequence

import pandas as pd

from bidsapp.derivatives.cohort_meanings import COHORT
from bidsapp.evaluation.baseline_models import BASELINES
from bidsapp.evaluation.baselines import lacking_for
from bidsapp.evaluation.image_flags import flag_sentences, with_flags
from bidsapp.evaluation.sample import absent_columns
from bidsapp.evaluation.separation import (
    association_sentences,
    separation_sentences,
    separation_table,
)
from bidsapp.evaluation.settings import EvaluationSettings
from bidsapp.evaluation.stacking import clinical_lacking

# What every run measures itself: the verdict on a unit, and a column of each kind in its table of
# measures. Which quality numbers there are hangs on the modality.
_MEASURED = ("quality", *(name.replace("*", "0") for name in COHORT["measures"]))


def lacking_columns(
    plan: EvaluationSettings, cohort: pd.DataFrame, measured: Sequence[str] = ()
) -> dict[str, str]:
    """Tell what an evaluation will leave out because the cohort's columns cannot serve it.

    Parameters
    ----------
    plan
        Of the run.
    cohort
        The cohort table.
    measured
        Quality numbers that are known of its scans, ``quality_<measure>``.

    Returns
    -------
    dict
        ``baseline <name>`` or ``subgroups by <column>`` -> why. Quality numbers, regions and
        handcrafted features are measured by the run itself.
    """
    lacking = {
        f"baseline {name}": lacking_for(
            BASELINES[name], cohort, plan.predictors, plan.site, (*_MEASURED, *measured)
        )
        for name in plan.baselines
        if name in BASELINES
    }
    if plan.clinical:
        lacking["added value"] = clinical_lacking(cohort, plan.clinical)
    known = {what: why for what, why in lacking.items() if why}
    return known | absent_columns(list(cohort.columns), plan.subgroups)


def column_warnings(
    plan: EvaluationSettings, cohort: pd.DataFrame, measured: pd.DataFrame | None = None
) -> list[str]:
    """Say what will be left out for want of a column, and which columns tell the classes apart.

    Parameters
    ----------
    plan
        Of the run.
    cohort
        The cohort table.
    measured
        The quality numbers of its scans, ``quality_<measure>``, where these are known.
    """
    known = () if measured is None else tuple(map(str, measured.columns))
    lacking = [f"No {what}: {why}." for what, why in lacking_columns(plan, cohort, known).items()]
    cohort = with_flags(cohort, cohort if measured is None else measured)
    alone = separation_table(cohort, plan.level)
    sentences = separation_sentences(alone, plan.same_as_outcome)
    sentences += association_sentences(alone)
    return lacking + flag_sentences(cohort) + [f"WARNING: {sentence}" for sentence in sentences]
