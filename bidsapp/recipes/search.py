"""A search over settings of a recipe: the grid, its settings in order, and what cannot be run."""

import json
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, ValidationError

from bidsapp.contracts.fitted import FittedStep
from bidsapp.recipes.messages import problems_of
from bidsapp.recipes.section import Fraction, Name, Problem, Section, Seed
from bidsapp.recipes.values import flat, lies_in, merged, nested

if TYPE_CHECKING:
    from bidsapp.recipes.schema import Recipe

Setting = Mapping[str, Any]
"""Dotted keys of a recipe with the values that one setting of a grid gives them."""

SECTIONS = ("network", "training", "representation")
"""The sections whose keys a search may change."""
SAME_IMAGES = ("channels", "kind", "plane", "slices", "pad", "scaling")
"""Keys of the representation that say which images there are: the same for all fold models."""
ALIKE = tuple(
    f"network.{key}" for key in ("name", "depth", "dims", "shortcut", "shortcut_bias", "resize")
)
"""Keys in which a variant that a setting begins with follows the setting."""
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
        named = [_start_of(setting) for setting in self.settings]
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


def _start_of(setting: Setting) -> Mapping[str, Any]:
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


def at_setting(recipe: "Recipe", setting: Setting) -> "Recipe":
    """Give the recipe of one variant with one setting of its search, and without the search.

    Raises
    ------
    pydantic.ValidationError
        Such a recipe cannot be; `search_problems` has refused it before.
    """
    shape = type(recipe)
    return shape.model_validate(_laid(recipe.plain(), setting, shape))


def _laid(values: dict[str, Any], setting: Setting, shape: "type[Recipe]") -> dict[str, Any]:
    """Lay a setting over the plain values of a recipe, and leave the search out."""
    search = values["training"].get("search") or {}
    laid = merged(values, {**setting, "training.search": None}, shape)
    if start := _start_of(setting):
        known = search.get("starts", {}).get(start["variant"], {"leaks": {}, "possible_leaks": {}})
        laid["network"] = {**laid["network"], "start": {**known, **start}}
    return laid


def followed(recipe: "Recipe", setting: Setting) -> tuple["Recipe", Setting]:
    """Give the variant that a setting begins with the same architecture as the setting.

    Parameters
    ----------
    recipe
        Of the variant that is begun with, alone.
    setting
        Of the search.

    Returns
    -------
    recipe, setting
        Its recipe, and what was changed of it.

    Raises
    ------
    pydantic.ValidationError
        Such a recipe cannot be.
    """
    changed = followed_keys(setting)
    made = at_setting(recipe, changed) if changed else recipe
    same = made.network == recipe.network and made.representation == recipe.representation
    return (recipe, {}) if same else (made, changed)


def followed_keys(setting: Setting) -> dict[str, Any]:
    """Give the keys of a setting in which what it begins with follows it, with their values."""
    leaves = flat({key: value for key, value in setting.items() if key != "network.start"})
    return {
        key: value
        for key, value in leaves.items()
        if key in ALIKE or key.startswith("representation.")
    }


def first_stages(recipe: "Recipe") -> int:
    """Count the different networks of other variants that the settings of a search begin with."""
    search, start = recipe.training.search, recipe.network.start
    own = "" if isinstance(start, str) else start.variant
    found = set()
    for setting in search.settings if search else ():
        changes = nested(setting).get("network", {})
        begun = _start_of(setting).get("variant", "") if "start" in changes else own
        if begun:
            found.add((begun, json.dumps(followed_keys(setting), sort_keys=True, default=str)))
    return len(found)


def networks(recipe: "Recipe") -> int:
    """Count the trainings of one fold at most: of its search, and of its own network."""
    search = recipe.training.search
    if search is None:
        return 1
    begun = first_stages(recipe)
    return (search.count + begun) * search.parts + 1 + min(begun, 1)


def alternatives(recipe: "Recipe") -> list["Recipe"]:
    """Give the recipes that networks of one variant are trained with: one, or of each setting."""
    search = recipe.training.search
    if search is None:
        return [recipe]
    found = _made(_Values.of(recipe))
    return [one for one in found if not isinstance(one, tuple)]


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


def search_problems(recipe: "Recipe") -> Iterator[Problem]:
    """List what is wrong with the search of a recipe, which is that of one variant alone.

    Every setting is made into the recipe that it would run, and checked as such.
    """
    search = recipe.training.search
    if search is None:
        return
    place = "training.search"
    found = [(f"{place}.{key}", text) for key, text in (*search.misplaced(), *_keys(search))]
    if search.inner_folds and search.inner_size:
        found.append((f"{place}.inner_size", "give either inner_folds or inner_size, not both"))
    if found:
        yield from found
        return
    if search.count > MOST:
        text = f"gives {search.size} settings, and at most {MOST} are tried: take fewer values"
        yield f"{place}.grid", f"{text}, or say how many are drawn (training.search.draw)"
        return
    if search.size < 2:
        yield f"{place}.grid", "gives one setting, which leaves no choice; give a key two values"
        return
    yield from _refused(recipe, search)


def _keys(search: Search) -> Iterator[Problem]:
    for key, values in search.grid.items():
        where = f"grid.{key}"
        reasons = (_refused_key(leaf) for value in values for leaf in flat({key: value}))
        if not values:
            yield where, "should have at least one value"
        elif reason := next(filter(None, reasons), ""):
            yield where, reason
        elif double := [value for k, value in enumerate(values) if value in values[:k]]:
            yield where, f"names {value_words(double[0])} twice"


def _refused_key(key: str) -> str:
    """Say why a key cannot be searched over; empty where it can."""
    section, _, rest = key.partition(".")
    if section not in SECTIONS:
        return f"a search may change keys of {', '.join(SECTIONS)} only"
    if rest == "seed" or key.startswith("training.search"):
        return "cannot be searched over: the best of several is luck, or a search itself"
    if section == "representation" and rest.partition(".")[0] in SAME_IMAGES:
        return "changes the images, which all fold models share; make it a variant"
    return ""


@dataclass(frozen=True)
class _Values:
    """Plain values of a recipe, and a text by which they are known again."""

    text: str
    values: dict[str, Any] = field(compare=False)
    shape: "type[Recipe]" = field(compare=False)

    @classmethod
    def of(cls, recipe: "Recipe") -> Self:
        """Take them from a recipe."""
        plain = recipe.plain()
        return cls(json.dumps(plain, default=str), plain, type(recipe))


@lru_cache(maxsize=64)  # a recipe is made again whenever a variant is asked for
def _made(recipe: _Values) -> "tuple[Recipe | tuple[Problem, ...], ...]":
    """Make the recipe of every setting of a search; of those that cannot be, what is wrong."""
    shape = recipe.shape
    search = Search.model_validate(recipe.values["training"]["search"])
    found: list[Recipe | tuple[Problem, ...]] = []
    for setting in search.settings:
        try:
            found.append(shape.model_validate(_laid(recipe.values, setting, shape)))
        except ValidationError as error:
            found.append(tuple(problems_of(error, shape)))
    return tuple(found)


def _refused(recipe: "Recipe", search: Search) -> tuple[Problem, ...]:
    """Find the settings of a recipe that cannot be run, or are there twice: each reason once."""
    first: dict[Problem, str] = {}
    same: dict[str, str] = {}
    found: list[Problem] = []
    for setting, made in zip(search.settings, _made(_Values.of(recipe)), strict=True):
        words = setting_words(setting)
        if isinstance(made, tuple):
            for problem in made:
                first.setdefault(problem, words)
            continue
        if made.columns_beside != recipe.columns_beside:  # which are read before anything is tried
            own = made.network.covariates == recipe.network.covariates
            key = "representation.fitted" if own else "network.covariates"
            problem = (key, "changes the columns that are read of people; make it a variant")
            first.setdefault(problem, words)
        told = json.dumps([getattr(made, name).plain() for name in SECTIONS], default=str)
        if told in same:
            found.append(("training.search.grid", f"{same[told]} and {words} are the same setting"))
        same.setdefault(told, words)
    refused = [
        (f"training.search.grid.{key}" if key in search.grid else key, f"{text} (at {words})")
        for (key, text), words in first.items()
    ]
    return (*refused, *found)


def steps_of_settings(recipe: "Recipe") -> tuple[FittedStep, ...]:
    """Say what the settings of a search fit or choose, and on whom, each step once."""
    if recipe.training.search is None:
        return ()
    return tuple(dict.fromkeys(step for one in alternatives(recipe) for step in one.declares()))
