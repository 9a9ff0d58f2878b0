"""What a cohort of this size can show, said before anything is trained."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from bidsapp.errors import NoInput
from bidsapp.evaluation.evaluate import lacking_columns
from bidsapp.evaluation.planning import plan_text
from bidsapp.evaluation.settings import settings_from_recipe

if TYPE_CHECKING:
    from bidsapp.dataset.cohort import Cohort
    from bidsapp.recipes.schema import Recipe


def plan_cohort(
    recipe: "Recipe", bids_dir: Path, build: Callable[[], "Cohort"], *, named: bool
) -> int:
    """Print power and precision for the cohort of a run; nothing is written.

    Where there are no normalised images yet, everybody with an outcome counts.

    Parameters
    ----------
    recipe
        Of the run.
    bids_dir
        The dataset.
    build
        Makes the cohort.
    named
        Whether the person said where the images are, so that they must be there.

    Returns
    -------
    int
        0.

    Raises
    ------
    NociCastError
        The cohort cannot be made.
    """
    settings = settings_from_recipe(recipe)
    try:
        cohort = build()
    except NoInput as error:
        if named:
            raise
        print(f"No images yet, so everybody with an outcome counts ({error})", file=sys.stderr)
        positives, negatives = _with_outcome(recipe, bids_dir)
    else:
        people = cohort.table.groupby("participant_id")["outcome"].max()
        positives = int(people.sum())
        negatives = len(people) - positives
        for what, why in lacking_columns(settings, list(cohort.table.columns)).items():
            print(f"No {what}: {why}.")
    print(plan_text(positives, negatives, settings.level))
    return 0


def _with_outcome(recipe: "Recipe", bids_dir: Path) -> tuple[int, int]:
    from bidsapp.dataset.columns import Columns
    from bidsapp.dataset.outcome import find_outcomes

    columns = Columns.read(bids_dir)
    people = [(person, "") for person in sorted(columns.participants())]
    values = find_outcomes(recipe.outcome, columns, people).values
    return values.count(1), values.count(0)
