"""When scans were acquired: ``acq_time`` of ``*_scans.tsv``, else of ``*_sessions.tsv``."""

import datetime
from collections.abc import Sequence
from pathlib import Path

from bidsapp.dataset.normalized import NormalizedImage
from bidsapp.dataset.scans import EXTENSIONS
from bidsapp.dataset.tables import read_rows
from bidsapp.drawing.wording import many
from bidsapp.errors import BadData, UsageError

TIME = "acq_time"
SHIFTED_UNTIL = 1925
"""BIDS: dates that were shifted to protect people are set to this year or an earlier one."""
_LOOKED = (
    f"{TIME} in sub-*/[ses-*/]*_scans.tsv, in the row of the scan's own file, or in "
    "sub-*/*_sessions.tsv"
)


def scan_dates(
    bids_dir: Path, scans: Sequence[NormalizedImage], suffix: str, shifted_alike: bool = False
) -> list[str | None]:
    """Find the day on which each scan was acquired.

    Parameters
    ----------
    bids_dir
        The raw dataset.
    scans
        Prepared scans, which name the file that they were made from.
    suffix
        Of the raw images: where that file is not known, as of other software's images, all of
        these of the session have to be of one day.
    shifted_alike
        Whether all dates, where they were shifted, were shifted by the same number of days.

    Returns
    -------
    list of str or None
        ``2019-03-04`` for each scan; None where the tables have none.

    Raises
    ------
    UsageError
        No scan has a date; or dates were shifted, or only some were, so that their order says
        nothing of who was scanned first.
    BadData, NoInput
        A table cannot be read, or a date in it is none; the message names the line.
    """
    known: dict[Path, dict[str, str]] = {}
    found = [_date(bids_dir, scan, suffix, known) for scan in scans]
    dated = [(date, scan) for date, scan in zip(found, scans, strict=True) if date]
    if scans and not dated:
        raise UsageError(
            f"protocol.kind temporal: no scan has a date. Looked for {_LOOKED}. Add the dates, or "
            "choose another protocol.kind."
        )
    shifted = [(date, scan) for date, scan in dated if int(date[:4]) <= SHIFTED_UNTIL]
    if shifted and len(shifted) < len(dated):
        date, scan = shifted[0]
        raise UsageError(
            f"protocol.kind temporal: {many(len(shifted), 'scan')} of {len(dated)} have a date of "
            f"{SHIFTED_UNTIL} or before ({date} of {scan.participant_id}), as shifted ones have, "
            "and the others not: their order says nothing. Give all of them true dates, or choose "
            "another protocol.kind."
        )
    if shifted and not shifted_alike:
        date, scan = shifted[0]
        raise UsageError(
            f"protocol.kind temporal: all dates are of {SHIFTED_UNTIL} or before ({date} of "
            f"{scan.participant_id}): BIDS has them shifted there to protect people, as a rule by "
            "another number of days for each person, and then they do not say who was scanned "
            "first. If all were shifted by the same number, say protocol.shifted_alike: true; "
            "otherwise choose another protocol.kind."
        )
    return found


def undated(bids_dir: Path) -> str:
    """Say where the date of a scan was looked for."""
    return f"no {_LOOKED} of {bids_dir}"


def _date(
    bids_dir: Path, scan: NormalizedImage, suffix: str, known: dict[Path, dict[str, str]]
) -> str | None:
    """Look in scans.tsv for the scan's own file, then in sessions.tsv for its session."""
    person, session = scan.participant_id, scan.session_id
    folder = bids_dir / person / session if session else bids_dir / person
    stem = f"{person}_{session}" if session else person
    rows = _rows(folder / f"{stem}_scans.tsv", "filename", known)
    own = Path(scan.source)
    text = ""
    if scan.source and (bids_dir / own).is_relative_to(folder):
        text = rows.get((bids_dir / own).relative_to(folder).as_posix(), "")
    if not scan.source:
        endings = tuple(f"_{suffix}{ending}" for ending in EXTENSIONS)
        days = {day for name, day in rows.items() if name.endswith(endings)}
        text = days.pop() if len(days) == 1 else ""
    if not text and session:
        sessions = _rows(bids_dir / person / f"{person}_sessions.tsv", "session_id", known)
        text = sessions.get(session, "") or sessions.get(session.removeprefix("ses-"), "")
    return text or None


def _rows(path: Path, key: str, known: dict[Path, dict[str, str]]) -> dict[str, str]:
    """Read a table's days by its key; empty where there is no table, or none with dates."""
    if path not in known:
        known[path] = {}
        if path.is_file():
            for line, row in read_rows(path, (key,)):
                if text := row.get(TIME, ""):
                    known[path][row[key].removeprefix("./")] = _day(path, line, text)
    return known[path]


def _day(path: Path, line: int, text: str) -> str:
    try:
        return datetime.date.fromisoformat(text[:10]).isoformat()
    except ValueError:
        raise BadData(
            f"{path}: line {line} has {TIME} {text!r}; a date such as 2019-03-04T12:30:00 is "
            "expected."
        ) from None
