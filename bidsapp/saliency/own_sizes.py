"""How large the cells of a map are on each person's own surface."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bidsapp.contracts.modality import Modality
from bidsapp.contracts.space import Space, relative_sizes
from bidsapp.contracts.unit import Unit
from bidsapp.saliency.on_surfaces import homes_of


def own_sizes(
    modality: Modality[Any],
    images: Mapping[Unit, Path],
    units: Sequence[Unit],
    channel: str,
    space: Space,
) -> tuple[np.ndarray, list[str]]:
    """Give the area of each cell on the surface that a person's map was seen on.

    Maps that people have in common lie over one smooth shape. Bones do not: a cell that is seen
    aslant, or further away, holds more of the surface, and a mean that is to be of the tissue has
    to count it for more.

    Parameters
    ----------
    modality
        Knows where surfaces are.
    images
        Main product of each prepared unit.
    units
        Whose sizes are asked for, in this order.
    channel
        Whose map.
    space
        That people have in common.

    Returns
    -------
    sizes, notes
        (units, cells), each row over its mean, or (cells,) where this kind of image has no
        surfaces; and who had none, so that the common size is taken.
    """
    common = relative_sizes(space)
    if not modality.carries:
        return common, []
    wanted = {unit: images[unit] for unit in dict.fromkeys(units) if unit in images}
    homes, notes = homes_of(modality, wanted, channel)
    areas = {
        unit: relative_sizes(home.space)
        for unit, home in homes.items()
        if home.space.shape == space.shape
    }
    absent = [unit.label for unit in wanted if unit not in areas]
    if absent:
        notes.append(
            f"weighted averages of {', '.join(absent)}: the {space.cell}s of the map count by the "
            "size that all people have in common, not by area on the person's own surface"
        )
    return np.stack([areas.get(unit, common) for unit in units]), notes
