"""What options of the command line change in a recipe."""

import argparse
import json
import os
from pathlib import Path
from typing import Any

from bidsapp.errors import NociCastError, NoInput, UsageError
from bidsapp.options import RunOptions
from bidsapp.typed import template_and_resolution


def recipe_overrides(given: argparse.Namespace) -> tuple[str, ...]:
    """Give the overrides; an option of its own comes last and wins over --set.

    Parameters
    ----------
    given
        Parsed arguments.

    Returns
    -------
    tuple of str
        ``KEY=VALUE`` texts.

    Raises
    ------
    UsageError
        Options contradict each other, or one lacks another that it needs.
    NoInput
        An atlas is not there.
    """
    found = list(given.overrides)
    template, resolution = given.template, given.resolution
    if template is not None:
        template, resolution = template_and_resolution(template, resolution)
    values = {"template": template, "resolution": resolution, "speed": given.speed}
    found += [f"preparation.{k}={value}" for k, value in values.items() if value is not None]
    if given.positive and not given.outcome:
        raise UsageError("--positive needs --outcome COLUMN.")
    if given.outcome:
        if not given.positive:
            raise UsageError(
                f"--outcome {given.outcome} needs --positive VALUE: which of its values are "
                "positive."
            )
        _check_one_outcome(given)
        found += _outcome(given)
    elif given.negative:
        found.append(f"outcome.negative={json.dumps(given.negative)}")
    if given.atlas:
        found.append(f"saliency.atlases={json.dumps([_atlas(text) for text in given.atlas])}")
    if given.random_seed is not None:
        found += [
            f"{section}.seed={given.random_seed}"
            for section in ("preparation", "training", "protocol", "evaluation")
        ]
    if given.permutations is not None:
        found.append(f"evaluation.pipeline_permutations={given.permutations}")
    found += _simulation(given)
    if given.no_timeseries:
        found += [f"preparation.{key}=false" for key in _series_kept(given, found)]
    return tuple(found)


def _series_kept(given: argparse.Namespace, overrides: list[str]) -> tuple[str, ...]:
    """Name the settings that keep series which no later step needs, of all the recipe's variants.

    Raises
    ------
    UsageError
        No variant prepares series.
    """
    from bidsapp.contracts.modality import modality_named
    from bidsapp.recipes import load_recipe

    name = given.recipe or RunOptions.recipe
    try:
        recipe = load_recipe(name, overrides, given.variants or ())
    except NociCastError:
        return ()  # its own fault is told where it is loaded with all that was given
    every = [recipe, *(recipe.with_variant(one) for one in recipe.variants)]
    kept = [key for one in every for key in modality_named(one.preparation.modality).spared]
    if not kept:
        raise UsageError(
            f"--no-timeseries: recipe {name} prepares no series, and there is none to leave out. "
            "Leave out the option, or name a recipe of series with --recipe."
        )
    return tuple(dict.fromkeys(kept))


def _outcome(given: argparse.Namespace) -> list[str]:
    """Give the outcome's column and values, in place of all that the recipe says of its own."""
    said = _set(given)
    values = {"column": given.outcome, "positive": given.positive, "expression": None}
    for key, value in (("negative", given.negative or None), ("missing", None)):
        if value or f"outcome.{key}" not in said:
            values[key] = value
    return [f"outcome.{key}={json.dumps(value)}" for key, value in values.items()]


def _set(given: argparse.Namespace) -> dict[str, Any]:
    """Dotted keys and values of ``--set``."""
    from bidsapp.recipes.loading import values_of

    return values_of(given.overrides)


def _check_one_outcome(given: argparse.Namespace) -> None:
    expression = _set(given).get("outcome.expression")
    if expression is not None:
        raise UsageError(
            f"--outcome {given.outcome} and --set outcome.expression={expression} contradict each "
            "other: the outcome is a column with positive values, or an expression. Leave out one."
        )


def _simulation(given: argparse.Namespace) -> list[str]:
    """Give what --simulate-size and --simulate-centre change; the contrast is that of a run."""
    found = []
    for name, key in (("size", "size_mm"), ("centre", "centre_mm"), ("contrast", "")):
        value = getattr(given, f"simulate_{name}")
        if value is not None and not given.simulate:
            raise UsageError(f"--simulate-{name} needs --simulate cuboid.")
        if value is not None and key:
            found.append(f"simulation.{key}={json.dumps(value)}")
    return ["simulation.kind=cuboid", *found] if given.simulate else []


def _atlas(text: str) -> str:
    """Give a file, which must be there, as an absolute path, and a name as it is."""
    if not text.endswith((".nii", ".nii.gz")):
        return text
    path = Path(os.path.abspath(Path(text).expanduser()))
    if not path.is_file():
        raise NoInput(f"--atlas {text}: not found.")
    return str(path)
