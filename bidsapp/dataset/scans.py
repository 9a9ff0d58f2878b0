"""Images as they lie in the folders of a dataset, found by their names without an index.

A folder that cannot be read belongs to one participant; it is told of with that participant, and
the others go on.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from bidsapp.dataset.bidsignore import read_bidsignore
from bidsapp.dataset.description import list_participants
from bidsapp.dataset.tables import ScanKey
from bidsapp.errors import NoInput
from bidsapp.intake.regular import is_text

EXTENSIONS = (".nii", ".nii.gz")
_NO_TEXT = "the name {} is not UTF-8 text, as names must be; rename it"


def names_in(folder: Path) -> list[str]:
    """Names in a folder, sorted; none where there is no such folder.

    Raises
    ------
    NoInput
        The folder may not be read, or is a link that leads round in a circle.
    """
    try:
        names = sorted(os.listdir(folder))
        if names:
            (folder / names[0]).lstat()  # a folder may be listed and yet not be entered
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise NoInput(
            f"the folder {folder} cannot be read ({error.strerror or error}); check its permissions"
        ) from error
    return names


def session_folders(person: Path) -> list[Path]:
    """Give a participant's folder and those of the sessions in it, sorted; raises as `names_in`."""
    names = [name for name in names_in(person) if name.startswith("ses-")]
    return [person, *(person / name for name in names if not (person / name).is_file())]


def unreadable_folders(
    bids_dir: Path, participants: Sequence[str], datatype: str
) -> dict[tuple[str, str], str]:
    """Look for what an index cannot read before it does, as it would end with the first.

    That is folders that may not be read, and names that are no text.

    Parameters
    ----------
    bids_dir
        Root of the dataset.
    participants
        Labels without prefix.
    datatype
        Name of the folder of images, such as ``anat``.

    Returns
    -------
    dict
        Participant and session (empty where all of the participant is lost) to the reason.
    """
    found = {}
    for label in participants:
        person = bids_dir / f"sub-{label}"
        if not is_text(label):
            found[(label, "")] = _NO_TEXT.format(ascii(person.name))
            continue
        try:
            folders = session_folders(person)
        except NoInput as error:
            found[(label, "")] = str(error)
            continue
        for folder in folders:
            session = "" if folder == person else folder.name.removeprefix("ses-")
            try:
                names = [*names_in(folder), *names_in(folder / datatype)]
            except NoInput as error:
                found[(label, session)] = str(error)
                continue
            odd = [name for name in names if not is_text(name)]
            if odd:
                found[(label, session)] = _NO_TEXT.format(ascii(odd[0]))
    return found


def image_files(
    bids_dir: Path, participant: str, datatype: str, suffixes: Sequence[object]
) -> Iterator[Path]:
    """Files of a participant with one of the suffixes, sorted, of every session.

    What the dataset's ``.bidsignore`` lists is left out.

    Parameters
    ----------
    bids_dir
        Root of the dataset.
    participant
        Label without its prefix.
    datatype
        Name of the folder, such as ``anat``.
    suffixes
        Ends of the names, such as ``T1w``.

    Yields
    ------
    Path
        Folders that cannot be read are passed over: `unreadable_folders` says which and why.
    """
    endings = tuple(f"_{suffix}{extension}" for suffix in suffixes for extension in EXTENSIONS)
    ignore = read_bidsignore(bids_dir)
    folders: list[Path] = []
    with suppress(NoInput):
        folders = session_folders(bids_dir / f"sub-{participant}")
    for folder in folders:
        names: list[str] = []
        with suppress(NoInput):
            names = names_in(folder / datatype)
        for name in names:
            path = folder / datatype / name
            if not name.endswith(endings) or name.startswith("."):
                continue
            if not ignore.ignores(path.relative_to(bids_dir).as_posix()):
                yield path


def imaged_scans(bids_dir: Path, datatype: str, suffix: str) -> list[ScanKey]:
    """Participant and session (empty without one) of everything that has such an image."""
    found: dict[ScanKey, None] = {}
    for label in list_participants(bids_dir):
        for path in image_files(bids_dir, label, datatype, (suffix,)):
            above = path.parent.parent.name
            found[(f"sub-{label}", above if above.startswith("ses-") else "")] = None
    return list(found)


def unreadable_scans(bids_dir: Path, people: Iterable[str], datatype: str) -> dict[ScanKey, str]:
    """Reasons why folders of people (with their prefix) cannot be read, as `unreadable_folders`."""
    labels = [person.removeprefix("sub-") for person in sorted(people)]
    return {
        (f"sub-{label}", f"ses-{session}" if session else ""): why
        for (label, session), why in unreadable_folders(bids_dir, labels, datatype).items()
    }


def voxel_hash(path: Path) -> str:
    """Hash the voxels of an image as numbers, whatever they were stored as.

    Parameters
    ----------
    path
        A NIfTI image, or values on a surface (GIFTI).

    Returns
    -------
    str
        sha256 in hex, over the shape and the scaled values as little-endian float32 in C order.
        Header, storage type and compression do not enter.

    Raises
    ------
    NoInput, BadData
        As `bidsapp.intake.images.read_numbers` and `bidsapp.intake.gifti.read_gifti`.
    """
    import numpy as np

    from bidsapp.intake.gifti import ENDING, read_gifti
    from bidsapp.intake.images import read_numbers

    on_surface = path.suffix == ENDING
    found = read_gifti(path)[0].astype("<f4") if on_surface else read_numbers(path, "<f4")[0]
    values = np.ascontiguousarray(found)
    values = values + np.float32(0)  # minus zero is zero
    digest = hashlib.sha256(repr(values.shape).encode())
    digest.update(values.tobytes())
    return digest.hexdigest()
