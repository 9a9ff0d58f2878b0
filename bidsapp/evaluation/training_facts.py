"""What a model's bundle tells of the cohort that it was trained on: read from the run's files."""

from pathlib import Path
from typing import Any

import pandas as pd

from bidsapp.contracts.modality_tables import quality_columns
from bidsapp.dataset.covariates import OWN
from bidsapp.evaluation.aggregates import CELL, cohort_aggregates, held_out_facts
from bidsapp.evaluation.held_out import held_out, splits_behind
from bidsapp.evaluation.membership import correlation_of
from bidsapp.evaluation.sample import from_scores
from bidsapp.evaluation.settings import settings_of_run
from bidsapp.evaluation.state import RunState, read_state
from bidsapp.evaluation.tsv import numeric


def described_columns(state: RunState) -> list[str]:
    """Name the columns of a cohort that its aggregates may describe: not who and where."""
    mine = [str(name) for name in state.measured if name not in OWN or name == "quality"]
    return [name for name in mine if not name.startswith("region_")]


def training_facts(folder: Path, variant: str) -> dict[str, Any]:
    """Describe the cohort of a run and a variant's held-out scores in aggregates.

    Parameters
    ----------
    folder
        Of the run; its state files are read.
    variant
        Which networks'.

    Returns
    -------
    dict
        Plain values for JSON: `cell`, `people`, `columns` (`aggregates.cohort_aggregates`),
        `correlation` of those that are numbers (`membership.correlation_of`), and `held_out`
        (`aggregates.held_out_facts`). People are described by their first scan. Empty where the
        cohort is too small to be told of.
    """
    state = read_state(folder)
    people = state.measured.assign(participant_id=state.cohort["participant_id"])
    people = people.drop_duplicates("participant_id")
    if len(people) < 2 * CELL:
        return {}
    plan = settings_of_run(folder)
    rows = state.scores[state.scores["variant"] == variant]
    how = held_out(rows, splits_behind(state.splits, variant, plan), state.groups)
    columns = cohort_aggregates(people, described_columns(state))
    numbers = [one["column"] for one in columns if one["kind"] == "numbers"]
    return {
        "cell": CELL,
        "people": len(people),
        "columns": columns,
        "correlation": correlation_of(people, numbers),
        "held_out": held_out_facts(from_scores(rows, plan.of(variant).threshold), how.inflation),
    }


def quality_numbers(measured: pd.DataFrame) -> list[dict[str, float]]:
    """Give the numbers of the preparation's quality of each row of a cohort, by measure."""
    found = {name: numeric(measured[name]) for name in quality_columns() if name in measured}
    table = pd.DataFrame({name: one for name, one in found.items() if one is not None})
    return [
        {
            str(name).removeprefix("quality_"): float(value)
            for name, value in row.items()
            if value == value
        }
        for row in table.reindex(measured.index).to_dict("records")
    ]
