"""People who are left out once the cohort is known: told of, and nobody else is moved."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace

import pandas as pd

from bidsapp.dataset.classes import check_both_classes
from bidsapp.dataset.cohort import Cohort
from bidsapp.dataset.normalized import NormalizedImage
from bidsapp.errors import BadData, NoInput


def without(cohort: Cohort, reasons: Mapping[int, tuple[str, str]]) -> Cohort:
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
    cohort: Cohort, conform: Callable[[NormalizedImage], NormalizedImage]
) -> Cohort:
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
