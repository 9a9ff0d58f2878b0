"""NociCast: a BIDS-App that forecasts the course of pain from MRI.

What notebooks and platforms may rely on is named in `__all__`; each name is imported when it is
first used, so that ``import bidsapp`` is instant.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bidsapp.api import Model, Run, open_model, open_run
    from bidsapp.recipes import Recipe, list_recipes, load_recipe

__version__ = "0.1.0"
__all__ = [
    "Model",
    "Recipe",
    "Run",
    "__version__",
    "list_recipes",
    "load_recipe",
    "open_model",
    "open_run",
]

_HOME = {
    "Model": "bidsapp.api",
    "Recipe": "bidsapp.recipes",
    "Run": "bidsapp.api",
    "list_recipes": "bidsapp.recipes",
    "load_recipe": "bidsapp.recipes",
    "open_model": "bidsapp.api",
    "open_run": "bidsapp.api",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
