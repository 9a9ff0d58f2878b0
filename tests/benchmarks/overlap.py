"""How well label maps of many people agree after normalisation: mean pairwise Dice."""

import itertools
from collections.abc import Sequence

import numpy as np

# DLMUSE numbers: accumbens, amygdala, caudate, hippocampus, pallidum, putamen, thalamus, basal
# forebrain, both sides; and all of the cortex.
DEEP = (23, 30, 31, 32, 36, 37, 47, 48, 55, 56, 57, 58, 59, 60, 75, 76)
GROUPS = {
    "all": tuple(range(2, 256)),  # 1 stands for what belongs to no region
    "deep": DEEP,
    "cortex": tuple(range(100, 208)),
}


def label_dice(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Dice of each label, (256,); NaN where neither map has it."""
    sizes = np.bincount(one.ravel(), minlength=256) + np.bincount(other.ravel(), minlength=256)
    shared = np.bincount(one[one == other], minlength=256)
    with np.errstate(invalid="ignore"):
        return 2 * shared / sizes


def mean_pairwise_dice(maps: Sequence[np.ndarray]) -> dict[str, float]:
    """Mean over pairs of people, then over the labels of each group that are there.

    Parameters
    ----------
    maps
        Label maps (x, y, z) of uint8 on one grid.

    Returns
    -------
    dict
        ``all``, ``deep``, ``cortex``; from 0 to 1.
    """
    pairs = [label_dice(one, other) for one, other in itertools.combinations(maps, 2)]
    table = np.array(pairs)
    there = ~np.isnan(table).all(axis=0)
    means = np.full(256, np.nan)
    means[there] = np.nanmean(table[:, there], axis=0)
    return {name: float(np.nanmean(means[list(labels)])) for name, labels in GROUPS.items()}
