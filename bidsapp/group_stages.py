"""Stages of a run, trained for others to begin with: outcomes that are not the run's."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bidsapp.errors import UsageError
from bidsapp.options import RunOptions
from bidsapp.recipes import Recipe

if TYPE_CHECKING:
    from bidsapp.dataset.cohort import Cohort
    from bidsapp.training.stages import Outcomes


def stage_outcomes(
    recipe: Recipe, stages: Sequence[str], cohort: "Cohort", options: RunOptions
) -> dict[str, "Outcomes"]:
    """Look up what the stages of a run predict, where that is not the run's outcome.

    Parameters
    ----------
    recipe
        Of the run.
    stages
        Variants that are only trained, for others to begin with.
    cohort
        Of the run.
    options
        Uses ``bids_dir``.

    Returns
    -------
    dict
        Stage to unit to 0, 1 or None; stages with the run's outcome are not
        in it. How many take part in each is said on the terminal.

    Raises
    ------
    UsageError
        A column is not there, it is not clear what its values count as, or nobody of a class is
        left.
    """
    from bidsapp.contracts.modality import modality_named
    from bidsapp.dataset.matching import KnownParts
    from bidsapp.dataset.outcome import find_outcomes, outcome_missing, outcome_notes
    from bidsapp.dataset.people import labels_of
    from bidsapp.dataset.user_columns import Columns

    found: dict[str, Outcomes] = {}
    units, scans = [scan.unit for scan in cohort.files], [scan.row for scan in cohort.files]
    labels = {row[2] for row in scans if len(row) > 2}
    known_parts = KnownParts(labels, modality_named(recipe.preparation.modality).read_part)
    main = recipe.with_variant(recipe.selected()[0][0]).outcome
    for name in stages:
        rule = recipe.with_variant(name).outcome
        if rule == main:
            print(f"{name} is trained for others to begin with, and not scored.", file=sys.stderr)
            continue
        columns = Columns.read(options.bids_dir, recipe.tables.missing, outcome_missing(rule))
        columns, _ = columns.matched(*labels_of(options.bids_dir, scans), known_parts)
        outcomes = find_outcomes(rule, columns, scans)
        known = [place for place, value in enumerate(outcomes.values) if value is not None]
        if len({outcomes.values[place] for place in known}) < 2:
            raise UsageError(
                f"variant {name}: its outcome is known of {len(known)} of {len(scans)} scans, all "
                "of one class. Check its outcome."
            )
        for note in outcome_notes(outcomes, known):
            print(f"{name}: {note}", file=sys.stderr)
        print(
            f"{name} is trained for others to begin with, and not scored; its outcome is known of "
            f"{len(known)} of {len(scans)} scans, the others take no part in it.",
            file=sys.stderr,
        )
        found[name] = dict(zip(units, outcomes.values, strict=True))
    return found
