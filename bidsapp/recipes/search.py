"""A search over settings of a recipe: the grid, and its settings in order, in words."""

import math
import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, ValidationError

from bidsapp.contracts.fitted import FittedStep
from bidsapp.recipes.section import Fraction, Name, Section, Seed
from bidsapp.recipes.values import flat, lies_in, nested

if TYPE_CHECKING:
    pass

Setting = Mapping[str, Any]
"""Dotted keys of a recipe with the values that one setting of a grid gives them."""

SECTIONS = ("network", "training", "representation")
"""The sections whose keys a search may change."""
MOST = 500
"""Settings that one search tries."""
INNER_FOLDS = 3
"""Inner folds where nothing is said."""
METRICS = {
    "auc": "the area under the ROC curve",
    "log_loss": "the cross-entropy",
    "brier": "the Brier score",
}
"""What settings are compared by, and how a text says it."""
HIGHER = ("auc",)
"""Metrics of which more is better."""


def _grid(value: Any) -> Any:
    """Take dotted keys, nested ones, or both; none of them may be a part of another."""
    if not isinstance(value, Mapping):
        return value
    found = flat(value)
    for key in found:
        if outer := next((one for one in found if lies_in(key, one)), None):
            raise ValueError(f"{key} is a part of {outer}, which is there too; leave one out")
    return found


class Search(Section):
    """Settings that are tried inside each training fold, the best of which trains its network."""

    choice: ClassVar = "fit"
    only: ClassVar = {"inner_folds": ("train_fold",), "inner_size": ("train_fold",)}
    optional: ClassVar = ("inner_folds", "inner_size")

    grid: Annotated[
        dict[str, Annotated[tuple[Any, ...], Field(strict=False)]],
        BeforeValidator(_grid),
        Field(min_length=1),
    ] = Field(
        description="Dotted keys of network, training or representation, each with the list of its "
        "values: network.dropout: [0.3, 0.5]. Every combination is tried, in this order; a section "
        "ties keys together: training.lr: [{head: 1e-3, backbone: 1e-4}, {head: 1e-4, backbone: "
        "1e-5}]."
    )
    inner_folds: Annotated[int, Field(ge=2, le=100)] | None = Field(
        default=None,
        description="Inner folds into which the people of a training fold are divided, as outer "
        f"folds are; {INNER_FOLDS} where nothing is said.",
    )
    inner_size: Fraction | None = Field(
        default=None,
        description="Share of the training fold on which settings are compared once, in place of "
        "inner folds.",
    )
    metric: Literal["auc", "log_loss", "brier"] = Field(
        default="auc",
        description="What settings are compared by, its mean over inner folds. Of equal ones that "
        "wins which is first in the grid: begin with the simplest.",
    )
    draw: Annotated[int, Field(ge=2, le=MOST)] | None = Field(
        default=None,
        description="So many settings of the grid, drawn at random; all of them where not given.",
    )
    seed: Seed = Field(default=0, description="Seed of the draw.")
    fit: Literal["train_fold", "dataset"] = Field(
        default="train_fold",
        description="On whom a setting is chosen. dataset takes the one with the best results on "
        "the people who are held out, the same for all folds: mode paper only.",
    )

    starts: dict[Name, dict[str, Any]] = Field(
        default={},
        description="What the variants that settings begin with have seen; the app fills it in.",
    )

    def plain(self) -> dict[str, Any]:
        """Give nested values, so that a change of one key of the grid finds its place."""
        told = super().plain() | {"grid": nested({k: list(v) for k, v in self.grid.items()})}
        return told if self.starts else {k: v for k, v in told.items() if k != "starts"}

    def declares(self) -> tuple[FittedStep, ...]:
        """Say by whose results the setting is chosen."""
        reason = "the setting is chosen by results on the people who are held out"
        return (
            FittedStep(
                f"training.search.fit: {self.fit}",
                self.fit,
                uses_outcome=True,
                reason=reason if self.fit == "dataset" else "",
            ),
        )

    @property
    def begun_with(self) -> tuple[str, ...]:
        """Variants with whose network of the same fold some setting begins."""
        named = [start_of(setting) for setting in self.settings]
        return tuple(dict.fromkeys(str(one["variant"]) for one in named if one))

    @property
    def parts(self) -> int:
        """How often each setting is tried in a fold."""
        once = self.inner_size or self.fit == "dataset"
        return 1 if once else self.inner_folds or INNER_FOLDS

    @property
    def size(self) -> int:
        """Combinations of the grid."""
        return math.prod(len(values) for values in self.grid.values())

    @property
    def count(self) -> int:
        """Settings that are tried."""
        return self.size if self.draw is None else min(self.draw, self.size)

    @property
    def settings(self) -> tuple[dict[str, Any], ...]:
        """Settings that are tried, in the order of the grid; the last key changes first."""
        places: Sequence[int] = range(self.size)
        if self.count < self.size:
            places = sorted(random.Random(self.seed).sample(places, self.count))
        return tuple(self._at(place) for place in places)

    @property
    def words(self) -> str:
        """How the setting is chosen, as a clause behind what is chosen."""
        among = f"among {self.count} settings"
        if self.count < self.size:
            among += f", drawn at random from {self.size},"
        by = METRICS[self.metric]
        if self.fit == "dataset":
            return f"chosen {among} by {by} of the people who are held out"
        inner = self.inner_folds or INNER_FOLDS
        where = (
            f"in {self.inner_size:.0%} of its people"
            if self.inner_size
            else f"over {inner} inner folds of its people"
        )
        return f"chosen inside each training fold {among} by {by} {where}"

    def _at(self, place: int) -> dict[str, Any]:
        setting = {}
        for key in reversed(self.grid):
            place, index = divmod(place, len(self.grid[key]))
            setting[key] = self.grid[key][index]
        return {key: setting[key] for key in self.grid}


def start_of(setting: Setting) -> Mapping[str, Any]:
    """Give the variant that a setting begins with, as ``{variant: NAME}``; empty where none."""
    start = nested(setting).get("network", {}).get("start")
    return start if isinstance(start, Mapping) and "variant" in start else {}


def with_starts(search: dict[str, Any]) -> dict[str, Any]:
    """Note in plain values of a search the variants that settings begin with, as of another recipe.

    A recipe of one variant alone does not have them among its variants. Values that are no search
    are given as they are: they are refused elsewhere.
    """
    try:
        named = Search.model_validate(search).begun_with
    except ValidationError:
        return search
    nothing: dict[str, Any] = {"leaks": {}, "possible_leaks": {}}
    return {**search, "starts": dict.fromkeys(named, nothing)} if named else search


def setting_words(setting: Setting) -> str:
    """Write a setting as people would: ``network.dropout 0.3, training.lr.head 0.001``."""
    return ", ".join(f"{key} {value_words(value)}" for key, value in setting.items())


def value_words(value: Any) -> str:
    """Write a value of a setting in a cell of a table."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {value_words(one)}" for key, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(value_words, value))
    return (
        "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    )
