"""Which injections of a person have a box, from all that says so; what contradicts is refused."""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bidsapp.errors import BadData
from bidsapp.modalities.spine.injections import Injection, read_injection
from bidsapp.modalities.spine.roi_mask import read_roi_mask
from bidsapp.modalities.spine.roi_table import PROPOSED, Roi, read_roi_table
from bidsapp.modalities.spine.stack import Stack

LEVEL_COLUMN, SIDE_COLUMN = "injection_level", "injection_side"


@dataclass(frozen=True)
class Placed:
    """The boxes of a person.

    Attributes
    ----------
    rois
        One for each injection that has a box, sorted.
    waiting
        Injections that are told of and have no confirmed box yet: somebody has to place it.
    others
        Boxes of the same injections by other raters.
    """

    rois: tuple[Roi, ...]
    waiting: tuple[Injection, ...]
    others: tuple[Roi, ...] = ()


def told_injection(values: Mapping[str, str], where: str) -> Injection | None:
    """Read the injection that a row of participants.tsv or of a phenotype table tells.

    Parameters
    ----------
    values
        Column name to text.
    where
        File and row, for messages.

    Raises
    ------
    BadData
        Only one of level and side is there, or one cannot be understood.
    """
    level, side = values.get(LEVEL_COLUMN, ""), values.get(SIDE_COLUMN, "")
    if not level and not side:
        return None
    if not level or not side:
        lacking, there = (LEVEL_COLUMN, SIDE_COLUMN) if not level else (SIDE_COLUMN, LEVEL_COLUMN)
        raise BadData(f"{where} has no {lacking} beside {there}; write both, or n/a in both.")
    try:
        return read_injection(level, side)
    except ValueError as error:
        raise BadData(f"{where}: {error}.") from None


def placed_rois(
    stack: Stack,
    *,
    table: Path | None = None,
    mask: Path | None = None,
    told: Sequence[Injection] = (),
    rater: str = "",
    outcome_date: datetime.date | None = None,
) -> Placed:
    """Bring together what tells of a person's injections.

    Parameters
    ----------
    stack
        The image.
    table, mask
        Files that hold boxes, where they are there.
    told
        Injections by participants.tsv or phenotype/.
    rater
        Whose boxes are used where several people drew them.
    outcome_date
        When the outcome was known, where the dataset has such a date.

    Raises
    ------
    NoInput, BadData
        A file cannot be read, or two of them contradict each other.
    """
    rows = read_roi_table(table, stack) if table else []
    drawn = read_roi_mask(mask, stack, told) if mask else []
    chosen, others = _by_rater(table, rows, rater)
    if table and mask:
        _check_agree(table, chosen, mask, drawn)
    confirmed = [roi for roi in chosen if roi.status != PROPOSED]
    have = {roi.injection: roi for roi in [*drawn, *confirmed]}
    _check_apart(table, mask, have)
    _check_told(table or mask, have, told)
    for roi in have.values():
        check_date(table or mask, roi, outcome_date)
    proposed = {roi.injection for roi in chosen if roi.status == PROPOSED}
    waiting = sorted((set(told) | proposed) - set(have))
    return Placed(tuple(have[key] for key in sorted(have)), tuple(waiting), tuple(others))


def _by_rater(table: Path | None, rows: Sequence[Roi], rater: str) -> tuple[list[Roi], list[Roi]]:
    """Divide boxes into those that are used and those of other raters."""
    raters = sorted({roi.rater for roi in rows})
    several = len({roi.injection for roi in rows}) < len(rows)
    if rater and rows and rater not in raters:
        raise BadData(
            f"{table}: no row is by the rater {rater!r} that the recipe names; found "
            f"{', '.join(filter(None, raters)) or 'no name'}."
        )
    if several and not rater:
        raise BadData(
            f"{table}: boxes of one injection by {' and '.join(name or 'n/a' for name in raters)}. "
            "Say whose are used with --set preparation.rater=NAME; the others serve to compare."
        )
    if not rater:
        return list(rows), []
    chosen = [roi for roi in rows if roi.rater == rater]
    return chosen, [roi for roi in rows if roi.rater != rater]


def _check_agree(table: Path, rows: Sequence[Roi], mask: Path, drawn: Sequence[Roi]) -> None:
    by_injection = {roi.injection: roi for roi in rows}
    for roi in drawn:
        other = by_injection.get(roi.injection)
        if other is None or (other.slice, other.box) == (roi.slice, roi.box):
            continue
        pairs = zip((other.slice, *other.box), (roi.slice, *roi.box), strict=True)
        by_one = all(one - two == 1 for one, two in pairs)
        hint = (
            " Each number of the table is one more: it seems to count from 1; say IndexBase: 1 in "
            "its sidecar."
            if by_one
            else " Remove the one that is wrong."
        )
        raise BadData(
            f"{table} and {mask} contradict each other about {roi.injection.label}: slice "
            f"{other.slice}, box {list(other.box)} beside slice {roi.slice}, box {list(roi.box)}."
            f"{hint}"
        )


def _check_apart(table: Path | None, mask: Path | None, have: Mapping[Injection, Roi]) -> None:
    """Refuse one box for two injections: a foramen has one level and one side."""
    seen: dict[tuple[int, ...], Injection] = {}
    for injection, roi in sorted(have.items()):
        other = seen.setdefault((roi.slice, *roi.box), injection)
        if other != injection:
            where = " and ".join(str(path) for path in (table, mask) if path)
            raise BadData(
                f"{where}: {other.label} and {injection.label} have the same box (slice "
                f"{roi.slice}, {list(roi.box)}). Correct level, side or box of one of them."
            )


def _check_told(
    source: Path | None, have: Mapping[Injection, Roi], told: Sequence[Injection]
) -> None:
    for injection in have:
        if not told or injection in told:
            continue
        listed = ", ".join(one.label for one in sorted(told))
        raise BadData(
            f"{source} has a box for {injection.label}, but participants.tsv or phenotype/ tell of "
            f"{listed}. Correct level and side ({LEVEL_COLUMN}, {SIDE_COLUMN}) in one of them."
        )


def check_date(source: Path | None, roi: Roi, outcome: datetime.date | None) -> None:
    """Refuse a box that was drawn after the outcome was known, by somebody who may have known it.

    Raises
    ------
    BadData
        The message names file, injection and both dates.
    """
    if outcome is None or roi.date is None or roi.blinded or roi.date <= outcome:
        return
    raise BadData(
        f"{source}: the box of {roi.injection.label} was drawn on {roi.date}, after the outcome "
        f"was known ({outcome}). Let somebody who does not know the outcome draw it again, and say "
        "BlindedToOutcome: true in the sidecar."
    )
