"""The outside of a dataset: its description file and its participants' folders."""

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from bidsapp.errors import InvalidDataset, NoInput, NothingSelected, UsageError
from bidsapp.intake.json_text import BadJson, parse_json
from bidsapp.intake.regular import read_text

SHOWN = 8


def check_dataset(bids_dir: Path) -> dict[str, Any]:
    """Read ``dataset_description.json`` and refuse what is not a raw BIDS dataset.

    Returns
    -------
    dict
        The contents of ``dataset_description.json``.

    Raises
    ------
    NoInput
        The folder is not there or cannot be read, or the description was not fetched.
    InvalidDataset
        The description is missing, unreadable or incomplete, or is that of derivatives.
    """
    try:
        with os.scandir(bids_dir):
            pass
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            what = "does not exist"
        elif isinstance(error, NotADirectoryError):
            what = "is a file, not a folder"
        else:
            what = f"cannot be read ({error.strerror or error})"
        raise NoInput(f"bids_dir {bids_dir} {what}; give the folder of a BIDS dataset.") from None
    path = bids_dir / "dataset_description.json"
    try:
        text = read_text(path, "utf-8-sig")
    except FileNotFoundError:
        raise InvalidDataset(_no_description(bids_dir)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidDataset(f"{path} cannot be read as UTF-8 text: {error}") from None
    try:
        description = parse_json(text)
    except BadJson as error:
        raise InvalidDataset(f"{path} is not valid JSON: {error}") from None
    if not isinstance(description, dict):
        raise InvalidDataset(f"{path} must hold one JSON object ({{...}}).")
    missing = [key for key in ("Name", "BIDSVersion") if not description.get(key)]
    if missing:
        raise InvalidDataset(f"{path} lacks the required {' and '.join(missing)}.")
    if description.get("DatasetType") == "derivative":
        raise InvalidDataset(
            f"{bids_dir} is a derivative dataset (DatasetType in {path.name}); bids_dir must be "
            "the raw dataset. Images that other software prepared are given with -d NAME=PATH."
        )
    return description


def _no_description(bids_dir: Path) -> str:
    return (
        f"{bids_dir} has no dataset_description.json, so it is not a BIDS dataset. Give the "
        'folder that holds the sub-<label> folders, or add the file: {"Name": "My study", '
        '"BIDSVersion": "1.10.0"}.'
    )


def list_participants(bids_dir: Path) -> list[str]:
    """Labels of the ``sub-`` folders, sorted; a folder may be a link, even one to nowhere."""
    with os.scandir(bids_dir) as entries:
        return sorted(
            entry.name[4:]
            for entry in entries
            if entry.name.startswith("sub-")
            and len(entry.name) > 4
            and _may_be_folder(entry)
            and "." not in entry.name
        )


def _may_be_folder(entry: "os.DirEntry[str]") -> bool:
    """Whether an entry is a folder, or a link of which that cannot be told."""
    try:
        return entry.is_dir() or (entry.is_symlink() and not os.path.exists(entry.path))
    except OSError:  # the link leads in a circle, or to where one may not look
        return True


def list_sessions(bids_dir: Path, participants: Iterable[str]) -> list[str]:
    """Labels of the ``ses-`` folders of these participants, sorted, each once."""
    found: set[str] = set()
    for label in participants:
        with suppress(OSError):  # told of with the participant
            names = os.listdir(bids_dir / f"sub-{label}")
            found.update(name[4:] for name in names if name.startswith("ses-"))
    return sorted(found)


def keep_participants(bids_dir: Path, wanted: Sequence[str]) -> list[str]:
    """Labels to work on: those wanted, or all where none is named.

    Raises
    ------
    NothingSelected
        None of the labels is in the dataset.
    UsageError
        Some of the labels are in the dataset and others are not.
    InvalidDataset
        The dataset has no ``sub-`` folder at all.
    """
    present = list_participants(bids_dir)
    if not present:
        raise InvalidDataset(f"{bids_dir} has no sub-<label> folder.")
    if not wanted:
        return present
    require_labels("--participant-label", wanted, present, str(bids_dir))
    return sorted(set(wanted))


def require_labels(option: str, wanted: Sequence[str], present: Sequence[str], where: str) -> None:
    """Raise an error that names the labels of `option` that are not among `present`."""
    known = set(present)
    absent = [label for label in dict.fromkeys(wanted) if label not in known]
    if not absent:
        return
    close = sorted({match for label in absent for match in _close(label, present)})
    message = f"{option}: {', '.join(absent)} not in {where}."
    if close:
        message += f" Did you mean {', '.join(close)}?"
    message += f" Labels that exist: {shortened(present)}."
    raise (NothingSelected if len(absent) == len(set(wanted)) else UsageError)(message)


def _close(label: str, present: Sequence[str]) -> list[str]:
    bare = label.lstrip("0").lower()
    same = [other for other in present if other.lstrip("0").lower() == bare]
    return same or get_close_matches(label, present, n=2, cutoff=0.75)


def shortened(items: Sequence[str], limit: int = SHOWN) -> str:
    """Join the first few items, and say how many more there are."""
    if len(items) <= limit:
        return ", ".join(items) if items else "none"
    return f"{', '.join(items[:limit])} and {len(items) - limit} more"
