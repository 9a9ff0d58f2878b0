"""Threshold-free cluster enhancement: a voxel's support by its surroundings at every height."""

import numpy as np


class ClusterEnhancement:
    """TFCE of maps inside one mask (Smith & Nichols 2009, doi:10.1016/j.neuroimage.2008.03.061).

    ``sum over h of extent(h)^0.5 * h^2 * step``, h in steps up to the map's height, extent the
    number of voxels of the cluster (26 neighbours) that holds the voxel; positive and negative
    clusters apart. The step is fixed, so that permutations are on one scale.

    Parameters
    ----------
    inside
        (x, y, z) bool.
    step
        Step of the height, in units of t.
    """

    def __init__(
        self, inside: np.ndarray, step: float = 0.2, extent: float = 0.5, height: float = 2.0
    ) -> None:
        places = np.argwhere(inside)
        low, high = places.min(axis=0), places.max(axis=0) + 1
        self._shape = tuple(int(size) for size in high - low)
        x, y, z = (places - low).T
        # cc3d reads Fortran order without a copy, and labels come back in the same order.
        self._at = np.ravel_multi_index((x, y, z), self._shape, order="F")
        self._step, self._extent, self._height = step, extent, height

    def __call__(self, t: np.ndarray) -> np.ndarray:
        """Enhance (voxels,) t; the result has its sign, float32."""
        import cc3d

        magnitude = np.abs(t)
        enhanced = np.zeros(len(t), np.float64)
        sides = np.zeros(self._shape, np.uint8, order="F")
        flat = sides.ravel(order="K")
        steps = int(np.floor(magnitude.max(initial=0) / self._step + 1e-9))
        above = np.flatnonzero(magnitude >= self._step * (1 - 1e-9))
        flat[self._at[above]] = np.where(t[above] > 0, 1, 2)
        for number in range(1, steps + 1):
            height = number * self._step
            stay = magnitude[above] >= height * (1 - 1e-9)
            flat[self._at[above[~stay]]] = 0
            above = above[stay]
            labels = cc3d.connected_components(sides, connectivity=26)
            own = labels.ravel(order="K")[self._at[above]]
            sizes = np.bincount(own)
            gain = np.power(sizes, self._extent) * (height**self._height * self._step)
            enhanced[above] += gain[own]
        return (np.sign(t) * enhanced).astype(np.float32)
