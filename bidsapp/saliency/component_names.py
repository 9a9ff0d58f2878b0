"""Names of components that come from a file of networks: those of the table beside it."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bidsapp.dataset.tables import read_frame

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
    maps = Path(str(step["maps"]))
    path = maps.with_name(maps.name.removesuffix(".gz").removesuffix(".nii") + ".tsv")
    try:
        table = read_frame(path)
    except (OSError, ValueError):
        return {}
    if not {"index", "name"} <= set(table.columns):
        return {}
    named = zip(table["index"].astype(str), table["name"].astype(str), strict=True)
    return {
        f"C{int(index):02d}": name
        for index, name in named
        if index.isdigit() and name not in ("n/a", "nan", "")
    }
