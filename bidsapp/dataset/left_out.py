"""People who are left out once the cohort is known: told of, and nobody else is moved."""

import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from bidsapp.errors import BadData, NoInput

if TYPE_CHECKING:
    from bidsapp.dataset.cohort import Cohort
    from bidsapp.dataset.normalized import NormalizedImage


def check_both_classes(table: pd.DataFrame, exclusions: pd.DataFrame) -> None:
    """Refuse a cohort of nobody, and one in which all have one outcome.

    Raises
    ------
    BadData
        It says who was left out, and why.
    """
    reasons = Counter(exclusions["reason"])
    why = "; ".join(f"{reason}: {n}" for reason, n in reasons.most_common())
    detail = f" First: {str(exclusions['detail'].iloc[0]).rstrip('.')}." if len(exclusions) else ""
    if table.empty:
        raise BadData(f"cohort: nobody is left ({why or 'nobody is there'}).{detail}")
    if table["outcome"].nunique() == 1:
        positive = len(table) if table["outcome"].iloc[0] == 1 else 0
        raise BadData(
            f"cohort: {positive} positive and {len(table) - positive} negative scans; a model can "
            "only learn to tell one from the other, and be judged on both. Left out: "
            f"{why or 'nobody'}.{detail} Check which values --positive names, and whether people "
            "are left out who should be in."
        )


def without(cohort: "Cohort", reasons: Mapping[int, tuple[str, str]]) -> "Cohort":
    """Leave rows out of a cohort, and list them among its exclusions.

    Parameters
    ----------
    cohort
        As it was built.
    reasons
        Number of a row to reason and detail.
    """
    if not reasons:
        return cohort
    columns = cohort.exclusions.columns
    out = []
    for row, (reason, detail) in sorted(reasons.items()):
        told = dict(cohort.table.iloc[row]) | {"reason": reason, "detail": detail}
        out.append([told.get(name) for name in columns])
    listed = [cohort.exclusions, pd.DataFrame(out, columns=columns, dtype=object)]
    exclusions = pd.concat(listed, ignore_index=True)
    kept = [row not in reasons for row in range(len(cohort.table))]
    return replace(
        cohort,
        table=cohort.table[kept].reset_index(drop=True),
        exclusions=exclusions.sort_values(["participant_id"], ignore_index=True, kind="stable"),
        files=tuple(file for file, stays in zip(cohort.files, kept, strict=True) if stays),
    )


def conformed_files(
    cohort: "Cohort", conform: "Callable[[NormalizedImage], NormalizedImage]"
) -> "Cohort":
    """Bring what other software prepared onto the recipe's grid; who cannot be is left out.

    Parameters
    ----------
    cohort
        Its files with a `dataset` are conformed, this app's own stay as they are.
    conform
        Gives the scan with files that lie on the grid; `BadData` and `NoInput` leave it out.

    Raises
    ------
    BadData
        Nobody is left, or people of one outcome alone.
    """
    files, reasons = list(cohort.files), {}
    for row, scan in enumerate(cohort.files):
        if not scan.dataset:
            continue
        try:
            files[row] = conform(scan)
        except (BadData, NoInput) as error:
            reasons[row] = ("image not usable", str(error))
            print(f"{' '.join(scan.unit).strip()} is left out: {error}", file=sys.stderr)
    found = without(replace(cohort, files=tuple(files)), reasons)
    if reasons:
        check_both_classes(found.table, found.exclusions)
    return found
