"""Where values lie: what maps, smoothing, clusters, peaks and means may ask of a space."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Smoother = Callable[[np.ndarray], np.ndarray]
"""From (cells,) values to (cells,) smoothed values, float32."""

Clusters = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From some cells (places in the mask, ascending) and the side of each (1 or 2) to labels: two of
these cells have one label where a way over neighbours of their own side joins them."""


class Space(Protocol):
    """Where the values of one channel lie.

    A network sees a `block`: an array of `shape` whose elements are the space's cells, in C order.
    The block was cut out of a `whole`, what is stored for a person (a volume on a template's
    grid, an image with its slices, a map over a sphere), and can be put back there.
    Wherever `inside` is given, a bool array of `shape`, only the cells of that mask count, and
    arrays have one element for each of these.

    Attributes
    ----------
    kind
        Name of the class in `to_dict`.
    common
        Whether a cell is the same place of the body in everybody, so that maps of people can be
        averaged and compared cell by cell. Where not, a map is one person's: `placed` says whose.
    label
        Value of BIDS' ``space``; empty where the one who writes knows it.
    shape
        Cells of the block along each of its axes: two numbers, or three.
    whole_shape
        Of the last axes of what `cut` takes and `put_back` gives.
    spacing
        Millimetres between neighbours along each axis of the block; the largest where they vary.
    extension
        Of the files that `write` writes, ``.nii.gz`` for instance.
    cell, field
        What a cell is called in a sentence, ``voxel``, and all that count together, ``the brain
        mask``.
    """

    kind: ClassVar[str]
    extension: ClassVar[str]
    common: ClassVar[bool]
    cell: ClassVar[str]
    field: ClassVar[str]

    @property
    def label(self) -> str:
        """Value of BIDS' ``space``, or empty."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """Cells of the block along each axis."""
        ...

    @property
    def whole_shape(self) -> tuple[int, ...]:
        """Last axes of the whole."""
        ...

    @property
    def spacing(self) -> tuple[float, ...]:
        """Millimetres between neighbours along each axis."""
        ...

    def cut(self, whole: np.ndarray, fill: float = 0.0) -> np.ndarray:
        """Take the block out of (..., *whole_shape); `fill` where the whole does not reach.

        Numbers that are not whole are measurements and may be interpolated; whole numbers and
        truths are labels and come from the nearest cell.

        Raises
        ------
        ValueError
            If the last axes are not `whole_shape`.
        """
        ...

    def put_back(self, block: np.ndarray, fill: float = 0.0) -> np.ndarray:
        """Lay (..., *shape) into the whole, as `cut` found it; `fill` where there is none.

        Raises
        ------
        ValueError
            If the last axes are not `shape`.
        """
        ...

    def points(self, inside: np.ndarray | None = None) -> np.ndarray:
        """(cells, 3) centres in millimetres, RAS+."""
        ...

    def sizes(self, inside: np.ndarray | None = None) -> np.ndarray:
        """(cells,) how much each stands for: mm³, mm² or steradians; weights of every mean."""
        ...

    def neighbours(self, inside: np.ndarray | None = None, corners: bool = True) -> "csr_array":
        """(cells, cells) symmetric, 1 where two cells touch and 0 elsewhere, sparse.

        Parameters
        ----------
        inside
            Mask.
        corners
            Whether those that share an edge or a corner alone touch as well.
        """
        ...

    def smoother(self, inside: np.ndarray, fwhm_mm: float) -> Smoother:
        """Smooth by a Gaussian of this width inside a mask, without what lies outside.

        A constant stays what it is, and the smoothed mean is the mean of the smoothed maps.
        """
        ...

    def clusters(self, inside: np.ndarray) -> Clusters:
        """Label connected cells of a mask; corners touch."""
        ...

    def extrema(self, inside: np.ndarray, values: np.ndarray) -> np.ndarray:
        """(cells,) bool: above 0 and no neighbour larger, or below 0 and none smaller.

        Cells outside of the mask count as 0; corners touch.
        """
        ...

    def edges(self, image: np.ndarray, fwhm_mm: float) -> np.ndarray:
        """Magnitude of a block's gradient after smoothing by this width, shape of the block."""
        ...

    def holds(self, shape: tuple[int, ...], affine: np.ndarray | None) -> bool:
        """Tell whether a whole of this shape, and with this affine if it has one, is of its kind.

        That is: whether its cells lie where those of the space's own whole do, to 0.001 mm.
        """
        ...

    def placed(self, affine: np.ndarray) -> "Space":
        """Give the space over one person's image, which has this affine; itself where common."""
        ...

    def same_whole(self, other: "Space") -> bool:
        """Tell whether two spaces were cut out of wholes whose cells lie at the same places."""
        ...

    def facts(self) -> dict[str, Any]:
        """Say for a sidecar which part of the whole the block is."""
        ...

    def write(self, path: Path, block: np.ndarray, sidecar: Mapping[str, Any]) -> None:
        """Write values of the block, put back, as float32 with a sidecar; whole or not at all.

        Parameters
        ----------
        path
            Ends in `extension`; the sidecar is called the same with ``.json``.
        block
            Of `shape`.
        sidecar
            What the JSON file says.
        """
        ...

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, for JSON; `bidsapp.spaces.read_space` reads them again."""
        ...


def everywhere(space: Space) -> np.ndarray:
    """Give the mask of all cells, bool of the space's shape."""
    return np.ones(space.shape, bool)


def relative_sizes(space: Space, inside: np.ndarray | None = None) -> np.ndarray:
    """Give the sizes of cells over their mean, (cells,) float64; exactly 1 where all are alike.

    So a weighted mean over cells of one size has the bits of the plain one.
    """
    sizes = np.asarray(space.sizes(inside), np.float64)
    if not len(sizes) or np.all(sizes == sizes[0]):
        return np.ones(len(sizes))
    return np.asarray(sizes / sizes.mean())
