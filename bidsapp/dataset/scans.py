"""Images as they lie in the folders of a dataset, found by their names without an index."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from bidsapp.dataset.bidsignore import read_bidsignore
from bidsapp.dataset.description import list_participants
from bidsapp.dataset.tables import Key

EXTENSIONS = (".nii", ".nii.gz")


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
    """
    endings = tuple(f"_{suffix}{extension}" for suffix in suffixes for extension in EXTENSIONS)
    ignore = read_bidsignore(bids_dir)
    folder = bids_dir / f"sub-{participant}"
    for sub in (folder, *sorted(folder.glob("ses-*"))):
        here = sub / datatype
        for name in sorted(os.listdir(here)) if here.is_dir() else ():
            if not name.endswith(endings) or name.startswith("."):
                continue
            if not ignore.ignores((here / name).relative_to(bids_dir).as_posix()):
                yield here / name


def imaged_scans(bids_dir: Path, datatype: str, suffix: str) -> list[Key]:
    """Participant and session (empty without one) of everything that has such an image."""
    found: dict[Key, None] = {}
    for label in list_participants(bids_dir):
        for path in image_files(bids_dir, label, datatype, (suffix,)):
            above = path.parent.parent.name
            found[(f"sub-{label}", above if above.startswith("ses-") else "")] = None
    return list(found)
