"""Settings of a search as recipes: made, checked, counted, and what their networks begin with."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Self

from pydantic import ValidationError

from bidsapp.contracts.fitted import FittedStep
from bidsapp.recipes.messages import problems_of
from bidsapp.recipes.search import (
    MOST,
    SECTIONS,
    Search,
    Setting,
    setting_words,
    start_of,
    value_words,
)
from bidsapp.recipes.section import Problem
from bidsapp.recipes.values import flat, merged, nested

if TYPE_CHECKING:
    from bidsapp.recipes.schema import Recipe

SAME_IMAGES = ("channels", "kind", "plane", "slices", "pad", "scaling")
"""Keys of the representation that say which images there are: the same for all fold models."""
ALIKE = tuple(
    f"network.{key}" for key in ("name", "depth", "dims", "shortcut", "shortcut_bias", "resize")
)
"""Keys in which a variant that a setting begins with follows the setting."""


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
    if start := start_of(setting):
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
        begun = start_of(setting).get("variant", "") if "start" in changes else own
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
