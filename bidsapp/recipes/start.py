"""What a network's weights start from: random, published ones, a file, or another variant's."""

import difflib
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, PlainSerializer, PlainValidator, ValidationError

from bidsapp.contracts.fitted import FittedStep
from bidsapp.recipes.messages import one_of, problems_of
from bidsapp.recipes.search import Setting, setting_words
from bidsapp.recipes.search_settings import alternatives, followed, followed_keys
from bidsapp.recipes.section import Name, Problem, Section

if TYPE_CHECKING:
    from bidsapp.recipes.schema import Recipe

StartKind = Literal["random", "medicalnet", "imagenet", "file", "variant"]
WORDS = ("random", "medicalnet", "imagenet", "file")
_EXPECTED = (
    "should be random, medicalnet, imagenet, file (which --weights names), the path of a file "
    "with its ending, or {variant: NAME}"
)


class FromVariant(Section):
    """Weights of another variant's network of the same fold: training in two stages."""

    in_words: ClassVar[str] = "{variant: NAME}"

    variant: Name = Field(description="Variant whose network of the same fold is begun with.")
    leaks: dict[str, str] | None = Field(
        default=None,
        description="Steps by which that variant's networks saw held-out people; the app fills "
        "it in.",
    )
    possible_leaks: dict[str, str] = Field(
        default={},
        description="Steps by which they may have seen them; the app fills it in.",
    )

    @classmethod
    def after(cls, variant: str, recipe: "Recipe") -> dict[str, Any]:
        """Give the values of a start from a variant, with what its networks have seen."""
        seen = recipe.leaks("network")
        return {
            "variant": variant,
            "leaks": {step.name: step.why for step in seen if step.certain},
            "possible_leaks": {step.name: step.why for step in seen if not step.certain},
        }

    def declares(self) -> tuple[FittedStep, ...]:
        """Say what the variant that a network begins with has seen of held-out people."""
        sure = (
            FittedStep(
                name=f"network.start: {self.variant} ({step})",
                scope="dataset",
                reason=f"of {self.variant}: {reason}",
            )
            for step, reason in (self.leaks or {}).items()
        )
        perhaps = (
            FittedStep(
                name=step,
                scope="dataset",
                reason=f"{reason}; {self.variant} began with them",
                certain=False,
            )
            for step, reason in self.possible_leaks.items()
        )
        return (*sure, *perhaps)


def _start(value: Any) -> str | FromVariant:
    """Take a word, the path of a file, or a variant's name."""
    if isinstance(value, FromVariant):
        return value
    if isinstance(value, Mapping):
        try:
            return FromVariant.model_validate(dict(value))
        except ValidationError:
            raise ValueError(_EXPECTED) from None
    if not isinstance(value, str) or not (value in WORDS or PurePath(value).suffix):
        near = difflib.get_close_matches(str(value), WORDS, n=1)
        raise ValueError(_EXPECTED + (f"; did you mean {near[0]}?" if near else ""))
    return value


def _plain(value: str | FromVariant) -> Any:
    return value if isinstance(value, str) else value.plain()


Start = Annotated[
    str | FromVariant, PlainValidator(_start), PlainSerializer(_plain, return_type=Any)
]


def start_kind(start: str | FromVariant) -> StartKind:
    """Say of which kind a start is; a path is a ``file``."""
    if isinstance(start, FromVariant):
        return "variant"
    return start if start in WORDS else "file"  # type: ignore[return-value]


def named_variant(recipe: "Recipe") -> str | None:
    """Name the variant whose weights a recipe's network begins with; None where it is another."""
    start = recipe.network.start
    return start.variant if isinstance(start, FromVariant) else None


def start_problems(resolved: Mapping[str, "Recipe"]) -> Iterator[Problem]:
    """List starts from variants that are not there, go round in circles, or do not fit.

    Parameters
    ----------
    resolved
        Name of every variant to its recipe, the base first.
    """
    base = next(iter(resolved))
    for name, recipe in resolved.items():
        yield from _search_problems(name, recipe, resolved)
        first = named_variant(recipe)
        if first is None:
            continue
        key = "network.start" if name == base else f"variants.{name}.network.start"
        if first not in resolved:
            yield key, f"variant {one_of(first, resolved)}"
        elif first == name:
            yield key, f"{name} would begin with itself: give it a network.start of its own"
        elif circle := _circle(name, resolved):
            if circle[-1] == name:
                yield key, f"the variants begin with one another: {' with '.join(circle)}"
        else:
            for what, one, other in _unlike(recipe, resolved[first]):
                yield (
                    key,
                    f"{name} cannot begin with {first}: {what} is {one} here and {other} there",
                )


def _search_problems(
    name: str, recipe: "Recipe", resolved: Mapping[str, "Recipe"]
) -> Iterator[Problem]:
    """List variants that settings of a search begin with and that are not there or do not fit."""
    search = recipe.training.search
    prefix = "" if name == next(iter(resolved)) else f"variants.{name}."
    key = f"{prefix}training.search.grid.network.start"
    if search is None:
        return
    found: dict[Problem, None] = {}
    followers: dict[str, tuple[Recipe, Setting] | str] = {}
    for setting, one in zip(search.settings, alternatives(recipe), strict=True):
        first = named_variant(one)
        if first is not None:
            text = _cannot_begin(name, one, first, setting, resolved, followers)
            found |= {(key, text): None} if text else {}
    yield from found


def _cannot_begin(
    name: str,
    one: "Recipe",
    first: str,
    setting: Setting,
    resolved: Mapping[str, "Recipe"],
    known: "dict[str, tuple[Recipe, Setting] | str]",
) -> str:
    """Say why a setting cannot begin with a variant; empty where it can.

    `known` keeps what variants are that follow settings, or why they cannot.
    """
    if first not in resolved:
        return f"variant {one_of(first, resolved)}"
    if first == name:
        return f"{name} would begin with itself: name another variant"
    other = resolved[first]
    place = f"{first} {followed_keys(setting)}"
    if place not in known:
        try:
            known[place] = followed(other, setting)
        except ValidationError as error:
            text = problems_of(error, type(other))[0]
            known[place] = f"{first} cannot follow {setting_words(setting)}: {': '.join(text)}"
    begun = known[place]
    if isinstance(begun, str):
        return begun
    chained = bool(named_variant(other) or other.training.search)
    if chained and (begun[1] or "network.start" in setting):
        return f"{first} begins with a variant itself, or is searched; name one that is neither"
    for what, mine, theirs in _unlike(one, begun[0]):
        return f"{name} cannot begin with {first}: {what} is {mine} here and {theirs} there"
    return ""


def _circle(name: str, resolved: Mapping[str, "Recipe"]) -> list[str]:
    """Names in the order in which they begin with one another; empty where there is no circle."""
    trail = [name]
    while (first := named_variant(resolved[trail[-1]])) in resolved:
        trail.append(str(first))
        if trail.count(str(first)) > 1:
            return trail
    return []


def _unlike(one: "Recipe", other: "Recipe") -> Iterator[tuple[str, Any, Any]]:
    """In what two variants differ that one's weights would not serve the other, or would leak."""
    networks = (one.network, other.network)
    for key in ("name", "depth", "dims", "resolved_shortcut", "shortcut_bias"):
        if getattr(networks[0], key) != getattr(networks[1], key):
            label = f"network.{key.removeprefix('resolved_')}"
            yield label, getattr(networks[0], key), getattr(networks[1], key)
            return
    inputs = [recipe.representation for recipe in (one, other)]
    keys = ("channels", "kind", "plane", "slices") if one.network.dims == 2 else ("channels",)
    for key in keys:
        values = [getattr(section, key) for section in inputs]
        if key == "channels":
            values = [len(value) for value in values]
        if values[0] != values[1]:
            what = "the number of channels" if key == "channels" else f"representation.{key}"
            yield what, *values
    # the folds must be the same: else a network may begin with one that saw whom it is tested on
    for key in type(one.protocol).model_fields:
        values = [getattr(recipe.protocol, key) for recipe in (one, other)]
        if values[0] != values[1]:
            yield f"protocol.{key}", *values


def stages_of(recipe: "Recipe", variants: "tuple[str, ...] | list[str]") -> tuple[str, ...]:
    """Name the variants that some begin with and that are not among them, the first first."""
    found: list[str] = []
    for name in variants:
        trail = []
        own = recipe.with_variant(name)
        found += own.training.search.begun_with if own.training.search else ()
        first = named_variant(own)
        while first is not None:
            trail.append(first)
            first = named_variant(recipe.with_variant(first))
        found += reversed(trail)
    return tuple(name for name in dict.fromkeys(found) if name not in variants)
