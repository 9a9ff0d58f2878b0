"""What the state files of a run are refused for, by file and line."""

from pathlib import Path

import pandas as pd

from bidsapp.contracts.unit import PART, unit_columns
from bidsapp.errors import BadData
from bidsapp.training.splits_file import splits_of


def integers(
    path: Path, table: pd.DataFrame, column: str, allowed: tuple[int, ...] | None = None
) -> pd.Series:
    """Read a column of whole numbers from 0, or of some that are allowed."""
    text = table[column].astype(str)
    wrong = ~text.str.fullmatch(r"\d{1,9}")  # what is longer need not fit an integer
    expected = f"expected one of {allowed}" if allowed else "expected a whole number from 0"
    refuse_where(path, table, wrong, column, expected)
    numbers = text.astype(int)
    if allowed is not None:
        refuse_where(path, table, ~numbers.isin(allowed), column, expected)
    return numbers


def probabilities(path: Path, scores: pd.DataFrame) -> pd.Series:
    """Read the column of probabilities."""
    numbers = pd.to_numeric(scores["probability"], errors="coerce").astype(float)
    wrong = ~numbers.between(0, 1)
    refuse_where(path, scores, wrong, "probability", "expected a number from 0 to 1")
    return numbers


def refuse_where(
    path: Path, table: pd.DataFrame, wrong: pd.Series, column: str, expected: str
) -> None:
    """Refuse the first row whose value is wrong, by its line."""
    if wrong.any():
        line = table.index[wrong.to_numpy()][0]
        raise BadData(f"{path}: line {line}: {column} is {table[column].loc[line]!r}; {expected}")


def refuse_strangers(path: Path, table: pd.DataFrame, cohort: pd.DataFrame, key: list[str]) -> None:
    """Refuse rows of units that are not in the cohort."""
    known = pd.MultiIndex.from_frame(cohort[key])
    wrong = ~pd.MultiIndex.from_frame(table[key]).isin(known)
    if wrong.any():
        line = table.index[wrong][0]
        who = " ".join(table.loc[line, key])
        raise BadData(f"{path}: line {line}: {who!r} is not in cohort.tsv; correct or remove it")


def refuse_duplicates(path: Path, table: pd.DataFrame, key: list[str]) -> None:
    """Refuse a row that repeats another in the columns of a key."""
    again = table.duplicated(key)
    if again.any():
        line = table.index[again.to_numpy()][0]
        same = (table[key] == table.loc[line, key]).all(axis=1)
        first = table.index[same.to_numpy()][0]
        raise BadData(f"{path}: line {line} repeats line {first} ({', '.join(key)}); remove one")


def check_folds(path: Path, scores: pd.DataFrame, splits: pd.DataFrame) -> None:
    """Refuse scores of people whom the splits do not hold out in that fold."""
    key = ["repeat", "fold", "participant_id"]
    for variant, rows in scores.groupby("variant", sort=False):
        roles = splits_of(splits, str(variant)).set_index(key)["role"]
        role = roles.reindex(pd.MultiIndex.from_frame(rows[key])).to_numpy()
        wrong = role != "test"
        if wrong.any():
            line, found = rows.index[wrong][0], role[wrong][0]
            row = rows.loc[line]
            place = f"repeat {row['repeat']}, fold {row['fold']}"
            found = "absent" if found != found else f"in role {found!r}"
            raise BadData(
                f"{path}: line {line}: {row['participant_id']} is scored in {place}, where "
                f"splits.tsv has it {found}; only held-out participants may be scored"
            )


def check_complete(
    folder: Path, scores: pd.DataFrame, splits: pd.DataFrame, cohort: pd.DataFrame
) -> None:
    """Refuse scores without somebody whom the splits hold out."""
    for variant, rows in scores.groupby("variant", sort=False):
        mine = splits_of(splits, str(variant))
        tested = mine.loc[mine["role"] == "test", ["repeat", "participant_id"]].drop_duplicates()
        unit = unit_columns(cohort)
        expected = tested.reset_index().merge(cohort[unit], on="participant_id")
        key = ["repeat", *unit]
        there = pd.MultiIndex.from_frame(rows[key])
        absent = ~pd.MultiIndex.from_frame(expected[key]).isin(there)
        if absent.any():
            first = expected[absent].iloc[0]
            part = f", part {first[PART]}" if PART in first else ""
            who = f"{first['participant_id']}, session {first['session_id']}{part}"
            raise BadData(
                f"{folder / 'scores.tsv'}: line {rows.index[-1]} ends variant {variant!r} without "
                f"{who}, which splits.tsv line {first['line']} tests in repeat {first['repeat']} "
                f"({int(absent.sum())} such rows are missing); rerun the group level"
            )
