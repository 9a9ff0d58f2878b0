"""The scope rule: what of a recipe lets held-out people into the work, and why that is a leak."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bidsapp.recipes.section import Problem

if TYPE_CHECKING:
    from bidsapp.recipes.schema import Recipe

LEAKS = {
    ("representation", "zscore", "dataset"): "mean and SD are taken over the held-out images too",
    ("training", "checkpoint", "test_fold"): "the epoch is chosen on the fold that is scored",
    ("evaluation", "fitted_threshold", "test_fold"): "the threshold is chosen on what it is "
    "applied to",
    ("evaluation", "best_fold", True): "the fold is chosen by its held-out result",
    ("saliency", "folds", "best"): "the fold is chosen by its held-out result",
}


def leaks(recipe: "Recipe") -> dict[str, str]:
    """List the steps of a recipe that see held-out people.

    Returns
    -------
    dict
        The step with its value (``representation.zscore: dataset``) to the reason. Strict mode
        refuses these; paper mode stamps LEAK with the step's name.
    """
    return {f"{key}: {value}": reason for key, value, reason in _found(recipe)}


def refused(recipe: "Recipe") -> Iterator[Problem]:
    """List the leaks of a recipe that says it is strict."""
    if recipe.mode == "strict":
        for key, value, reason in _found(recipe):
            yield key, f"{value} is refused in strict mode: {reason}; mode: paper runs it"


def _found(recipe: "Recipe") -> Iterator[tuple[str, str, str]]:
    for (section, key, value), reason in LEAKS.items():
        if getattr(getattr(recipe, section), key) == value:
            text = str(value).lower() if isinstance(value, bool) else str(value)
            yield f"{section}.{key}", text, reason
