"""Which files of ``fmap`` are meant for a series, and which belong together."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bidsapp.contracts.scan import Scan, SourceFile
from bidsapp.errors import BadData
from bidsapp.intake.header import placement
from bidsapp.intake.images import open_image
from bidsapp.modalities.bold.timing import DIRECTIONS, direction_of

REVERSED, FIELD_MAP = "reversed", "field_map"
DIFFERENCE, PHASE1, PHASE2 = "phase_difference", "first_phase", "second_phase"
MAGNITUDE = "magnitude"
"""Names of the sources."""
FIELDS = (FIELD_MAP, DIFFERENCE, PHASE1, PHASE2, REVERSED)
"""Those whose JSON files are read."""
_NUMBER, _TEXT, _LIST = "a number", "a text", "a text, or a list of texts,"
_PHASE = "PhaseEncodingDirection"
_IS: Mapping[str, Callable[[Any], bool]] = {
    _NUMBER: lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    _TEXT: lambda value: isinstance(value, str),
    DIRECTIONS: lambda value: direction_of(value) is not None,
    _LIST: lambda value: all(
        isinstance(one, str) for one in (value if isinstance(value, list) else [value])
    ),
}
_OF_SERIES = {
    **{"B0FieldSource": _LIST, _PHASE: DIRECTIONS},
    **dict.fromkeys(("TotalReadoutTime", "EffectiveEchoSpacing", "ReconMatrixPE"), _NUMBER),
}
_OF_FIELDS = {
    **dict.fromkeys(("IntendedFor", "B0FieldIdentifier"), _LIST),
    **dict.fromkeys(("Units", _PHASE), _TEXT),
    **dict.fromkeys(("TotalReadoutTime", "EchoTime", "EchoTime1", "EchoTime2"), _NUMBER),
}
_MEANT_BY = ("IntendedFor", "B0FieldIdentifier")
_SAME_PLACE_MM = 0.5
_SUFFIXES = {PHASE2: "phase2", MAGNITUDE: "magnitude1"}


def metadata_of_file(file: SourceFile, suffix: str) -> dict[str, Any]:
    """Read the metadata of a file, by BIDS's inheritance."""
    from bidsapp.dataset.scanners import metadata_of

    return metadata_of(file.root, file.path, suffix)


def check_fields(scan: Scan, metadata: Mapping[str, Any]) -> None:
    """Refuse a series, or files meant for its field, whose JSON has a value of the wrong kind.

    Parameters
    ----------
    scan
        With one main file.
    metadata
        Of the series.

    Raises
    ------
    BadData
        With file, key, and what was expected.
    """
    _check_kinds(scan.main, metadata, _OF_SERIES)
    for source in FIELDS:
        for file in scan.files.get(source, ()):
            told = metadata_of_file(file, suffix_of(file))
            _check_kinds(file, told, {key: _OF_FIELDS[key] for key in _MEANT_BY})
            if is_meant(file, scan, metadata):
                used = {_PHASE: DIRECTIONS} if source == REVERSED else {}
                _check_kinds(file, told, {**_OF_FIELDS, **used})


def _check_kinds(file: SourceFile, told: Mapping[str, Any], kinds: Mapping[str, str]) -> None:
    for key, kind in kinds.items():
        value = told.get(key)
        if value is not None and not _IS[kind](value):
            raise BadData(
                f"{file.relative_path}: {key} in its JSON is {value!r}; {kind} is expected. "
                "Correct it, or do without the field: --set preparation.susceptibility=none."
            )


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
    """Find the file of another source that belongs to a phase by its name, on the same voxels.

    Raises
    ------
    BadData
        There is none, or it lies elsewhere by its header.
    """
    wanted = file.relative_path.replace(f"_{suffix_of(file)}.", f"_{_SUFFIXES[source]}.")
    stem = wanted.removesuffix(".gz").removesuffix(".nii")
    for other in scan.files.get(source, ()):
        if other.relative_path.removesuffix(".gz").removesuffix(".nii") == stem:
            _require_same_place(file, other)
            return other
    raise BadData(
        f"{file.relative_path} cannot be read without {Path(stem).name}.nii.gz beside it."
    )


def _require_same_place(file: SourceFile, other: SourceFile) -> None:
    """Refuse two images whose voxels of one number are not one voxel of the head."""
    opened = open_image(file.path)
    x, y, z = opened.shape[:3]
    corners = np.array([[i, j, k, 1] for i in (0, x) for j in (0, y) for k in (0, z)])
    one, two = (
        placement(path, image, any_size=True).affine
        for path, image in ((file.path, opened), (other.path, open_image(other.path)))
    )
    apart = np.abs(corners @ (one - two).T).max()
    if apart > _SAME_PLACE_MM:
        raise BadData(
            f"{other.relative_path} lies up to {apart:.1f} mm away from {file.relative_path} by "
            "their headers, or is stored in another order; they are read voxel by voxel. Convert "
            "both again, in the same way."
        )


def suffix_of(file: SourceFile) -> str:
    """Give the BIDS suffix of a file's name."""
    return file.relative_path.split("_")[-1].split(".")[0]
