"""What the folder of an external validation holds: the model, its people, what fold models said."""

from pathlib import Path
from typing import Any

import pandas as pd

from bidsapp.contracts.unit import unit_columns
from bidsapp.errors import NoInput
from bidsapp.evaluation.cohort_table import identifies
from bidsapp.evaluation.state import read_applied
from bidsapp.evaluation.training_facts import described_columns
from bidsapp.evaluation.tsv import read_table
from bidsapp.intake.json_text import read_own_json

FACTS = "validation.json"


def read_facts(folder: Path) -> dict[str, Any]:
    """Read which model was validated, and what it tells of its own cohort."""
    try:
        return dict(read_own_json(Path(folder) / FACTS))
    except FileNotFoundError:
        raise NoInput(
            f"{folder} holds no validation of a model (no {FACTS}); run it first."
        ) from None


def people_of(folder: Path) -> pd.DataFrame:
    """Describe the people of a run or a validation, each by the first scan: text."""
    state = read_applied(Path(folder))
    people = state.measured.assign(participant_id=state.cohort["participant_id"])
    people = people.drop_duplicates("participant_id")
    kept = [name for name in described_columns(state) if not identifies(people[name])]
    return people[["participant_id", *dict.fromkeys(kept)]]


def fold_models(folder: Path) -> pd.DataFrame:
    """Read what each fold model of a validated bundle said, before any recalibration.

    Returns
    -------
    pandas.DataFrame
        A row per unit, indexed by its columns (text), a column per fold model.
    """
    table = read_table(folder / "fold_models.tsv", ("participant_id", "probability"))
    table = table.assign(probability=table["probability"].astype(float))
    return table.pivot(index=unit_columns(table), columns=["repeat", "fold"], values="probability")
