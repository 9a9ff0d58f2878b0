"""What images show without any network: their mean, and where those that hold it have tissue."""

from collections.abc import Sequence

import numpy as np

from bidsapp.contracts.modality import modality_named
from bidsapp.contracts.space import Space
from bidsapp.recipes import Recipe
from bidsapp.representation.cohort_array import CohortArray

_MOST = 0.5


def tissue(space: Space, values: np.ndarray) -> np.ndarray:
    """(n, cells) with NaN where an image has no tissue.

    That is where it is 0, save for holes: cells of 0 that tissue encloses. What is largest of the
    cells of 0 that hang together is the outside.
    """
    found = np.array(values, np.float64)
    label = space.clusters(np.ones(space.shape, bool))
    for row in found:
        empty = np.flatnonzero(row == 0)
        if len(empty):
            piece = label(empty, np.ones(len(empty), np.uint8))
            outside = np.bincount(piece).argmax()
            row[empty[piece == outside]] = np.nan
    return found


def judged_mask(
    images: CohortArray, inside: np.ndarray, recipe: Recipe, rows: np.ndarray | None = None
) -> np.ndarray:
    """Take of a mask where maps of one method are comparable: tissue in every channel.

    Some images hold 0 where there is no tissue, as maps of cartilage do over most of a bone.
    Nothing can be learned there, and an explanation is about 0 there whatever was learned. Over
    all cells any two maps of tissue are alike, a map and the image's edges too, and a map of
    anything in the tissue names cells that matter more than random ones. As in a brain's mask,
    tissue alone can tell them apart.

    Parameters
    ----------
    images
        The cohort's.
    inside
        Bool of the space's shape.
    recipe
        Whose channels say whether 0 means no tissue.
    rows
        Of the images that are looked at; all by default.

    Returns
    -------
    numpy.ndarray
        `inside` itself where no channel is of this kind.
    """
    known = modality_named(recipe.preparation.modality).channels()
    bare = [i for i, name in enumerate(images.shown) if name in known and known[name].bare]
    chosen = np.arange(len(images.participants)) if rows is None else rows
    return tissue_mask(images, inside, bare, chosen) if bare and len(chosen) else inside


def tissue_mask(
    images: CohortArray, inside: np.ndarray, channels: Sequence[int], rows: np.ndarray
) -> np.ndarray:
    """Take of a mask where at least half of some images have tissue, in each of some channels."""
    share = np.zeros((len(channels), inside.size))
    for row in rows:
        values = images.show(int(row))[list(channels)].reshape(len(channels), -1)
        share += np.isfinite(tissue(images.space, values))
    return inside & (share >= _MOST * len(rows)).all(axis=0).reshape(inside.shape)


def mean_image(images: CohortArray, chosen: np.ndarray) -> np.ndarray | None:
    """Mean of some of the cohort's `shown` images, (C, X, Y, Z) float64; None of nobody."""
    rows = np.flatnonzero(chosen)
    if not len(rows):
        return None
    total: np.ndarray = np.zeros(1, np.float64)
    for row in rows:
        total = total + images.show(int(row))
    return total / len(rows)
