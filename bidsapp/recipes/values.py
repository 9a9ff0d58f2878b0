"""Dotted keys: values laid over a recipe, and nested values made flat."""

from collections.abc import Mapping
from typing import Any

from bidsapp.recipes.section import Section, renamed

EARLIER: Mapping[str, str] = {"network.weights": "network.start"}
"""Dotted keys by which earlier recipes and command lines call what has another name today."""


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values as dotted keys: ``{"a": {"b": 1}}`` becomes ``{"a.b": 1}``.

    Keys of `EARLIER` get their names of today.

    Raises
    ------
    ValueError
        A key is given twice, or is not text.
    """
    result: dict[str, Any] = {}
    for key, value in values.items():
        if not isinstance(key, str):
            raise ValueError(f"the key {key!r} should be text")
        inner = flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else None
        for dotted, leaf in (inner or {f"{prefix}{key}": value}).items():
            dotted = EARLIER.get(dotted, dotted)
            if dotted in result:
                raise ValueError(f"{dotted} is given twice")
            result[dotted] = list(leaf) if isinstance(leaf, tuple) else leaf
    return result


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted keys as nested values; where keys overlap the later one wins."""
    tree: dict[str, Any] = {}
    for dotted, value in values.items():
        if not isinstance(dotted, str):
            raise ValueError(f"the key {dotted!r} should be text")
        *sections, last = dotted.split(".")
        node = tree
        for section in sections:
            below = node.get(section)
            node[section] = node = dict(below) if isinstance(below, Mapping) else {}
        if isinstance(value, Mapping):
            value = nested(value)
            if isinstance(node.get(last), Mapping):
                value = _laid_over(node[last], value)
        node[last] = value
    return tree


def merged(
    base: Mapping[str, Any], values: Mapping[str, Any], shape: type[Section]
) -> dict[str, Any]:
    """Lay dotted values over the plain values of a recipe.

    Mappings are merged, everything else is replaced. When a choice changes (``protocol.kind``,
    ``network.name``), the values in `base` that the new choice does not know go with it; so do
    keys in whose place others are given (``outcome.expression`` for a column).

    Parameters
    ----------
    base
        Nested plain values, as `Section.plain` gives them; not changed.
    values
        Dotted keys, whose values may be nested mappings.
    shape
        The class that says which sections there are.
    """
    layer = _with_names_of_today(nested(values))
    kept = dict(base)
    for name, field in shape.model_fields.items():
        section, change = field.annotation, layer.get(name)
        kinds = _kept_of_another(section, change, kept.get(name))
        if kinds is not None:
            kept[name] = kinds
        if not (isinstance(section, type) and issubclass(section, Section)):
            continue
        if not (isinstance(change, dict) and isinstance(kept.get(name), Mapping)):
            continue
        for first, others in section.instead.items():
            if change.get(first) is not None:
                kept[name] = {k: v for k, v in kept[name].items() if k not in others}
        if section.choice:
            chosen = change.get(section.choice, kept[name].get(section.choice))
            kept[name] = {
                key: value for key, value in kept[name].items() if section.knows(key, chosen)
            }
    if isinstance(layer.get("variants"), dict):
        before = kept.get("variants", {})
        layer["variants"] = {
            name: {**before.get(name, {}), **flat(change)} if isinstance(change, dict) else change
            for name, change in layer["variants"].items()
        }
    return _laid_over(kept, layer)


def _kept_of_another(section: Any, change: Any, before: Any) -> dict[str, Any] | None:
    """Give what is kept of a section that a change makes another one; None where it stays so.

    Of a preparation whose space changes that is its modality; where that changes, nothing.
    """
    kinds: Mapping[str, str] = getattr(section, "another_kind", {})
    if not (isinstance(change, Mapping) and isinstance(before, Mapping)):
        return None
    earlier: dict[str, Any] = {}
    for key, default in kinds.items():
        if key in change and change[key] != before.get(key, default):
            return earlier
        if key in before:
            earlier[key] = before[key]
    return None


def _with_names_of_today(tree: dict[str, Any]) -> dict[str, Any]:
    for old, new in EARLIER.items():
        section, _, key = old.rpartition(".")
        if isinstance(tree.get(section), Mapping):
            tree[section] = renamed(tree[section], {key: new.rpartition(".")[2]})
    return tree


def _laid_over(base: Mapping[str, Any], layer: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in layer.items():
        below = result.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            value = _laid_over(below, value)
        result[key] = value
    return result
