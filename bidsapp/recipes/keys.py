"""Every dotted key of a recipe with type, default and meaning: for messages and documentation."""

import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from bidsapp.recipes.section import Section

SIMPLE = {int: "integer", float: "number", str: "text", bool: "true | false", Any: "value"}


@dataclass(frozen=True)
class Key:
    """One dotted key.

    Attributes
    ----------
    key, type, description
        The dotted key, its type in words, what it means.
    default
        The default as a recipe would spell it; empty where the key must be given.
    """

    key: str
    type: str
    default: str
    description: str


def keys_of(shape: type[Section], prefix: str = "") -> Iterator[Key]:
    """All dotted keys of a section and the sections in it, each section before its keys."""
    for name, field in shape.model_fields.items():
        annotation = _without_none(field.annotation)
        default = _default(field, shape.preset.get(name))
        yield Key(f"{prefix}{name}", _in_words(annotation), default, field.description or "")
        if isinstance(annotation, type) and issubclass(annotation, Section):
            told: dict[str, Key] = {}
            for one in annotation.shapes():
                for key in keys_of(one, f"{prefix}{name}."):
                    told[key.key] = _both(told[key.key], key) if key.key in told else key
            yield from told.values()


def _both(first: Key, other: Key) -> Key:
    """Tell of a key that two sections have; the default is the first one's."""
    types = dict.fromkeys([*first.type.split(" | "), *other.type.split(" | ")])
    if " | ".join(types) == first.type:
        return first
    words = [first.description, *([other.description] * (other.description != first.description))]
    return Key(first.key, " | ".join(types), first.default, " ".join(words))


def _without_none(annotation: Any) -> Any:
    if get_origin(annotation) in (Union, types.UnionType):
        members = [member for member in get_args(annotation) if member is not type(None)]
        if len(members) == 1:
            return _without_none(members[0])
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _default(field: FieldInfo, preset: Any) -> str:
    value = preset if preset is not None else field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return ""
    if isinstance(value, Section):
        return "see below"
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return '""' if value == "" else str(value)


def _in_words(annotation: Any) -> str:
    annotation = _without_none(annotation)
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " | ".join(map(str, inside))
    if origin is tuple and inside[-1] is not Ellipsis:
        return f"list of {len(inside)} {_in_words(inside[0])}s"
    if origin is tuple:
        return f"list of {_in_words(inside[0])}"
    if origin is dict:
        return f"{_in_words(inside[0])} to {_in_words(inside[1])}"
    if origin in (Union, types.UnionType):
        return " | ".join(dict.fromkeys(_in_words(member) for member in inside))
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation.in_words
    return SIMPLE[annotation]
