"""Hashes of the cohort's images that a trained network's file carries in its header."""

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bidsapp.intake.json_text import parse_json

CARRIED = "nocicast_cohort"
"""Key of a safetensors file's metadata."""
_WHERE = 8  # bytes in which safetensors says how long its header is
_LONGEST = 100_000_000  # bytes of a header, as safetensors allows


def add_images(source: Path, target: Path, hashes: Iterable[str], foreign: str) -> None:
    """Copy a trained network's file, with the hashes of the images that it was made with.

    Those that it carries stay, the tensors stay byte for byte; without hashes it is a plain copy.

    Parameters
    ----------
    source, target
        Safetensors files.
    hashes
        To add.
    foreign
        The weights of unknown origin that it began with; used where the file tells nothing.
    """
    new = {one for one in hashes if one}
    with source.open("rb") as stream, target.open("wb") as copy:
        length = int.from_bytes(stream.read(_WHERE), "little")
        text = stream.read(length)
        header = _header(length.to_bytes(_WHERE, "little") + text)
        if new and header:
            metadata = dict(header.get("__metadata__", {}))
            told = _parsed(metadata) or {"images": [], "foreign": foreign}
            told["images"] = sorted({*told["images"], *new})
            header["__metadata__"] = metadata | {CARRIED: json.dumps(told)}
            text = json.dumps(header, separators=(",", ":")).encode()
            text += b" " * (-len(text) % 8)
        copy.write(len(text).to_bytes(_WHERE, "little") + text)
        shutil.copyfileobj(stream, copy)


def without_images(source: Path, target: Path) -> None:
    """Copy a trained network's file without the hashes of the images that it was made with.

    Nobody can then tell from it whom it has seen; as initial weights it is of unknown origin. The
    tensors stay byte for byte.
    """
    content = source.read_bytes()
    header = _header(content)
    metadata = {k: v for k, v in header.pop("__metadata__", {}).items() if k != CARRIED}
    text = json.dumps({"__metadata__": metadata, **header}, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    start = _WHERE + int.from_bytes(content[:_WHERE], "little")
    target.write_bytes(len(text).to_bytes(_WHERE, "little") + text + content[start:])


def carried(path: Path) -> tuple[frozenset[str], str] | None:
    """Give the images and foreign weights in the header of a file of this app; None without."""
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(_WHERE), "little")
        content = stream.read(length) if 0 < length <= _LONGEST else b""
    header = _header(length.to_bytes(_WHERE, "little") + content)
    told = _parsed(header.get("__metadata__", {}))
    return (frozenset(map(str, told["images"])), str(told["foreign"])) if told else None


def _header(content: bytes) -> dict[str, Any]:
    length = int.from_bytes(content[:_WHERE], "little")
    try:
        header = parse_json(content[_WHERE : _WHERE + length])
    except (ValueError, RecursionError):
        return {}
    return header if isinstance(header, dict) else {}


def _parsed(metadata: Any) -> dict[str, Any] | None:
    try:
        told = parse_json(metadata[CARRIED])
        return {"foreign": "", **told, "images": list(told["images"])}
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
