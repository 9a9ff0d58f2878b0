"""The section of a recipe about the network: its architecture, and what its weights start from."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from bidsapp.contracts.fitted import FittedStep
from bidsapp.contracts.network import network_offers
from bidsapp.recipes.section import Name, Section, Text, Texts, Whole
from bidsapp.recipes.start import FromVariant, Start, StartKind, start_kind


class Origin(Section):
    """What pretrained weights were trained on, where their file does not tell."""

    dataset: Text = Field(description="Data that the weights were trained on, in one line.")
    participants: Literal["disjoint", "unknown", "overlap"] = Field(
        description="Whether people of the cohort were among them: disjoint says that you know "
        "that none was, unknown stamps LEAK?, overlap is a leak (mode paper only)."
    )

    def declares(self) -> tuple[FittedStep, ...]:
        """Say whether the weights have seen people of the cohort."""
        known = self.participants != "unknown"
        text = "people of this cohort are among those whom the initial weights were trained on"
        return (
            FittedStep(
                name=f"network.origin.participants: {self.participants}",
                scope="train_fold" if self.participants == "disjoint" else "dataset",
                uses_outcome=True,
                reason=text if known else f"whether {text} is not known",
                certain=known,
            ),
        )


class Network(Section):
    """The architecture and what its weights start from."""

    earlier: ClassVar = {"weights": "start"}
    choice: ClassVar = "name"

    name: Name = Field(default="resnet", description="Family of the network.")
    depth: int = Field(
        default=18,
        description="Layers: resnet 10, 18, 34 or 50; resnext 50; densenet 121; seresnext 50. "
        "voxnet 4; pooled 1. Of efficientnetv2 the number behind the B: 0, 1 or 2; of "
        "efficientnet_lite 0.",
    )
    dims: Annotated[Literal[2, 3], Whole] = Field(
        default=3,
        description="3 takes volumes; 2 takes the slices along the image's shortest axis as "
        "channels of one picture.",
    )
    resize: Annotated[int, Field(ge=16, le=512)] | None = Field(
        default=None,
        description="Cells along every axis to which images are interpolated on their way into the "
        "network, the slices of dims 2 excepted; maps lie on the image as it was. As they are "
        "where not given.",
    )
    outputs: Annotated[Literal[1, 2], Whole] = Field(
        default=1,
        description="Numbers in the last layer: one (the log odds), or one for each class.",
    )
    stem_stride: Annotated[Literal[1, 2], Whole] = Field(
        default=1, description="Stride of the first convolution."
    )
    stem_pool: bool = Field(default=False, description="Max-pool after the first convolution.")
    dilation: bool = Field(
        default=False,
        description="ResNet: keep stride 1 in stages 3 and 4 and dilate by 2 and 4, as MedicalNet "
        "does (5.6 times the cost).",
    )
    shortcut: Literal["auto", "A", "B"] = Field(
        default="auto",
        description="ResNet: residual shortcut without (A) or with (B) a convolution; auto takes "
        "MedicalNet's: A for 18 and 34, B for 10 and 50; B with start imagenet.",
    )
    shortcut_bias: bool = Field(
        default=False,
        description="ResNet: a bias in the shortcut's convolution, before a batch normalisation "
        "that makes it void; MONAI has one.",
    )
    head: Literal["linear", "dense"] = Field(
        default="linear",
        description="EfficientNet: one linear layer after the global mean, or wang2023's: 1024 "
        "units, rectified, dropout, batch normalisation, then the linear layer.",
    )
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.5,
        description="EfficientNet with head dense, and VoxNet: share of units dropped in training.",
    )
    drop_path: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.0,
        description="EfficientNet: probability of passing by the last residual block in training "
        "(stochastic depth), less before it in proportion; Keras has 0.2.",
    )
    colours: Literal["imagenet", "repeat"] = Field(
        default="imagenet",
        description="EfficientNet: how one channel becomes three colours: each brought to "
        "ImageNet's mean and SD (of values from 0 to 1), or repeated as it is.",
    )
    covariates: Texts = Field(
        default=(),
        description="Columns of the dataset's tables (age, sex, baseline pain) that the last layer "
        "is given beside the network's features; filled, scaled and encoded in the training fold.",
    )
    frozen: Annotated[int, Field(ge=0, le=100)] = Field(
        default=0,
        description="Stages, counted from the input, whose weights stay as they began.",
    )
    start: Start = Field(
        description="What the weights start from: random ones; medicalnet or imagenet, published "
        "ones from a file (--weights); file, any that fits (--weights), or its path; or {variant: "
        "NAME}, that variant's network of the same fold. There is no default, so that nobody "
        "trains from random weights without having said so. Earlier name: weights."
    )
    origin: Origin | None = Field(
        default=None,
        description="Where the file of weights comes from; required unless it is known by its "
        "hash (MedicalNet's) or was made by NociCast from random weights.",
    )

    @classmethod
    def knows(cls, key: str, chosen: Any) -> bool:
        """Say whether a network takes an option; what every network has, all take."""
        offers = network_offers()
        if not isinstance(chosen, str) or chosen not in offers:
            return True
        options = {option for offer in offers.values() for option in offer.options}
        return key not in options or key in offers[chosen].options

    def declares(self) -> tuple[FittedStep, ...]:
        """Say whom the initial weights have seen."""
        beside = (FittedStep("network.covariates", "train_fold"),) if self.covariates else ()
        if isinstance(self.start, FromVariant):
            return (*self.start.declares(), *beside)
        # a variant of random weights inherits what the base says of its file
        if self.start_kind == "random" or self.origin is None:
            return beside
        return (*self.origin.declares(), *beside)

    @property
    def start_kind(self) -> StartKind:
        """Of which kind the start is; a path is a ``file``."""
        return start_kind(self.start)

    @property
    def start_path(self) -> Path | None:
        """The file that the recipe itself names; None where it names none."""
        plain = self.start_kind == "file" and self.start != "file"
        return Path(str(self.start)) if plain else None

    @property
    def resolved_shortcut(self) -> Literal["A", "B"]:
        """The shortcut with ``auto`` replaced: MedicalNet's for this depth, B as ImageNet's."""
        if self.shortcut == "auto" and self.start == "imagenet":
            return "B"
        if self.shortcut == "auto":
            return network_offers()["resnet"].medicalnet_shortcut.get(self.depth, "B")
        return self.shortcut
