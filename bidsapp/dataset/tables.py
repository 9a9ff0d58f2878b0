"""Tables of a dataset: participants.tsv, sessions.tsv and phenotype/*.tsv, in; any table, out."""

import csv
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bidsapp.contracts.unit import PART
from bidsapp.dataset.missing import is_missing, is_standard_missing
from bidsapp.dataset.table_text import IDS as IDS
from bidsapp.dataset.table_text import PEOPLE, fields_of, header_of, lines_of, present, unquoted
from bidsapp.derivatives.atomic import atomic_path
from bidsapp.errors import BadData, NoInput
from bidsapp.intake.regular import open_regular

if TYPE_CHECKING:
    import pandas as pd

ScanKey = tuple[str, str]
"""A participant_id with ``sub-``, and a session_id with ``ses-`` or empty."""
Key = tuple[str, ...]
"""The same, and behind them a part_id where a row is of a part of a scan (an injection)."""

_VISITS = ("session", "sessions", "ses", "visit", "visit_id", "timepoint", "time_point", "wave")


@dataclass(frozen=True)
class Table:
    """One table, by column and by whose value it is.

    Attributes
    ----------
    name
        ``participants``, ``sessions`` or the file name of a phenotype table without its ending.
    path
        The file; for ``sessions`` the dataset's folder, as it is made of one file for each person.
    by_session
        Whether rows are of a session, not of a participant.
    columns
        Column name to the values that are not missing, as stripped text.
    rows
        Every participant (and session) that has a row.
    missing
        Column name to the texts that were read as missing and are neither ``n/a`` nor empty
        (``#DIV/0!``, ``NaN``, ``.``): they are told.
    repeated
        Which lines are of one participant, where several are: such a table serves aggregates over
        rows alone. Its keys have the line of the file in the place of a session (``line 000012``),
        and ``session_id`` and ``part_id`` are columns like others.
    by_part
        Whether rows are of a part of a scan: the table has a column ``part_id``. In
        ``participants.tsv``, where a row is a person, that is a column like others.
    """

    name: str
    path: Path
    by_session: bool
    columns: Mapping[str, Mapping[Key, str]]
    rows: frozenset[Key]
    missing: Mapping[str, Mapping[Key, str]] = field(default_factory=dict)
    repeated: str = ""
    by_part: bool = False


class RepeatedRows(BadData):
    """A table has several rows of a participant."""


def read_table(path: Path, name: str = "", participant: str = "", several: bool = False) -> Table:
    """Read one table of people.

    Labels stay text (``007``), with or without their prefix. What `is_missing` knows is missing;
    blank lines, a byte order mark and Windows line ends do no harm.

    Parameters
    ----------
    path
        A tab-separated file with ``participant_id`` or, for `participant`, ``session_id``.
    name
        What the table is called; the file's name by default.
    participant
        Label of the person whose ``sub-<label>_sessions.tsv`` this is.
    several
        Whether a participant may have several rows; see `Table.repeated`.

    Raises
    ------
    NoInput
        The file cannot be read.
    RepeatedRows
        A participant, session, or part has several rows and should have one.
    BadData
        It is not such a table; the message names the line and the column.
    """
    lines = lines_of(path)
    if not lines:
        raise BadData(f"{path} is empty; expected a header with participant_id.")
    header = header_of(path, lines[0][1], "session_id" if participant else "participant_id")
    places = {column: place for place, column in enumerate(header) if column}
    by_session = "session_id" in places and not several
    by_part = PART in places and not several and path.name != PEOPLE
    own = IDS[:1] if several else (*IDS, PART) if by_part else IDS
    columns: dict[str, dict[Key, str]] = {c: {} for c in places if c not in own}
    missing: dict[str, dict[Key, str]] = {}
    seen: dict[Key, int] = {}
    again: list[str] = []
    for number, text in lines[1:]:
        fields = fields_of(path, number, text, header)
        person = participant or present(fields[places["participant_id"]])
        session = present(fields[places["session_id"]]) if by_session else ""
        if not person or (participant and not session):
            raise BadData(
                f"{path}: line {number} has no {IDS[bool(participant)]}; complete or remove it."
            )
        when = _prefixed("ses-", session) if session else ""
        key: Key = (_prefixed("sub-", person), f"line {number:06d}" if several else when)
        if by_part:
            part = present(fields[places[PART]])
            if not part:
                raise BadData(
                    f"{path}: line {number} has no {PART}; name the part that the row is about "
                    "(C6-L, R), or move values of the whole person to participants.tsv."
                )
            key = (*key, part)
        if key in seen:
            who = " ".join(filter(None, key))
            again.append(f"line {number} repeats line {seen[key]} ({who})")
        seen[key] = number
        for column, values in columns.items():
            text = fields[places[column]]
            if not is_missing(text):
                values[key] = text
            elif not is_standard_missing(text):
                missing.setdefault(column, {})[key] = text
    if again:
        more = f" and {len(again) - 3} more" if len(again) > 3 else ""
        text = f"{path}: {'; '.join(again[:3])}{more}. {_one_row_each(path, places)}"
        raise RepeatedRows(text)
    rows = frozenset(seen)
    found = Table(name or path.stem, path, by_session, columns, rows, missing, by_part=by_part)
    return replace(found, by_session=True) if several else found


def read_rows(path: Path, required: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    """Read a table of anything, row by row.

    Parameters
    ----------
    path
        A tab-separated file.
    required
        Names of columns that have to be there.

    Returns
    -------
    list
        The number of the line, from 1, and column name to text, empty where it is missing.

    Raises
    ------
    NoInput
        The file cannot be read.
    BadData
        It is not such a table; the message names the line and the column.
    """
    lines = lines_of(path)
    if not lines:
        raise BadData(f"{path} is empty; expected a header with {', '.join(required)}.")
    header = [unquoted(name) for name in lines[0][1].split("\t")]
    for name in required:
        header = header_of(path, "\t".join(header), name)
    rows = []
    for number, text in lines[1:]:
        fields = fields_of(path, number, text, header)
        named = {name: present(text) for name, text in zip(header, fields, strict=True) if name}
        rows.append((number, named))
    return rows


def _one_row_each(path: Path, places: Mapping[str, int]) -> str:
    """Say what to do about several rows of a participant, which may be visits."""
    if PART in places and path.name == PEOPLE:
        return (
            f"A row of {PEOPLE} is a person. Move what is said of parts ({PART}) to a table in "
            f"phenotype/ ({path.parent / 'phenotype' / 'parts.tsv'}), a row for each part."
        )
    if PART in places:
        return "Keep one row for each part."
    visit = next((column for column in places if column.lower() in _VISITS), None)
    if visit is None or "session_id" in places:
        return "Keep one row for each."
    return (
        f"Its column {visit!r} looks like the visit: in BIDS a visit is a session. Rename the "
        f"column session_id, with the labels of the ses- folders, and move such a table to "
        f"phenotype/ ({path.parent / 'phenotype' / 'visits.tsv'}); name an outcome of one visit "
        "COLUMN@SESSION (pain@2). Or keep one row for each participant."
    )


def read_dataset_tables(bids_dir: Path) -> tuple[list[Table], list[str]]:
    """Read all tables of a dataset.

    Returns
    -------
    tables
        participants, sessions (all of them as one), then phenotype tables by name, also those
        with several rows a participant.
    unread
        Why a phenotype table could not be read; it may not be needed, so it is no error here.

    Raises
    ------
    BadData, NoInput
        ``participants.tsv`` or a ``sessions.tsv`` cannot be read.
    """
    tables, unread = [], []
    if os.path.lexists(bids_dir / PEOPLE):  # a broken link is no absence
        tables.append(read_table(bids_dir / PEOPLE))
    sessions = [
        read_table(path, "sessions", path.parent.name)
        for path in sorted(bids_dir.glob("sub-*/sub-*_sessions.tsv"))
    ]
    if sessions:
        tables.append(_joined(bids_dir, sessions))
    for path in sorted((bids_dir / "phenotype").glob("[!.]*.tsv")):
        try:
            tables.append(read_table(path))
        except RepeatedRows as error:
            tables.append(replace(read_table(path, several=True), repeated=str(error)))
        except (BadData, NoInput) as error:
            unread.append(str(error))
    return tables, unread


def other_tables(bids_dir: Path) -> list[str]:
    """Names of files that look like participants.tsv in another format or spelling."""
    if not bids_dir.is_dir():
        return []
    pattern = re.compile(r"(participants?|subjects?)\.(tsv|csv|xlsx?|ods|txt)", re.IGNORECASE)
    return sorted(path.name for path in bids_dir.iterdir() if pattern.fullmatch(path.name))


def _joined(bids_dir: Path, tables: Sequence[Table]) -> Table:
    columns: dict[str, dict[Key, str]] = {}
    missing: dict[str, dict[Key, str]] = {}
    for table in tables:
        for whole, part in ((columns, table.columns), (missing, table.missing)):
            for column, values in part.items():
                whole.setdefault(column, {}).update(values)
    rows = frozenset().union(*(table.rows for table in tables))
    by_part = any(table.by_part for table in tables)
    return Table("sessions", bids_dir, True, columns, rows, missing, by_part=by_part)


def _prefixed(prefix: str, label: str) -> str:
    return prefix + label.removeprefix(prefix)


def read_frame(
    path: Path, dtype: Any = str, missing: Sequence[str] = (), quotes: bool = False
) -> "pd.DataFrame":
    """Read a table that was written by `write_table`: tabs, no quotes, ``n/a`` as it stands.

    Parameters
    ----------
    path
        The file.
    dtype
        As pandas takes it; text by default, None to take numbers for numbers.
    missing
        What is to become NaN; nothing by default.
    quotes
        Whether fields may stand in quotes, as in tables that users made.

    Returns
    -------
    pandas.DataFrame
        The rows in their order.

    Raises
    ------
    OSError
        It is not there, cannot be read, or is no regular file.
    ValueError
        It is no table of tab-separated values, or is empty.
    """
    import pandas as pd

    with open_regular(path) as stream:
        table = pd.read_csv(
            stream,
            sep="\t",
            dtype=dtype,
            keep_default_na=False,
            na_values=list(missing),
            quoting=csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE,
        )
    # pandas takes the first fields for an index then, and every column would hold its neighbour's
    if not isinstance(table.index, pd.RangeIndex):
        raise ValueError(f"the rows have more fields than the header, which has {table.shape[1]}")
    return table


def write_table(path: Path, frame: "pd.DataFrame") -> None:
    """Write a tab-separated table, ``n/a`` where a value is missing, whole or not at all.

    Raises
    ------
    CannotCreateOutput
        The folder cannot be made or written to.
    InputOutputError
        Writing failed on the way.
    """
    flat = frame.astype(object).where(frame.notna(), "n/a")
    text = flat.map(lambda value: re.sub(r"[\t\r\n]+", " ", str(value)) or "n/a")
    lines = ["\t".join(map(str, frame.columns))]
    lines += ["\t".join(row) for row in _rows(text)]
    with atomic_path(path) as temporary:
        temporary.write_bytes(("\n".join(lines) + "\n").encode())


def _rows(frame: "pd.DataFrame") -> Iterator[tuple[str, ...]]:
    return frame.itertuples(index=False, name=None)
