"""The sections of a recipe about learning: how weights are fitted, and how people are divided."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from bidsapp.contracts.fitted import FittedStep
from bidsapp.recipes.search import Search
from bidsapp.recipes.section import Fraction, Probability, Section, Seed, Text

Rate = Annotated[float, Field(gt=0, le=1)]


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
