"""TSV in, with line numbers for messages; TSV out, with n/a for what is undefined."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from bidsapp.dataset import tables
from bidsapp.dataset.reading import FEWEST_NUMBERS, Reading, read_column
from bidsapp.errors import BadData, NoInput
from bidsapp.intake.regular import read_text

MISSING = "n/a"
FIRST_DATA_LINE = 2
_SHOWN = 3


def read_table(
    path: Path, required: Sequence[str], optional: Sequence[str] | None = None
) -> pd.DataFrame:
    """Read a tab-separated table as text, indexed by the line each row stands on.

    Parameters
    ----------
    path
        The file.
    required
        Columns that must be there.
    optional
        Columns that may be there too, all others being refused; None lets any be there.

    Returns
    -------
    pandas.DataFrame
        All values as stripped text, ``n/a`` kept as it is; the index is the line number (from 2).

    Raises
    ------
    NoInput
        The file is not there.
    BadData
        The file is not UTF-8, not tab-separated, has a blank line, a line with too many or too
        few fields, or lacks a column.
    """
    try:
        text = read_text(path, "utf-8-sig")
    except FileNotFoundError:
        raise NoInput(f"{path}: not found; it is written by the group level") from None
    except OSError as error:
        raise NoInput(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise BadData(f"{path}: not UTF-8 ({error}); save it as UTF-8 text") from None
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    if not lines:
        raise BadData(f"{path}: line 1: the file is empty; expected the header {list(required)}")
    header = _fields(lines[0])
    _check_header(path, header, required, optional)
    rows = [_row(path, number, line, header) for number, line in enumerate(lines[1:], start=2)]
    index = pd.RangeIndex(FIRST_DATA_LINE, FIRST_DATA_LINE + len(rows), name="line")
    return pd.DataFrame(rows, columns=pd.Index(header), index=index, dtype=object)


def _fields(line: str) -> list[str]:
    return [field.strip() for field in line.rstrip("\r").split("\t")]


def _check_header(
    path: Path, header: list[str], required: Sequence[str], optional: Sequence[str] | None
) -> None:
    if len(header) == 1 and len(required) > 1:
        raise BadData(f"{path}: line 1: one column only ({header[0]!r}); separate columns by tabs")
    if len(set(header)) != len(header):
        twice = sorted({name for name in header if header.count(name) > 1})
        raise BadData(f"{path}: line 1: column {twice} appears twice; remove one")
    absent = [name for name in required if name not in header]
    if absent:
        raise BadData(f"{path}: line 1: column {absent} is missing; found {header}")
    surplus = [name for name in header if name not in (*required, *(optional or ()))]
    if optional is not None and surplus:
        raise BadData(f"{path}: line 1: unknown column {surplus}; expected only {list(required)}")


def _row(path: Path, number: int, line: str, header: list[str]) -> list[str]:
    values = _fields(line)
    if len(values) != len(header):
        what = "is blank" if not line.strip() else f"has {len(values)} fields"
        raise BadData(f"{path}: line {number} {what}; expected {len(header)}, separated by tabs")
    return values


def write_table(table: pd.DataFrame, path: Path) -> Path:
    """Write a table as TSV in one step, undefined and empty values as ``n/a``, 6 digits.

    Columns `variant` and `scope`, where there, come first. An earlier file of that name is
    replaced only once the new one is complete.
    """
    leading = [name for name in ("variant", "scope") if name in table]
    ordered = table[leading + [name for name in table if name not in leading]]
    digits = {str(name): ordered[name].map(_six_digits) for name in ordered.select_dtypes("float")}
    tables.write_table(path, ordered.assign(**digits))
    return path


def as_written(table: pd.DataFrame) -> pd.DataFrame:
    """Round a table's numbers to the digits that it is written with.

    Sentences made of it then show what those show who read the file: of 0.8849999999, written as
    0.885, both make .89.
    """
    digits = {
        str(name): pd.to_numeric(table[name].map(_six_digits))
        for name in table.select_dtypes("float")
    }
    return table.assign(**digits)


def _six_digits(value: float) -> str | None:
    return None if value != value else f"{value:.6g}"


def reading_of(values: pd.Series) -> Reading:
    """How a column of a cohort table is read; see `read_column`."""
    return read_column(str(value) for value in values if not is_missing(value))


def numeric(values: pd.Series) -> pd.Series | None:
    """Text as numbers where the column is one of numbers, else None.

    What is missing, not understood, infinite or too large for a float is NaN: no model takes it.
    """
    reading = reading_of(values)
    if reading.kind != "numbers":
        return None
    numbers = values.map(lambda v: reading.number(None if is_missing(v) else str(v))).astype(float)
    return None if numbers.isna().all() else numbers


def unusable(values: pd.Series) -> str:
    """Say why a column can serve no model, neither as numbers nor as categories; else empty."""
    reading = reading_of(values)
    total = sum(reading.counts.values())
    if reading.kind == "unclear":
        wrong = [text for text in reading.counts if text not in reading.numbers]
        lost = sum(reading.counts[text] for text in wrong)
        some = ", ".join(f"{text!r}" for text in wrong[:_SHOWN])
        more = ", ..." if len(wrong) > _SHOWN else ""
        return f"{lost} of its {total} values are no numbers ({some}{more})"
    many = len(reading.counts) > total / 2 and total >= FEWEST_NUMBERS
    if reading.kind == "categories" and many:
        return f"it has {len(reading.counts)} different texts for {total} scans"
    return ""


def is_missing(value: object) -> bool:
    """Tell whether a cell is empty, ``n/a`` or NaN."""
    return value is None or value != value or str(value).strip().lower() in ("", "n/a", "nan")


def as_float(value: object) -> float:
    """Turn a cell into a number, NaN for what is none."""
    try:
        return float("nan") if is_missing(value) else float(str(value))
    except ValueError:
        return float("nan")
