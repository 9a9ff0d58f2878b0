"""Dotted keys: values laid over a recipe, and nested values made flat."""

from collections.abc import Mapping
from typing import Any

from bidsapp.recipes.section import Impossible, Section, renamed

EARLIER: Mapping[str, str] = {"network.weights": "network.start"}
"""Dotted keys by which earlier recipes and command lines call what has another name today."""
GRID = "training.search.grid"
"""The section whose keys are keys of the recipe, each with a list of values."""


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


def nested(values: Mapping[str, Any], place: str = "") -> dict[str, Any]:
    """Dotted keys as nested values: ``{"a.b": 1}`` becomes ``{"a": {"b": 1}}``.

    Parameters
    ----------
    values
        Dotted keys, whose values may be nested mappings; of two for the same key the later wins.
    place
        Dotted key under which the values stand, for messages.

    Raises
    ------
    Impossible
        A key lies in another that has a value of its own, so that only one of them could hold.
    """
    tree: dict[str, Any] = {}
    leaves: list[str] = []
    for dotted, value in values.items():
        if not isinstance(dotted, str):
            raise ValueError(f"the key {dotted!r} should be text")
        inner = nested(value, f"{place}{dotted}.") if isinstance(value, Mapping) else None
        own = [f"{dotted}.{leaf}" for leaf in flat(inner)] if inner else [dotted]
        for leaf in own:
            for other in leaves:
                if lies_in(leaf, other) or lies_in(other, leaf):
                    small, large = sorted((leaf, other), key=len, reverse=True)
                    raise Impossible([(f"{place}{small}", _both(f"{place}{large}"))])
        leaves += own
        for section in reversed(dotted.split(".")):
            inner = {section: value if inner is None else inner}
        tree = _laid_over(tree, inner or {})
    return tree


def lies_in(key: str, section: str) -> bool:
    """Tell whether a dotted key is a part of another."""
    return key.startswith(f"{section}.")


def _both(section: str) -> str:
    return f"is a part of {section}, which is given a value too; leave one of them out"


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
            name: _over(name, before.get(name, {}), flat(change))
            if isinstance(change, dict)
            else change
            for name, change in layer["variants"].items()
        }
        kept["variants"] = {n: {} if n in layer["variants"] else v for n, v in before.items()}
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


def _over(name: str, before: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Lay dotted keys over those of a variant; what a new key is a part of, or holds, goes."""
    gone = [k for k in before if any(lies_in(k, new) or lies_in(new, k) for new in change)]
    if grids := [key for key in gone if lies_in(key, GRID)]:
        new = next(k for k in change if lies_in(k, grids[0]) or lies_in(grids[0], k))
        raise Impossible([(f"variants.{name}.{new}", _apart(grids[0]))])
    return {key: value for key, value in before.items() if key not in gone} | dict(change)


def _apart(before: str) -> str:
    known = before.removeprefix(f"{GRID}.")
    return (
        f"the grid has {known} already, and one of the two is a part of the other: give {known} "
        "other values, or write the grid in a recipe of your own"
    )


def _laid_over(
    base: Mapping[str, Any], layer: Mapping[str, Any], place: str = ""
) -> dict[str, Any]:
    result = dict(base)
    for key, value in layer.items():
        below, here = result.get(key), f"{place}{key}"
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            value = _laid_over(below, value, f"{here}.")
        elif (
            isinstance(below, Mapping) != isinstance(value, Mapping)
            and below is not None
            and lies_in(here, GRID)
        ):
            new, before = (
                next(iter(flat(v, f"{here}."))) if isinstance(v, Mapping) else here
                for v in (value, below)
            )
            raise Impossible([(new, _apart(before))])
        result[key] = value
    return result
