"""Names of columns among several tables: the shortest that is clear, and which column one means."""

from collections.abc import Sequence

from bidsapp.dataset.matching import bare_label
from bidsapp.dataset.tables import Table
from bidsapp.errors import UsageError


def find_column(tables: Sequence[Table], name: str) -> tuple[Table, str, str] | None:
    """Find a column by ``<column>``, ``<table>.<column>`` or either with ``@<session>``.

    Returns
    -------
    table, column, session or None
        The session_id after an ``@``, else empty; None where no table has it.

    Raises
    ------
    UsageError
        Several tables have it, or its table has no rows of that session.
    """
    if found := _of_any_session(tables, name):
        return (*found, "")
    base, at, session = name.rpartition("@")
    found = _of_any_session(tables, base) if at else None
    if found is None:
        return None
    session = "ses-" + session.removeprefix("ses-")
    sessions = sorted({key[1] for key in found[0].rows if key[1]})
    alike = [s for s in sessions if bare_label(s) == bare_label(session)]
    if session not in sessions and len(alike) == 1:
        (session,) = alike
    if session not in sessions:
        raise UsageError(
            f"column {name!r}: {found[0].name} has no rows of {session}; "
            f"sessions: {', '.join(sessions) or 'none'}."
        )
    return (*found, session)


def _of_any_session(tables: Sequence[Table], name: str) -> tuple[Table, str] | None:
    table = _owner(tables, name)
    if table is not None:
        return table, name
    for table in tables:
        column = column_in(table, name)
        if column and column != name:
            return table, column
    having = [f"{table.name}.{name}" for table in tables if name in table.columns]
    if having:
        raise UsageError(f"column {name!r} is in several tables; write {' or '.join(having)}.")
    return None


def _owner(tables: Sequence[Table], name: str) -> Table | None:
    """Table that has a column, if one alone, or participants.tsv, which comes first."""
    having = [table for table in tables if name in table.columns]
    if len(having) == 1 or (having and having[0].name == "participants"):
        return having[0]
    return None


def shortest_names(tables: Sequence[Table]) -> list[str]:
    """Shortest name of every column, in the order of the tables."""
    return [
        column if _owner(tables, column) is table else f"{table.name}.{column}"
        for table in tables
        for column in table.columns
    ]


def column_in(table: Table, name: str) -> str:
    """Column of a table that a name means, with or without the table's name; empty for none."""
    bare = name.removeprefix(f"{table.name}.")
    return bare if bare in table.columns else ""
