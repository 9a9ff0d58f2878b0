"""Cohorts whose people have images of several preparations: who has all, and which is given."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from bidsapp.contracts.modality_tables import confound_flags
from bidsapp.contracts.unit import unit_columns, with_part
from bidsapp.dataset.cohort import Cohort
from bidsapp.errors import BadData, NoInput

TABLE = "preparations.tsv"
_OF_IMAGES = ("image", "sha256", "quality")


def in_both(cohort: Cohort, other: Cohort, names: Sequence[str]) -> Cohort:
    """Keep those who have images of another preparation too, and note which these are.

    Parameters
    ----------
    cohort
        Of the run so far.
    other
        The same dataset with the images of the other preparation.
    names
        Variants that are given these.

    Returns
    -------
    Cohort
        Whoever is left out stands among the exclusions, with the reason.

    Raises
    ------
    NoInput
        Nobody has both.
    BadData
        All who have both are of one class.
    """
    there = {scan.unit for scan in other.files}
    kept = np.array([scan.unit in there for scan in cohort.files], bool)
    whom = f"variant{'s' if len(names) > 1 else ''} {', '.join(names)}"
    if not kept.any():
        raise NoInput(
            f"None of the {len(kept)} scans of this run has the images of {whom} as well, which is "
            f"prepared otherwise; run participant --variants {' '.join(names)} first."
        )
    table = cohort.table[kept].reset_index(drop=True)
    if table["outcome"].nunique() < 2 <= cohort.table["outcome"].nunique():
        raise BadData(
            f"Of {len(kept)} scans {kept.sum()} have the images of {whom} as well, and these are "
            f"all of one class; run participant --variants {' '.join(names)} for the others."
        )
    rows = [_why(scan.unit, other, whom) for scan, stays in zip(cohort.files, kept, strict=True)
            if not stays]  # fmt: skip
    columns = with_part(cohort.exclusions.columns, cohort.table)
    left = pd.DataFrame(rows).reindex(columns=columns) if rows else cohort.exclusions[:0]
    joined = [one for one in (cohort.exclusions, left) if len(one)]
    exclusions = pd.concat(joined, ignore_index=True) if joined else cohort.exclusions
    notes = [f"{len(rows)} scans are left out, as they lack usable images of {whom}."]
    return replace(
        cohort,
        table=table,
        exclusions=exclusions.astype(object).where(exclusions.notna(), None),
        files=tuple(scan for scan, stays in zip(cohort.files, kept, strict=True) if stays),
        notes=(*cohort.notes, *(notes if rows else ())),
        beside={**cohort.beside, **dict.fromkeys(names, other)},
    )


def _why(unit: tuple[str, ...], other: Cohort, whom: str) -> dict[str, str | None]:
    """Say why a scan is not among those of another preparation."""
    found = other.exclusions.fillna("")
    columns = unit_columns(found)
    own = (*unit, "", "")[: len(columns)]
    mine = found[(found[columns] == list(own)).all(axis=1)]
    if not len(mine):
        mine = found[(found["participant_id"] == unit[0]) & (found["session_id"] == "")]
    first = mine.iloc[0] if len(mine) else {"reason": "no image", "detail": "none was found"}
    names = dict(zip(("participant_id", "session_id", "part_id"), (*unit, ""), strict=False))
    told = {key: text or None for key, text in names.items()}
    return {**told, "reason": str(first["reason"]), "detail": f"for {whom}: {first['detail']}"}


def seen_by(cohort: Cohort, variant: str) -> Cohort:
    """Give the same people, in the same order, with the images that a variant is given."""
    other = cohort.beside.get(variant)
    if other is None:
        return cohort
    place = {scan.unit: k for k, scan in enumerate(other.files)}
    order = [place[scan.unit] for scan in cohort.files]
    images = other.table.iloc[order].reset_index(drop=True)
    table = cohort.table.assign(**{name: images[name] for name in _OF_IMAGES})
    return replace(cohort, table=table, files=tuple(other.files[k] for k in order))


def measured_quality(cohort: Cohort) -> pd.DataFrame:
    """Give the quality numbers of scans, a column ``quality_<measure>`` each, NaN where lacking.

    Those of the run's first preparation; of the others what is a flag, as a removed face, which
    the networks that are given their images see.
    """
    own = pd.DataFrame([dict(scan.quality_numbers) for scan in cohort.files])
    for name in cohort.beside:
        other = pd.DataFrame([dict(scan.quality_numbers) for scan in seen_by(cohort, name).files])
        flags = [key for key in confound_flags() if key in other and key not in own]
        own = own.assign(**{key: other[key] for key in flags})
    return own.add_prefix("quality_")


def preparations(cohort: Cohort) -> pd.DataFrame:
    """List the images of the other preparations, variant by variant: `TABLE`; no rows if none."""
    columns = ["variant", *unit_columns(cohort.table), *_OF_IMAGES]
    tables = []
    for name in cohort.beside:
        own = seen_by(cohort, name).table
        tables.append(own.assign(variant=name)[columns])
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)
