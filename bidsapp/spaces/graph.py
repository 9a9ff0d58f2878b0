"""Any space by its neighbours, sizes and points alone: smoothing, clusters, extrema, edges."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from bidsapp.contracts.space import Clusters, Smoother

if TYPE_CHECKING:
    from scipy.sparse import csr_array

FWHM_PER_SIGMA = float(np.sqrt(8 * np.log(2)))
STEPS = 16
"""Of the heat flow: with sixteen implicit ones its kernel is nearly that of Gauss."""


class Graph(ABC):
    """What every space can do that says where its cells lie, how large they are, and which touch.

    Attributes
    ----------
    shape
        Of the block.
    """

    common: ClassVar[bool] = True
    cell: ClassVar[str] = "point"
    field: ClassVar[str] = "the surface"

    shape: tuple[int, ...]

    def placed(self, affine: np.ndarray) -> Self:
        """Give itself: its cells are the same places in everybody."""
        return self

    @abstractmethod
    def points(self, inside: np.ndarray | None = None) -> np.ndarray:
        """(cells, 3) centres in mm, RAS+."""

    @abstractmethod
    def sizes(self, inside: np.ndarray | None = None) -> np.ndarray:
        """(cells,) how much each stands for."""

    @abstractmethod
    def neighbours(self, inside: np.ndarray | None = None, corners: bool = True) -> "csr_array":
        """(cells, cells) 1 where two touch."""

    def smoother(self, inside: np.ndarray, fwhm_mm: float) -> Smoother:
        """Smooth by heat that flows between neighbours, as `HeatFlow` does."""
        return HeatFlow(self, inside, fwhm_mm)

    def clusters(self, inside: np.ndarray) -> Clusters:
        """Label connected cells of a mask; corners touch."""
        return GraphClusters(self.neighbours(inside))

    def extrema(self, inside: np.ndarray, values: np.ndarray) -> np.ndarray:
        """(cells,) bool: above 0 and no neighbour larger, or below 0 and none smaller."""
        level = np.asarray(values, np.float32)
        near = self.neighbours(inside)
        return ((level > 0) & (level >= _largest(near, level))) | (
            (level < 0) & (-level >= _largest(near, -level))
        )

    def edges(self, image: np.ndarray, fwhm_mm: float) -> np.ndarray:
        """Magnitude of a block's gradient per mm, after smoothing; shape of the block."""
        everything = np.ones(self.shape, bool)
        smooth = self.smoother(everything, fwhm_mm)(np.asarray(image).ravel()).astype(np.float64)
        flow = conductance(self, everything).tocoo()
        steps = flow.data * np.square(smooth[flow.col] - smooth[flow.row])
        energy = np.bincount(flow.row, steps, minlength=len(smooth))
        return np.sqrt(energy / (2 * self.sizes())).reshape(self.shape).astype(np.float32)


class HeatFlow:
    """Smooth many maps inside one mask by heat that flows between neighbours.

    Heat that has flowed for a time t is the map smoothed by a Gaussian of variance 2t along each
    axis, on curved surfaces too (Chung et al. 2005, doi:10.1016/j.neuroimage.2005.02.015). Nothing
    flows over the rim of the mask, so the mean, weighted by the sizes, stays what it is, and so
    does a constant. Finite volumes in sixteen implicit steps, which never overshoot.

    Parameters
    ----------
    space
        Whose cells they are.
    inside
        Bool of its shape.
    fwhm_mm
        Full width at half maximum in mm; 0 changes nothing.
    """

    def __init__(self, space: Graph, inside: np.ndarray, fwhm_mm: float) -> None:
        self.fwhm_mm = float(fwhm_mm)
        if self.fwhm_mm == 0:
            return
        from scipy.sparse import diags_array
        from scipy.sparse.linalg import splu

        time = (self.fwhm_mm / FWHM_PER_SIGMA) ** 2 / 2 / STEPS
        flow = conductance(space, inside)
        self._sizes = np.asarray(space.sizes(inside), np.float64)
        kept = diags_array(self._sizes + time * np.asarray(flow.sum(axis=1)).ravel())
        self._solve = splu((kept - time * flow).tocsc()).solve

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Smooth one map, given and returned as (cells of the mask,) float32."""
        if self.fwhm_mm == 0:
            return np.asarray(values, np.float32)
        heat = np.asarray(values, np.float64)
        for _ in range(STEPS):
            heat = self._solve(self._sizes * heat)
        return np.asarray(heat, np.float32)


def conductance(space: Graph, inside: np.ndarray) -> "csr_array":
    """Weigh neighbours with a common face by how easily heat flows between them.

    Their border over their distance: on grids whose axes cross at right angles, that is their mean
    size over the square of their distance.

    Returns
    -------
    scipy.sparse.csr_array
        (cells, cells), symmetric.
    """
    near = space.neighbours(inside, corners=False).tocoo()
    points, sizes = space.points(inside), np.asarray(space.sizes(inside), np.float64)
    apart = np.square(points[near.row] - points[near.col]).sum(axis=1)
    near.data = (sizes[near.row] + sizes[near.col]) / 2 / apart
    return near.tocsr()


class GraphClusters:
    """Connected cells of a graph, labelled; two sides at once.

    Parameters
    ----------
    near
        (cells, cells) sparse, not 0 where two cells touch.
    """

    def __init__(self, near: "csr_array") -> None:
        pairs = near.tocoo()
        once = pairs.row < pairs.col
        self._pairs = np.stack([pairs.row[once], pairs.col[once]])
        self._count = near.shape[0]

    def __call__(self, cells: np.ndarray, sides: np.ndarray) -> np.ndarray:
        """Label these cells, (m,) places in the mask, each on side 1 or 2; (m,) labels."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        place = np.full(self._count, -1)
        place[cells] = np.arange(len(cells))
        side = np.zeros(self._count, np.uint8)
        side[cells] = sides
        a, b = self._pairs
        a, b = self._pairs[:, (side[a] > 0) & (side[a] == side[b])]
        shape = (len(cells), len(cells))
        joined = coo_array((np.ones(len(a), np.uint8), (place[a], place[b])), shape)
        return np.asarray(connected_components(joined, directed=False)[1])


def _largest(near: "csr_array", values: np.ndarray) -> np.ndarray:
    """(cells,) the largest value of the neighbours; -inf without any."""
    found = np.full(len(values), -np.inf)
    counts = np.diff(near.indptr)
    some = np.flatnonzero(counts)
    if len(some):
        found[some] = np.maximum.reduceat(values[near.indices], near.indptr[:-1][some])
    return found
