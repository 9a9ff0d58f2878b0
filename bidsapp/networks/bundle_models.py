"""The fold models that a bundle lists: their files, and what was fitted in their folds."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bidsapp.errors import BadData
from bidsapp.networks.bundle_files import (
    MODELS,
    RECIPE,
    listed,
)
from bidsapp.recipes.schema import Recipe
from bidsapp.recipes.search import Setting
from bidsapp.recipes.search_settings import at_setting
from bidsapp.representation.chain import Chain

# A series of more does not fit into the header of a NIfTI-1 image.
MOST_VOLUMES = 32_767


@dataclass(frozen=True)
class FoldModel:
    """One fold's trained network.

    Attributes
    ----------
    repeat, fold
        Which fold it was trained in.
    weights
        Its safetensors file.
    fitted
        The steps of the representation as they were fitted in its fold.
    setting
        What the search of its fold gave keys of the recipe; None where there was none.
    sha256
        Of the file, by the bundle's manifest; empty where there is no bundle yet.
    """

    repeat: int
    fold: int
    weights: Path
    fitted: Chain
    setting: Setting | None = None
    sha256: str = ""


def read_models(
    folder: Path, manifest: Mapping[str, Any], about: Mapping[str, Any], recipe: Recipe
) -> tuple[FoldModel, ...]:
    """Open the models of a bundle, without their weights.

    Parameters
    ----------
    folder
        Of the bundle.
    manifest, about
        What `MANIFEST` and `MODELS` hold.
    recipe
        The bundle's.

    Raises
    ------
    BadData
        A file is not listed or cannot be read, or does not fit the recipe.
    KeyError, TypeError, ValueError
        An entry is not one of a model.
    """
    volumes, files = read_volumes(about), manifest["files"]
    found = []
    for place, entry in enumerate(about["models"]):
        repeat, fold = _count(entry["repeat"]), _count(entry["fold"])
        file = listed(entry["file"], files)
        own = _at_setting(place, entry, recipe)
        chain = _fitted(folder, place, entry, manifest, own, volumes)
        setting = entry.get("setting")
        found.append(FoldModel(repeat, fold, folder / file, chain, setting, files[file]))
    return tuple(found)


def _at_setting(place: int, entry: Mapping[str, Any], recipe: Recipe) -> Recipe:
    """Give the recipe that a model was trained with; refuse a setting that its search has not."""
    setting, search = entry.get("setting"), recipe.training.search
    if search is None and setting is None:
        return recipe
    if search is None or setting not in search.settings:
        raise BadData(f"{MODELS}: models[{place}]: its setting is none of the search of {RECIPE}")
    return at_setting(recipe, setting)


def _fitted(
    folder: Path,
    place: int,
    entry: Mapping[str, Any],
    manifest: Mapping[str, Any],
    recipe: Recipe,
    volumes: int,
) -> Chain:
    """Open the fitted steps of a model, and refuse those that do not fit the recipe."""
    chain = Chain.of(recipe.representation, recipe.network.covariates)
    try:
        if manifest["format"] == 1:
            chain = chain.with_state(_state_of_format_1(entry["zscore"], recipe))
        else:
            chain = chain.load(folder / listed(entry["fitted"], manifest["files"]))
        chain.check(volumes or len(recipe.representation.channels))
    except BadData as error:
        raise BadData(f"{MODELS}: models[{place}]: {error}") from error
    return chain


def _state_of_format_1(numbers: dict[str, Any], recipe: Recipe) -> dict[str, np.ndarray]:
    """Read the one step that bundles of format 1 have, from JSON."""
    scope = recipe.representation.zscore
    if numbers["scope"] != scope:
        raise BadData(f"zscore.scope is {numbers['scope']!r}, {RECIPE} says {scope!r}")
    if scope == "none":
        return {}
    return {f"0.{name}": np.array(numbers[name], float) for name in ("mean", "sd")}


def read_volumes(about: Mapping[str, Any]) -> int:
    """Give the number of volumes of the series that networks see; 0 where they see none.

    Raises
    ------
    BadData
        It is not a whole number, or larger than that of any series.
    """
    volumes = about.get("volumes", 0)
    if type(volumes) is not int or not 0 <= volumes <= MOST_VOLUMES:
        raise BadData(
            f"{MODELS}: volumes {volumes!r} is not a number of volumes, 0 to {MOST_VOLUMES:,}"
        )
    return volumes


def _count(value: Any) -> int:
    """Take a number of a repetition or a fold, from 0."""
    if type(value) is not int or value < 0:
        raise BadData(f"{MODELS}: {value!r} is not the number of a repetition or a fold")
    return value
