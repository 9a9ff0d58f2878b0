"""Everybody of a dataset: who has a folder, a row or an image, and what labels there are."""

from collections.abc import Collection, Sequence
from pathlib import Path

from bidsapp.dataset.description import list_participants, list_sessions, require_labels
from bidsapp.dataset.scans import image_files
from bidsapp.dataset.tables import Key
from bidsapp.dataset.user_columns import Columns


def labels_of(bids_dir: Path, imaged: Collection[Key]) -> tuple[set[str], set[str]]:
    """Participants and sessions that have a folder or an image, with their prefixes."""
    folders = list_participants(bids_dir)
    people = {f"sub-{label}" for label in folders} | {key[0] for key in imaged}
    sessions = {f"ses-{label}" for label in list_sessions(bids_dir, folders)}
    return people, sessions | {key[1] for key in imaged if key[1]}


def people_of(
    bids_dir: Path, columns: Columns, imaged: Sequence[Key], labels: Sequence[str]
) -> set[str]:
    """Everybody with a folder, a row or an image; of these the labels, if there are any."""
    folders = {f"sub-{label}" for label in list_participants(bids_dir)}
    everybody = folders | columns.participants() | {key[0] for key in imaged}
    if not labels:
        return everybody
    present = sorted(person.removeprefix("sub-") for person in everybody)
    require_labels("--participant-label", labels, present, f"{bids_dir} and its tables")
    return {f"sub-{label}" for label in labels}


def has_scan(bids_dir: Path, person: str, datatype: str, suffix: str) -> bool:
    """Tell whether the dataset holds an image of a participant, of any session."""
    return any(image_files(bids_dir, person.removeprefix("sub-"), datatype, (suffix,)))
