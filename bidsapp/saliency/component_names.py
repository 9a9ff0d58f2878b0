"""Names of components: those of a table beside given maps, or of the named maps most like them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bidsapp.contracts.space import Space
from bidsapp.dataset.tables import read_frame
from bidsapp.representation.components.matching import match
from bidsapp.representation.fitted.template_components import maps_on_grid

if TYPE_CHECKING:
    from bidsapp.recipes.schema import Recipe

_STEP = "template_components"


def component_names(recipe: "Recipe") -> Mapping[str, str]:
    """Name the components of a recipe's maps, as its networks' channels are called.

    Parameters
    ----------
    recipe
        Of one variant. Components that are fitted on people have no names: nothing is read.

    Returns
    -------
    Mapping
        ``C01`` to the name under ``index`` 1 of the TSV beside the maps; those without a name, and
        all where there is no such table, are left out.
    """
    step = recipe.representation.fitted.get(_STEP)
    if not step or not step.get("maps"):
        return {}
    names = names_beside(Path(str(step["maps"])))
    return {f"C{index + 1:02d}": name for index, name in names.items()}


def names_beside(maps: Path) -> Mapping[int, str]:
    """Read the names of maps from the TSV beside them (``index`` from 1, ``name``), from 0.

    Those without a name, and all where there is no such table, are left out.
    """
    path = maps.with_name(maps.name.removesuffix(".gz").removesuffix(".nii") + ".tsv")
    try:
        table = read_frame(path)
    except (OSError, ValueError):
        return {}
    if not {"index", "name"} <= set(table.columns):
        return {}
    named = zip(table["index"].astype(str), table["name"].astype(str), strict=True)
    return {
        int(index) - 1: name
        for index, name in named
        if index.isdecimal() and len(index) < 10 and name not in ("n/a", "nan", "")
    }


@dataclass(frozen=True)
class Likeness:
    """The named map that a component is matched with.

    Attributes
    ----------
    name
        Of the map; empty where it has none, or a flipped copy of it is as much like a component.
    r, null
        ``|r|`` of both, and the largest of any component with the flipped map.
    """

    name: str
    r: float
    null: float


def likeness(
    components: Sequence[str], maps: np.ndarray, space: Space, file: Path
) -> Mapping[str, Likeness]:
    """Match components with the named maps of a file.

    Parameters
    ----------
    components, maps
        Names, and maps (C, *space).
    space
        Where the maps lie.
    file
        Named maps, on any grid of the same space.

    Raises
    ------
    NoInput, BadData
        The file is not there, or holds no maps.
    """
    named, known = names_beside(file), maps_on_grid(file, space)
    inside: np.ndarray = np.any(maps != 0, axis=0)
    pairs = match(maps[:, inside], known[:, inside], inside)
    rows = zip(
        pairs.components, pairs.references, pairs.r, pairs.null, pairs.above_null, strict=True
    )
    return {
        components[one]: Likeness(named.get(int(other), "") if same else "", abs(float(r)), null)
        for one, other, r, null, same in rows
    }
