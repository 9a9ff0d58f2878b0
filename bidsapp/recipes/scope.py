"""The scope rule: what of a recipe lets held-out people into the work, and why that is a leak."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from bidsapp.recipes.section import Problem

if TYPE_CHECKING:
    from bidsapp.recipes.schema import Recipe
    from bidsapp.recipes.start import FromVariant

LEAKS = {
    ("representation", "zscore", "dataset"): "mean and SD are taken over the held-out images too",
    ("training", "checkpoint", "test_fold"): "the epoch is chosen on the fold that is scored",
    ("evaluation", "fitted_threshold", "test_fold"): "the threshold is chosen on what it is "
    "applied to",
    ("evaluation", "best_fold", True): "the fold is chosen by its held-out result",
    ("saliency", "folds", "best"): "the fold is chosen by its held-out result",
    ("network.origin", "participants", "overlap"): "people of this cohort are among those whom "
    "the initial weights were trained on",
    ("network.origin", "participants", "unknown"): "whether people of this cohort are among those "
    "whom the initial weights were trained on is not known",
}
POSSIBLE = ("network.origin.participants: unknown",)
"""Steps that may have seen held-out people: they are not refused, and stamped LEAK?."""

_OF_NETWORKS = ("representation.", "training.", "network.")


def stamp_text(steps: Iterable[str]) -> str:
    """Write the stamp of steps, as `leaks` names them: ``LEAK: a, b; LEAK?: c``; empty for none."""
    found = list(steps)
    sure = ", ".join(step for step in found if step not in POSSIBLE)
    perhaps = ", ".join(step for step in found if step in POSSIBLE)
    return "; ".join([f"LEAK: {sure}"] * bool(sure) + [f"LEAK?: {perhaps}"] * bool(perhaps))


def leaks(recipe: "Recipe") -> dict[str, str]:
    """List the steps of a recipe that see held-out people.

    Returns
    -------
    dict
        The step with its value (``representation.zscore: dataset``) to the reason. Strict mode
        refuses these; paper mode stamps LEAK with the step's name. Those of `POSSIBLE` are
        stamped LEAK? in either mode.
    """
    return {f"{key}: {value}": reason for key, value, reason in _found(recipe)}


def network_leaks(recipe: "Recipe") -> dict[str, str]:
    """List the steps by which held-out people reached a recipe's networks; see `leaks`.

    Those of thresholds and of chosen folds are not among them, as they change no network.
    """
    return {step: why for step, why in leaks(recipe).items() if step.startswith(_OF_NETWORKS)}


def refused(recipe: "Recipe") -> Iterator[Problem]:
    """List the leaks of a recipe that says it is strict."""
    if recipe.mode == "strict":
        for key, value, reason in _found(recipe):
            if f"{key}: {value}" not in POSSIBLE:
                yield key, f"{value} is refused in strict mode: {reason}; mode: paper runs it"


def _found(recipe: "Recipe") -> Iterator[tuple[str, str, str]]:
    kind = recipe.network.start_kind
    for (section, key, value), reason in LEAKS.items():
        if section == "network.origin" and kind in ("random", "variant"):
            continue  # such a variant inherits what the base says of its file
        if getattr(_part(recipe, section), key, None) == value:
            text = str(value).lower() if isinstance(value, bool) else str(value)
            yield f"{section}.{key}", text, reason
    if kind == "variant":
        yield from _inherited(recipe)


def _inherited(recipe: "Recipe") -> Iterator[tuple[str, str, str]]:
    """List what the variant that a network begins with has seen of held-out people."""
    start: FromVariant = recipe.network.start  # type: ignore[assignment]
    for step, reason in (start.leaks or {}).items():
        if step in POSSIBLE:
            key, _, value = step.partition(": ")
            yield key, value, f"{reason}; {start.variant} began with them"
        else:
            yield "network.start", f"{start.variant} ({step})", f"of {start.variant}: {reason}"


def _part(recipe: "Recipe", section: str) -> object:
    """Section of a recipe by its dotted name; None where it is not given."""
    part: object = recipe
    for name in section.split("."):
        part = getattr(part, name, None)
    return part
