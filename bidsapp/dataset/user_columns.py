"""Columns of all tables under one roof: names, whose value, and sessions."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from bidsapp.contracts.unit import PART
from bidsapp.dataset.codes import entry, suspected, suspicion_notes, take_codes
from bidsapp.dataset.column_names import column_in, find_column, shortest_names
from bidsapp.dataset.lookup import Values, look_up
from bidsapp.dataset.matching import KnownParts, bare_label, match_tables
from bidsapp.dataset.reading import Reading, describe_values, read_column
from bidsapp.dataset.tables import Key, Table, other_tables, read_dataset_tables
from bidsapp.errors import UsageError

SHOWN_COLUMNS = 40


class Columns:
    """All columns of a dataset's tables.

    A column has its own name where one table has it; one in ``participants.tsv`` keeps it where
    others have it too. ``<table>.<column>`` always works, and ``<column>@<session>`` takes a
    session's value for the participant, whatever session the image is of.

    Parameters
    ----------
    tables
        The tables.
    unread
        Why others could not be read.
    where
        What the dataset is called in messages.
    missing
        ``COLUMN=VALUE``: numbers and texts that stand for a missing value, here and in every
        lookup; ``COLUMN=`` says of a column that it has none. What the tables' JSON files declare
        to be missing is so too, save in such a column.
    of_outcome
        The outcome's columns to their values that stand for a missing one, as in `missing`; passed
        over where no table has the column.

    Raises
    ------
    UsageError
        `missing` names a column that no table has.
    """

    def __init__(
        self,
        tables: Sequence[Table],
        unread: Sequence[str] = (),
        where: str = "",
        missing: Sequence[str] = (),
        of_outcome: Mapping[str, Sequence[str]] | None = None,
    ):
        self.tables = tuple(table for table in tables if not table.repeated)
        self.diaries = tuple(table for table in tables if table.repeated)
        self.unread = tuple(unread)
        self.where = where
        self.missing = tuple(missing)
        self._participants = {key[0] for table in self.tables for key in table.rows}
        self._used: frozenset[str] = frozenset()
        self._readings: dict[str, Reading] = {}
        named = self._named_codes(of_outcome or {})
        both, self._coded = take_codes((*self.tables, *self.diaries), named)
        self.tables, self.diaries = both[: len(self.tables)], both[len(self.tables) :]
        self._settled = frozenset(named)

    @classmethod
    def read(
        cls,
        bids_dir: Path,
        missing: Sequence[str] = (),
        of_outcome: Mapping[str, Sequence[str]] | None = None,
    ) -> "Columns":
        """Read the tables of a dataset; see `read_dataset_tables`."""
        tables, unread = read_dataset_tables(bids_dir)
        return cls(tables, unread, str(bids_dir), missing, of_outcome)

    def _named_codes(self, of_outcome: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
        """Full name of each column that `missing` names, to its codes."""
        named: dict[str, list[str]] = {}
        for text in self.missing:
            name, value = entry(text)
            try:
                full = self._in_diaries(name) or self.full_name(name)
                codes = named.setdefault(full, [])
            except UsageError as error:
                raise UsageError(f"tables.missing: {error}") from None
            codes += [value] if value else []
        for name, values in of_outcome.items():
            full = self._in_diaries(name) or (self.full_name(name) if self.has(name) else "")
            if full:
                named.setdefault(full, []).extend(values)
        return named

    def _in_diaries(self, name: str) -> str:
        """Full name of a column that only a table with several rows a participant has, if one."""
        having = [table for table in self.diaries if column_in(table, name)]
        if len(having) != 1 or self.has(name):
            return ""
        return f"{having[0].name}.{column_in(having[0], name)}"

    def diary_of(self, names: Sequence[str], text: str) -> Table:
        """Find the one table with several rows a participant whose columns an aggregate uses.

        Tables of sessions or parts count where no other has any of the columns.

        Parameters
        ----------
        names
            Columns, with or without their table's name before.
        text
            The aggregate, for messages.

        Raises
        ------
        UsageError
            There is none, or there are several.
        """
        visits = [table for table in self.tables if table.by_session or table.by_part]
        for tables in (self.diaries, visits):
            having = [t for t in tables if any(column_in(t, name) for name in names)]
            if len(having) == 1:
                return having[0]
            if having:
                raise UsageError(
                    f"outcome expression: {text} uses columns of "
                    f"{' and '.join(table.name for table in having)}; write TABLE.COLUMN, all of "
                    "one table."
                )
        for name in names:
            self.find(name)  # says so where it is nowhere
        raise UsageError(
            f"outcome expression: {text}: no table with several rows a participant has "
            f"{' or '.join(names)}."
        )

    def with_rows(self, diary: Table) -> "Columns":
        """Let a table with several rows a participant stand before all others.

        Its columns are then found by their names; those that others share with it are not.
        """
        others = [
            replace(
                table, columns={c: v for c, v in table.columns.items() if c not in diary.columns}
            )
            for table in self.tables
            if table.name != diary.name
        ]
        found = copy(self)
        found.tables = (replace(diary, repeated=""), *others)
        found.diaries = ()
        found._readings = {}
        return found

    def matched(
        self,
        people: Collection[str],
        sessions: Collection[str],
        parts: KnownParts | None = None,
    ) -> tuple["Columns", list[str]]:
        """Give rows the labels of folders and images; see `match_tables`."""
        every = (*self.tables, *self.diaries)
        tables, notes, unread = match_tables(every, people, sessions, parts)
        found = copy(self)
        found.tables = tuple(table for table in tables if not table.repeated)
        found.diaries = tuple(table for table in tables if table.repeated)
        found.unread = (*self.unread, *unread)
        used = (*found.tables, *(table for table in found.diaries if table.name in self._used))
        found._participants = {key[0] for table in used for key in table.rows}
        found._readings = {}
        return found, notes

    def names(self) -> list[str]:
        """Shortest name of every column, in the order of the tables."""
        return shortest_names(self.tables)

    def has(self, name: str) -> bool:
        """Tell whether `find` finds the column."""
        try:
            self.find(name)
        except UsageError:
            return False
        return True

    def participants(self) -> set[str]:
        """Return the participant_id of everybody with a row in some table."""
        return self._participants

    def full_name(self, name: str) -> str:
        """``<table>.<column>`` of a column, however it was named; see `find`."""
        table, column, _ = self.find(name)
        return f"{table.name}.{column}"

    def similar_participant(self, person: str) -> str | None:
        """Somebody in the tables whose label differs in leading zeros or case only."""
        bare = bare_label(person)
        others = sorted(self.participants())
        return next((other for other in others if bare_label(other) == bare), None)

    def people_with(self, name: str) -> set[str]:
        """Participants who have a value of a column, at whatever session it is named for."""
        table, column, session = self.find(name)
        return {key[0] for key in table.columns[column] if not session or key[1] == session}

    def find(self, name: str) -> tuple[Table, str, str]:
        """Find a column.

        Returns
        -------
        table, column, session
            The session_id after an ``@``, else empty.

        Raises
        ------
        UsageError
            No table has it, or several have; lists the columns that there are.
        """
        found = find_column(self.tables, name)
        if found is None:
            raise UsageError(self._unknown(name))
        return found

    def _unknown(self, name: str) -> str:
        if not self.tables:
            others = other_tables(Path(self.where)) if self.where else []
            hint = (
                f" {' and '.join(others)} is not read: save it as participants.tsv, tab-separated."
            )
            return (
                f"column {name!r}: {self.where or 'the dataset'} has no participants.tsv, "
                f"sessions.tsv or phenotype/*.tsv.{hint if others else ''}"
                + "".join(f"\n{text}" for text in self.left_out())
            )
        having = [table for table in self.diaries if column_in(table, name)]
        if having and PART in having[0].columns:
            return f"column {name!r}: {having[0].name} cannot be read: {having[0].repeated}"
        if having:
            return (
                f"column {name!r}: {having[0].name} has several rows a participant; an outcome's "
                f"expression can count them, or take their mean: count({name} > 0) >= 2."
            )
        names = self.names()
        folded = {n.lower(): n for n in names}
        close = [folded[n] for n in get_close_matches(name.lower(), list(folded), n=3, cutoff=0.6)]
        text = f"no column {name!r} in the tables of {self.where or 'the dataset'}."
        if close:
            text += f" Did you mean {' or '.join(close)}?"
        text += "\nColumns and their values:\n" + self.describe()
        return text + "".join(f"\nNot read: {reason}" for reason in self.left_out())

    def use(self, names: Iterable[str]) -> None:
        """Count people of tables with several rows each, whose columns (full names) are used."""
        tables = [table for table in self.diaries if any(column_in(table, n) for n in names)]
        self._used |= {table.name for table in tables}
        self._participants |= {key[0] for table in tables for key in table.rows}

    def left_out(self) -> list[str]:
        """Say why tables cannot be used, or are not, as they have several rows a participant."""
        return [*self.unread, *(t.repeated for t in self.diaries if t.name not in self._used)]

    def describe(self, names: Iterable[str] | None = None) -> str:
        """List columns with their values, one line each."""
        names = list(self.names() if names is None else names)
        lines = [f"  {name}: {describe_values(self.all_values(name))}" for name in names]
        if len(lines) > SHOWN_COLUMNS:
            lines[SHOWN_COLUMNS:] = [f"  and {len(lines) - SHOWN_COLUMNS} more columns"]
        return "\n".join(lines)

    def reading(self, name: str) -> Reading:
        """How a column is read, by all its values: one way for everybody who uses it."""
        full = self.full_name(name)
        if full not in self._readings:
            table, column, _ = self.find(name)
            self._readings[full] = read_column(table.columns[column].values())
        return self._readings[full]

    def told(self, names: Iterable[str]) -> list[str]:
        """Say of columns what is read otherwise than it is written, a sentence or two for each."""
        sentences = []
        for name in names:
            coded = self._coded.get(self.full_name(name), [])
            sentences += [f"Column {name}: {text}." for text in coded]
            sentences += filter(None, [self.reading(name).told(name)])
        return sentences

    def by_part(self, name: str) -> bool:
        """Tell whether a column's values are of parts of scans."""
        return self.find(name)[0].by_part

    def is_settled(self, name: str) -> bool:
        """Tell whether the recipe says which values of a column are missing, or that none is."""
        return self.full_name(name) in self._settled

    def suspected(self, name: str) -> Counter[float]:
        """Numbers that look like codes for a missing value, of which the recipe says nothing."""
        return Counter() if self.is_settled(name) else suspected(self.reading(name))

    def suspicions(self, names: Iterable[str]) -> list[str]:
        """Warn of numbers that look like codes for a missing value, and say how to settle it."""
        of = {name: self.reading(name) for name in names if not self.is_settled(name)}
        return suspicion_notes(of, self.missing)

    def all_values(self, name: str) -> list[str]:
        """All values of a column that are not missing, in the order of the file."""
        table, column, session = self.find(name)
        values = table.columns[column]
        return [text for key, text in values.items() if not session or key[1] == session]

    def missing_values(self, name: str) -> list[str]:
        """All texts of a column that were read as missing and are neither n/a nor empty."""
        table, column, session = self.find(name)
        texts = table.missing.get(column, {})
        return [text for key, text in texts.items() if not session or key[1] == session]

    def values(self, name: str, scans: Sequence[Key]) -> Values:
        """Look up a column for scans, or parts of scans.

        A column of participants holds for all their scans, and a row that names no part for all
        parts. A column of sessions gives a scan the value of its own session; where a participant
        has one scan only, and that session has no value, the participant's only value is taken
        (an outcome of a later visit); with several it is ambiguous, unless the column has one
        value for each participant at all sessions (sex). The same holds of parts, where scans
        have none.
        """
        table, column, session = self.find(name)
        return look_up(table, column, session, name, scans)
