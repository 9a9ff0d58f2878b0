"""Data dictionaries: a JSON file beside a table that says what each of its columns holds."""

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from bidsapp.derivatives.atomic import write_json
from bidsapp.derivatives.baseline_meanings import BASELINES
from bidsapp.derivatives.cohort_meanings import COHORT
from bidsapp.derivatives.column_meanings import SHARED, Column
from bidsapp.derivatives.evaluated_meanings import EVALUATED
from bidsapp.derivatives.figure_meanings import FIGURES
from bidsapp.derivatives.guideline_meanings import GUIDELINES
from bidsapp.derivatives.measured_meanings import measured_columns
from bidsapp.derivatives.regression_meanings import REGRESSION
from bidsapp.derivatives.saliency_meanings import SALIENCY
from bidsapp.derivatives.training_meanings import TRAINING
from bidsapp.derivatives.validation_meanings import VALIDATION

TABLES = (
    COHORT
    | TRAINING
    | SALIENCY
    | EVALUATED
    | BASELINES
    | GUIDELINES
    | FIGURES
    | REGRESSION
    | VALIDATION
    | {"figures/sensitivity": EVALUATED["tables/sensitivity"]}
)
TABLES |= {name: more | TABLES[name] for name, more in measured_columns().items()}
_FOLDERS = ("tables", "figures", "saliency")


def describe_run(folder: Path) -> None:
    """Write the data dictionary of every table of a group run.

    Parameters
    ----------
    folder
        ``<out>/group/<label>``.
    """
    for path in sorted(folder.rglob("[!.]*.tsv")):
        parts = path.relative_to(folder).parts
        place = f"{parts[0]}/" if len(parts) > 1 and parts[0] in _FOLDERS else ""
        describe_table(path, place + path.stem)


def describe_table(path: Path, name: str) -> None:
    """Write the data dictionary of one table beside it; none where its kind is not known.

    Parameters
    ----------
    path
        The table.
    name
        Its key in `TABLES`.
    """
    if name not in TABLES:
        return
    with path.open(encoding="utf-8") as table:
        header = table.readline().rstrip("\r\n").split("\t")
    found = {column: column_of(name, column) for column in header}
    told = {column: _plain(one) for column, one in found.items() if one is not None}
    write_json(path.with_suffix(".json"), told)


def column_of(name: str, column: str) -> Column | None:
    """Find what is known of a column: the table's own words, those that tables share, a pattern."""
    own = TABLES[name]
    if column in own:
        return own[column]
    if column in SHARED and "*" not in own:
        return SHARED[column]
    return next((words for pattern, words in own.items() if fnmatchcase(column, pattern)), None)


def _plain(column: Column) -> dict[str, Any]:
    told: dict[str, Any] = {"Description": column.description}
    if column.units:
        told["Units"] = column.units
    if column.levels:
        told["Levels"] = dict(column.levels)
    return told
