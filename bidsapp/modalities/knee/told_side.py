"""What tables and file names say of a knee's side, by where they say it."""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path

from bidsapp.contracts.parts import ToldParts
from bidsapp.contracts.scan import Scan
from bidsapp.dataset.missing import is_missing
from bidsapp.dataset.tables import read_frame
from bidsapp.errors import BadData
from bidsapp.modalities.knee.side import ASK, read_side, settled, side_in_name

COLUMNS = ("knee_side", "side", "laterality")
_HOW = (
    "name the side in each file (acq-DESSleft, acq-DESSright), its label map's and echoes' too, or "
    "write L or R for each into a column knee_side of sub-<label>[_ses-<label>]_scans.tsv"
)
_AT_ONCE = 64
_OTHER = {"L": "R", "R": "L"}


def told_side(
    root: Path, participant: str, session: str | None, names: Iterable[Path], part: str = ""
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
    part
        The side, where the visit has a scan of each knee; what tables say of the whole visit or
        person is then of one of the two, and is not asked.

    Returns
    -------
    dict
        Where it is said (a file's name) to what is said there; the nearest to the image first.

    Raises
    ------
    BadData
        A table that has a side cannot be read.
    """
    found = told_of_files(root, participant, session, names)
    if part:
        return found
    person = root / f"sub-{participant}"
    if session:
        sessions = person / f"sub-{participant}_sessions.tsv"
        wanted = (session, f"ses-{session}")
        found |= _in_table(sessions, "session_id", lambda name: name in wanted)
    people = (participant, f"sub-{participant}")
    found |= _in_table(root / "participants.tsv", "participant_id", lambda name: name in people)
    return found


def check_told(scan: Scan) -> None:
    """Refuse a knee whose side tables and names tell differently.

    Raises
    ------
    BadData
        As `side.settled`, or a table cannot be read.
    """
    main = scan.main
    root = main.path.parents[len(Path(main.relative_path).parts) - 1]
    names = [main.path, *(file.path for file in scan.files.get("labels", ()))]
    settled(told_side(root, scan.participant, scan.session, names, scan.part))


def told_of_files(
    root: Path, participant: str, session: str | None, names: Iterable[Path]
) -> dict[str, str]:
    """Gather what is said of files themselves: in their names, and in ``scans.tsv``."""
    paths = list(names)
    person = root / f"sub-{participant}"
    folder = person / f"ses-{session}" if session else person
    stem = f"sub-{participant}" + (f"_ses-{session}" if session else "")
    found: dict[str, str] = {path.name: side for path in paths if (side := side_in_name(path.name))}
    listed = {path.name for path in paths}
    scans = folder / f"{stem}_scans.tsv"
    return found | _in_table(scans, "filename", lambda name: Path(name).name in listed)


def told_sides(root: Path) -> ToldParts:
    """Say how images of the two knees of a visit are told apart: by names and ``scans.tsv``."""

    @lru_cache(maxsize=_AT_ONCE)
    def side(participant: str, session: str | None, path: Path) -> str:
        said = told_of_files(root, participant, session, [path])
        sides = {where: read_side(text) for where, text in said.items()}
        for where, text in said.items():
            if sides[where] is None:
                raise BadData(f"{where}: side {text!r} is neither L nor R. {ASK}")
        if len(set(sides.values())) > 1:
            both = "; ".join(f"{where} says {one}" for where, one in sides.items())
            raise BadData(f"The side of {path.name} is told differently: {both}. Correct one.")
        return next(iter(sides.values()), None) or ""

    def said(participant: str, session: str | None, paths: Sequence[Path]) -> str:
        found = {path: side(participant, session, path) for path in paths}
        by = {
            path: next(iter(told_of_files(root, participant, session, [path])), "")
            for path in paths
        }
        sides = set(found.values())
        if len(sides) == 1 and "" not in sides:
            (one,) = sides
            places = {"their names" if by[path] == path.name else by[path] for path in paths}
            every = "both" if len(paths) == 2 else f"all {len(paths)}"
            return (
                f"{every} are told {one} by {' and '.join(sorted(places))}; of two knees one must "
                f"be {_OTHER[one]}"
            )
        said = []
        for path, one in found.items():
            where = "its name" if by[path] == path.name else by[path]
            said.append(f"{path.name} is {one} by {where}" if one else f"{path.name} has no side")
        return ", ".join(said)

    return ToldParts(side, _HOW, said)


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
