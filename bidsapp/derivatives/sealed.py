"""Sealed files of the work folder: with their SHA-256 beside them, so that damage is noticed.

What a later run would take up again is sealed where it is written. What was damaged since counts
as not there, and is made anew.
"""

import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from bidsapp.derivatives.atomic import plain, write_json
from bidsapp.derivatives.sidecars import file_sha256, plain_sha256
from bidsapp.errors import NociCastError
from bidsapp.intake.json_text import read_own_json

_SEAL, _FILES = "seal", "files"


def write_record(path: Path, content: Mapping[str, Any], files: Iterable[Path] = ()) -> None:
    """Write a JSON record with the SHA-256 of the files that it stands for, and of itself.

    Parameters
    ----------
    path
        The record, written atomically.
    content
        What it holds.
    files
        Files on the same disk; they are named relative to the record.
    """
    hashes = {os.path.relpath(file, path.parent): file_sha256(file) for file in files}
    whole = {key: value for key, value in content.items() if key not in (_SEAL, _FILES)}
    whole = plain({**whole, _FILES: hashes})
    write_json(path, whole | {_SEAL: plain_sha256(whole)})


def read_record(path: Path, needed: Collection[str] | None = None) -> dict[str, Any]:
    """Read a record whose seal, and whose files, are as they were written.

    Parameters
    ----------
    path
        The record.
    needed
        Names of the files that have to be there and whole; None for all that it stands for.

    Returns
    -------
    dict
        Empty where the record or a needed file is not there, or was changed since.
    """
    try:
        content = read_own_json(path)
        seal = content.pop(_SEAL)
        hashes = content[_FILES]
        names = list(hashes) if needed is None else list(needed)
        whole = seal == plain_sha256(content) and all(
            hashes[name] == file_sha256(path.parent / name) for name in names
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, NociCastError):
        return {}
    return content if whole else {}


def seal(path: Path) -> None:
    """Seal one file by a record beside it."""
    write_record(_beside(path), {}, [path])


def is_whole(path: Path) -> bool:
    """Tell whether a file that was sealed is there as it was written."""
    return bool(read_record(_beside(path)))


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")
