"""What the command line says against what variants say of the same key."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from bidsapp.recipes.loading import having_step, values_of
from bidsapp.recipes.messages import problems_of, usage_error
from bidsapp.recipes.schema import Recipe
from bidsapp.recipes.values import flat


def reach_variants(
    recipe: Recipe, overrides: Sequence[str], variants: Sequence[str]
) -> tuple[Recipe, list[str]]:
    """Let the command line reach the variants that are run, unless they differ by the very key.

    Where all variants that are run set a key to the same value, that is not what they are
    compared for, and the command line's value takes its place. Else they keep their own, and it
    is said.

    Parameters
    ----------
    recipe
        With the overrides applied to it.
    overrides
        ``KEY=VALUE`` texts of the command line.
    variants
        Names of those that are run.

    Returns
    -------
    recipe, notes
        The recipe, and a sentence for each key whose value in a variant is replaced or kept.

    Raises
    ------
    UsageError
        A variant is impossible with the command line's values.
    """
    given = flat(values_of(overrides))
    own = {name: dict(recipe.variants.get(name, {})) for name in variants}
    kept: Mapping[str, dict[str, Any]] = {name: dict(v) for name, v in recipe.variants.items()}
    notes = []
    for key, value in given.items():
        theirs = {name: values[key] for name, values in own.items() if key in values}
        different = {name: one for name, one in theirs.items() if one != value}
        if not different:
            without = [name for name in variants if name not in theirs]
            if theirs and without and having_step(recipe, key):
                notes.append(
                    f"{key} is {value} in {', '.join(theirs)}; {', '.join(without)} "
                    f"{'have' if len(without) > 1 else 'has'} no such step."
                )
            continue
        values = list(theirs.values())
        if len(theirs) == len(variants) and all(one == values[0] for one in values):
            for name in theirs:
                del kept[name][key]
            notes.append(f"{key} is {value}, in place of {values[0]} of {', '.join(theirs)}.")
            continue
        told = ", ".join(f"{name} ({one})" for name, one in different.items())
        first = next(iter(different))
        notes.append(
            f"{key}={value} does not reach variants that set it themselves: {told}; "
            f"--set variants.{first}.{key}={value} does."
        )
    if not notes:
        return recipe, []
    try:
        return Recipe.model_validate(recipe.plain() | {"variants": kept}), notes
    except ValidationError as error:
        raise usage_error(f"recipe {recipe.name}", problems_of(error, Recipe)) from None
