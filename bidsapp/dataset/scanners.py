"""Scanner, site, sequence and contrast agent of each scan, from its raw image's sidecars."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from bidsapp.dataset.contrast import with_contrast
from bidsapp.dataset.covariates import SIDECAR
from bidsapp.dataset.missing import is_missing
from bidsapp.dataset.scans import EXTENSIONS, image_files, unreadable_scans
from bidsapp.dataset.tables import ScanKey
from bidsapp.errors import BadData, NociCastError, NoInput
from bidsapp.intake.json_text import read_json, read_object
from bidsapp.intake.pointers import pointer_at

FIELDS = (
    *("Manufacturer", "ManufacturersModelName", "MagneticFieldStrength", "DeviceSerialNumber"),
    *("StationName", "InstitutionName", "SoftwareVersions", "ReceiveCoilName", "ProtocolName"),
    *("RepetitionTime", "EchoTime", "InversionTime", "FlipAngle"),
)
"""What of BIDS's common metadata may differ between scanners, sites and protocols."""
CONTRAST = "ContrastAgent"
"""Name that stands beside them for whether a contrast agent was given: ``yes`` where it was."""


@dataclass(frozen=True)
class _Sidecars:
    """JSON files that hold for images of one suffix, by BIDS's inheritance principle."""

    bids_dir: Path
    suffix: str
    absent: list[Path] = field(default_factory=list)
    _found: dict[Path, list[tuple[frozenset[str], Path, Mapping[str, Any]]]] = field(
        default_factory=dict
    )

    def of(self, image: Path) -> dict[str, Any]:
        """Metadata of an image: the file nearest to it, and with most of its entities, wins."""
        merged: dict[str, Any] = {}
        for _, content in self.holding(image):
            merged.update(content)
        return merged

    def holding(self, image: Path) -> Iterator[tuple[Path, Mapping[str, Any]]]:
        """Every file that holds for an image, and what it says; the nearest one last."""
        entities = frozenset(_parts(image.name)[0])
        inside = image.relative_to(self.bids_dir).parent.parts
        for depth in range(len(inside) + 1):
            for theirs, path, content in self._in(self.bids_dir.joinpath(*inside[:depth])):
                if theirs <= entities:
                    yield path, content

    def _in(self, folder: Path) -> list[tuple[frozenset[str], Path, Mapping[str, Any]]]:
        if folder not in self._found:
            self._found[folder] = sorted(self._read(folder), key=lambda one: len(one[0]))
        return self._found[folder]

    def _read(self, folder: Path) -> Iterator[tuple[frozenset[str], Path, Mapping[str, Any]]]:
        try:
            names = sorted(os.listdir(folder))
        except OSError:
            return
        for name in names:
            entities, suffix = _parts(name)
            if name.endswith(".json") and suffix == self.suffix and not name.startswith("."):
                if pointer_at(folder / name) is not None:
                    self.absent.append(folder / name)
                yield frozenset(entities), folder / name, read_object(folder / name)


def metadata_of(bids_dir: Path, image: Path, suffix: str) -> dict[str, Any]:
    """Read the metadata of an image from all JSON files that hold for it, by inheritance."""
    return _Sidecars(bids_dir, suffix).of(image)


def refuse_unread(bids_dir: Path, images: Sequence[Path], suffix: str) -> dict[Path, NociCastError]:
    """Say of images whose metadata are a condition which JSON file that holds for one is not read.

    Parameters
    ----------
    bids_dir
        The dataset.
    images
        Files of one suffix inside it.
    suffix
        Theirs.

    Returns
    -------
    dict
        Image -> BadData, or NoInput where the content was not fetched: with the path of the file,
        what was expected, and what to do. Images all of whose files are read are left out.
    """
    sidecars = _Sidecars(bids_dir, suffix)
    # whatever was read as something is sound; a file may hold for thousands, and is tried once
    tried: dict[Path, NociCastError | None] = {}
    found: dict[Path, NociCastError] = {}
    for image in images:
        for path, content in sidecars.holding(image):
            if path not in tried:
                tried[path] = None if content else _unread(path, path.relative_to(bids_dir))
            wrong = tried[path]
            if wrong is not None:
                found[image] = wrong
                break
    return found


def _unread(path: Path, inside: Path) -> NociCastError | None:
    pointer = pointer_at(path)
    if pointer is not None:
        return NoInput(f"{inside.as_posix()} {pointer.advice}")
    repair = "repair the file, or remove it where the metadata stand in another"
    try:
        content = read_json(path)
    except NoInput as error:
        return error
    except OSError as error:
        return NoInput(f"{inside.as_posix()}: {error.strerror or error}")
    except ValueError as error:
        why = str(error).removeprefix(f"{path.name}: ")
        return BadData(f"{inside.as_posix()}: a JSON object was expected ({why}); {repair}")
    if isinstance(content, Mapping):
        return None  # an empty object, or one that is too large to be metadata
    kind = type(content).__name__
    return BadData(f"{inside.as_posix()}: a JSON object was expected, got a {kind}; {repair}")


def _parts(name: str) -> tuple[list[str], str]:
    """Entities and suffix of a file name."""
    for ending in (*EXTENSIONS[::-1], ".json"):
        name = name.removesuffix(ending)
    *entities, suffix = name.split("_")
    return entities, suffix


def sidecar_columns(
    bids_dir: Path,
    scans: Sequence[ScanKey],
    datatype: str,
    suffix: str,
    sources: Sequence[str] = (),
    notes: list[str] | None = None,
) -> pd.DataFrame:
    """Say of each scan what the JSON sidecars of its raw image have of scanner and sequence.

    Parameters
    ----------
    bids_dir
        The raw dataset.
    scans
        Participants and sessions.
    datatype, suffix
        Of the raw images.
    sources
        Path of each scan's raw image inside the dataset, empty where it is not known: of several
        images of a session, what all of them have alike is then taken.
    notes
        Takes what a person should know: sidecars whose content was not fetched.

    Returns
    -------
    pandas.DataFrame
        A row for each scan; columns ``sidecar.<field>`` of the `FIELDS` and `CONTRAST` that some
        image has, as text, None where it has none.
    """
    sidecars = _Sidecars(bids_dir, suffix)
    rows = []
    for place, (person, session) in enumerate(scans):
        source = bids_dir / sources[place] if sources and sources[place] else None
        images = _raw(bids_dir, person, session, datatype, suffix)
        if source is not None and os.path.lexists(source):
            images = [source]
        told = [sidecars.of(image) for image in images]
        row = {name: _common([_text(one.get(name)) for one in told]) for name in FIELDS}
        agents = [
            "yes" if with_contrast(_parts(image.name)[0], metadata) else None
            for image, metadata in zip(images, told, strict=True)
        ]
        rows.append(row | {CONTRAST: _common(agents)})
    lost = unreadable_scans(bids_dir, {person for person, _ in scans}, datatype)
    if lost and notes is not None:
        notes.append(
            f"WARNING: scanner and site of {len(lost)} scans are not known: "
            f"{next(iter(lost.values()))}."
        )
    if sidecars.absent and notes is not None:
        count, first = len(sidecars.absent), sidecars.absent[0]
        notes.append(
            f"WARNING: {count} JSON sidecars are not here, only pointers to them ({first}): the "
            "scanner and site of these scans are not known. Fetch them with `datalad get`."
        )
    names = pd.Index([*FIELDS, CONTRAST])
    table = pd.DataFrame(rows, columns=names, index=range(len(scans)), dtype=object)
    return table.loc[:, table.notna().any()].add_prefix(SIDECAR)


def _raw(bids_dir: Path, person: str, session: str, datatype: str, suffix: str) -> list[Path]:
    paths = image_files(bids_dir, person.removeprefix("sub-"), datatype, (suffix,))
    here = bids_dir / person / session if session else bids_dir / person
    return [path for path in paths if path.parent.parent == here]


def _common(values: Sequence[str | None]) -> str | None:
    return values[0] if len(set(values)) == 1 else None


def _text(value: object) -> str | None:
    """Text of a field; None for what is missing or no plain value."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return f"{value:.10g}" if abs(value) < float("inf") else None
    if isinstance(value, list | tuple):
        parts = [_text(one) for one in value]
        return "; ".join(map(str, parts)) if parts and None not in parts else None
    if not isinstance(value, str):
        return None
    text = " ".join(value.split())
    return None if is_missing(text) else text
