"""The files that a preparation writes: names, what shapes them, sidecars, use as channels."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bidsapp.contracts.measure import applies

if TYPE_CHECKING:
    from bidsapp.contracts.prepared import Made

_EXTENSIONS = (".nii.gz", ".nii", ".surf.gii", ".shape.gii", ".func.gii", ".gii", ".h5", ".tsv")
_LABEL = re.compile(r"\{(\w+)\}")

# Raw-data entities that an image may carry, in the order of the specification.
ENTITIES: Mapping[str, str] = {
    "subject": "sub",
    "session": "ses",
    "sample": "sample",
    "task": "task",
    "acquisition": "acq",
    "ceagent": "ce",
    "tracer": "trc",
    "reconstruction": "rec",
    "direction": "dir",
    "run": "run",
    "modality": "mod",
    "echo": "echo",
    "flip": "flip",
    "inv": "inv",
    "mt": "mt",
    "part": "part",
    "chunk": "chunk",
}
"""Entities under pybids' names, to their short forms in file names."""
LONG_NAMES: Mapping[str, str] = {short: long for long, short in ENTITIES.items()}
"""Entities as they stand in file names, to their names in pybids."""


@dataclass(frozen=True)
class Channel:
    """What a network, a page and a methods text have to know of a map that becomes a channel.

    Attributes
    ----------
    name
        As the recipe's ``representation.channels`` has it.
    title
        As reasons and notes name it: ``log-Jacobian``.
    words
        In a sentence: ``the normalised T1w image``.
    unit
        What one unit of the stored values is.
    value_range
        The range a model can expect, for its metadata.
    masked
        Whether values outside the mask of the space are set to 0.
    bare
        Whether 0 within the mask of the space means that there is no tissue.
    arbitrary
        Whether the unit differs from image to image and means nothing, as that of T1w; only such
        values are scaled by ``representation.scaling``.
    log_volume
        Whether it holds the natural logarithm of native volume over the template's, of which
        regional volumes are made.
    larger, smaller
        What a larger, and a smaller, value is in a sentence about maps: ``brighter``, ``darker``;
        `smaller` goes before *place*, and is empty where no such word does.
    scale
        The factor between the image file and the stored values.
    series
        Whether the file holds volumes over time. Each is a channel of its own (`volume_names`),
        as many as the longest of the cohort has; shorter ones end in volumes of zeros.
    """

    name: str
    title: str
    words: str
    unit: str
    value_range: tuple[float, float]
    masked: bool = False
    bare: bool = False
    arbitrary: bool = False
    log_volume: bool = False
    larger: str = "larger"
    smaller: str = ""
    scale: float = 1.0
    series: bool = False


@dataclass(frozen=True)
class Product:
    """One file that is written for every unit; a modality's table has a line for each.

    One product is the main one: it is put in place last, and its sidecar carries verdict, settings
    and origin, so that a unit is finished exactly where that sidecar is whole.

    Attributes
    ----------
    key
        How code and recipes refer to it.
    name
        What follows the entities of the source in the file's name, with the labels of the
        preparation in braces: ``space-{space}_res-{res}_desc-preproc_T1w.nii.gz``.
    sidecar
        What its JSON file says, besides what is said of every main product.
    ignores
        Settings that do not shape this file. It is shared by runs that differ in these only, has
        them nowhere in its name, and its sidecar carries the key of the others.
    main
        Whether it is the main product; under any settings exactly one is.
    channel
        What a network has to know of it; None where no network can be given it.
    only
        Settings under which it is made, key to values; always where empty.
    shown
        Whether overviews show it in place of the main product: one volume where that is a series.
    own_page
        Whether the page of a unit is named as its main product is, and other files as far as its
        ``desc``, because a person can have those of another preparation too.
    unknown
        Whether validators do not know its suffix, so that ``.bidsignore`` lists it.
    """

    key: str
    name: str
    sidecar: Callable[["Made"], Mapping[str, Any]]
    ignores: tuple[str, ...] = ()
    main: bool = False
    channel: Channel | None = None
    only: Mapping[str, tuple[Any, ...]] | None = None
    shown: bool = False
    own_page: bool = False
    unknown: bool = False

    def applies(self, settings: Mapping[str, Any]) -> bool:
        """Whether it is made under these settings; those that are not named decide nothing."""
        return applies(self.only, settings)

    @property
    def suffix(self) -> str:
        """Suffix of its file names: ``T1w``."""
        return self.name.rpartition("_")[2].partition(".")[0]

    def tail(self, labels: Mapping[str, str]) -> str:
        """Fill the labels in."""
        return self.name.format_map(labels)

    def pattern(self) -> re.Pattern[str]:
        """Give the pattern of its file names: group ``stem``, and one for each label."""
        parts = _LABEL.split(self.name)
        seen: set[str] = set()
        text = ""
        for place, part in enumerate(parts):
            if place % 2 == 0:
                text += re.escape(part)
            elif part in seen:
                text += rf"(?P={part})"
            else:
                seen.add(part)
                often = "*" if part == "part" else "+"
                text += rf"(?P<{part}>[A-Za-z0-9+]{often})"
        return re.compile(rf"(?P<stem>sub-[^_]+(?:_[^_]+)*?)_{text}")


@dataclass(frozen=True)
class OutputNames:
    """Where the files of one unit go.

    Attributes
    ----------
    output_dir
        The derivatives dataset.
    entities
        Entities of the main source under pybids' names (``subject``, ``session``, …).
    labels
        What fills the braces of the products' names: ``{"space": "MNI152NLin6Asym", "res": "2"}``;
        ``part`` is the label of the part of a scan, where it has parts.
    products
        The modality's table, the main product first.
    datatype
        Folder of the participant (and session) in which all of them lie: that of the main source.
    apart
        Whether the page is named by all entities, as the visit has other images of the kind, each
        of which can have a page.
    """

    output_dir: Path
    entities: Mapping[str, str]
    labels: Mapping[str, str]
    products: tuple[Product, ...] = field(repr=False)
    datatype: str = "anat"
    apart: bool = False

    @property
    def stem(self) -> str:
        """``sub-01_ses-1_acq-mprage``: the source's entities."""
        pairs = [(short, self.entities.get(long)) for long, short in ENTITIES.items()]
        return "_".join(f"{short}-{value}" for short, value in pairs if value is not None)

    @property
    def folder(self) -> Path:
        """Where they lie: ``<output_dir>/sub-01/[ses-1/]anat``."""
        folder = self.output_dir / f"sub-{self.entities['subject']}"
        if self.entities.get("session") is not None:
            folder = folder / f"ses-{self.entities['session']}"
        return folder / self.datatype

    @property
    def main(self) -> Product:
        """The product whose sidecar carries the verdict."""
        return self.products[0]

    @property
    def shown(self) -> Product:
        """The product that overviews show."""
        return next((product for product in self.products if product.shown), self.main)

    def __getitem__(self, key: str) -> str:
        """File name of a product, without its folder."""
        return f"{self.stem}_{self.product(key).tail(self.labels)}"

    def product(self, key: str) -> Product:
        """Line of the table by its key."""
        return next(product for product in self.products if product.key == key)

    def path(self, key: str) -> Path:
        """Where a product lies."""
        return self.folder / self[key]

    def channel_files(self) -> dict[str, Path]:
        """Name of each channel to its file."""
        found = channels_of(self.products)
        return {name: self.path(product.key) for name, (product, _) in found.items()}

    @property
    def data_files(self) -> tuple[str, ...]:
        """Names of all files that hold data; each has a sidecar of the same name in ``.json``."""
        return tuple(self[product.key] for product in self.products)

    @property
    def shared_ignores(self) -> tuple[str, ...]:
        """Settings that shape neither the page nor the files that several runs share."""
        all_of = [set(product.ignores) for product in self.products if product.ignores]
        return tuple(sorted(set.intersection(*all_of))) if all_of else ()

    @property
    def space(self) -> str:
        """Label of the space; empty where the names tell of none."""
        return self.labels.get("space", "")

    @property
    def resolution(self) -> str:
        """Label of the resolution; empty where the names tell of none."""
        return self.labels.get("res", "")

    @property
    def part(self) -> str:
        """Label of the part that it is (an injection); empty where a scan is one unit."""
        return self.labels.get("part", "")

    def in_space(self, desc: str, suffix: str, extension: str = ".nii.gz") -> str:
        """Name of a file on the grid of the main product, that is none of the table."""
        before, found, after = self[self.main.key].rpartition("_desc-")
        if not found:
            before = self[self.main.key].rpartition("_")[0]
        own = after.partition("_")[0] if self.main.own_page else ""
        return f"{before}_desc-{own}{self.part}{desc}_{suffix}{extension}"

    def native(self, desc: str, suffix: str, extension: str = ".nii.gz") -> str:
        """Name of a file on the source's own grid, that is none of the table."""
        return f"{self.stem}_desc-{self.part}{desc}_{suffix}{extension}"

    @property
    def report(self) -> Path:
        """The page of the participant (session, part, datatype), at the top of the folder."""
        if self.main.own_page:
            stem = self[self.main.key].partition(".")[0].rpartition("_")[0]
            return self.output_dir / f"{stem}.html"
        names = page_names(self.stem, self.part, self.datatype)
        return self.output_dir / names[0 if self.apart else -1]

    @property
    def uri(self) -> str:
        """BIDS URI of the folder, with a trailing slash."""
        return f"bids::{self.folder.relative_to(self.output_dir).as_posix()}/"


def stem_in(name: str) -> str:
    """Give the entities of raw data in a file's name: ``sub-01_task-rest_run-1``."""
    parts = name.partition(".")[0].split("_")
    return "_".join(one for one in parts if one.partition("-")[0] in LONG_NAMES)


def page_names(stem: str, part: str, datatype: str) -> tuple[str, str]:
    """Name the page of a unit by all entities of its image, and by person and session alone.

    Parameters
    ----------
    stem
        Entities as they stand in the image's name: ``sub-01_task-rest_run-1``.
    part, datatype
        Of the unit; a person's head and series can both lie in one folder, and each has a page.
    """
    visit = "_".join(one for one in stem.split("_") if one.startswith(("sub-", "ses-")))
    tail = (f"_{part}" if part else "") + (f"_{datatype}" if datatype != "anat" else "")
    return f"{stem}{tail}.html", f"{visit}{tail}.html"


def volume_names(channel: str, volumes: int) -> tuple[str, ...]:
    """Name the volumes of a series as channels: ``bold_001``."""
    return tuple(f"{channel}_{number + 1:03d}" for number in range(volumes))


def sidecar_name(name: str) -> str:
    """Name of the JSON file that belongs to a data file."""
    for extension in _EXTENSIONS:
        if name.endswith(extension):
            return name.removesuffix(extension) + ".json"
    raise ValueError(f"no sidecar is known for {name}")


def channels_of(products: Iterable[Product]) -> dict[str, tuple[Product, Channel]]:
    """Name of each channel to its product and what is known of it."""
    found = ((product, product.channel) for product in products)
    return {channel.name: (product, channel) for product, channel in found if channel}
