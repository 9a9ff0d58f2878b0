"""The sections of a recipe about images and outcome."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from bidsapp.contracts.fitted import FittedStep
from bidsapp.contracts.fitted_offers import AskedStep, fitted_offers
from bidsapp.contracts.modality import DEFAULT, modality_named
from bidsapp.recipes.section import Name, Scalar, Section, Text, Texts, Unique


def _steps(value: Any) -> Any:
    """Read steps that are given as a list of names, or of names with settings."""
    if not isinstance(value, list | tuple):
        return value
    found: dict[str, Any] = {}
    for item in value:
        own = {item: {}} if isinstance(item, str) else item
        if not isinstance(own, dict) or found.keys() & own.keys():
            raise ValueError("should be names of steps, each once")
        found |= own
    return found


class Inputs(Section):
    """Which images of the BIDS dataset are read."""

    datatype: Text | None = Field(
        default=None, description="BIDS datatype (folder) of the image, as the modality has it."
    )
    suffix: Text | None = Field(
        default=None, description="BIDS suffix of the image, as the modality has it."
    )
    filters: dict[Text, dict[Text, Any]] = Field(
        default={},
        description="Filters for each kind of file that the modality reads, as --bids-filter-file "
        "has them: {t1w: {acquisition: mprage}}; those of that file win.",
    )
    near_duplicates: Literal["refuse", "exclude", "together"] = Field(
        default="refuse",
        description="What becomes of participants whose scans are copies of one another in all but "
        "name: refused where they cross a fold; all but the first left out; or all kept, on one "
        "side of every split.",
    )


class Outcome(Section):
    """What is predicted: a column with its positive values, or an expression over columns.

    Empty in a recipe that is made for one's own study: the command line then names the column.
    """

    instead: ClassVar = {
        "expression": ("column", "positive", "negative", "words"),
        "column": ("expression", "rows", "order", "words"),
    }

    column: Text | None = Field(
        default=None, description="Column of participants.tsv, sessions.tsv or a phenotype table."
    )
    positive: Annotated[tuple[Scalar, ...], *Unique, Field(min_length=1)] | None = Field(
        default=None,
        description="Values of the column that count as positive.",
    )
    negative: Annotated[tuple[Scalar, ...], *Unique, Field(min_length=1)] | None = Field(
        default=None,
        description="Values of the column that count as negative; all others are then missing. "
        "Needed where the column has more than one value that is not positive.",
    )
    missing: Annotated[tuple[Scalar, ...], *Unique] | None = Field(
        default=None,
        description="Short for tables.missing in each of the outcome's columns: [-9, unknown] are "
        "missing there; [] says that none is, whatever looks like one.",
    )
    expression: Text | None = Field(
        default=None,
        description="Instead of a column: a comparison over columns that is true for positives, "
        "as in head_pain_12mo >= 30 or neck_pain_12mo >= 30. Of a table with several rows a "
        "participant it takes count, share, mean, min, max, first and last: count(pain > 3) >= 2.",
    )
    rows: Annotated[int, Field(ge=1, le=100_000)] | None = Field(
        default=None,
        description="Rows that a participant needs in such a table, as 3 attacks of a diary: who "
        "has fewer is left out; of more, the first are taken. All rows, however few, where not "
        "given.",
    )
    order: Text | None = Field(
        default=None,
        description="Column of numbers or dates by which such rows are in order; the order of the "
        "file where not given. Who has two rows of one place is left out.",
    )
    words: Text | None = Field(
        default=None,
        description="What a positive has, in words for the report: pain at least halved after two "
        "months. Goes when another outcome is given.",
    )


class Tables(Section):
    """How the tables of the dataset are read."""

    missing: Texts = Field(
        default=(),
        description="Values that stand for a missing one, as COLUMN=VALUE (age=999); COLUMN= says "
        "that a column has none, whatever looks like one.",
    )
    same_as_outcome: Texts = Field(
        default=(),
        description="Columns that say the outcome in other words, such as the score that it was "
        "cut from: left out of the cohort table, as the outcome's own columns are.",
    )


class Representation(Section):
    """What the network is given of a prepared image."""

    choice: ClassVar = "kind"
    only: ClassVar = {"plane": ("slab",), "slices": ("slab",), "pad": ("volume",)}
    preset: ClassVar = {"plane": "axial", "slices": 30}
    optional: ClassVar = ("pad",)

    kind: Literal["slab", "volume", "slice", "sphere"] = Field(
        default="slab",
        description="The middle slices along one axis, or the whole grid; slice and sphere take "
        "what a preparation lays on one slice, or on a sphere.",
    )
    plane: Literal["axial", "coronal", "sagittal"] | None = Field(
        default=None, description="Plane of a slab's slices; axial where nothing is said."
    )
    slices: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="Number of middle slices of a slab; 30 where nothing is said."
    )
    pad: Annotated[tuple[int, int, int], Field(strict=False)] | None = Field(
        default=None,
        description="Voxels (x, y, z) to which a volume is padded; none where not given.",
    )
    channels: Annotated[tuple[Name, ...], *Unique, Field(min_length=1)] = Field(
        default_factory=lambda: (modality_named(DEFAULT).main_channel,),
        description="Maps stacked as channels, by the names that the modality gives them: t1w, "
        "log_jacobian. The main one of the modality where nothing is said.",
    )
    scaling: Literal["none", "robust"] = Field(
        default="none",
        description="robust: the brain of each image in arbitrary units, as T1w, gets median 0 and "
        "interquartile range 1.349 by itself, its background 0; none leaves it as it is.",
    )
    zscore: Literal["image", "train_fold", "dataset", "none"] = Field(
        default="train_fold",
        description="Of whose images mean and SD of each channel are taken. dataset sees the "
        "held-out images: mode paper only.",
    )
    zscore_voxels: Literal["all", "nonzero"] | None = Field(
        default=None,
        description="Which voxels of them the z-score is taken over: nonzero leaves out what is 0, "
        "as the background and what a box was padded with; a network is given them all. All where "
        "nothing is said.",
    )
    fitted: Annotated[
        dict[Name, dict[str, Any] | None], BeforeValidator(_steps), Field(strict=False)
    ] = Field(
        default={},
        description="Further steps that are fitted, in their order, before the z-score: a name "
        "with its settings, of which fit says on whom (train_fold; dataset sees the held-out "
        "images: mode paper only). A list of names does, too.",
    )

    def asked(self) -> tuple[AskedStep, ...]:
        """List the steps that are fitted, in the order in which they are applied."""
        offers = fitted_offers()
        wanted = {
            name: ("representation.fitted." + name + ".fit", dict(values))
            for name, values in self.fitted.items()
            if values is not None
        }
        if self.zscore != "none":
            voxels = {} if self.zscore_voxels is None else {"voxels": self.zscore_voxels}
            wanted["zscore"] = ("representation.zscore", {"fit": self.zscore, **voxels})
        return tuple(
            AskedStep(
                key,
                name,
                offers[name].scope_of(values),
                offers[name].settled(values),
            )
            for name, (key, values) in wanted.items()
            if name in offers
        )

    @property
    def input_unit(self) -> str:
        """What one unit of the network's input is, after all that is fitted."""
        units = [step.unit for step in self.asked() if step.unit]
        return units[-1] if units else "unit of the image"

    @property
    def value_words(self) -> tuple[str, str]:
        """What a higher and a lower value of the network's input say; empty: as in the images."""
        told = [(step.offer.higher, step.offer.lower) for step in self.asked()]
        return next((words for words in reversed(told) if all(words)), ("", ""))

    def declares(self) -> tuple[FittedStep, ...]:
        """Say what is fitted to images, and on whose."""
        scaling = FittedStep(f"representation.scaling: {self.scaling}", "image")
        return (scaling, *(step.declares() for step in self.asked()))
