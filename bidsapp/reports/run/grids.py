"""A table for a page: columns, cells, and what they sort by."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from bidsapp.drawing.svg import number
from bidsapp.drawing.wording import below_a_thousandth
from bidsapp.evaluation.tsv import as_float, is_missing


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Attributes
    ----------
    text
        What it says.
    sort
        The value it sorts by; the text where None.
    href
        Where it leads.
    css
        Its look.
    place
        ``x y z`` in mm of the template, which a viewer beside the table can show.
    """

    text: str
    sort: float | str | None = None
    href: str = ""
    css: str = ""
    place: str = ""


@dataclass(frozen=True)
class Grid:
    """A table.

    Attributes
    ----------
    key
        Its name on the page.
    caption
        What it shows.
    columns
        Headings.
    rows
        Cells; the first of each row is its heading.
    numeric
        Places of the columns that are set to the right.
    find
        Whether it gets a field to filter by.
    """

    key: str
    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    numeric: tuple[int, ...] = ()
    find: bool = False


Shown = Callable[[pd.Series], Cell]


def plain(column: str) -> Shown:
    """Show a column as it stands; a dash for what is missing."""

    def show(row: pd.Series) -> Cell:
        value = row[column]
        return Cell("–", "") if is_missing(value) else Cell(str(value))

    return show


def decimal(column: str, digits: int = 2) -> Shown:
    """Show a column of numbers with fixed digits."""

    def show(row: pd.Series) -> Cell:
        value = as_float(row[column])
        return Cell(number(value, digits), value if math.isfinite(value) else -math.inf)

    return show


def p_value(column: str) -> Shown:
    """Show a p value: three decimals, or ``< 0.001``."""

    def show(row: pd.Series) -> Cell:
        value = as_float(row[column])
        if not math.isfinite(value):
            return Cell("–", 2.0)
        return Cell("< 0.001" if below_a_thousandth(value) else f"{value:.3f}", value)

    return show


def interval(low: str = "ci_low", high: str = "ci_high", digits: int = 2) -> Shown:
    """Show two columns as an interval."""

    def show(row: pd.Series) -> Cell:
        ends = as_float(row[low]), as_float(row[high])
        if not all(map(math.isfinite, ends)):
            return Cell("–", -math.inf)
        return Cell(f"{number(ends[0], digits)} to {number(ends[1], digits)}", ends[0])

    return show


def grid(
    key: str,
    caption: str,
    table: pd.DataFrame,
    columns: Sequence[tuple[str, Shown]],
    *,
    numeric: Sequence[str] = (),
    find: bool = False,
) -> Grid | None:
    """Lay out a table; None where it has no rows.

    Parameters
    ----------
    columns
        Heading, and how the cell of a row is shown, each.
    numeric
        Headings of the columns that are set to the right.
    """
    if table.empty:
        return None
    rows = [[show(row) for _, show in columns] for _, row in table.iterrows()]
    places = tuple(i for i, (name, _) in enumerate(columns) if name in numeric)
    return Grid(key, caption, [name for name, _ in columns], rows, places, find)
