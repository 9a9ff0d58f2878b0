"""``python -m bidsapp.evaluation.regression TABLE``: nested regressions of any table."""

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np
import pandas as pd

from bidsapp.derivatives.dictionaries import describe_table
from bidsapp.errors import BadData, CannotCreateOutput, NociCastError, NoInput, UsageError
from bidsapp.evaluation.intervals import LEVEL
from bidsapp.evaluation.regression.added_auc import added_auc
from bidsapp.evaluation.regression.models import Kind
from bidsapp.evaluation.regression.nested import Rows, compare_nested, complete_rows
from bidsapp.evaluation.regression.people import guess_people, people_by_column, read_rules
from bidsapp.evaluation.regression.tables import (
    as_text,
    auc_table,
    cautions,
    coefficient_table,
    tests_table,
)
from bidsapp.evaluation.tsv import is_missing, numeric, unusable, write_table
from bidsapp.intake.regular import open_regular

_TWO = 2


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}. See --help.")


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of the command; what it cannot read is a `UsageError`."""
    parser = _Parser(
        prog="python -m bidsapp.evaluation.regression",
        description="Does a column add anything to others? A smaller and a larger regression of "
        "one outcome, compared as most papers do and by person.",
    )
    parser.add_argument("table", type=Path, help="comma- or tab-separated, with a header")
    parser.add_argument("--outcome", required=True, metavar="COLUMN")
    parser.add_argument("--base", nargs="*", default=[], metavar="COLUMN", help="smaller model")
    parser.add_argument("--add", nargs="+", required=True, metavar="COLUMN", help="what is added")
    parser.add_argument(
        "--kind",
        choices=("logistic", "linear"),
        help="by default logistic where the outcome has two values, else linear",
    )
    parser.add_argument(
        "--positive", metavar="VALUE", help="value of a logistic outcome that counts as 1"
    )
    whose = parser.add_mutually_exclusive_group()
    whose.add_argument("--person", metavar="COLUMN", help="whose row it is (participant_id)")
    whose.add_argument(
        "--guess-people",
        nargs="+",
        metavar="RULE",
        help="where a table has no such column: neighbouring rows are of one person where COLUMN "
        "is the same, and COLUMN=LEAST..MOST changes by no less and no more (Sex Age=0..9)",
    )
    parser.add_argument("--folds", type=int, default=10, metavar="K", help="0: no held-out AUC")
    parser.add_argument("--random-seed", type=int, default=0, metavar="N", help="of the folds")
    parser.add_argument("--level", type=float, default=LEVEL, metavar="X", help="of intervals")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="write the tables there too")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code."""
    try:
        _run(build_parser().parse_args(arguments))
    except NociCastError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _run(asked: argparse.Namespace) -> None:
    table = read_any_table(asked.table)
    rules = read_rules(asked.guess_people or [])
    columns = [asked.outcome, *asked.base, *asked.add, *rules]
    _check(asked, table, [*columns, *([asked.person] if asked.person else [])])
    kind, outcome = _outcome(asked, table)
    if asked.person:
        person = people_by_column(table, asked.person)
    else:
        person = guess_people(table, rules) if rules else np.arange(len(table))
    rows = complete_rows(table, outcome, asked.base, asked.add, person)
    found = compare_nested(rows, kind)
    tables = {
        "coefficients": coefficient_table(found, kind, asked.level),
        "tests": tests_table(found),
    }
    if kind == "logistic" and asked.folds:
        tables["auc"] = auc_table(
            added_auc(rows, asked.folds, asked.random_seed, asked.level), asked.level
        )
    _tell(asked, kind, rows, tables)
    print("\n".join(cautions(found, bool(rules))))
    if asked.output:
        _write(asked.output, tables)


def read_any_table(path: Path) -> pd.DataFrame:
    """Read a comma- or tab-separated table as text, indexed by line.

    Raises
    ------
    NoInput
        The file cannot be read.
    BadData
        It is not UTF-8, or no such table.
    """
    try:
        with open_regular(path) as file:
            content = file.read()
    except OSError as error:
        raise NoInput(f"{path} cannot be read: {error.strerror or error}.") from None
    try:
        text = content.decode("utf-8-sig")
        head = text.partition("\n")[0]
        separator = "\t" if "\t" in head else ";" if head.count(";") > head.count(",") else ","
        table = pd.read_csv(
            io.StringIO(text),
            sep=separator,
            dtype=str,
            keep_default_na=False,
            skip_blank_lines=True,
        )
    except UnicodeDecodeError as error:
        raise BadData(f"{path}: not UTF-8 ({error}); save it as UTF-8 text.") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise BadData(f"{path}: not a comma- or tab-separated table ({error}).") from None
    if not isinstance(table.index, pd.RangeIndex):  # pandas took the first fields for names
        raise BadData(
            f"{path}: the rows have more fields than the header, which has {table.shape[1]}. A "
            "name is missing in the first line, or a separator stands at the end of the others."
        )
    table.columns = pd.Index([str(name).strip() for name in table])
    return table.apply(lambda values: values.str.strip()).set_axis(table.index + _TWO)


def _check(asked: argparse.Namespace, table: pd.DataFrame, columns: Sequence[str]) -> None:
    absent = [name for name in columns if name not in table]
    if absent:
        raise UsageError(
            f"{asked.table}: no column {', '.join(map(repr, absent))}; it has "
            f"{', '.join(map(str, table))}."
        )
    used = [asked.outcome, *asked.base, *asked.add]
    twice = sorted({name for name in used if used.count(name) > 1})
    if twice:
        raise UsageError(f"Column {twice[0]!r} is named twice; name each column once.")
    for name in (*asked.base, *asked.add):
        if why := unusable(table[name]):
            raise BadData(f"{asked.table}: column {name!r} cannot be used: {why}.")
    if not 0 < asked.level < 1:
        raise UsageError(f"--level {asked.level}: expected a share between 0 and 1, as .95.")
    if asked.folds < 0 or asked.folds == 1:
        raise UsageError(f"--folds {asked.folds}: expected 0 (none) or 2 and more.")


def _outcome(asked: argparse.Namespace, table: pd.DataFrame) -> tuple[Kind, np.ndarray]:
    """Tell the kind of regression, and (n,) the outcome in numbers, NaN where it is missing."""
    values = table[asked.outcome]
    there = values[~values.map(is_missing)]
    found = sorted(there.unique())
    kind: Kind = asked.kind or ("logistic" if len(found) <= _TWO or asked.positive else "linear")
    if kind == "linear":
        numbers = numeric(values)
        if numbers is None:
            raise BadData(
                f"{asked.table}: outcome {asked.outcome!r} holds no numbers; a linear regression "
                "needs them."
            )
        return kind, numbers.to_numpy(float)
    positive = asked.positive or ("1" if set(found) <= {"0", "1"} else None)
    if positive is None or positive not in found or len(found) > _TWO:
        raise UsageError(
            f"{asked.table}: outcome {asked.outcome!r} has the values "
            f"{', '.join(found[:6])}{' ...' if len(found) > 6 else ''}; a logistic regression "
            "needs two: name the one that counts as 1 with --positive, or ask for --kind linear."
        )
    return kind, np.where(values.map(is_missing), np.nan, (values == positive).astype(float))


def _tell(
    asked: argparse.Namespace, kind: Kind, rows: Rows, tables: dict[str, pd.DataFrame]
) -> None:
    base = ", ".join(asked.base) or "the intercept alone"
    print(f"{kind.capitalize()} regression of {asked.outcome} on {base}; added: ", end="")
    print(f"{', '.join(asked.add)}. {len(rows.outcome)} rows.")
    for name, table in tables.items():
        print(f"\n{name}\n{as_text(table)}")
    print()


def _write(folder: Path, tables: dict[str, pd.DataFrame]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, table in tables.items():
            describe_table(write_table(table, folder / f"{name}.tsv"), f"regression/{name}")
    except OSError as error:
        raise CannotCreateOutput(
            f"{folder} cannot be written: {error.strerror or error}."
        ) from None
    print(f"Written to {folder}: {', '.join(f'{name}.tsv' for name in tables)}")


if __name__ == "__main__":
    sys.exit(main())
