"""Normalised images that exist: this app's own output, and derivatives of other pipelines."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from bidsapp.dataset.description import list_participants
from bidsapp.dataset.scans import names_in, session_folders
from bidsapp.dataset.tables import Key
from bidsapp.errors import NoInput, UsageError
from bidsapp.intake.json_text import read_json
from bidsapp.intake.pointers import pointer_at

EXTENSIONS = (".nii.gz", ".nii")
_RAW = "bids:raw:"
# Settings of the participant level that must be one for a whole cohort.
_SHAPING = ("speed", "box", "intensity", "seed", "template_file")
# Of the quality, what says how the image came out and not how large the brain is.
QUALITY_NUMBERS = ("ncc", "local_ncc", "mask_dice", "folded_fraction", "bright_share")


@dataclass(frozen=True)
class NormalizedImage:
    """The normalised image of one scan, with what belongs to it.

    Attributes
    ----------
    participant_id, session_id
        With their prefixes; session_id is empty where the files have none.
    image, mask, log_jacobian
        Files; None where there is none. They may lie on another grid than the recipe's if
        `dataset` is not empty.
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
        Of the T1w file that it was made from; empty where it is not known.
    source
        Path of that file inside the raw dataset; empty where it is not known.
    quality_numbers
        Name and value of what the verdict hangs on (``local_ncc``); empty where it was not judged.
    """

    participant_id: str
    session_id: str
    image: Path
    mask: Path | None
    log_jacobian: Path | None
    dataset: str
    uri: str
    quality: str = ""
    quality_reasons: tuple[str, ...] = ()
    made_with: str = ""
    source_sha256: str = ""
    source: str = ""
    quality_numbers: tuple[tuple[str, float], ...] = ()

    @property
    def key(self) -> Key:
        """Participant and session."""
        return self.participant_id, self.session_id


@dataclass(frozen=True)
class NormalizedSearch:
    """Images found, and scans that cannot be used with (reason, detail)."""

    images: dict[Key, NormalizedImage]
    unusable: dict[Key, tuple[str, str]]
    spaces: frozenset[str]


@dataclass(frozen=True)
class _Name:
    """A BIDS file name taken apart."""

    path: Path
    entities: Mapping[str, str]
    suffix: str

    def same_but(self, *ignored: str) -> tuple[tuple[str, str], ...]:
        return tuple(sorted((k, v) for k, v in self.entities.items() if k not in ignored))


def find_own(
    output_dir: Path, template: str, resolution: int, suffix: str = "T1w"
) -> NormalizedSearch:
    """Find what the participant level wrote, with the verdict of its sidecar.

    Parameters
    ----------
    output_dir
        The app's output folder.
    template, resolution
        Standard space and voxel size (mm) that the recipe asks for.
    suffix
        Suffix of the images.
    """
    found = NormalizedSearch({}, {}, frozenset())
    if not output_dir.is_dir():
        return found
    spaces = set()
    for key, names in _by_scan(output_dir, found.unusable):
        spaces.update(_spaces(names, suffix))
        mine = [
            name
            for name in names
            if name.suffix == suffix
            and name.entities.get("desc") == "preproc"
            and name.entities.get("space") == template
            and name.entities.get("res") == str(resolution)
        ]
        if len(mine) > 1:
            found.unusable[key] = _several(mine)
        elif mine:
            _take_own(found, output_dir, key, mine[0], names)
    return NormalizedSearch(found.images, found.unusable, frozenset(spaces))


def _take_own(
    found: NormalizedSearch, root: Path, key: Key, name: _Name, names: Sequence[_Name]
) -> None:
    path = name.path
    mask = _companion(name, names, "brain", "mask")
    jacobian = _companion(name, names, "logjacobian", "statmap")
    if _not_fetched(found, key, path, _sidecar(path), mask, jacobian):
        return
    told = _read_sidecar(path)
    if told is None:
        detail = f"{_sidecar(path)} has no Quality.verdict; run the participant level again"
        found.unusable[key] = ("no quality verdict", detail)
    elif told.rescued:
        found.unusable[key] = _mirrored(path)
    else:
        uri = path.relative_to(root).as_posix()
        found.images[key] = NormalizedImage(*key, path, mask, jacobian, "", uri, **told.facts)


def _not_fetched(found: NormalizedSearch, key: Key, *paths: Path | None) -> bool:
    """Leave a scan out where the content of one of its files is not here."""
    for path in paths:
        pointer = None if path is None else pointer_at(path)
        if pointer is not None:
            found.unusable[key] = ("content not fetched", f"{path} {pointer.advice}")
            return True
    return False


@dataclass(frozen=True)
class _Told:
    """What a sidecar of this app says of an image."""

    rescued: bool
    facts: dict[str, Any]  # fields of a NormalizedImage


def _sidecar(image: Path) -> Path:
    return image.with_name(_stem(image) + ".json")


def _read_sidecar(image: Path) -> _Told | None:
    """Quality and settings in the sidecar of an image; None where it holds no verdict."""
    try:
        content = read_json(_sidecar(image))
        quality = content["Quality"]
        settings = content.get("Settings", {})
        made_with = ", ".join(f"{key} {settings[key]}" for key in _SHAPING if key in settings)
        facts = {
            "quality": str(quality["verdict"]) or "empty",
            "quality_reasons": tuple(map(str, quality.get("reasons", ()))),
            "made_with": made_with,
            "source_sha256": str(content.get("SourceSHA256", "")),
            "source": _raw_source(content.get("Sources")),
            "quality_numbers": tuple(
                (name, float(quality[name])) for name in QUALITY_NUMBERS if name in quality
            ),
        }
        return _Told(bool(quality.get("rescued")), facts)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _raw_source(sources: object) -> str:
    """Path in the raw dataset of the first source that is a file of it; else empty."""
    listed = sources if isinstance(sources, list) else []
    raw = [one for one in listed if isinstance(one, str) and one.startswith(_RAW)]
    path = PurePosixPath(raw[0].removeprefix(_RAW)) if raw else PurePosixPath()
    return "" if path.is_absolute() or ".." in path.parts or not path.parts else str(path)


def _mirrored(image: Path) -> tuple[str, str]:
    detail = (
        f"{_sidecar(image)}: the header's orientation was wrong, so that the image may be "
        "mirrored; repair the header and run the participant level again"
    )
    return "left and right not verified", detail


def find_derivatives(
    dataset: str, root: Path, template: str, resolution: int, suffix: str = "T1w"
) -> NormalizedSearch:
    """Find T1w and brain mask in a template's space in the derivatives of any pipeline.

    Images with ``desc-preproc`` or without ``desc-`` are taken; of several voxel sizes the
    recipe's, else the one without ``res-`` (the template's own), else the first ``res-``. The
    mask must carry the same entities. The grid is not looked at. Where the images are another
    output of this app, the verdicts of their sidecars hold.

    Raises
    ------
    NoInput
        The folder is not there, or holds no ``sub-`` folder.
    UsageError
        It holds no image in that space; the spaces that it has are named.
    """
    if not root.is_dir():
        raise NoInput(f"-d {dataset}={root}: the folder does not exist.")
    if not list_participants(root):
        raise NoInput(f"-d {dataset}={root}: no sub-<label> folder; is it a derivative dataset?")
    found = NormalizedSearch({}, {}, frozenset())
    spaces = set()
    for key, names in _by_scan(root, found.unusable):
        spaces.update(_spaces(names, suffix))
        ranked: dict[tuple[int, int, str], list[_Name]] = defaultdict(list)
        for name in names:
            desc, res = name.entities.get("desc"), name.entities.get("res", "")
            in_space = name.entities.get("space") == template
            if name.suffix == suffix and in_space and desc in (None, "preproc"):
                size = 0 if res == str(resolution) else 2 if res else 1
                ranked[(desc is None, size, res)].append(name)
        if not ranked:
            continue
        best = ranked[min(ranked)]
        mask = _companion(best[0], names, "brain", "mask")
        if len(best) > 1:
            found.unusable[key] = _several(best)
        elif _not_fetched(found, key, best[0].path, _sidecar(best[0].path), mask):
            continue
        elif mask is None:
            found.unusable[key] = ("no brain mask", f"no desc-brain_mask beside {best[0].path}")
        else:
            _take_other(found, dataset, root, key, best[0], mask, names)
    if not found.images and not found.unusable:
        there = ", ".join(sorted(spaces)) or "none"
        raise UsageError(
            f"-d {dataset}={root}: no {suffix} in space {template}; spaces there: {there}. Choose "
            "one with --template, or leave out -d and run the participant level."
        )
    return NormalizedSearch(found.images, found.unusable, frozenset(spaces))


def _take_other(
    found: NormalizedSearch,
    dataset: str,
    root: Path,
    key: Key,
    name: _Name,
    mask: Path,
    names: Sequence[_Name],
) -> None:
    """Take an image of another dataset; what this app said of it there holds here too."""
    path = name.path
    jacobian = _companion(name, names, "logjacobian", "statmap")
    if _not_fetched(found, key, jacobian):
        return
    told = _read_sidecar(path)
    if told is not None and told.rescued:
        found.unusable[key] = _mirrored(path)
        return
    uri = f"bids:{dataset}:{path.relative_to(root).as_posix()}"
    facts = told.facts if told else {}
    found.images[key] = NormalizedImage(*key, path, mask, jacobian, dataset, uri, **facts)


def _by_scan(root: Path, unusable: dict[Key, tuple[str, str]]) -> Iterator[tuple[Key, list[_Name]]]:
    """Each participant and session with the NIfTI files of its anat folder.

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
                names = list(_names(folder / "anat"))
            except NoInput as error:
                unusable[(person.name, session)] = ("folder not readable", str(error))
                continue
            if names:
                yield (person.name, session), names


def _names(folder: Path) -> Iterator[_Name]:
    for entry in names_in(folder):
        if entry.endswith(EXTENSIONS) and not entry.startswith("."):
            *pairs, suffix = _stem(Path(entry)).split("_")
            entities = dict(pair.split("-", 1) for pair in pairs if "-" in pair)
            yield _Name(folder / entry, entities, suffix)


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".nii")


def _spaces(names: Sequence[_Name], suffix: str) -> set[str]:
    return {
        name.entities["space"]
        for name in names
        if name.suffix == suffix and "space" in name.entities
    }


def _companion(name: _Name, names: Sequence[_Name], desc: str, suffix: str) -> Path | None:
    """Find the file of the same scan and grid with another description."""
    for other in names:
        same = other.same_but("desc") == name.same_but("desc")
        if same and other.suffix == suffix and other.entities.get("desc") == desc:
            return other.path
    return None


def _several(names: Sequence[_Name]) -> tuple[str, str]:
    some = ", ".join(name.path.name for name in names)
    return "several images", f"one is needed for each participant and session: {some}"
