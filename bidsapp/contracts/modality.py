"""A kind of study: all that other rooms may ask of it, and where its package is found."""

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Generic

from bidsapp.contracts.home import Meeting, OwnPlaces
from bidsapp.contracts.job import First, Job, Shared
from bidsapp.contracts.measure import Measure
from bidsapp.contracts.parts import Parts, S
from bidsapp.contracts.placement import Placement
from bidsapp.contracts.prepared import Prepared, Provenance
from bidsapp.contracts.product import Channel, OutputNames, Product, channels_of
from bidsapp.contracts.scan import Scan, Source, SourceFile
from bidsapp.contracts.unit import Unit
from bidsapp.errors import UsageError
from bidsapp.options import RunOptions

MODALITIES = Path(__file__).parents[1] / "modalities"
DEFAULT = "t1w"
"""What is meant where a recipe names no modality, as those of earlier versions."""

FURTHER = "NOCICAST_MODALITIES"
"""Environment variable: packages of modalities that lie elsewhere."""


class Modality(OwnPlaces, Parts[S], ABC, Generic[S]):
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
    depicted: ClassVar[str] = "the image"
    """What a forecast is meant to rest on, in a sentence: ``the brain``."""
    small_picture: ClassVar[str] = (
        "middle slices: axial and coronal (the right of the picture is the participant's right), "
        "sagittal (front at the right)"
    )
    """What the small picture of a prepared unit shows, in a sentence."""
    verb: ClassVar[str] = "prepare"
    """What is done to an image, ending in e: ``normalise`` where it is brought into a standard
    space and nothing more."""
    sources: ClassVar[tuple[Source, ...]]
    """What it reads, the main source first."""
    measures: ClassVar[tuple[Measure, ...]]
    """What is measured of a preparation, in the order of the sidecar."""
    products: ClassVar[tuple[Product, ...]]
    """What it writes; one of them is the main product under any settings."""
    handcrafted_words: ClassVar[str] = ""
    """What `handcrafted` measures, in a sentence; empty where there is nothing."""
    placed_words: ClassVar[str] = ""
    """What a person placed by hand, in a sentence; empty where nothing is, see `placements`."""
    taken: ClassVar[tuple[str, ...]] = ("speed", "seed")
    """Settings that a group run takes from the images: with how much effort they were made. Images
    that were made otherwise than the recipe says in any other setting are refused."""
    free: ClassVar[tuple[str, ...]] = ()
    """Settings in which images may differ from the recipe, as they shape no file that a network is
    given, or whether there is such a file."""
    spared: ClassVar[tuple[str, ...]] = ()
    """Settings that write, where true, series which no later step needs: ``--no-timeseries`` turns
    them off."""
    kinds: ClassVar[Mapping[str, type]] = {}
    """Entries of its main sidecar, and of what lists in it tell, that hold a list or names with
    values: `list` or `dict`. Changed into another kind by somebody, they are read as absent."""
    chain: ClassVar[int] = 1
    """Version of its steps, raised whenever the same image and settings give other voxels: one of
    the settings, also of what rests on them."""
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
        """Name that channel for a preparation with these settings.

        Parameters
        ----------
        settings
            As a recipe has them, not checked yet: what they cannot say is said by the check.
        """
        try:
            made = list(self.channels_for(settings))
        except (AttributeError, KeyError, TypeError, ValueError):
            made = []
        return self.main_channel if self.main_channel in made or not made else made[0]

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

    def check_scan(self, scan: Scan, settings: S) -> None:
        """Refuse a scan whose headers and tables already say that it cannot be prepared.

        Called for every scan before the first one is prepared, so it reads no voxels.

        Raises
        ------
        NociCastError
            The text names the file, says what was expected and what to do.
        """

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
        return self.settings_among(prepared.settings)

    def settings_among(self, values: Mapping[str, Any]) -> S:
        """Take the keys of a ``preparation`` section out of all that shapes a result."""
        shape = self.settings_for(values)
        told = {key: value for key, value in values.items() if key in shape.model_fields}
        return shape.model_validate(told)

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

        The last node is called ``write``: it puts every product, sidecar and the page in place.
        Its interface is a subclass of `bidsapp.execution.write_node.WriteUnit`.
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

    def handcrafted(self, image: Path) -> Mapping[str, float]:
        """Measure numbers of one prepared unit for models without a network, in it alone.

        Parameters
        ----------
        image
            Its main file; its sidecar lies beside it.

        Returns
        -------
        Mapping
            Name (lower-case letters, digits, underscores) to a finite number; the same names for
            every unit.
        """
        return {}

    def placements(
        self, image: Path, pixels: int, bids_dir: Path, folder: Path
    ) -> Sequence[Placement]:
        """Make a unit as it would be had what a person placed by hand been placed otherwise.

        Parameters
        ----------
        image
            Its main file; what else was made of it lies beside it.
        pixels
            How far places are moved; 0 moves none.
        bids_dir
            The raw dataset, for places of other raters.
        folder
            Where images go; it exists.
        """
        return ()

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
    return import_modality(packages[name])


def job_of(values: Mapping[str, Any]) -> Job:
    """Make a job of what `Job.plain` gave."""
    participant, session, listed, part = values["scan"]
    files = {
        source: tuple(SourceFile(Path(path), *others) for path, *others in some)
        for source, some in listed.items()
    }
    provenance = Provenance(**values["provenance"])
    modality = modality_named(values["modality"])
    output_dir, entities, labels, datatype, apart = values["names"]
    products = modality.products_for(provenance.settings)
    return Job(
        modality.name,
        Scan(participant, session, files, part),
        values["part"],
        OutputNames(Path(output_dir), entities, labels, products, datatype, apart),
        provenance,
    )


@cache
def import_modality(package: str) -> Modality[Any]:
    """Import the one instance that a package of a modality holds."""
    found: Modality[Any] = import_module(f"{package}.modality").MODALITY
    return found
