"""What a cohort of this size can show, said before anything is trained."""

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from bidsapp.contracts.modality import modality_named
from bidsapp.contracts.unit import PART, PARTICIPANT, SESSION
from bidsapp.dataset.beside import measured_quality
from bidsapp.errors import BadData, NoInput, UsageError
from bidsapp.evaluation.column_warnings import column_warnings
from bidsapp.evaluation.planning import (
    CLINICAL_AUC,
    added_value_text,
    inflation_of_protocol,
    plan_text,
)
from bidsapp.evaluation.sample_size import regression_parameters, riley_words
from bidsapp.evaluation.settings import asked_columns, settings_from_recipe
from bidsapp.group_sites import sites_in_turn
from bidsapp.group_weights import check_weights, require_named_files
from bidsapp.options import RunOptions

if TYPE_CHECKING:
    import pandas as pd

    from bidsapp.dataset.cohort import Cohort
    from bidsapp.dataset.user_columns import Columns
    from bidsapp.recipes.schema import Recipe


def plan_cohort(
    recipe: "Recipe",
    variants: Sequence[str],
    options: RunOptions,
    build: Callable[[], "Cohort"],
) -> int:
    """Print power and precision for the cohort of a run; nothing is written.

    Where there are no normalised images yet, everybody counts who has an outcome and an image in
    the dataset; everybody with an outcome where the dataset has no image at all. The labels hold
    either way.

    Parameters
    ----------
    recipe
        Of the run.
    variants
        Names of those that are run.
    options
        Uses ``bids_dir``, ``derivatives``, ``participant_label`` and ``session_label``.
    build
        Makes the cohort.

    Returns
    -------
    int
        0.

    Raises
    ------
    NociCastError
        The cohort cannot be made, or nobody is positive, or nobody negative.
    """
    from bidsapp.training.crossfit import crossfit_cost, planned_folds
    from bidsapp.training.search_run import search_cost

    settings = settings_from_recipe(recipe)
    try:
        cohort = build()
    except NoInput as error:
        if options.derivatives:  # the person said where the images are
            raise
        print(f"No images yet ({error})", file=sys.stderr)
        table = _before_images(recipe, variants, options)
        positives, negatives = _people(table)
        for count, name in ((positives, "positive"), (negatives, "negative")):
            if count == 0:
                raise BadData(
                    f"--plan: {positives} positive and {negatives} negative people: nobody is "
                    f"{name}, and there is nothing to tell apart without both. Check which values "
                    "are positive, and whether people are left out who should be in."
                ) from None
        quality = None
    else:
        table, quality = cohort.table, measured_quality(cohort)
        positives, negatives = _people(table)
    for sentence in column_warnings(settings, table, quality):
        print(sentence, file=sys.stderr)
    recipe, table, note = sites_in_turn(recipe, variants, table, given=options.splits is not None)
    if note:
        print(note, file=sys.stderr)
    for trouble in (
        _trouble_with_files(recipe, variants, options),
        _trouble_with_splits(recipe, variants, table, options),
    ):
        if trouble:
            print(f"WARNING: the run itself would stop: {trouble}", file=sys.stderr)
    groups = table["group"].nunique() if "group" in table else 0
    first = recipe.with_variant(variants[0])
    inflation = inflation_of_protocol(first.protocol, groups)
    print(plan_text(positives, negatives, settings.level, inflation))
    counted = regression_parameters(table, settings)
    print(riley_words(positives, negatives, counted, CLINICAL_AUC))
    if settings.clinical or settings.stack:
        print(added_value_text(positives, negatives, settings.level, inflation))
        folds = {
            name: planned_folds(recipe.with_variant(name).protocol, groups) for name in variants
        }
        trained = [name for name, count in folds.items() for _ in range(count)]
        print(crossfit_cost(recipe, variants, trained))
    if cost := search_cost(recipe, (*recipe.stages(variants), *variants), groups):
        print(cost)
    return 0


def _trouble_with_files(recipe: "Recipe", variants: Sequence[str], options: RunOptions) -> str:
    """Say which file that the recipe names cannot be used; nothing where all can."""
    names = (*recipe.stages(variants), *variants)
    try:
        require_named_files(recipe, names, saliency=options.saliency)
        check_weights(recipe, names, options)
    except (NoInput, UsageError, BadData) as error:
        return str(error)
    return ""


def _trouble_with_splits(
    recipe: "Recipe", variants: Sequence[str], table: "pd.DataFrame", options: RunOptions
) -> str | None:
    """Say why these people cannot be divided as the protocol has it; nothing where they can."""
    from bidsapp.training.crossfit import crossfit_splits
    from bidsapp.training.run import run_splits
    from bidsapp.training.search import check_searches

    if options.splits is not None:
        return None  # names people, and who will have an image is not known yet
    try:
        splits = run_splits(recipe, variants, table, None)
        crossfit_splits(recipe, variants, table, splits)
        check_searches(recipe, variants, table, splits)
    except (UsageError, BadData) as error:
        return str(error)
    return None


def _people(table: "pd.DataFrame") -> tuple[int, int]:
    """Count positive and negative people; who is positive at any scan is positive."""
    people = table.groupby("participant_id")["outcome"].max()
    positives = int(people.sum())
    return positives, len(people) - positives


def _before_images(
    recipe: "Recipe", variants: Sequence[str], options: RunOptions
) -> "pd.DataFrame":
    """Make the table of those of whom there may come to be a normalised image."""
    import pandas as pd

    from bidsapp.dataset.carried import carried_columns, carry, column_notes, for_terminal
    from bidsapp.dataset.groups import groups_of
    from bidsapp.dataset.losses import loss_notes
    from bidsapp.dataset.matching import KnownParts
    from bidsapp.dataset.outcome import find_outcomes, outcome_missing, outcome_notes
    from bidsapp.dataset.people import labels_of, people_of
    from bidsapp.dataset.scanners import sidecar_columns
    from bidsapp.dataset.scans import imaged_scans, unreadable_scans
    from bidsapp.dataset.user_columns import Columns

    first = recipe.with_variant(variants[0])
    of_outcome = outcome_missing(first.outcome)
    columns = Columns.read(options.bids_dir, recipe.tables.missing, of_outcome)
    # every name is looked up before any folder is
    made = find_outcomes(first.outcome, columns, [])
    columns.use(made.row_columns)
    says_it = [*made.columns, *recipe.tables.same_as_outcome]
    names = carried_columns(columns, None, asked_columns(recipe, variants), says_it)
    modality = modality_named(first.preparation.modality)
    known_parts = KnownParts((), modality.read_part)
    columns, notes = columns.matched(*labels_of(options.bids_dir, []), known_parts)
    names = [name for name in names if columns.has(name)]
    people = people_of(options.bids_dir, columns, [], options.participant_label)
    main = modality.sources[0]
    kind = f"{main.suffix} in {options.bids_dir}"
    there = imaged_scans(options.bids_dir, main.datatype, main.suffix)
    sessions = {f"ses-{label}" for label in options.session_label}

    def of_the_run(key: tuple[str, ...]) -> bool:
        return key[0] in people and (not sessions or key[1] in sessions)

    lost = unreadable_scans(options.bids_dir, people, main.datatype)
    lost = {key: why for key, why in lost.items() if not key[1] or of_the_run(key)}
    excluded: dict[tuple[str, ...], tuple[str, str]]
    excluded = {key: ("folder not readable", why) for key, why in lost.items()}
    unknown = {person for person, _ in lost}
    if there:
        scans = [key for key in there if of_the_run(key)]
        of = f" of {', '.join(sorted(sessions))}" if sessions else ""
        for person in people - {person for person, _ in scans} - unknown:
            excluded[(person, "")] = ("no image", f"there is no {kind}{of}")
    else:
        scans = [(person, "") for person in sorted(people - unknown)]
        print(f"There is no {kind} either: everybody with an outcome counts.", file=sys.stderr)
    units = _parts_told(columns, made.columns, scans)
    found = find_outcomes(first.outcome, columns, units)
    group = recipe.group_column(variants)
    groups, about_groups = groups_of(columns, group, units, lone=recipe.lone_groups(variants))
    places = []
    for place, outcome in enumerate(found.values):
        if outcome is None:
            excluded[units[place]] = found.reasons[place]
        elif groups[place] is None:
            excluded[units[place]] = ("no group", f"no value, or several, in {group}")
        else:
            places.append(place)
    known = {units[place][0] for place in places}
    with_outcome = {person for name in found.columns for person in columns.people_with(name)}
    with_outcome |= found.people
    counting = people & ({person for person, _ in (*there, *lost)} | with_outcome)
    notes += [*outcome_notes(found, places), *about_groups, *column_notes(columns, names)]
    notes += loss_notes(excluded, known, counting)
    keys = [units[place] for place in places]
    rows = [(*key, "")[:3] for key in keys]
    table = pd.DataFrame(rows, columns=pd.Index([PARTICIPANT, SESSION, PART]))
    if not table[PART].any():
        table = table.drop(columns=PART)
    table["outcome"] = pd.Series([found.values[place] for place in places], dtype=int)
    table["group"] = [groups[place] for place in places]
    kind_of_image = (main.datatype, main.suffix)
    of_scans = [(key[0], key[1]) for key in keys]
    scanners = sidecar_columns(options.bids_dir, of_scans, *kind_of_image, notes=notes)
    for note in for_terminal(notes):
        print(note, file=sys.stderr)
    return pd.concat([table, carry(columns, names, keys), scanners], axis=1)


def _parts_told(
    columns: "Columns", names: Sequence[str], scans: Sequence[tuple[str, ...]]
) -> list[tuple[str, ...]]:
    """Divide scans into the parts of which the outcome's tables have rows."""
    parts: dict[str, dict[str, None]] = {}
    for table in {id(table): table for table in (columns.find(name)[0] for name in names)}.values():
        for key in sorted(table.rows):
            parts.setdefault(key[0], {}).update(dict.fromkeys(key[2:]))
    return [
        unit
        for scan in scans
        for unit in ([(*scan, part) for part in parts.get(scan[0], ())] or [scan])
    ]
