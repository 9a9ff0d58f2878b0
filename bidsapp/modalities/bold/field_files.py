"""Which files of ``fmap`` are meant for a series, and which belong together."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bidsapp.contracts.scan import Scan, SourceFile
from bidsapp.errors import BadData

REVERSED, FIELD_MAP = "reversed", "field_map"
DIFFERENCE, PHASE1, PHASE2 = "phase_difference", "first_phase", "second_phase"
MAGNITUDE = "magnitude"
"""Names of the sources."""
_SUFFIXES = {PHASE2: "phase2", MAGNITUDE: "magnitude1"}


def metadata_of_file(file: SourceFile, suffix: str) -> dict[str, Any]:
    """Read the metadata of a file, by BIDS's inheritance."""
    from bidsapp.dataset.scanners import metadata_of

    root = file.path
    for _ in Path(file.relative_path).parts:
        root = root.parent
    return metadata_of(root, file.path, suffix)


def is_meant(file: SourceFile, scan: Scan, metadata: Mapping[str, Any]) -> bool:
    """Whether a field's file is for a series.

    Where the series says ``B0FieldSource``, by the file's ``B0FieldIdentifier``, and IntendedFor is
    not looked at, as BIDS has it; else where it names the series under IntendedFor, or names none.
    """
    own = metadata_of_file(file, suffix_of(file))
    sources = _texts(metadata.get("B0FieldSource"))
    if sources:
        return bool(sources & _texts(own.get("B0FieldIdentifier")))
    told = own.get("IntendedFor")
    if not told:
        return True
    named = told if isinstance(told, list) else [told]
    series = scan.main.relative_path
    return any(series.endswith(str(one).rpartition(":")[2]) for one in named)


def _texts(told: Any) -> set[str]:
    """Give a text, or a list of texts, as a set."""
    return {str(one) for one in (told if isinstance(told, list) else [told]) if one}


def partner(scan: Scan, file: SourceFile, source: str) -> SourceFile:
    """Find the file of another source that belongs to a phase by its name."""
    wanted = file.relative_path.replace(f"_{suffix_of(file)}.", f"_{_SUFFIXES[source]}.")
    stem = wanted.removesuffix(".gz").removesuffix(".nii")
    for other in scan.files.get(source, ()):
        if other.relative_path.removesuffix(".gz").removesuffix(".nii") == stem:
            return other
    raise BadData(
        f"{file.relative_path} cannot be read without {Path(stem).name}.nii.gz beside it."
    )


def suffix_of(file: SourceFile) -> str:
    """Give the BIDS suffix of a file's name."""
    return file.relative_path.split("_")[-1].split(".")[0]
