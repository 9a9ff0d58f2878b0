"""Write the group's maps on the surface of one person."""

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bidsapp.contracts.modality import modality_named
from bidsapp.errors import EXIT_OK, BadData, NociCastError
from bidsapp.recipes.schema import Recipe
from bidsapp.saliency.group_maps import write_group
from bidsapp.saliency.on_surfaces import carry_maps, homes_of
from bidsapp.saliency.participant_maps import MapPlace
from bidsapp.saliency.stack import MapStack
from bidsapp.spaces.gifti import write_values

FOLDER = "surface"
"""Of the group's maps on the reference's surface, in a variant's folder."""


def try_on_surface(
    stack: MapStack,
    place: Path,
    recipe: Recipe,
    where: MapPlace,
    cohort: pd.DataFrame,
    work: Path,
    shared: Mapping[str, Any],
) -> None:
    """Write maps as `write_on_surface` does, or say on stderr why there are none."""
    try:
        write_on_surface(stack, place, recipe, where, cohort, work, shared)
    except NociCastError as error:
        shutil.rmtree(place / FOLDER, ignore_errors=True)
        print(f"{recipe.name}, {place.name}: no maps on a surface: {error}", file=sys.stderr)


def code_of_surface(place: Path) -> int:
    """Give 0 where the maps on a surface that were asked for are there, else that of bad data."""
    return EXIT_OK if (place / FOLDER / "summary.json").is_file() else BadData.exit_code


def write_on_surface(
    stack: MapStack,
    place: Path,
    recipe: Recipe,
    where: MapPlace,
    cohort: pd.DataFrame,
    work: Path,
    shared: Mapping[str, Any],
) -> None:
    """Carry held-out maps onto the surface of one unit, and write the group's maps there.

    Parameters
    ----------
    stack
        Maps in the space that people have in common.
    place
        The variant's folder; its folder `FOLDER` is written anew.
    recipe
        Of the variant.
    where
        Its images are prepared units.
    cohort
        The table of ``cohort.tsv``.
    work
        Where the mask of the reference's points goes.
    shared
        As `write_group` takes it; images and atlases hold elsewhere and are left out.

    Raises
    ------
    BadData
        Nobody has a surface.
    """
    folder = place / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    modality = modality_named(recipe.preparation.modality)
    files = {unit: where.output_dir / name for unit, name in where.images.items()}
    homes, notes = homes_of(modality, files, recipe.representation.channels[0])
    if not homes:
        raise BadData(f"saliency.on_surface: {notes[0] if notes else 'there are no surfaces'}")
    settings = recipe.saliency
    found = carry_maps(stack, modality, homes, cohort, settings.covariates)
    mask = work / "surface" / "mask.shape.gii"
    mask.parent.mkdir(parents=True, exist_ok=True)
    write_values(mask, found.mask.astype(np.float32), json.dumps({}), {})
    own = {"images": None, "regions": None, "mask": mask, "template_label": ""}
    folder.mkdir(parents=True, exist_ok=True)
    write_group(
        found.stack,
        folder,
        settings=settings,
        said=[f"maps lie on the surface of {found.reference.label}, {found.chosen_by}", *notes],
        **{**shared, **own},
    )
