"""The ground of every section of a recipe: frozen, no unknown keys, keys under a choice."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    model_validator,
)

from bidsapp.contracts.fitted import FittedStep

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]*$"

Problem = tuple[str, str]
"""A dotted key and what is wrong with it."""


class Impossible(ValueError):
    """Values that are fine one by one and cannot be had together."""

    def __init__(self, problems: list[Problem]):
        super().__init__("; ".join(f"{key}: {text}" for key, text in problems))
        self.problems = problems


class Section(BaseModel):
    """A part of a recipe.

    Some keys have a meaning only with certain values of one other key, the choice (``folds`` says
    nothing about a hold-out). Such keys are None wherever they do not apply.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    choice: ClassVar[str] = ""
    only: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    preset: ClassVar[Mapping[str, Any]] = {}
    optional: ClassVar[tuple[str, ...]] = ()
    instead: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """Keys that take the place of others, which then do not hold."""
    another_kind: ClassVar[Mapping[str, str]] = {}
    """Keys whose change makes it another section, with what each is where nothing is said: of the
    section before only those of these keys are kept that stand before the changed one."""
    earlier: ClassVar[Mapping[str, str]] = {}
    """Earlier names of keys, which stay readable, to those of today."""
    in_words: ClassVar[str] = "section"
    """What the reference of keys says that it is."""

    @classmethod
    def shapes(cls) -> tuple[type["Section"], ...]:
        """List the sections that can stand in its place, for messages and documentation."""
        return (cls,)

    @model_validator(mode="before")
    @classmethod
    def _read_earlier_names(cls, data: Any) -> Any:
        """Give keys that are written by an earlier name that of today."""
        if not isinstance(data, dict) or not cls.earlier.keys() & data.keys():
            return data
        return renamed(data, cls.earlier)

    @model_validator(mode="before")
    @classmethod
    def _fill_presets(cls, data: Any) -> Any:
        """Give the keys that the choice calls for their default."""
        if not isinstance(data, dict) or not cls.choice:
            return data
        chosen = data.get(cls.choice, cls.model_fields[cls.choice].default)
        filled = {
            key: value
            for key, value in cls.preset.items()
            if chosen in cls.only[key] and data.get(key) is None
        }
        return {**data, **filled}

    @classmethod
    def knows(cls, key: str, chosen: Any) -> bool:
        """Say whether a key has a meaning with a value of the choice."""
        return chosen in cls.only.get(key, (chosen,))

    def plain(self) -> dict[str, Any]:
        """Nested dicts, lists and scalars from which an equal section can be made."""
        return {
            name: _plain(value)
            for name in type(self).model_fields
            if (value := getattr(self, name)) is not None
        }

    def declares(self) -> tuple[FittedStep, ...]:
        """Say what of this section is fitted or chosen, and on whose data."""
        return ()

    def misplaced(self) -> Iterator[Problem]:
        """Keys that the choice does not know, and keys that it needs and lacks."""
        chosen = getattr(self, self.choice) if self.choice else None
        for key, where in self.only.items():
            given = getattr(self, key) is not None
            if given and chosen not in where:
                offered = " or ".join(where)
                yield key, f"goes with {self.choice} {offered} only; {self.choice} is {chosen}"
            elif not given and chosen in where and key not in self.optional:
                yield key, f"required with {self.choice} {chosen}"


def renamed(values: Mapping[str, Any], earlier: Mapping[str, str]) -> dict[str, Any]:
    """Give keys of a mapping their names of today.

    Raises
    ------
    ValueError
        A key is given by both of its names.
    """
    for old, new in earlier.items():
        if old in values and new in values:
            raise ValueError(f"{old} is the earlier name of {new}: give one of them")
    return {earlier.get(key, key): value for key, value in values.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Section):
        return value.plain()
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _unique(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(set(values)) != len(values):
        raise ValueError("names the same thing twice")
    return values


def _scalar(value: Any) -> Any:
    if not isinstance(value, str | int | float) or value != value:
        raise ValueError("should be text or a number")
    return value


def _whole(value: Any) -> Any:
    if isinstance(value, bool | float):
        raise ValueError("should be a whole number")
    return value


# A list in YAML is a tuple here (frozen); the items stay strict.
Unique = [Field(strict=False), AfterValidator(_unique)]
Whole = BeforeValidator(_whole)  # a Literal of numbers takes true for 1
# Names become parts of file names, of which 255 bytes may make one.
Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=64)]
Text = Annotated[str, Field(min_length=1)]
Texts = Annotated[tuple[Text, ...], *Unique]
Scalar = Annotated[str | int | float | bool, PlainValidator(_scalar)]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Probability = Annotated[float, Field(ge=0, le=1)]
