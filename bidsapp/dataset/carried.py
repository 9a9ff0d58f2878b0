"""The user's columns that go into the cohort table, read, and what has to be said of them."""

from collections.abc import Iterable, Sequence

import pandas as pd

from bidsapp.dataset.covariates import stored_name
from bidsapp.dataset.tables import Key
from bidsapp.dataset.user_columns import Columns
from bidsapp.errors import UsageError

_MOST = 40


def carried_columns(
    columns: Columns,
    names: Sequence[str] | None,
    asked: Sequence[str],
    outcome: Iterable[str],
) -> list[str]:
    """Names of the columns that the cohort table holds, as the user has them, each once.

    Parameters
    ----------
    columns
        Of the dataset.
    names
        Those that are wanted; None for all.
    asked
        Those that the recipe names, such as ``pain@1``: carried under that very name. What does
        not exist is passed over here, and told where it is needed.
    outcome
        Columns that the outcome is made of, or that say it in other words: they are left out.

    Raises
    ------
    UsageError
        One of `names` or `outcome` does not exist, or is in both.
    """
    used: dict[str, set[str]] = {}
    for name in outcome:
        table, column, session = columns.find(name)
        used.setdefault(f"{table.name}.{column}", set()).add(session)

    def is_outcome(name: str) -> bool:
        table, column, session = columns.find(name)
        sessions = used.get(f"{table.name}.{column}", set())
        # at another session than the outcome's it is another value
        return bool(sessions) and (not session or "" in sessions or session in sessions)

    chosen = columns.names() if names is None else names
    clash = [name for name in names or () if is_outcome(name)]
    if clash:
        raise UsageError(
            f"column {clash[0]!r} is what the outcome is made of, so it cannot also be a "
            "predictor or subgroup."
        )
    there = [name for name in asked if columns.has(name)]
    return [name for name in dict.fromkeys([*chosen, *there]) if not is_outcome(name)]


def carry(columns: Columns, names: Iterable[str], scans: Sequence[Key]) -> pd.DataFrame:
    """Look columns up for scans, numbers written plainly, under their names in cohort.tsv."""
    carried = {}
    for name in names:
        reading = columns.reading(name)
        texts = columns.values(name, scans).texts
        carried[stored_name(name)] = [reading.plain(text) for text in texts]
    return pd.DataFrame(carried, index=range(len(scans)), dtype=object)


def column_notes(columns: Columns, names: Sequence[str]) -> list[str]:
    """Say what was read otherwise than it is written, and what may be a code for missing."""
    return [*columns.told(names), *columns.suspicions(names)]


def for_terminal(notes: Sequence[str]) -> list[str]:
    """Leave out what is said of columns beyond the first forty, and say how much that is."""
    of_columns = [note for note in notes if note.startswith("Column ")]
    shown = [note for note in notes if note not in of_columns[_MOST:]]
    more = len(of_columns) - _MOST
    return shown + ([f"and {more} more lines on columns (a run keeps all in logs)"] * (more > 0))
