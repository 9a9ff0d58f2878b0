"""What tables and file names say of a knee's side, by where they say it."""

from collections.abc import Callable, Iterable
from pathlib import Path

from bidsapp.dataset.missing import is_missing
from bidsapp.dataset.tables import read_frame
from bidsapp.errors import BadData
from bidsapp.modalities.knee.side import side_in_label

COLUMNS = ("knee_side", "side", "laterality")


def told_side(
    root: Path, participant: str, session: str | None, names: Iterable[Path]
) -> dict[str, str]:
    """Gather what is said of a knee's side.

    Parameters
    ----------
    root
        Of the dataset.
    participant, session
        Labels without their prefix.
    names
        The knee's files.

    Returns
    -------
    dict
        Where it is said (a file's name) to what is said there; the nearest to the image first.

    Raises
    ------
    BadData
        A table that has a side cannot be read.
    """
    paths = list(names)
    person = root / f"sub-{participant}"
    folder = person / f"ses-{session}" if session else person
    stem = f"sub-{participant}" + (f"_ses-{session}" if session else "")
    found: dict[str, str] = {
        path.name: side
        for path in paths
        for part in path.name.split("_")
        if part.startswith("acq-") and (side := side_in_label(part))
    }
    scans = folder / f"{stem}_scans.tsv"
    listed = {path.name for path in paths}
    found |= _in_table(scans, "filename", lambda name: Path(name).name in listed)
    if session:
        sessions = person / f"sub-{participant}_sessions.tsv"
        wanted = (session, f"ses-{session}")
        found |= _in_table(sessions, "session_id", lambda name: name in wanted)
    people = (participant, f"sub-{participant}")
    found |= _in_table(root / "participants.tsv", "participant_id", lambda name: name in people)
    return found


def _in_table(path: Path, key: str, wanted: Callable[[str], bool]) -> dict[str, str]:
    if not path.is_file():
        return {}
    try:
        table = read_frame(path, quotes=True)
    except (OSError, ValueError) as error:
        raise BadData(f"{path} cannot be read as a table: {error}.") from None
    columns = {str(name).lower(): name for name in table}
    column = next((columns[name] for name in COLUMNS if name in columns), None)
    if column is None or key not in table:
        return {}
    texts = {
        str(text).strip()
        for name, text in zip(table[key], table[column], strict=True)
        if wanted(str(name)) and not is_missing(str(text))
    }
    if len(texts) > 1:
        raise BadData(f"{path}: column {column} says {' and '.join(sorted(texts))} of one knee.")
    return {path.name: texts.pop()} if texts else {}
