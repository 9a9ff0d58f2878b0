"""Splits as a file: written for people to read, read from people and checked for leaks."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from bidsapp.dataset.tables import read_frame
from bidsapp.errors import BadData, NoInput
from bidsapp.training.columns import ROLES
from bidsapp.training.splits import COLUMNS, units_of
from bidsapp.visible import shortened

MOST = 12
_LINES = 5  # of one person that a message counts out
_WIDE = 250  # characters of one problem
_DIGITS = 9  # of a repeat or fold; what is longer need not fit an integer


def read_splits(
    path: Path, cohort: pd.DataFrame, grouped: bool = False, variants: Sequence[str] = ()
) -> pd.DataFrame:
    """Read a user's splits and refuse every way in which they could leak.

    Parameters
    ----------
    path
        A TSV file with the columns repeat, fold, participant_id, role; with a column variant,
        each variant has its own rows, as in what a run with several protocols writes.
    cohort
        As in `make_splits`.
    grouped
        Whether the column ``group`` binds participants.
    variants
        Those that are to be trained; where the file has a column variant, it must have all.

    Returns
    -------
    pandas.DataFrame
        As `make_splits` returns; the column variant before it where the file has one.

    Raises
    ------
    NoInput
        If the file is not there.
    BadData
        With every problem found and its line (the header is line 1).
    """
    try:
        table = read_frame(path)
    except OSError as error:
        raise NoInput(f"--splits {path} cannot be read: {error.strerror or error}") from error
    except (ValueError, pd.errors.ParserError) as error:
        raise BadData(f"{path}: not a table of tab-separated values: {error}") from error
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise BadData(
            f"{path}: column {', '.join(missing)} is missing; expected {', '.join(COLUMNS)} "
            f"separated by tabs, found {', '.join(map(str, table.columns))}"
        )
    own = ["variant"] if "variant" in table.columns else []
    problems = _bad_cells(table)
    if not problems:
        table = table[[*own, *COLUMNS]].assign(
            repeat=table["repeat"].astype(int), fold=table["fold"].astype(int)
        )
        if own:
            table, problems = _of_variants(table, cohort, grouped, variants)
        else:
            problems = splits_problems(table, cohort, grouped)
    if problems:
        more = f"\n  and {len(problems) - MOST} more" if len(problems) > MOST else ""
        some = [shortened(problem, _WIDE) for problem in problems[:MOST]]
        raise BadData(f"{path} is refused:\n  " + "\n  ".join(some) + more)
    if own:
        return table.reset_index(drop=True)
    return table.sort_values(COLUMNS[:3], ignore_index=True)


def _of_variants(
    table: pd.DataFrame, cohort: pd.DataFrame, grouped: bool, variants: Sequence[str]
) -> tuple[pd.DataFrame, list[str]]:
    """Rows of the variants that are trained, in their order, and what is wrong with them."""
    there = [str(name) for name in table["variant"].drop_duplicates()]
    chosen = list(variants) or there
    problems = [
        f"variant {name} has no rows; the column variant has {', '.join(there) or 'none'}"
        for name in chosen
        if name not in there
    ]
    parts = []
    for name in chosen:
        if name in there:
            rows = table[table["variant"] == name]
            found = splits_problems(rows[COLUMNS], cohort, grouped)
            problems += [f"variant {name}: {problem}" for problem in found]
            parts.append(rows.sort_values(COLUMNS[:3]))
    return (pd.concat(parts) if parts else table.iloc[:0]), problems


def splits_problems(table: pd.DataFrame, cohort: pd.DataFrame, grouped: bool = False) -> list[str]:
    """Say everything that is wrong with splits; line numbers follow the table's index.

    Parameters
    ----------
    table
        Columns repeat, fold (integers), participant_id, role.
    cohort, grouped
        As in `read_splits`.
    """
    units = units_of(cohort, grouped)
    group_of = {p: g for g, people in zip(units.groups, units.members, strict=True) for p in people}
    outcome = pd.to_numeric(cohort["outcome"])
    holders = [set(cohort.loc[outcome == value, "participant_id"].astype(str)) for value in (0, 1)]
    problems = [
        f"line {line + 2}: participant {person!r} is not in the cohort"
        for line, person in zip(table.index.tolist(), table["participant_id"], strict=True)
        if person not in group_of
    ]
    if table.empty:
        return ["the table is empty"]
    for key, part in table.groupby(["repeat", "fold"]):
        where = "repeat {}, fold {}".format(*key)
        problems += _people_problems(part, where)
        problems += _group_problems(part, where, group_of) if grouped else []
        problems += _role_problems(part, where, holders)
    for repeat, part in table.groupby("repeat"):
        problems += _coverage_problems(part, f"repeat {repeat}", set(group_of))
    return problems


def _bad_cells(table: pd.DataFrame) -> list[str]:
    problems = []
    for line, row in table.iterrows():
        at = f"line {int(str(line)) + 2}"
        for column in ("repeat", "fold"):
            if not row[column].isdecimal() or len(row[column]) > _DIGITS:
                problems.append(f"{at}: {column} {row[column]!r} is not a number from 0 on")
        if row["role"] not in ROLES:
            problems.append(f"{at}: role {row['role']!r} is not one of {', '.join(ROLES)}")
    return problems


def _people_problems(part: pd.DataFrame, where: str) -> list[str]:
    problems = []
    for person, rows in part.groupby("participant_id"):
        if len(rows) > 1:
            lines = " and ".join(str(line + 2) for line in rows.index[:_LINES])
            lines += f" and {len(rows) - _LINES} more" if len(rows) > _LINES else ""
            roles = sorted(set(rows["role"]))
            what = f"is in {' and in '.join(roles)}" if len(roles) > 1 else "stands twice"
            problems.append(f"lines {lines}: {person} {what} of {where}")
    return problems


def _group_problems(part: pd.DataFrame, where: str, group_of: dict[str, str]) -> list[str]:
    known = part[part["participant_id"].isin(list(group_of))]
    roles = known.groupby(known["participant_id"].map(group_of))["role"].unique()
    return [
        f"group {group} is in {' and in '.join(sorted(found))} of {where}"
        for group, found in roles.items()
        if len(found) > 1
    ]


def _role_problems(part: pd.DataFrame, where: str, holders: Sequence[set[str]]) -> list[str]:
    """Say which roles lack people; `holders` are those with a negative, and with a positive."""
    problems = []
    for role in ("train", "test", "validation"):
        people = part.loc[part["role"] == role, "participant_id"]
        if people.empty:
            if role != "validation":
                problems.append(f"{where} has nobody in {role}")
        elif role == "train" and not all(people.isin(list(one)).any() for one in holders):
            problems.append(f"{where} has one class only in train")
    return problems


def _coverage_problems(part: pd.DataFrame, where: str, people: set[str]) -> list[str]:
    tests = part[part["role"] == "test"]
    twice = tests["participant_id"].value_counts()
    problems = [
        f"{person} is tested in {count} folds of {where}; once is allowed"
        for person, count in twice.items()
        if count > 1
    ]
    untested = sorted(people - set(tests["participant_id"]))
    # A single fold is a hold-out, where most people are never tested.
    if untested and part["fold"].nunique() > 1:
        problems += [f"{person} of the cohort is never tested in {where}" for person in untested]
    unseen = sorted(people - set(part["participant_id"]))
    if part["fold"].nunique() == 1:
        problems += [f"{person} of the cohort has no role in {where}" for person in unseen]
    return problems


def splits_of(splits: pd.DataFrame, variant: str) -> pd.DataFrame:
    """Return the rows of the splits table that hold for a variant.

    A `variant` column is optional; rows without a name there hold for every variant that has no
    rows of its own.
    """
    if "variant" not in splits:
        return splits
    own = splits[splits["variant"] == variant]
    return own if len(own) else splits[splits["variant"].isin(["", "n/a"])]
