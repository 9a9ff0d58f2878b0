"""Who is in a group run, with which images, on one grid."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bidsapp.contracts.modality import Shared, modality_named
from bidsapp.errors import UsageError
from bidsapp.execution.work import own_folder
from bidsapp.options import RunOptions
from bidsapp.recipes import Recipe

if TYPE_CHECKING:
    import pandas as pd

    from bidsapp.dataset.cohort import Cohort


def cohort_of(recipe: Recipe, variants: Sequence[str], options: RunOptions) -> "Cohort":
    """Find who is in, with which images; nothing is written."""
    from bidsapp.dataset.carried import for_terminal
    from bidsapp.dataset.cohort import build_cohort
    from bidsapp.dataset.normalized import Wanted
    from bidsapp.evaluation.settings import asked_columns

    first = recipe.with_variant(variants[0])
    channels: list[str] = []
    for name in variants:
        channels += recipe.with_variant(name).representation.channels
    wanted = first.preparation
    modality = modality_named(wanted.modality)
    labels = modality.labels(wanted, own_folder(options.work_dir))
    cohort = build_cohort(
        options.bids_dir,
        options.output_dir,
        first.outcome,
        wanted=Wanted(modality, labels, wanted.plain()),
        channels=tuple(dict.fromkeys(channels)),
        group_column=recipe.group_column(variants),
        lone_groups=recipe.lone_groups(variants),
        asked=asked_columns(recipe, variants),
        missing_values=recipe.tables.missing,
        same_as_outcome=recipe.tables.same_as_outcome,
        derivatives=options.derivatives,
        participant_label=options.participant_label,
        session_label=options.session_label,
        threads=options.nprocs,
    )
    for note in for_terminal(cohort.notes):
        print(note, file=sys.stderr)
    for name in variants:
        _require_covariates(recipe.with_variant(name), cohort.table)
    return cohort


def _require_covariates(recipe: Recipe, cohort: "pd.DataFrame") -> None:
    """Refuse columns that networks are to be given and the cohort does not have."""
    from bidsapp.dataset.covariates import SIDECAR, user_name, users_column, users_columns

    there = list(map(str, cohort.columns))
    for name in recipe.network.covariates:
        column = users_column(there, name)
        if name.startswith(SIDECAR):
            raise UsageError(
                f"network.covariates: {name} says how the scan was made and is not asked of new "
                "people; name columns of the dataset's tables."
            )
        if column is None:
            theirs = ", ".join(user_name(c) for c in users_columns(there))
            raise UsageError(
                f"network.covariates: no column {name!r} in the cohort (the outcome's own columns "
                f"are none of it); there are {theirs or 'none'}."
            )
        if cohort[column].isna().all():
            raise UsageError(f"network.covariates: column {name!r} has no value for anybody.")


def tell_columns(recipe: Recipe, cohort: "Cohort") -> None:
    """Say what the cohort's columns will lack for the evaluation, or give away of the outcome."""
    from bidsapp.evaluation.column_warnings import column_warnings
    from bidsapp.evaluation.settings import settings_from_recipe

    for sentence in column_warnings(settings_from_recipe(recipe), cohort.table):
        print(sentence, file=sys.stderr)


def recorded(recipe: Recipe, cohort: "Cohort") -> Recipe:
    """Write what counts as negative into the recipe that a run keeps, where nobody named it."""
    if not cohort.negative or recipe.outcome.negative is not None:
        return recipe
    if any(key.startswith("outcome") for values in recipe.variants.values() for key in values):
        return recipe
    return recipe.with_values({"outcome.negative": list(cohort.negative)})


def shared_of(recipe: Recipe, variants: Sequence[str], options: RunOptions) -> Shared:
    """Find or make what the images were prepared with: the template on their grid."""
    wanted = recipe.with_variant(variants[0]).preparation
    return modality_named(wanted.modality).shared(wanted, own_folder(options.work_dir))


def on_one_grid(
    people: "Cohort", recipe: Recipe, variants: Sequence[str], options: RunOptions
) -> tuple["Cohort", Path]:
    """Bring the people's images onto one grid; with the mask of where their values lie on it."""
    wanted = recipe.with_variant(variants[0]).preparation
    modality = modality_named(wanted.modality)
    own = own_folder(options.work_dir)
    shared = modality.shared(wanted, own)
    return modality.conformed(people, shared, wanted, own / "conformed"), modality.mask(shared)
