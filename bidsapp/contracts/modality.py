"""A kind of study: all that other rooms may ask of it, and where its package is found."""

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel

from bidsapp.contracts.home import OwnPlaces
from bidsapp.contracts.measure import Measure
from bidsapp.contracts.prepared import Prepared, Provenance
from bidsapp.contracts.product import Channel, OutputNames, Product, channels_of
from bidsapp.contracts.unit import Unit
from bidsapp.errors import UsageError
from bidsapp.options import RunOptions

MODALITIES = Path(__file__).parents[1] / "modalities"
DEFAULT = "t1w"
"""What is meant where a recipe names no modality, as those of earlier versions."""

FURTHER = "NOCICAST_MODALITIES"
"""Environment variable: packages of modalities that lie elsewhere."""

S = TypeVar("S", bound=BaseModel)


@dataclass(frozen=True)
class Source:
    """A kind of file that a modality reads.

    The first source of a modality is the main one: every participant and session that has it is
    a scan. Files of the other sources are looked up for each scan, and belong to it by
    participant, session and the entities of `same`.

    Attributes
    ----------
    name
        Its name in code, and the key of its filters in ``--bids-filter-file``.
    datatype, suffix
        BIDS folder and end of the name.
    entities
        Filters as a filter file writes them, under pybids' names; a person's filters win.
    extensions
        Ends of file names: images, or ``.tsv`` for a table, ``.json``.
    many
        Whether all files that are left are taken, in the order of their names (echoes, runs);
        else more than one is refused with the filter that would choose.
    required
        Whether a scan without it is refused.
    same
        Entities in which its files agree with the main source's, where those have them.
    any_session
        Whether a file of another session, or of none, serves where the scan's own session has
        none.
    derivatives
        Whether it lies in a derivative dataset (``-d NAME=PATH``, or a folder of
        ``<bids_dir>/derivatives``) and not in the dataset itself.
    """

    name: str
    datatype: str
    suffix: str
    entities: Mapping[str, Any] = field(default_factory=dict)
    extensions: tuple[str, ...] = (".nii.gz", ".nii")
    many: bool = False
    required: bool = True
    same: tuple[str, ...] = ()
    any_session: bool = False
    derivatives: bool = False


@dataclass(frozen=True)
class SourceFile:
    """A file of a source.

    Attributes
    ----------
    path, relative_path
        Where it is, and its POSIX path inside its dataset (for BIDS URIs).
    entities
        Entities of the file name, zero-padding kept; with datatype, suffix and extension.
    reason
        One phrase: how it was chosen.
    dataset
        Name of its derivative dataset; empty for the dataset itself.
    """

    path: Path
    relative_path: str
    entities: Mapping[str, str]
    reason: str = ""
    dataset: str = ""


@dataclass(frozen=True)
class Scan:
    """The files of one participant and session that are prepared together.

    Attributes
    ----------
    participant, session
        Labels without their prefix; session is None where the files have none.
    files
        Name of a source to its files: one, several where it takes many, none where it is optional
        and not there. The main source stands first.
    """

    participant: str
    session: str | None
    files: Mapping[str, tuple[SourceFile, ...]]

    @property
    def main(self) -> SourceFile:
        """The first file of the main source."""
        return next(iter(self.files.values()))[0]

    def path(self, source: str) -> Path | None:
        """Where the first file of a source is; None where it has none."""
        found = self.files.get(source, ())
        return found[0].path if found else None


@dataclass(frozen=True)
class Shared:
    """What all scans of a run have in common: made once, before the first of them.

    Attributes
    ----------
    labels
        Fill the braces of the products' names: ``{"space": "MNI152NLin6Asym", "res": "2"}``.
    settings
        All that shapes a result, plain values: hashed with the sources, it says whether files
        that are there are the ones asked for, and it stands in the main sidecar.
    reference
        Address where the standard space is defined; empty where there is none.
    files
        What the steps need besides the scan's own files, by the modality's own names.
    outline
        An image above 0 inside what thumbnails are outlined with, on the grid of the main
        product; None for no outline.
    """

    labels: Mapping[str, str]
    settings: Mapping[str, Any]
    reference: str = ""
    files: Mapping[str, Path] = field(default_factory=dict)
    outline: Path | None = None


@dataclass(frozen=True)
class Job:
    """One unit to prepare: a scan, or a part of one.

    Attributes
    ----------
    modality
        Name of the modality.
    scan
        Its files.
    part
        Which part (``C6-L``, ``R``); empty where a scan is one unit.
    names
        Where its results go.
    provenance
        Sources with their hashes, and all that shapes the results.
    """

    modality: str
    scan: Scan
    part: str
    names: OutputNames
    provenance: Provenance

    def plain(self) -> dict[str, Any]:
        """Values that a node of nipype takes, from which `from_plain` makes the same job."""
        names = self.names
        files = {
            source: [
                [str(f.path), f.relative_path, dict(f.entities), f.reason, f.dataset] for f in some
            ]
            for source, some in self.scan.files.items()
        }
        return {
            "modality": self.modality,
            "scan": [self.scan.participant, self.scan.session, files],
            "part": self.part,
            "names": [
                str(names.output_dir),
                dict(names.entities),
                dict(names.labels),
                names.datatype,
            ],
            "provenance": asdict(self.provenance),
        }

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> "Job":
        """Make a job of what `plain` gave."""
        participant, session, listed = values["scan"]
        files = {
            source: tuple(SourceFile(Path(path), *others) for path, *others in some)
            for source, some in listed.items()
        }
        provenance = Provenance(**values["provenance"])
        modality = modality_named(values["modality"])
        output_dir, entities, labels, datatype = values["names"]
        products = modality.products_for(provenance.settings)
        return cls(
            modality.name,
            Scan(participant, session, files),
            values["part"],
            OutputNames(Path(output_dir), entities, labels, products, datatype),
            provenance,
        )


@dataclass(frozen=True)
class Meeting:
    """Where people whose values lie in spaces of their own can be compared.

    Attributes
    ----------
    label
        Value of BIDS' ``space`` there.
    mask
        An image that is 1 where values count, on the grid of that space.
    transforms
        Unit to an ITK transform that resamples an image of its own space into the common one;
        not every unit has one.
    """

    label: str
    mask: Path
    transforms: Mapping[Unit, Path]


@dataclass(frozen=True)
class First:
    """What another modality has to prepare before a scan can be.

    Attributes
    ----------
    modality
        Its name.
    scan
        The files that it reads: those of the scan that waits for it.
    settings
        Of its preparation, an instance of its settings class.
    """

    modality: str
    scan: Scan
    settings: Any


class Modality(OwnPlaces, ABC, Generic[S]):
    """One kind of study, as one package of ``bidsapp/modalities``.

    ``modalities/<name>/modality.py`` holds the one instance as ``MODALITY``. That file imports
    nothing heavy (nipype, torch, SimpleITK, nibabel, pandas): its methods import what they need.
    The class attributes are tables that other rooms read; the methods do the work.
    """

    name: ClassVar[str]
    """As ``preparation.modality`` has it, and the name of the package."""
    title: ClassVar[str]
    """In a sentence: ``T1w MRI``."""
    image: ClassVar[str]
    """What one prepared unit shows, in a sentence: ``T1w image``."""
    verb: ClassVar[str] = "prepare"
    """What is done to an image, ending in e: ``normalise`` where it is brought into a standard
    space and nothing more."""
    sources: ClassVar[tuple[Source, ...]]
    """What it reads, the main source first."""
    measures: ClassVar[tuple[Measure, ...]]
    """What is measured of a preparation, in the order of the sidecar."""
    products: ClassVar[tuple[Product, ...]]
    """What it writes; one of them is the main product under any settings."""
    settings: type[S]
    """The keys of the recipe's ``preparation`` section: a `bidsapp.recipes.section.Section`."""

    @property
    def prepared(self) -> str:
        """What a finished image is, in a sentence: ``normalised``."""
        return f"{self.verb}d"

    # --- tables under settings

    @property
    def every_settings(self) -> tuple[type[S], ...]:
        """List the classes of settings, where keys of the section say which of them is meant."""
        return (self.settings,)

    def settings_for(self, values: Mapping[str, Any]) -> type[S]:
        """Say by which class the values of a ``preparation`` section are checked."""
        return self.settings

    def sources_for(self, settings: Mapping[str, Any]) -> tuple[Source, ...]:
        """List the sources that are read under these settings."""
        return self.sources

    def products_for(self, settings: Mapping[str, Any]) -> tuple[Product, ...]:
        """List the files that are made under these settings, the main one first."""
        made = [product for product in self.products if product.applies(settings)]
        return tuple(sorted(made, key=lambda product: not product.main))

    def main_products(self) -> tuple[Product, ...]:
        """List the products that are the main one under some settings."""
        return tuple(product for product in self.products if product.main)

    def measures_for(self, settings: Mapping[str, Any]) -> tuple[Measure, ...]:
        """List the numbers that are measured under these settings."""
        return tuple(measure for measure in self.measures if measure.applies(settings))

    @property
    def main_channel(self) -> str:
        """Name of the channel that a network is given where a recipe says nothing."""
        return next(iter(self.channels()))

    def main_channel_for(self, settings: Mapping[str, Any]) -> str:
        """Name that channel for a preparation with these settings."""
        return self.main_channel

    def channels(self) -> Mapping[str, Channel]:
        """Say what a network can be given, by name."""
        return {name: channel for name, (_, channel) in channels_of(self.products).items()}

    def channels_for(self, settings: Mapping[str, Any]) -> Mapping[str, Channel]:
        """Say what a network can be given of what is made under these settings, by name."""
        made = channels_of(self.products_for(settings))
        return {name: channel for name, (_, channel) in made.items()}

    def label_words(self, labels: Mapping[str, str]) -> str:
        """Write labels as file names have them: ``space-MNI152NLin6Asym_res-2``."""
        return "_".join(f"{key}-{value}" for key, value in labels.items())

    def in_short(self, quality: Mapping[str, Any]) -> str:
        """Say the quality of a unit in a few words, for a line of the terminal."""
        told = [
            f"{measure.head}: {measure.shown(quality[measure.key])}"
            for measure in sorted(self.measures, key=lambda one: one.place)
            if quality.get(measure.key) is not None and measure.on_page
        ]
        return told[0] if told else ""

    # --- participant level

    @abstractmethod
    def labels(self, settings: S, work: Path) -> Mapping[str, str]:
        """Give what fills the braces of the products' names; nothing is written."""

    def check(self, settings: S, work: Path) -> None:
        """Refuse before work what could not be prepared: a template that cannot be had."""

    def first(self, scan: Scan, settings: S) -> Sequence[First]:
        """List what other modalities have to prepare before this scan."""
        return ()

    @abstractmethod
    def shared(self, settings: S, work: Path) -> Shared:
        """Find or make what all scans have in common, in a folder of the work directory."""

    @abstractmethod
    def mask(self, shared: Shared) -> Path:
        """Write an image that is 1 where the values of prepared units lie, 0 outside."""

    def meeting(self, images: Mapping[Unit, Path], work: Path) -> Meeting | None:
        """Find where units can be compared whose values lie in spaces of their own.

        Parameters
        ----------
        images
            Unit to its main file.
        work
            Work folder.

        Returns
        -------
        Meeting or None
            None where no unit has a transform to any common space.
        """
        return None

    def found_elsewhere(self, dataset: str, root: Path, wanted: Any) -> Any:
        """Find units that other software prepared, in a derivative dataset.

        Parameters
        ----------
        dataset, root
            Its name and folder.
        wanted
            A `bidsapp.dataset.normalized.Wanted`.

        Returns
        -------
        bidsapp.dataset.normalized.NormalizedSearch

        Raises
        ------
        UsageError
            Units of this modality are prepared by this app alone.
        """
        raise UsageError(
            f"-d {dataset}={root}: {self.title} is read from this app's own output alone; leave "
            "out -d and run the participant level."
        )

    def conformed(self, cohort: Any, shared: Shared, settings: S, folder: Path) -> Any:
        """Bring units that other software prepared onto the grid of one's own.

        Parameters
        ----------
        cohort
            A `bidsapp.dataset.cohort.Cohort`.
        shared, settings
            As for the participant level.
        folder
            Where conformed images go.
        """
        return cohort

    def shared_of(self, prepared: Prepared, work: Path) -> Shared:
        """Find or make what a unit that is there was prepared with, to write its page anew."""
        return self.shared(self.settings_of(prepared), work)

    def settings_of(self, prepared: Prepared) -> S:
        """Read from a sidecar what a unit was prepared with."""
        shape = self.settings_for(prepared.settings)
        keys = shape.model_fields
        told = {key: value for key, value in prepared.settings.items() if key in keys}
        return shape.model_validate(told)

    def parts(self, scan: Scan, settings: S) -> Sequence[str]:
        """List the parts of a scan that are one unit each; one empty name where it is one unit."""
        return ("",)

    def read_part(self, text: str) -> str:
        """Give the label of the part that a text of a table means (``C6-L``: ``C6L``).

        Raises
        ------
        ValueError
            It means none; the text says what was expected.
        """
        label = "".join(character for character in text if character.isalnum())
        if not label:
            raise ValueError("expected letters or digits")
        return label

    def ask(self, jobs: Sequence[Job], settings: S, output_dir: Path) -> str:
        """Write, before the first unit is prepared, what a person has to do by hand for some.

        Returns
        -------
        str
            A line for the terminal that says what and where; empty where there is nothing to do.
        """
        return ""

    @abstractmethod
    def workflow(
        self, name: str, job: Job, shared: Shared, settings: S, options: RunOptions
    ) -> Any:
        """Connect the steps of one unit to a nipype workflow of that name.

        The last node is called ``write``: it puts every product, sidecar and the page in place,
        by `bidsapp.derivatives.unit.write_unit`. Nodes take the job as ``job.plain()``.
        """

    @abstractmethod
    def write_page(
        self, prepared: Prepared, shared: Shared, bids_dir: Path, command: str, page: Path
    ) -> None:
        """Write the page of a prepared unit anew from its products and sources into a file.

        Parameters
        ----------
        prepared, shared
            The unit, and what `shared_of` gives for it.
        bids_dir
            The dataset that it was made from.
        command
            Command line that makes it again.
        page
            The file; its folder exists.
        """

    @abstractmethod
    def words(self, prepared: Sequence[Prepared]) -> Mapping[str, Sequence[str]]:
        """Say how units were prepared and judged: heading to paragraphs, for methods texts.

        Citations are written ``[@key]``, with keys of `bidsapp.drawing.references`.
        """


def modality_packages() -> Mapping[str, str]:
    """Name of every modality that there is, to its package; nothing is imported.

    These are the packages of ``bidsapp/modalities`` that have a ``modality.py``, and those that
    the environment variable ``NOCICAST_MODALITIES`` lists (importable packages with commas
    between them), each under the last part of its name.
    """
    own = {path.parent.name for path in MODALITIES.glob("[a-z]*/modality.py")}
    found = {name: f"bidsapp.modalities.{name}" for name in sorted(own)}
    others = os.environ.get(FURTHER, "").replace(" ", "").split(",")
    return found | {package.rpartition(".")[2]: package for package in others if package}


def modality_named(name: str) -> Modality[Any]:
    """Import a modality by its name.

    Raises
    ------
    UsageError
        There is none of that name; those that there are are named.
    """
    packages = modality_packages()
    if name not in packages:
        raise UsageError(f"preparation.modality: {name!r} is not one of {', '.join(packages)}")
    return _imported(packages[name])


@cache
def _imported(package: str) -> Modality[Any]:
    found: Modality[Any] = import_module(f"{package}.modality").MODALITY
    return found


@cache
def _channels(packages: tuple[str, ...]) -> Mapping[str, Channel]:
    return {
        name: channel
        for package in packages
        for name, channel in _imported(package).channels().items()
    }


def channel_named(name: str) -> Channel:
    """Say what is known of a channel; names are one modality's alone.

    Raises
    ------
    UsageError
        No modality has such a channel.
    """
    known = _channels(tuple(modality_packages().values()))
    if name not in known:
        raise UsageError(f"representation.channels: {name!r} is not one of {', '.join(known)}")
    return known[name]


def quality_columns() -> frozenset[str]:
    """Name every column of a group run that says how a unit was prepared: verdict and numbers."""
    return _quality_columns(tuple(modality_packages().values()))


@cache
def _quality_columns(packages: tuple[str, ...]) -> frozenset[str]:
    measures = (measure for package in packages for measure in _imported(package).measures)
    return frozenset({"quality", *(f"quality_{one.key}" for one in measures if one.confound)})


def source_names() -> frozenset[str]:
    """Name the sources of every modality: keys of ``--bids-filter-file``."""
    packages = modality_packages().values()
    return frozenset(one.name for package in packages for one in _imported(package).sources)
