"""Images of several parts of one visit: divided by what is told of each, before any is opened."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self, TypeVar

from bidsapp.contracts.parts import ToldParts
from bidsapp.contracts.scan import Scan
from bidsapp.dataset.query import Found
from bidsapp.errors import NociCastError

_OF_ALL = {"subject", "session", "datatype", "suffix", "extension"}


class File(Protocol):
    """What is asked of a file."""

    @property
    def path(self) -> Path:
        """Where it is."""

    @property
    def entities(self) -> Mapping[str, str]:
        """Entities of its name."""


F = TypeVar("F", bound=File)


def divided(
    images: Sequence[Found],
    bids_dir: Path,
    told: ToldParts | None,
    visit: Sequence[Found] = (),
) -> dict[str, list[Found]]:
    """Divide the images of one visit by the part that each is told to be of.

    Parameters
    ----------
    images
        Of one participant and session, those that are asked for.
    bids_dir
        Where they are.
    told
        Tells parts; None where a visit has one image.
    visit
        All images of the visit: whether a part is named must not hang on which are asked for, or
        the same part would be written under two names.

    Returns
    -------
    dict
        Part to its images, in order; all of them under an empty name where not every image is told
        of, or all of the visit are of one part.

    Raises
    ------
    NociCastError
        What tells of them is wrong.
    """
    if told is None or len({one.relative_path for one in (*images, *visit)}) < 2:
        return {"": list(images)}
    found: dict[str, list[Found]] = defaultdict(list)
    for image in images:
        path = bids_dir / image.relative_path
        found[told.of(image.participant, image.session, path)].append(image)
    parts = set(found)
    for image in visit:
        with suppress(NociCastError):  # nobody asks for it
            parts.add(told.of(image.participant, image.session, bids_dir / image.relative_path))
    if "" in found or len(parts - {""}) < 2:
        return {"": list(images)}
    return {part: found[part] for part in sorted(found)}


@dataclass(frozen=True)
class ByPart:
    """Which files belong to the part that a scan's main image is told to be of.

    Attributes
    ----------
    told
        Tells parts.
    telling
        For participant and session, the entities in which its main images differ.
    """

    told: ToldParts
    telling: Mapping[tuple[str, str | None], frozenset[str]]

    @classmethod
    def of(cls, scans: Sequence[Scan], told: ToldParts) -> Self:
        """Look at the main images of all scans."""
        visits: dict[tuple[str, str | None], list[Mapping[str, str]]] = {}
        for scan in scans:
            visits.setdefault((scan.participant, scan.session), []).append(scan.main.entities)
        return cls(told, {visit: _telling(mains) for visit, mains in visits.items()})

    def kept(self, scan: Scan, files: Sequence[F]) -> list[F]:
        """Keep of a source's files those of the part of a scan's main image.

        Files that are told to be of it; and of those of which nothing is told, where the image is
        the only one of its visit all, else those that share a telling entity (``run-1``) with it
        and differ in none. All, where nothing is told of the image.

        Raises
        ------
        NociCastError
            What tells of a file is wrong.
        """
        wanted = scan.part or self.told.of(scan.participant, scan.session, scan.main.path)
        if not wanted:
            return list(files)
        telling = self.telling[scan.participant, scan.session] if scan.part else frozenset()
        kept = []
        for file in files:
            part = self.told.of(scan.participant, scan.session, file.path)
            own = {name for name in telling if name in file.entities}
            alike = all(file.entities[name] == scan.main.entities.get(name) for name in own)
            if part == wanted or (not part and (not telling or (own and alike))):
                kept.append(file)
        return kept


def _telling(mains: Sequence[Mapping[str, str]]) -> frozenset[str]:
    names = {name for entities in mains for name in entities} - _OF_ALL
    return frozenset(name for name in names if len({one.get(name) for one in mains}) > 1)
