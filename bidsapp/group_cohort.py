"""Who is in a group run, with which images, on one grid."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bidsapp.contracts.modality import modality_named
from bidsapp.derivatives.shown import BIDS_DIR, MODEL, OUTPUT_DIR
from bidsapp.errors import BadData, NoInput, UsageError
from bidsapp.execution.work import own_folder
from bidsapp.options import RunOptions
from bidsapp.recipes import Recipe, by_preparation

if TYPE_CHECKING:
    import pandas as pd

    from bidsapp.dataset.cohort import Cohort

PREPARE = f"nocicast {BIDS_DIR} {OUTPUT_DIR} participant --model {MODEL}"
"""The command that prepares new people as a model needs them."""


def cohort_of(recipe: Recipe, variants: Sequence[str], options: RunOptions) -> "Cohort":
    """Find who is in, with which images; nothing is written.

    Where variants are given images of several preparations, those are in who have all of them.
    """
    from bidsapp.dataset.beside import in_both

    first, *others = by_preparation(recipe, [*variants, *recipe.stages(variants)])
    _require_own_names(recipe, [first, *others], options)
    cohort = _cohort(recipe, variants, [name for name in first if name in variants], options)
    for names in others:
        try:
            other = _cohort(recipe, variants, names, options)
        except (BadData, NoInput) as error:
            raise type(error)(f"images of {', '.join(names)}: {error}") from error
        cohort = in_both(cohort, other, names)
    return cohort


def _require_own_names(recipe: Recipe, sets: Sequence[Sequence[str]], options: RunOptions) -> None:
    """Refuse preparations that differ in what names of files do not say: there is one file."""
    found: dict[tuple[str, ...], str] = {}
    for name, *_ in sets if len(sets) > 1 else ():
        wanted = recipe.with_variant(name).preparation
        labels = modality_named(wanted.modality).labels(wanted, own_folder(options.work_dir))
        key = (wanted.modality, *(f"{one}-{text}" for one, text in labels.items()))
        if key in found:
            raise UsageError(
                f"variants {found[key]} and {name} differ in preparation, but not in the names of "
                f"their files ({' '.join(key)}), so that one output folder cannot hold both. Run "
                f"{name} by itself, into a folder of its own: --variants {name}."
            )
        found[key] = name


def _cohort(
    recipe: Recipe, variants: Sequence[str], names: Sequence[str], options: RunOptions
) -> "Cohort":
    """Find who is in, of the people of all variants, with the images of some of these."""
    from bidsapp.dataset.carried import for_terminal
    from bidsapp.dataset.cohort import build_cohort
    from bidsapp.dataset.made_with import require_made_with
    from bidsapp.dataset.normalized import Wanted
    from bidsapp.evaluation.settings import asked_columns, evaluated_columns

    channels: list[str] = []
    for name in names:
        channels += recipe.with_variant(name).representation.channels
    wanted = recipe.with_variant(names[0]).preparation
    modality = modality_named(wanted.modality)
    labels = modality.labels(wanted, own_folder(options.work_dir))
    cohort = build_cohort(
        options.bids_dir,
        options.output_dir,
        recipe.with_variant(variants[0]).outcome,
        wanted=Wanted(modality, labels, wanted.plain()),
        channels=tuple(dict.fromkeys(channels)),
        group_column=recipe.group_column(variants),
        lone_groups=recipe.lone_groups(variants),
        asked=asked_columns(recipe, variants),
        of_parts=evaluated_columns(recipe, variants),
        missing_values=recipe.tables.missing,
        same_as_outcome=recipe.tables.same_as_outcome,
        derivatives=options.derivatives,
        participant_label=options.participant_label,
        session_label=options.session_label,
        dated=recipe.dated(variants),
        threads=options.nprocs,
    )
    require_made_with(wanted, cohort, _as_the_model() if options.model else "")
    for note in for_terminal(cohort.notes):
        print(note, file=sys.stderr)
    for name in variants:
        _require_covariates(recipe.with_variant(name), cohort.table)
    return cohort


def _as_the_model() -> str:
    return f"A model is not given images of another kind; prepare these people for it: {PREPARE}"


def _require_covariates(recipe: Recipe, cohort: "pd.DataFrame") -> None:
    """Refuse columns that networks or fitted steps are to be given and the cohort does not have."""
    from bidsapp.dataset.covariates import SIDECAR, user_name, users_column, users_columns

    there = list(map(str, cohort.columns))
    asked_by = dict.fromkeys(recipe.network.covariates, "network.covariates")
    for step in recipe.representation.asked():
        asked_by |= dict.fromkeys(step.columns, step.key.removesuffix(".fit"))
    for name, key in asked_by.items():
        column = users_column(there, name)
        if name.startswith(SIDECAR):
            raise UsageError(
                f"{key}: {name} says how the scan was made and is not asked of new "
                "people; name columns of the dataset's tables."
            )
        if column is None:
            theirs = ", ".join(user_name(c) for c in users_columns(there))
            raise UsageError(
                f"{key}: no column {name!r} in the cohort (the outcome's own columns "
                f"are none of it); there are {theirs or 'none'}."
            )
        if cohort[column].isna().all():
            raise UsageError(f"{key}: column {name!r} has no value for anybody.")


def tell_columns(recipe: Recipe, cohort: "Cohort") -> None:
    """Say what the cohort's columns will lack for the evaluation, or give away of the outcome."""
    from bidsapp.dataset.beside import measured_quality
    from bidsapp.evaluation.column_warnings import column_warnings
    from bidsapp.evaluation.settings import settings_from_recipe

    quality = measured_quality(cohort)
    for sentence in column_warnings(settings_from_recipe(recipe), cohort.table, quality):
        print(sentence, file=sys.stderr)


def recorded(recipe: Recipe, cohort: "Cohort") -> Recipe:
    """Write what counts as negative into the recipe that a run keeps, where nobody named it."""
    if not cohort.negative or recipe.outcome.negative is not None:
        return recipe
    if any(key.startswith("outcome") for values in recipe.variants.values() for key in values):
        return recipe
    return recipe.with_values({"outcome.negative": list(cohort.negative)})


def as_images_were_made(recipe: Recipe, variants: Sequence[str], cohort: "Cohort") -> Recipe:
    """Write into the recipe that a run keeps what the images were made with, and say it."""
    from bidsapp.dataset.made_with import as_made

    found, notes = as_made(recipe, variants, cohort)
    for sentence in notes:
        print(sentence, file=sys.stderr)
    return found


def on_one_grid(
    people: "Cohort", recipe: Recipe, variants: Sequence[str], options: RunOptions
) -> tuple["Cohort", dict[str, Path]]:
    """Bring the people's images of each preparation onto one grid.

    Returns
    -------
    cohort
        With files that lie there.
    masks
        Variant to the mask of where its images' values lie on their grid.
    """
    own = own_folder(options.work_dir)
    cohort, beside, masks = people, dict(people.beside), dict[str, Path]()
    for names in by_preparation(recipe, [*variants, *recipe.stages(variants)]):
        wanted = recipe.with_variant(names[0]).preparation
        modality = modality_named(wanted.modality)
        shared = modality.shared(wanted, own)
        given = people.beside.get(names[0], people)
        found = modality.conformed(given, shared, wanted, own / "conformed")
        if names[0] in beside:
            beside |= dict.fromkeys(names, found)
        else:
            cohort = found
        masks |= dict.fromkeys(names, modality.mask(shared))
    return replace(cohort, beside=beside), masks


def check_images(
    recipe: Recipe, variants: Sequence[str], people: "Cohort", options: RunOptions
) -> None:
    """Refuse images that maps could not be made with."""
    from bidsapp.saliency.requirements import check_maps
    from bidsapp.spaces.files import whole_space

    for names in by_preparation(recipe, variants):
        wanted = recipe.with_variant(names[0]).preparation
        modality = modality_named(wanted.modality)
        shared = modality.shared(wanted, own_folder(options.work_dir))
        if not options.saliency:
            continue
        whole = whole_space(modality.mask(shared))
        sections = [recipe.with_variant(name).saliency for name in names]
        for sentence in check_maps(sections, people.table, whole, shared.labels.get("space", "")):
            print(sentence, file=sys.stderr)
