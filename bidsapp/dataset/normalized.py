"""Prepared units that exist: what is looked for, and what names and sidecars tell of each."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from bidsapp.contracts.measure import excluded_by
from bidsapp.contracts.modality import Modality
from bidsapp.contracts.product import Product, channels_of
from bidsapp.dataset.description import list_participants
from bidsapp.dataset.image_names import Name, names_of, stem_of
from bidsapp.dataset.scans import session_folders
from bidsapp.dataset.tables import ScanKey
from bidsapp.errors import NoInput
from bidsapp.intake.json_text import read_json
from bidsapp.intake.pointers import pointer_at

UnitKey = tuple[str, ...]
"""Participant and session, and the part where a scan has several."""
_RAW = "bids:raw:"
# Settings in a sidecar that may differ within a cohort.
_UNSHAPING = ("version",)


@dataclass(frozen=True)
class Wanted:
    """Which prepared units are looked for.

    Attributes
    ----------
    modality
        Theirs.
    labels
        Of their file names: ``{"space": "MNI152NLin6Asym", "res": "2"}``.
    settings
        Of the preparation, plain values: which products there are.
    """

    modality: Modality[Any]
    labels: Mapping[str, str]
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def products(self) -> tuple[Product, ...]:
        """The files of a unit, the main one first."""
        return self.modality.products_for(self.settings)

    @property
    def main(self) -> Product:
        """The product that is looked for."""
        return self.products[0]

    @property
    def datatype(self) -> str:
        """Folder of a participant (and session)."""
        return self.modality.sources[0].datatype

    @property
    def place(self) -> str:
        """``space-MNI152NLin6Asym_res-2``."""
        return self.modality.label_words(self.labels)

    @property
    def kind(self) -> str:
        """Suffix of the main product."""
        return self.main.suffix


FileState = tuple[int, int, int]


@dataclass(frozen=True)
class NormalizedImage:
    """The normalised image of one scan, with what belongs to it.

    Attributes
    ----------
    participant_id, session_id
        With their prefixes; session_id is empty where the files have none.
    image, mask
        The main product, and a mask of it where it came from elsewhere. They may lie on another
        grid than the recipe's if `dataset` is not empty.
    channels
        Name of each channel that is there to its file; that of `image` among them.
    dataset
        Name of the derivative dataset, empty for this app's own output.
    uri
        Path inside the output folder, or a BIDS URI ``bids:<dataset>:<path>``.
    quality
        ``pass``, ``warn`` or ``fail``; empty where it was not judged.
    quality_reasons
        Why it is not ``pass``.
    made_with
        The settings that shaped it, as one text; empty where they are not known.
    source_sha256
        Of the main file that it was made from; empty where it is not known.
    source
        Path of that file inside the raw dataset; empty where it is not known.
    quality_numbers
        Name and value of what the verdict hangs on (``local_ncc``); empty where it was not judged.
    part
        Label of the part of the scan that it is; empty where a scan is one unit.
    told_part
        Which part it is by its sidecar; see `Modality.part_in`.
    settings
        Those in its sidecar that shaped it; empty where they are not known.
    states
        Its files, and size, time and place of each before it was hashed; see `unchanged`.
    """

    participant_id: str
    session_id: str
    image: Path
    mask: Path | None
    channels: Mapping[str, Path]
    dataset: str
    uri: str
    quality: str = ""
    quality_reasons: tuple[str, ...] = ()
    made_with: str = ""
    source_sha256: str = ""
    source: str = ""
    quality_numbers: tuple[tuple[str, float], ...] = ()
    part: str = ""
    told_part: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict, compare=False)
    states: tuple[tuple[Path, FileState | None], ...] = field(default=(), compare=False)

    @property
    def key(self) -> ScanKey:
        """Participant and session."""
        return self.participant_id, self.session_id

    @property
    def unit(self) -> UnitKey:
        """Participant and session, and the part where it is one."""
        return (*self.key, self.part) if self.part else self.key

    @property
    def row(self) -> UnitKey:
        """Whose row of a table about parts is its own: `unit`, or the part by its sidecar."""
        part = self.part or self.told_part
        return (*self.key, part) if part else self.key


@dataclass(frozen=True)
class NormalizedSearch:
    """What was found in one folder.

    Attributes
    ----------
    images, unusable
        Images found, and scans that cannot be used with (reason, detail).
    spaces
        In which there are images of the kind, of anybody.
    passed_over
        Scans with images of the kind, none of which is one that is wanted, and what is said of
        them; see `passed_over`.
    """

    images: dict[UnitKey, NormalizedImage]
    unusable: dict[UnitKey, tuple[str, str]]
    spaces: frozenset[str]
    passed_over: dict[UnitKey, str] = field(default_factory=dict)


def channels_beside(name: Name, names: Sequence[Name], wanted: Wanted) -> dict[str, Path]:
    """Find the file of each channel of the same unit, that of the main product among them."""
    own = stem_of(name.path.name)
    stem = own.removesuffix(stem_of(wanted.main.tail(wanted.labels)))
    there = {stem_of(other.path.name): other.path for other in names}
    found = {}
    for channel, (product, _) in channels_of(wanted.products).items():
        path = (
            name.path
            if product.main
            else there.get(f"{stem}{stem_of(product.tail(wanted.labels))}")
        )
        if path is not None:
            found[channel] = path
    return found


def not_fetched(found: NormalizedSearch, key: UnitKey, *paths: Path | None) -> bool:
    """Leave a scan out where the content of one of its files is not here."""
    for path in paths:
        pointer = None if path is None else pointer_at(path)
        if pointer is not None:
            found.unusable[key] = ("content not fetched", f"{path} {pointer.advice}")
            return True
    return False


@dataclass(frozen=True)
class Told:
    """What a sidecar of this app says of an image."""

    excluded: tuple[str, str] | None  # reason and detail for which it may not be used at all
    facts: dict[str, Any]  # fields of a NormalizedImage


def sidecar_of(image: Path) -> Path:
    """Give the place of the sidecar of an image."""
    return image.with_name(stem_of(image.name) + ".json")


def read_sidecar(image: Path, wanted: Wanted) -> Told | None:
    """Quality and settings in the sidecar of an image; None where it holds no verdict."""
    try:
        content = read_json(sidecar_of(image))
        quality = content["Quality"]
        settings = content.get("Settings", {})
        shaping = (f"{key} {value}" for key, value in settings.items() if key not in _UNSHAPING)
        measures = wanted.modality.measures_for(settings)
        excluded = excluded_by(measures, quality)
        facts = {
            "quality": str(quality["verdict"]) or "empty",
            "quality_reasons": tuple(map(str, quality.get("reasons", ()))),
            "made_with": ", ".join(shaping),
            "settings": dict(settings),
            "told_part": wanted.modality.part_in(content),
            "source_sha256": str(content.get("SourceSHA256", "")),
            "source": _raw_source(content.get("Sources")),
            "quality_numbers": tuple(
                (measure.key, float(quality[measure.key]))
                for measure in measures
                if (measure.confound or measure.unusual_sd is not None)
                and quality.get(measure.key) is not None
            ),
        }
        if excluded is not None:
            excluded = (excluded[0], f"{sidecar_of(image)}: {excluded[1]}")
        return Told(excluded, facts)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _raw_source(sources: object) -> str:
    """Path in the raw dataset of the first source that is a file of it; else empty."""
    listed = sources if isinstance(sources, list) else []
    raw = [one for one in listed if isinstance(one, str) and one.startswith(_RAW)]
    path = PurePosixPath(raw[0].removeprefix(_RAW)) if raw else PurePosixPath()
    return "" if path.is_absolute() or ".." in path.parts or not path.parts else str(path)


def require_people(dataset: str, root: Path) -> None:
    """Check that a derivative dataset (``-d``) is there and holds people.

    Raises
    ------
    NoInput
        The folder is not there, or holds no ``sub-`` folder.
    """
    if not root.is_dir():
        raise NoInput(f"-d {dataset}={root}: the folder does not exist.")
    if not list_participants(root):
        raise NoInput(f"-d {dataset}={root}: no sub-<label> folder; is it a derivative dataset?")


def by_scan(
    root: Path, datatype: str, unusable: dict[UnitKey, tuple[str, str]]
) -> Iterator[tuple[ScanKey, list[Name]]]:
    """Each participant and session with the files of its folder of a datatype.

    Who has a folder that cannot be read joins `unusable`.
    """
    for label in list_participants(root):
        person = root / f"sub-{label}"
        try:
            folders = session_folders(person)
        except NoInput as error:
            unusable[(person.name, "")] = ("folder not readable", str(error))
            continue
        for folder in folders:
            session = folder.name if folder != person else ""
            try:
                names = list(names_of(folder / datatype))
            except NoInput as error:
                unusable[(person.name, session)] = ("folder not readable", str(error))
                continue
            if names:
                yield (person.name, session), names


def passed_over(
    where: str,
    names: Sequence[Name],
    spaces: Collection[str],
    accepted: Collection[str],
    advice: str,
) -> str:
    """Say which images a folder has of a scan in place of one that is wanted.

    Parameters
    ----------
    where
        The folder: ``-d NAME=PATH``.
    names
        Its images of the kind that is looked for.
    spaces
        In which they are.
    accepted
        The spaces that would do.
    advice
        What to do about another space.
    """
    kind, wanted = names[0].suffix, " or ".join(sorted(accepted))
    others = sorted(set(spaces) - set(accepted))
    if others:
        return f"{where} has {kind} in space {', '.join(others)} and none in {wanted}: {advice}"
    listed = ", ".join(sorted(name.path.name for name in names))
    return f"{where} has no {kind} in space {wanted} under a name that is read: {listed}"


def several(names: Sequence[Name], how: str = "") -> tuple[str, str]:
    """Give reason and detail for leaving out a scan that has several images, and how to go on."""
    some = ", ".join(name.path.name for name in names)
    detail = f"one is needed for each participant and session: {some}"
    return "several images", f"{detail}; {how}" if how else detail
