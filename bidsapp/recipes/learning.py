"""The sections of a recipe about learning: the network, its training, and the splits."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from bidsapp.contracts.fitted import FittedStep
from bidsapp.contracts.network import network_offers
from bidsapp.recipes.search import Search
from bidsapp.recipes.section import (
    Fraction,
    Name,
    Probability,
    Section,
    Seed,
    Text,
    Texts,
    Whole,
)
from bidsapp.recipes.start import FromVariant, Start, StartKind, start_kind

Rate = Annotated[float, Field(gt=0, le=1)]


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


class LearningRates(Section):
    """Discriminative learning rates; the peak of the schedule."""

    head: Rate = Field(default=1e-3, description="Learning rate of the new last layer.")
    backbone: Rate = Field(default=1e-4, description="Learning rate of all other layers.")


class EarlyStopping(Section):
    """Stop when the loss on the inner validation split no longer falls."""

    patience: Annotated[int, Field(ge=1)] = Field(
        default=10, description="Epochs without a lower validation loss before training stops."
    )


class Augmentation(Section):
    """Random changes of the training images, drawn anew each epoch; all off by default."""

    flip: Probability = Field(default=0.0, description="Probability of a left-right flip.")
    noise: Annotated[float, Field(ge=0, le=100)] = Field(
        default=0.0, description="SD of added Gaussian noise, in units of the network's input."
    )
    rotation: Annotated[float, Field(ge=0, le=180)] = Field(
        default=0.0, description="Largest rotation about each axis, in degrees."
    )
    scaling: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.0, description="Largest change of size, as a fraction: .1 means 0.9 to 1.1."
    )


class Training(Section):
    """How the weights are fitted."""

    optimizer: Literal["adamw", "adam", "rmsprop", "sgd"] = Field(
        default="adamw", description="Optimiser."
    )
    momentum: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.0, description="Momentum of rmsprop and sgd."
    )
    decay: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=0.9, description="rmsprop: what stays of the mean square at each step."
    )
    epsilon: Annotated[float, Field(gt=0, le=1)] | None = Field(
        default=None,
        description="Added to the root of the mean square by adamw, adam and rmsprop; 1e-8 where "
        "nothing is said. Keras has 1e-7.",
    )
    lr: LearningRates = Field(default=LearningRates(), description="Learning rates.")
    weight_decay: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.01,
        description="Weight decay: decoupled with adamw, added to the gradient with the others.",
    )
    schedule: Literal["constant", "one_cycle", "cosine"] = Field(
        default="constant", description="Course of the learning rates over the epochs."
    )
    batch_size: Annotated[int, Field(ge=1, le=4096)] = Field(
        default=6, description="Images per step."
    )
    at_once: Annotated[int, Field(ge=1, le=4096)] | None = Field(
        default=None,
        description="Images of a step that are in memory at once, their gradients added up; the "
        "whole batch where nothing is said. Batch normalisation then sees this many.",
    )
    epochs: Annotated[int, Field(ge=1, le=100_000)] = Field(
        default=50, description="Passes over the training fold (the most, with early stopping)."
    )
    loss: Literal["bce", "cross_entropy"] = Field(
        default="bce",
        description="bce: binary cross-entropy on one output; cross_entropy: on two, after a "
        "softmax (network.outputs: 2).",
    )
    positive_weight: Annotated[float, Field(gt=0, le=1000)] = Field(
        default=1.0, description="Weight of a positive participant in the loss."
    )
    early_stopping: EarlyStopping | None = Field(
        default=None, description="Early stopping on the inner split; none where not given."
    )
    checkpoint: Literal["last", "inner", "test_fold"] = Field(
        default="last",
        description="Which epoch is kept: the last, the best on the inner split, or the best on "
        "the fold that is scored (mode paper only).",
    )
    augmentation: Augmentation = Field(default=Augmentation(), description="Augmentation.")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto",
        description="Arithmetic; auto takes bfloat16 autocast where the hardware has it.",
    )
    seed: Seed = Field(default=0, description="Seed of initial weights, order and augmentation.")
    search: Search | None = Field(
        default=None,
        description="Settings that are tried inside each training fold, the best of which trains "
        "the fold's network; none where not given.",
    )

    @property
    def optimizer_name(self) -> str:
        """The optimiser as texts call it."""
        names = {
            "adamw": "AdamW",
            "adam": "Adam",
            "rmsprop": "RMSprop",
            "sgd": "stochastic gradient descent",
        }
        return names[self.optimizer]

    @property
    def loss_name(self) -> str:
        """The loss as texts call it."""
        names = {"bce": "binary cross-entropy", "cross_entropy": "cross-entropy of two outputs"}
        return names[self.loss]

    def declares(self) -> tuple[FittedStep, ...]:
        """Say on whom weights are fitted, and by whom the epoch is chosen."""
        chosen = self.checkpoint == "test_fold"
        steps = [
            FittedStep("training", "train_fold", uses_outcome=True),
            FittedStep(
                name=f"training.checkpoint: {self.checkpoint}",
                scope="test_fold" if chosen else "train_fold",
                uses_outcome=True,
                reason="the epoch is chosen on the fold that is scored" if chosen else "",
            ),
        ]
        if self.early_stopping is not None:
            steps.append(FittedStep("training.early_stopping", "train_fold", uses_outcome=True))
        return (*steps, *(self.search.declares() if self.search else ()))


class Inner(Section):
    """The split inside each training fold, on which choices may be made."""

    size: Fraction | None = Field(
        default=None, description="Share of the training fold set aside for validation."
    )
    folds: Annotated[int, Field(ge=2)] | None = Field(
        default=None, description="Number of inner folds (kind nested)."
    )


class Protocol(Section):
    """How participants are divided; a participant is never on both sides."""

    choice: ClassVar = "kind"
    only: ClassVar = {
        "folds": ("kfold", "repeated_kfold", "nested"),
        "repeats": ("repeated_kfold", "nested", "holdout"),
        "stratified": ("kfold", "repeated_kfold", "nested", "holdout"),
        "test_size": ("holdout", "temporal"),
        "shifted_alike": ("temporal",),
        "by_site": ("kfold",),
    }
    preset: ClassVar = {"folds": 8, "stratified": True, "by_site": "auto"}
    optional: ClassVar = ("repeats", "shifted_alike")

    kind: Literal[
        "kfold", "repeated_kfold", "leave_one_group_out", "holdout", "nested", "temporal"
    ] = Field(
        default="kfold",
        description="Scheme of the splits; temporal trains on the people scanned first and tests "
        "on those scanned last (acq_time of scans.tsv or sessions.tsv).",
    )
    folds: Annotated[int, Field(ge=2, le=1000)] | None = Field(
        default=None, description="Number of (outer) folds; 8 where nothing is said."
    )
    repeats: Annotated[int, Field(ge=1, le=10_000)] | None = Field(
        default=None,
        description="How often the scheme is drawn anew; at least 2 for repeated_kfold.",
    )
    stratified: bool | None = Field(
        default=None,
        description="Keep the share of positives in every fold; true where nothing is said.",
    )
    groups: Text | None = Field(
        default=None,
        description="Column (family, site) whose members stay together; the participant where not "
        "given. Required by leave_one_group_out.",
    )
    test_size: Fraction | None = Field(
        default=None,
        description="Share held out by a hold-out, or scanned last and held out (temporal).",
    )
    shifted_alike: bool | None = Field(
        default=None,
        description="Whether dates of 1925 or before, which BIDS has for shifted ones, were all "
        "shifted by the same number of days; if not, they do not say who was scanned first.",
    )
    by_site: Literal["auto", "never"] | None = Field(
        default=None,
        description="kfold: with three or more sites of ten people in evaluation.site, whole sites "
        "are held out in turn instead (auto), or not (never).",
    )
    inner: Inner = Field(default=Inner(), description="Split inside the training fold.")
    seed: Seed = Field(default=0, description="Seed of the splits.")
