"""TSV in, with line numbers for messages; TSV out, with n/a for what is undefined."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from bidsapp.dataset import tables
from bidsapp.errors import BadData, NoInput
from bidsapp.intake.pointers import require_content

MISSING = "n/a"
FIRST_DATA_LINE = 2


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
    require_content(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise NoInput(f"{path}: not found; it is written by the group level") from None
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


def _six_digits(value: float) -> str | None:
    return None if value != value else f"{value:.6g}"


def numeric(values: pd.Series) -> pd.Series | None:
    """Text as numbers where every value that is not missing is one, else None.

    Infinity and what is too large for a float count as missing: no model takes them.
    """
    known = values.map(lambda value: None if is_missing(value) else value)
    if known.isna().all():
        return None
    numbers = pd.to_numeric(known, errors="coerce").astype(float)
    if (numbers.isna() & known.notna()).any():
        return None
    finite = numbers.where(numbers.abs() != float("inf"))
    return None if finite.isna().all() else finite


def is_missing(value: object) -> bool:
    """Tell whether a cell is empty, ``n/a`` or NaN."""
    return value is None or value != value or str(value).strip().lower() in ("", "n/a", "nan")
