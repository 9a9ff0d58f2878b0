"""What one row of cohort, scores and maps is about: a scan of a participant, or a part of one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

PARTICIPANT, SESSION, PART = "participant_id", "session_id", "part_id"
"""Columns of the state tables that say whose row it is; the last only where scans have parts."""

_NONE = ("", "n/a", "nan", "None")


@dataclass(frozen=True, order=True)
class Unit:
    """One row of a cohort.

    A participant never crosses folds: all sessions and parts of one are held out together, and
    intervals and tests draw participants, not units.

    Attributes
    ----------
    participant
        ``sub-01``.
    session
        ``ses-1``; empty where there is none.
    part
        What of the scan it is, where one scan holds several units: ``C6-L`` for an injection; empty
        where a scan is one unit.
    """

    participant: str
    session: str = ""
    part: str = ""

    @property
    def label(self) -> str:
        """``sub-01 ses-1 C6-L``."""
        return " ".join(text for text in (self.participant, self.session, self.part) if text)

    @property
    def key(self) -> tuple[str, ...]:
        """Participant and session, and the part where it is one."""
        both = (self.participant, self.session)
        return (*both, self.part) if self.part else both

    @classmethod
    def of(cls, row: Mapping[Any, Any]) -> "Unit":
        """Read the unit of a table's row; ``n/a`` and what is missing are empty."""
        return cls(*(_text(row.get(column)) for column in (PARTICIPANT, SESSION, PART)))


def unit_columns(there: Iterable[Any]) -> list[str]:
    """List the columns that together say whose row it is, of those that a table has.

    Parameters
    ----------
    there
        The table's columns (or the table).
    """
    return [PARTICIPANT, SESSION, *([PART] if PART in set(there) else [])]


def with_part(columns: Iterable[str], there: Iterable[Any]) -> list[str]:
    """Put the column of parts behind that of sessions, where a table has it."""
    names = list(columns)
    if PART in set(there) and PART not in names:
        names.insert(names.index(SESSION) + 1, PART)
    return names


def one_each(table: "pd.DataFrame") -> "pd.DataFrame":
    """Keep the first row of every unit."""
    return table.drop_duplicates(unit_columns(table))


def units_in(table: "pd.DataFrame") -> list[Unit]:
    """Give the unit of every row."""
    there = unit_columns(table)
    return [Unit(*map(_text, row)) for row in zip(*(table[name] for name in there), strict=True)]


def _text(value: Any) -> str:
    text = "" if value is None else str(value)
    return "" if text in _NONE else text
