"""The steps of one injection on values in memory: boxes found, slice cut, region judged."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bidsapp.contracts.job import Job
from bidsapp.contracts.product import ENTITIES, OutputNames
from bidsapp.contracts.scan import Scan
from bidsapp.dataset.tables import read_dataset_tables, read_rows
from bidsapp.derivatives.atomic import atomic_path
from bidsapp.drawing.wording import many
from bidsapp.errors import BadData, NociCastError
from bidsapp.modalities.spine.injections import Injection, read_injection, read_label
from bidsapp.modalities.spine.midline import Midline, find_midline
from bidsapp.modalities.spine.moved import compared_boxes
from bidsapp.modalities.spine.placing import Neck, write_placing_page
from bidsapp.modalities.spine.proposals import propose, read_vertebrae
from bidsapp.modalities.spine.quality import judge_region
from bidsapp.modalities.spine.region import Region, make_region
from bidsapp.modalities.spine.roi_mask import mask_names, read_mask_on
from bidsapp.modalities.spine.roi_table import PROPOSED, REQUIRED, Roi, read_roi_table
from bidsapp.modalities.spine.rois import (
    LEVEL_COLUMN,
    SIDE_COLUMN,
    Placed,
    check_date,
    placed_rois,
    told_injection,
)
from bidsapp.modalities.spine.settings import SpinePreparation
from bidsapp.modalities.spine.stack import Stack, read_stack

DATE_COLUMN = "outcome_date"
NO_PART = "unplaced"
"""The part of a scan of which no injection is known yet."""


@dataclass(frozen=True)
class Done:
    """One injection, done.

    Attributes
    ----------
    stack, roi, midline, region
        What it was made of, and what was made.
    quality
        What was measured and judged.
    notes
        What was repaired or is doubtful, a sentence each.
    others
        Boxes of the same injection by other raters, each of which can be cut out too.
    """

    stack: Stack
    roi: Roi
    midline: Midline
    region: Region
    quality: dict[str, Any]
    notes: tuple[str, ...]
    others: tuple[Roi, ...] = ()


def parts_of(scan: Scan, rater: str = "") -> tuple[str, ...]:
    """List the injections that the files of a scan tell of, without opening its image.

    Where there is none, or what tells of them cannot be understood, one part of no injection:
    preparing it says what is wrong, or what to do.
    """
    found: set[Injection] = set()
    try:
        table, mask = scan.path("roi"), scan.path("foramen")
        if table is not None:
            for _, row in read_rows(table, REQUIRED):
                if any(row.values()) and row.get("rater", "") in (rater or row.get("rater", ""),):
                    found.add(read_injection(row["level"], row["side"]))
        if mask is not None:
            found |= {read_label(name) for name in mask_names(mask).values()}
        found |= set(told_of(scan)[0])
    except (NociCastError, ValueError):
        found = set()
    return tuple(injection.label for injection in sorted(found)) or (NO_PART,)


def told_of(scan: Scan) -> tuple[list[Injection], datetime.date | None]:
    """Read what participants.tsv and phenotype/ tell of a person: injections, outcome's date."""
    inside = Path(scan.main.relative_path)
    root = scan.main.path
    for _ in inside.parts:
        root = root.parent
    person = f"sub-{scan.participant}"
    told: set[Injection] = set()
    date: datetime.date | None = None
    for table in read_dataset_tables(root)[0]:
        for key in table.rows:
            if key[0] != person:
                continue
            row = {
                name: table.columns[name][key]
                for name in (LEVEL_COLUMN, SIDE_COLUMN, DATE_COLUMN)
                if key in table.columns.get(name, {})
            }
            injection = told_injection(row, f"{table.path} ({person})")
            told |= {injection} if injection else set()
            date = _date(row[DATE_COLUMN], table.path, person) if DATE_COLUMN in row else date
    return sorted(told), date


def _date(text: str, path: Path, person: str) -> datetime.date:
    try:
        return datetime.date.fromisoformat(text[:10])
    except ValueError:
        raise BadData(
            f"{path} ({person}): {DATE_COLUMN} {text!r} is not a date such as 2024-03-31."
        ) from None


def placed(scan: Scan, stack: Stack, rater: str = "") -> Placed:
    """Bring together all that tells of the injections of a scan; raises as `placed_rois`."""
    told, date = told_of(scan)
    return placed_rois(
        stack,
        table=scan.path("roi"),
        mask=scan.path("foramen"),
        told=told,
        rater=rater,
        outcome_date=date,
    )


def prepare(scan: Scan, part: str, settings: SpinePreparation) -> Done:
    """Prepare one injection.

    Parameters
    ----------
    scan
        Its files.
    part
        Label of the injection.
    settings
        Of the recipe.

    Raises
    ------
    NoInput, BadData
        A file cannot be read, cannot be used, or holds no box for this injection.
    """
    stack = read_stack(scan.main.path)
    boxes = placed(scan, stack, settings.rater or "")
    roi = _of(boxes, part, scan)
    cord_file = scan.path("cord")
    cord = None if cord_file is None else read_mask_on(cord_file, stack)
    try:
        midline = find_midline(stack, roi.slice, cord, settings.midline)
    except ValueError as error:
        raise BadData(
            f"{scan.main.path}: preparation.midline is {settings.midline}, but {error}. Use auto."
        ) from None
    cut = partial(
        make_region,
        stack,
        pixel_mm=settings.pixel_mm,
        thickness_mm=settings.thickness_mm,
        size=settings.size,
        percentiles=settings.percentiles,
    )
    region = cut(roi, midline)
    quality = judge_region(stack, roi, midline, region)
    notes, others = list(stack.notes), []
    for other in boxes.others:
        if other.injection == roi.injection and other.status != PROPOSED:
            try:
                check_date(scan.path("roi"), other, told_of(scan)[1])
                cut(other, midline)
                others.append(other)
            except BadData as error:
                notes.append(f"The box of rater {other.rater or 'n/a'} is left out: {error}")
    return Done(stack, roi, midline, region, quality, tuple(notes), tuple(others))


def _of(boxes: Placed, part: str, scan: Scan) -> Roi:
    for roi in boxes.rois:
        if part == roi.injection.label:
            return roi
    waiting = ", ".join(one.label for one in boxes.waiting)
    what = f" for {waiting if part == NO_PART else part}" if waiting or part != NO_PART else ""
    raise BadData(
        f"{scan.main.path}: no box{what} is placed yet. Open roi.html of the output folder, place "
        "it, unpack what it saves into <bids_dir>/derivatives/rois, and run again."
    )


def ask_for_boxes(jobs: Sequence[Job], settings: SpinePreparation, page: Path) -> str:
    """Write the page on which boxes are placed, for the scans that lack one.

    Returns
    -------
    str
        A line for the terminal; empty where nothing is missing and nothing was written.
    """
    scans = {job.scan.main.path: job.scan for job in jobs}
    necks: list[Neck] = []
    doubts: list[str] = []
    for scan in scans.values():
        neck, doubt = _neck(scan, settings)
        necks += [neck] if neck is not None else []
        doubts += [f" No box is proposed: {doubt}"] if doubt else []
    if not necks:
        return ""
    with atomic_path(page) as temporary:
        write_placing_page(temporary, necks, second=settings.boxes_page == "all")
    return (
        f"{page} shows {many(len(necks), 'image')} for placing boxes around foramina; unpack what "
        "it saves into <bids_dir>/derivatives/rois and run again." + "".join(doubts)
    )


def _neck(scan: Scan, settings: SpinePreparation) -> tuple[Neck | None, str]:
    """Give a scan that lacks a box, or any where all are asked for; None for all others.

    With it comes why nothing is proposed, where files that would serve cannot be used.
    """
    try:
        told, _ = told_of(scan)
        table, mask = scan.path("roi"), scan.path("foramen")
        if settings.boxes_page == "missing" and (table or mask) and not told:
            rows = read_rows(table, REQUIRED) if table else []
            if (mask or rows) and not any(row.get("status", "") == PROPOSED for _, row in rows):
                return None, ""
        stack = read_stack(scan.main.path)
        boxes = placed(scan, stack, settings.rater or "")
        rows_of = read_roi_table(table, stack) if table else []
    except NociCastError:
        return None, ""  # preparing it says what is wrong
    if settings.boxes_page == "missing" and boxes.rois and not boxes.waiting:
        return None, ""
    entities = dict(scan.main.entities)
    names = OutputNames(Path(), {k: v for k, v in entities.items() if k in ENTITIES}, {}, ())
    label = f"sub-{scan.participant}" + (f" ses-{scan.session}" if scan.session else "")
    rois = list(rows_of or boxes.rois)
    cord, doubt = None, ""
    try:
        if (mask_file := scan.path("cord")) is not None:
            cord = read_mask_on(mask_file, stack)
        if cord is not None and (labels := scan.path("vertebrae")) is not None:
            there = {roi.injection for roi in rois}
            lacking = [one for one in boxes.waiting if one not in there]
            rois += propose(stack, lacking, cord, read_vertebrae(labels, stack))
    except NociCastError as error:
        doubt = str(error)
    return Neck(label, names.folder.as_posix(), names.stem, stack, told, rois, cord), doubt


def facts_of(done: Done) -> dict[str, Any]:
    """Say of an injection what its sidecars hold."""
    roi, midline, region = done.roi, done.midline, done.region
    compared = compared_boxes(done.stack, roi, done.others)
    return {
        "injection": {
            "Level": roi.injection.level,
            "Side": roi.injection.side,
            "Slice": roi.slice,
            "SliceAxis": done.stack.slice_axis,
            "IndexBase": 0,
            "Box": list(roi.box),
            "BoxAxes": list(done.stack.box_axes),
            "BoxSource": roi.source,
            "Rater": roi.rater or None,
            "BlindedToOutcome": roi.blinded,
            "Midline": {
                "How": midline.how,
                "FromLeftEdgeMM": round(region.midline_mm, 2),
                "OtherWaysMM": {way: round(float(mm), 2) for way, mm in midline.others.items()},
            },
            "Window": list(region.window),
            **({"OtherRaters": compared} if compared else {}),
        },
        "space": region.space.to_dict(),
    }
