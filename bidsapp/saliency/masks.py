"""Masks of maps: which cells of a space count, cut out of a mask on its whole."""

from pathlib import Path

import numpy as np

from bidsapp.contracts.space import Space
from bidsapp.errors import BadData
from bidsapp.spaces.files import read_whole


def mask_of(space: Space, mask: Path) -> np.ndarray:
    """Cut a mask (an image above .5) to a space, bool of its shape; maybe without any cell.

    Raises
    ------
    BadData
        If it lies on another grid than the space's whole.
    """
    values, affine, _ = read_whole(mask)
    if not space.holds(values.shape, affine):
        raise BadData(
            f"{mask} lies on a grid of {values.shape}, the maps on one of {space.whole_shape} (or "
            f"at another place); give {space.field} of the space that the images are in"
        )
    return space.cut(values > 0.5, fill=False)


def group_mask(space: Space, mask: Path, coverage: np.ndarray | None = None) -> np.ndarray:
    """Cut a mask to a space, and leave out what there are no maps of.

    Parameters
    ----------
    space
        Of the maps.
    mask
        Of the template.
    coverage
        Bool of the space's shape: where there are maps; everywhere by default.

    Raises
    ------
    BadData
        If the mask lies on another grid, or has no cell that counts.
    """
    inside = mask_of(space, mask)
    if coverage is not None:
        inside = inside & coverage
    if not inside.any():
        where = ", ".join(f"{key.lower()} {value}" for key, value in space.facts().items())
        raise BadData(
            f"{mask} has no {space.cell} inside the window of the maps ({where}); without any "
            "there is no group map"
        )
    return inside
