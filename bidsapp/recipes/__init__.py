"""Studies as data: the schema of a recipe and one YAML file per study.

Only `list_recipes` is here at once; the rest needs pydantic and is imported when first used, so
that the command line can answer without it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bidsapp.recipes.catalog import list_recipes

if TYPE_CHECKING:
    from bidsapp.recipes.keys import Key, keys_of
    from bidsapp.recipes.loading import apply_values, dump_recipe, load_recipe
    from bidsapp.recipes.names import split_reported
    from bidsapp.recipes.overrides import reach_variants
    from bidsapp.recipes.preparation import by_preparation
    from bidsapp.recipes.schema import Recipe

__all__ = [
    "Key",
    "Recipe",
    "apply_values",
    "by_preparation",
    "dump_recipe",
    "keys_of",
    "list_recipes",
    "load_recipe",
    "reach_variants",
    "split_reported",
]

_HOME = {
    "Key": "keys",
    "Recipe": "schema",
    "apply_values": "loading",
    "by_preparation": "preparation",
    "dump_recipe": "loading",
    "keys_of": "keys",
    "load_recipe": "loading",
    "reach_variants": "overrides",
    "split_reported": "names",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
