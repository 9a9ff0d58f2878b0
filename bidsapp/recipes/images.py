"""The sections of a recipe about images and outcome."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from bidsapp.recipes.known_names import Channel
from bidsapp.recipes.section import Scalar, Section, Text, Texts, Unique


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
        "as in head_pain_12mo >= 30 or neck_pain_12mo >= 30.",
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
    """What the network is given of a normalised image."""

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
    channels: Annotated[tuple[Channel, ...], *Unique, Field(min_length=1)] = Field(
        default=("t1w",),
        description="Maps stacked as channels: the image, the log-Jacobian of its normalisation.",
    )
    scaling: Literal["none", "robust"] = Field(
        default="none",
        description="robust: the brain of each T1w image gets median 0 and interquartile range "
        "1.349 by itself, its background 0; none leaves it as normalised.",
    )
    zscore: Literal["image", "train_fold", "dataset", "none"] = Field(
        default="train_fold",
        description="Over which voxels mean and SD of each channel are taken. dataset sees the "
        "held-out images: mode paper only.",
    )
