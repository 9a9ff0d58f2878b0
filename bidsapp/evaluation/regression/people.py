"""Whose row it is: by a column of the table, or guessed where a table has lost its people."""

import re
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from bidsapp.errors import BadData, UsageError
from bidsapp.evaluation.tsv import is_missing, numeric

Change = tuple[float, float]
"""Least and greatest change from one row to the next of the same person."""
_RULE = re.compile(r"(?P<column>.+?)=(?P<low>-?[\d.]+)\.\.(?P<high>-?[\d.]+)")


def people_by_column(table: pd.DataFrame, column: str) -> np.ndarray:
    """(n,) the texts of a column that names people.

    Raises
    ------
    BadData
        It is empty in some row.
    """
    empty = table.index[table[column].map(is_missing)]
    if len(empty):
        raise BadData(f"Column {column!r} is empty in line {empty[0]}; name the person there.")
    return table[column].astype(str).to_numpy()


def read_rules(texts: Sequence[str]) -> dict[str, Change]:
    """Read ``Sex`` (no change) and ``Age=0..9`` (grows by 0 to 9) from the command line.

    Raises
    ------
    UsageError
        A rule is neither.
    """
    rules: dict[str, Change] = {}
    for text in texts:
        found = _RULE.fullmatch(text)
        try:
            if found:
                rules[found["column"]] = (float(found["low"]), float(found["high"]))
            elif "=" in text:
                raise ValueError
            else:
                rules[text] = (0.0, 0.0)
        except ValueError:
            raise UsageError(
                f"{text!r} is not understood; write COLUMN (the same in all rows of a person) or "
                "COLUMN=LEAST..MOST, by how much it changes from one row to the next: Age=0..9"
            ) from None
    return rules


def guess_people(table: pd.DataFrame, rules: Mapping[str, Change]) -> np.ndarray:
    """(n,) a number for each run of rows that may be of one person; a guess.

    A new person begins where a column changes from one row to the next by less or more than its
    rule allows, or is missing.

    Raises
    ------
    BadData
        A column that may change by some amount holds no numbers.
    """
    begins = np.zeros(len(table), bool)
    begins[:1] = True
    for column, (low, high) in rules.items():
        values = numeric(table[column])
        if values is None:
            if (low, high) != (0.0, 0.0):
                raise BadData(f"Column {column!r} holds no numbers; no change can be told.")
            texts = table[column].astype(str).to_numpy()
            begins[1:] |= texts[1:] != texts[:-1]
        else:
            change = np.diff(values.to_numpy(float))
            begins[1:] |= ~((change >= low - 1e-9) & (change <= high + 1e-9))
    return np.cumsum(begins)
