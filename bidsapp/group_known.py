"""Find people of a model's training cohort among new people, by image, and leave them out."""

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from bidsapp.group_duplicates import without_copies
from bidsapp.intake.gifti import ENDING

if TYPE_CHECKING:
    from bidsapp.dataset.cohort import Cohort
    from bidsapp.networks.bundle import Bundle

_KNOWN, _ALIKE = "in the training cohort", "near-duplicate of a training scan"


def without_known(bundle: "Bundle", cohort: "Cohort", mask: Path, threads: int) -> "Cohort":
    """Leave out people of the training cohort: by hash, and by what their scans look like."""
    from bidsapp.dataset.near_duplicates import find_again
    from bidsapp.networks.bundle_images import find_image

    why: dict[int, tuple[str, str]] = {}
    for place, (voxels, file) in enumerate(zip(cohort.table["sha256"], cohort.files, strict=True)):
        if bundle.images and find_image(bundle.images, str(voxels), file.source_sha256):
            detail = "the hash of its image or source file is in the bundle"
            why[place] = (_KNOWN, detail)
    prints = bundle.about.prints
    if prints is not None and mask.suffix != ENDING:
        found = find_again(prints, [file.image for file in cohort.files], mask, threads)
        for place, (alike, mirrored) in enumerate(found):
            if alike >= prints.limit and place not in why:
                how = f"correlation {alike:.2f}{', mirrored' if mirrored else ''}"
                why[place] = (_ALIKE, f"{how}; from {prints.limit:.2f} on two scans are one")
    if bundle.images is None and prints is None:
        print(
            "The bundle lists neither hashes nor prints of its training scans: whether people of "
            "the training cohort are among these cannot be told.",
            file=sys.stderr,
        )
    if not why:
        return cohort
    # whoever has one scan that was trained on is known with all of them
    people = cohort.table["participant_id"].astype(str).tolist()
    first: dict[str, tuple[str, str]] = {}
    for place in sorted(why):
        first.setdefault(people[place], why[place])
    print(
        f"Left out as people of the training cohort: {', '.join(sorted(first))}.", file=sys.stderr
    )
    return _left_out(cohort, first)


def _left_out(cohort: "Cohort", why: Mapping[str, tuple[str, str]]) -> "Cohort":
    """Move participants from the table to the exclusions."""
    people = cohort.table["participant_id"].astype(str).tolist()
    columns = cohort.exclusions.columns
    rows = [
        {**{name: row.get(name) for name in columns}, "reason": why[who][0], "detail": why[who][1]}
        for (_, row), who in zip(cohort.table.iterrows(), people, strict=True)
        if who in why
    ]
    exclusions = pd.concat(
        [cohort.exclusions, pd.DataFrame(rows, columns=columns, dtype=object)], ignore_index=True
    )
    kept = [who not in why for who in people]
    return replace(
        cohort,
        table=cohort.table[kept].reset_index(drop=True),
        exclusions=exclusions.sort_values(["participant_id"], ignore_index=True, kind="stable"),
        files=tuple(file for file, stays in zip(cohort.files, kept, strict=True) if stays),
    )


def without_doubles(cohort: "Cohort", mask: Path, threads: int) -> "Cohort":
    """Leave out whoever is among the new people twice; each counts once."""
    from bidsapp.dataset.near_duplicates import find_near_duplicates

    if mask.suffix == ENDING:
        return cohort
    people = [str(who) for who in cohort.table["participant_id"]]
    found = find_near_duplicates([file.image for file in cohort.files], people, mask, threads)
    return cohort if found is None or not found.duplicates else without_copies(cohort, found)
