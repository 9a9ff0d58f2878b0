"""The user's columns in the cohort table: their names there, and never the app's own columns."""

from collections.abc import Iterable

from bidsapp.contracts.modality_tables import quality_columns, quality_titles

DATE = "scan_date"
"""Day on which a scan was acquired; there where people are divided by it."""
OWN = (
    *("participant_id", "session_id", "part_id", "group", "outcome", "image", "sha256", "quality"),
    DATE,
)
"""Columns of cohort.tsv that the app writes itself, first and in this order."""
DATASET = "dataset."
"""Stands before a user's column that has the name of one of the app's."""
SIDECAR = "sidecar."
"""Stands before what the JSON sidecar of the scan's own image says."""
_STAMP = "simulated"


def is_own(column: str) -> bool:
    """Tell whether the app writes a column of that name itself, as it is or in measures.tsv."""
    return column in OWN or column == _STAMP or column in quality_columns()


def stored_name(name: str) -> str:
    """Name in cohort.tsv of the column that the user calls `name`.

    It is the same name, save where the app uses that one itself: then ``dataset.`` stands before
    it, so that no two names share a column and `user_name` takes every one of them back.
    """
    return f"{DATASET}{name}" if is_own(name) or name.startswith((DATASET, SIDECAR)) else name


def user_name(column: str) -> str:
    """Name that the user has for a column of cohort.tsv."""
    return column.removeprefix(DATASET)


def shown_name(column: str) -> str:
    """Words for a column where people read: the user's name, a quality number's title."""
    return quality_titles().get(column) or user_name(column)


def users_column(columns: Iterable[str], name: str) -> str | None:
    """Find the column of cohort.tsv that the user means by a name; never one of the app's own.

    Parameters
    ----------
    columns
        Of the cohort table.
    name
        As the recipe gives it. ``sidecar.<field>`` is a field of the images' sidecars, unless the
        user has a column of that very name.

    Returns
    -------
    str or None
        The column; None where the user has none of that name. In the tables of earlier versions,
        which put the table's name before it (``participants.group``), it is found too.
    """
    there = list(columns)
    stored = stored_name(name)
    if stored in there:
        return stored
    if name.startswith(SIDECAR):
        return name if name in there else None
    earlier = [column for column in there if is_own(name) and column.endswith(f".{name}")]
    return earlier[0] if len(earlier) == 1 else None


def users_columns(columns: Iterable[str]) -> list[str]:
    """Columns of cohort.tsv that are not the app's own: the user's, and the images' sidecars'."""
    return [name for name in columns if name not in OWN and name != _STAMP]
