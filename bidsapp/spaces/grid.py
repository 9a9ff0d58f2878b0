"""Regular grids in two or three axes: smoothing, clusters, extrema and neighbours, done fast."""

from abc import abstractmethod
from itertools import product
from typing import TYPE_CHECKING, Literal

import numpy as np

from bidsapp.contracts.space import Clusters, Smoother, Space
from bidsapp.spaces.described import Rows
from bidsapp.spaces.graph import FWHM_PER_SIGMA, Graph

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_TRUNCATE = 4.0


class RegularGrid(Graph):
    """What a space whose cells are the boxes of a regular grid can do, in two or three axes.

    Attributes
    ----------
    shape
        Cells along each axis.
    grid_shape, grid_affine
        Voxels of the whole, which is a grid too, and its affine: 4×4, voxel index to mm, RAS+.
    affine
        4×4, from an index of the block (third index 0 where there are two axes) to mm, RAS+.
    """

    shape: tuple[int, ...]
    grid_shape: tuple[int, int, int]
    grid_affine: Rows

    @property
    @abstractmethod
    def affine(self) -> np.ndarray:
        """Affine of the block, 4×4 float64."""

    @property
    def whole_shape(self) -> tuple[int, int, int]:
        """Voxels of the whole."""
        return self.grid_shape

    def holds(self, shape: tuple[int, ...], affine: np.ndarray | None) -> bool:
        """Tell whether an image has this grid (affines within 0.001 mm)."""
        return (
            affine is not None
            and tuple(shape) == self.grid_shape
            and np.allclose(affine, self.grid_affine, atol=1e-3)
        )

    def same_whole(self, other: Space) -> bool:
        """Tell whether two blocks of one kind lie on one grid (affines within 0.001 mm)."""
        return isinstance(other, type(self)) and self.holds(
            other.grid_shape, np.array(other.grid_affine)
        )

    @property
    def spacing(self) -> tuple[float, ...]:
        """Edge lengths of a cell in mm."""
        lengths = np.linalg.norm(self.affine[:3, : len(self.shape)], axis=0)
        return tuple(float(length) for length in lengths)

    def points(self, inside: np.ndarray | None = None) -> np.ndarray:
        """(cells, 3) centres in mm, RAS+."""
        places = np.argwhere(np.ones(self.shape, bool) if inside is None else inside)
        affine = self.affine
        return places @ affine[:3, : len(self.shape)].T + affine[:3, 3]

    def sizes(self, inside: np.ndarray | None = None) -> np.ndarray:
        """(cells,) volume in mm³, or area in mm² where there are two axes; all alike."""
        count = int(np.prod(self.shape)) if inside is None else int(np.count_nonzero(inside))
        return np.full(count, float(np.prod(self.spacing)))

    def neighbours(self, inside: np.ndarray | None = None, corners: bool = True) -> "csr_array":
        """(cells, cells) 1 where two cells touch: of 26 (8 in two axes), or 6 (4) with faces."""
        mask = np.ones(self.shape, bool) if inside is None else np.asarray(inside, bool)
        return adjacency(mask, grid_pairs(mask, corners))

    def smoother(self, inside: np.ndarray, fwhm_mm: float) -> Smoother:
        """Smooth by a separable Gaussian inside a mask, as `MaskedSmoother` does."""
        return MaskedSmoother(inside, self.spacing, fwhm_mm)

    def clusters(self, inside: np.ndarray) -> Clusters:
        """Label connected cells of a mask, by cc3d; corners touch."""
        return GridClusters(inside)

    def extrema(self, inside: np.ndarray, values: np.ndarray) -> np.ndarray:
        """(cells,) bool: the largest, or below 0 the smallest, of their 3 × 3 (× 3) cells."""
        from scipy.ndimage import maximum_filter, minimum_filter

        block = np.zeros(inside.shape, np.float32)
        block[inside] = values
        high = (block == maximum_filter(block, 3, mode="constant")) & (block > 0)
        low = (block == minimum_filter(block, 3, mode="constant")) & (block < 0)
        return np.asarray((high | low)[inside])

    def edges(self, image: np.ndarray, fwhm_mm: float) -> np.ndarray:
        """Magnitude of a block's gradient, per cell, after smoothing; shape of the block."""
        from scipy.ndimage import gaussian_gradient_magnitude

        sigma = [fwhm_mm / FWHM_PER_SIGMA / mm for mm in self.spacing]
        return np.asarray(gaussian_gradient_magnitude(np.asarray(image, np.float32), sigma))


class MaskedSmoother:
    """Smooth many maps on one grid inside one mask.

    The smoothed map is ``G(m·f) / G(m)`` at the cells of the mask ``m``: a weighted mean of the
    mask's own cells (normalised convolution, Knutsson & Westin 1993,
    doi:10.1109/CVPR.1993.341081), so that a map does not fade towards the rim of the brain or of a
    slab. It is linear: the smoothed mean is the mean of the smoothed maps.

    Parameters
    ----------
    inside
        (x, y[, z]) bool, the cells that are kept.
    zooms
        Edge lengths of a cell in mm.
    fwhm_mm
        Full width at half maximum in mm; 0 changes nothing.
    """

    def __init__(self, inside: np.ndarray, zooms: tuple[float, ...], fwhm_mm: float) -> None:
        self.inside = np.asarray(inside, bool)
        self.fwhm_mm = float(fwhm_mm)
        self._sigma = [self.fwhm_mm / FWHM_PER_SIGMA / zoom for zoom in zooms]
        # Nothing further away than the kernel reaches can matter, so empty rims are cut off.
        self._box = bounding_box(self.inside)
        self._mask = self.inside[self._box]
        if self.fwhm_mm > 0:
            self._weight = self._filter(self._mask.astype(np.float32))[self._mask]

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Smooth one map, given and returned as (cells of the mask,) float32 in C order."""
        values = np.asarray(values, np.float32)
        if self.fwhm_mm == 0:
            return values
        block = np.zeros(self._mask.shape, np.float32)
        block[self._mask] = values
        return self._filter(block)[self._mask] / self._weight

    def _filter(self, block: np.ndarray) -> np.ndarray:
        from scipy.ndimage import gaussian_filter

        return gaussian_filter(block, self._sigma, mode="constant", truncate=_TRUNCATE)


class GridClusters:
    """Connected cells of a mask on a grid, labelled by cc3d; two sides at once.

    Parameters
    ----------
    inside
        (x, y[, z]) bool.
    """

    def __init__(self, inside: np.ndarray) -> None:
        places = np.argwhere(inside)
        low, high = places.min(axis=0), places.max(axis=0) + 1
        shape = tuple(int(size) for size in high - low)
        # cc3d reads Fortran order without a copy, and labels come back in the same order.
        self._at = np.ravel_multi_index(tuple((places - low).T), shape, order="F")
        self._sides = np.zeros(shape, np.uint8, order="F")
        self._before = np.zeros(0, int)

    def __call__(self, cells: np.ndarray, sides: np.ndarray) -> np.ndarray:
        """Label these cells, (m,) places in the mask, each on side 1 or 2; (m,) labels."""
        import cc3d

        flat = self._sides.ravel(order="K")
        flat[self._before] = 0
        self._before = self._at[cells]
        flat[self._before] = sides
        touching: Literal[8, 26] = 26 if self._sides.ndim == 3 else 8
        labels = cc3d.connected_components(self._sides, connectivity=touching)
        return np.asarray(labels.ravel(order="K")[self._before])


def bounding_box(inside: np.ndarray) -> tuple[slice, ...]:
    """Give the smallest box that holds every cell of a mask, a slice for each axis."""
    box = []
    for axis in range(inside.ndim):
        others = tuple(a for a in range(inside.ndim) if a != axis)
        places = np.flatnonzero(inside.any(axis=others))
        box.append(slice(int(places[0]), int(places[-1]) + 1) if len(places) else slice(0, 0))
    return tuple(box)


def grid_pairs(inside: np.ndarray, corners: bool, wrapped: tuple[int, ...] = ()) -> np.ndarray:
    """List the pairs of cells of a mask that touch, (pairs, 2) places in the mask.

    Parameters
    ----------
    inside
        Bool, any number of axes.
    corners
        Whether edges and corners count as well as faces.
    wrapped
        Axes whose last cells touch the first.
    """
    number = np.full(inside.shape, -1, np.int64)
    number[inside] = np.arange(int(np.count_nonzero(inside)))
    steps = [step for step in product((-1, 0, 1), repeat=inside.ndim) if step > (0,) * inside.ndim]
    pairs = []
    for step in steps:
        if not corners and sum(map(abs, step)) > 1:
            continue
        moved = np.roll(number, [-by for by in step], axis=tuple(range(inside.ndim)))
        for axis, by in enumerate(step):
            if by and axis not in wrapped:
                edge = [slice(None)] * inside.ndim
                edge[axis] = slice(-1, None) if by > 0 else slice(0, 1)
                moved[tuple(edge)] = -1
        both = (number >= 0) & (moved >= 0)
        pairs.append(np.stack([number[both], moved[both]], axis=1))
    return np.concatenate(pairs)


def adjacency(inside: np.ndarray, pairs: np.ndarray) -> "csr_array":
    """Make of pairs of cells a symmetric matrix of 0 and 1, (cells, cells); no cell touches itself.

    Parameters
    ----------
    inside
        Mask, for the number of cells.
    pairs
        (pairs, 2), in either order and as often as they come.
    """
    from scipy.sparse import coo_array

    count = int(np.count_nonzero(inside))
    other = pairs[pairs[:, 0] != pairs[:, 1]]
    rows, columns = np.concatenate([other, other[:, ::-1]]).T
    matrix = coo_array((np.ones(len(rows), np.int32), (rows, columns)), (count, count)).tocsr()
    matrix.data = np.ones(len(matrix.data), np.uint8)
    return matrix
