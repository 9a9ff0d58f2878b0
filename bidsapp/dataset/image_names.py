"""BIDS names of prepared images, taken apart: entities, suffix, and what stands beside them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bidsapp.dataset.scans import names_in

EXTENSIONS = (".nii.gz", ".nii", ".func.gii", ".shape.gii")


@dataclass(frozen=True)
class Name:
    """A BIDS file name taken apart."""

    path: Path
    entities: Mapping[str, str]
    suffix: str

    def same_but(self, *ignored: str) -> tuple[tuple[str, str], ...]:
        """Give the entities but some, to be compared with another name's."""
        return tuple(sorted((k, v) for k, v in self.entities.items() if k not in ignored))


def names_of(folder: Path) -> Iterator[Name]:
    """Take apart the names of the images in a folder; hidden files are passed over."""
    for entry in names_in(folder):
        if entry.endswith(EXTENSIONS) and not entry.startswith("."):
            *pairs, suffix = stem_of(entry).split("_")
            entities = dict(pair.split("-", 1) for pair in pairs if "-" in pair)
            yield Name(folder / entry, entities, suffix)


def stem_of(name: str) -> str:
    """Take the extension from a file name."""
    for extension in EXTENSIONS:
        if name.endswith(extension):
            return name.removesuffix(extension)
    return name


def spaces_of(names: Sequence[Name], suffix: str) -> set[str]:
    """Name the spaces in which there are images of a suffix."""
    return {
        name.entities["space"]
        for name in names
        if name.suffix == suffix and "space" in name.entities
    }


def companion(name: Name, names: Sequence[Name], desc: str, suffix: str) -> Path | None:
    """Find the file of the same scan and grid with another description."""
    for other in names:
        same = other.same_but("desc") == name.same_but("desc")
        if same and other.suffix == suffix and other.entities.get("desc") == desc:
            return other.path
    return None
