"""The region of an injection: cut from one slice, mirrored to one side, scaled for a network."""

from dataclasses import dataclass

import numpy as np

from bidsapp.errors import BadData
from bidsapp.modalities.spine.midline import Midline
from bidsapp.modalities.spine.roi_table import Roi
from bidsapp.modalities.spine.stack import Plane, Stack
from bidsapp.spaces import Slice
from bidsapp.spaces.slice import picture

LARGEST = 255
LABEL = "foramen"
"""Value of BIDS' ``space`` of pictures: what they have in common."""
FRAME_MM = 30.0
"""Width and depth of the frame that pictures have in common, about those of a box."""
LEAST_PIXELS = 4
"""Pixels along each side that have to be left of a region."""


@dataclass(frozen=True)
class Region:
    """What is made of one injection.

    Attributes
    ----------
    slice
        The whole slice, resampled to the stated size of a pixel; x to the right, y to the front.
    space
        The box on that slice on the injected side of the midline, as a picture, mirrored where the
        side is left; the way back to the person.
    picture
        What a network sees, (size, size) uint8: x from the midline outwards, y to the front.
    midline_mm
        How far the midline lies from the left edge of `slice`, in mm.
    cut_share
        Share of the box that lay beyond the midline and was cut off.
    window
        Intensities that became 0 and 255.
    """

    slice: Plane
    space: Slice
    picture: np.ndarray
    midline_mm: float
    cut_share: float
    window: tuple[float, float]

    @property
    def box(self) -> tuple[int, int, int, int]:
        """First and last pixel of the region in `slice`: x0, x1, y0, y1."""
        (x, y), (width, depth) = self.space.start, self.space.extent
        return x, x + width - 1, y, y + depth - 1

    @property
    def region(self) -> Plane:
        """The region, not mirrored, on its own grid."""
        x0, x1, y0, y1 = self.box
        affine = self.slice.affine.copy()
        affine[:3, 3] += affine[:3, :2] @ (x0, y0)
        return Plane(self.slice.values[x0 : x1 + 1, y0 : y1 + 1], affine)


def make_region(
    stack: Stack,
    roi: Roi,
    midline: Midline,
    *,
    pixel_mm: float = 0.5,
    thickness_mm: float = 3.0,
    size: int = 100,
    percentiles: tuple[float, float] = (1.0, 99.0),
) -> Region:
    """Cut out the region of an injection.

    The slice is resampled in plane, cut at the midline, the box is taken from the injected half,
    its intensities are brought to 0..255 between two percentiles, a left one is mirrored, and it
    is stretched to a square (Wang et al., J Pain Res: the rectangle with foramen, disc and facet,
    100 × 100).

    Parameters
    ----------
    stack
        The series.
    roi
        Where the foramen lies; it fits `stack`.
    midline
        Of the same slice.
    pixel_mm
        Size of a pixel after resampling.
    thickness_mm
        What thinner slices are averaged to.
    size
        Pixels along each side of the network's picture.
    percentiles
        Of the region's intensities, that become 0 and 255.

    Raises
    ------
    BadData
        The box lies on the other side of the midline than the injection, or hardly anything of it
        is left.
    """
    plane = stack.plane(roi.slice, thickness_mm)
    x0, x1, y0, y1 = stack.in_plane(roi.box)
    side = roi.injection.side
    if (x0 + x1) / 2 == midline.x or ((x0 + x1) / 2 > midline.x) != (side == "R"):
        wrong = "left" if side == "R" else "right"
        raise BadData(
            f"{roi.source}: the box of {roi.injection.label} lies on the patient's {wrong} (by the "
            f"affine; midline by {midline.how}). Correct the side or the box."
        )
    # edges in mm from the left and back edges of the plane
    edges = np.array([[x0, x1 + 1], [y0, y1 + 1]]) * plane.sizes[:, None]
    middle = (midline.x + 0.5) * float(plane.sizes[0])
    width = edges[0, 1] - edges[0, 0]
    edges[0] = np.maximum(edges[0], middle) if side == "R" else np.minimum(edges[0], middle)
    resampled = resample(plane, pixel_mm)
    space = _space(resampled, edges, size, mirrored=side == "L", roi=roi)
    picture, window = picture_of(resampled.values, space, percentiles)
    return Region(
        slice=resampled,
        space=space,
        picture=picture,
        midline_mm=middle,
        cut_share=float(1 - (edges[0, 1] - edges[0, 0]) / width),
        window=window,
    )


def picture_of(
    values: np.ndarray, space: Slice, percentiles: tuple[float, float]
) -> tuple[np.ndarray, tuple[float, float]]:
    """Cut a picture out of a resampled slice.

    Parameters
    ----------
    values
        Of the slice (x, y).
    space
        The box on it.
    percentiles
        Of the intensities in the box, that become 0 and 255.

    Returns
    -------
    picture, window
        uint8, of the shape of `space`; the intensities that became 0 and 255.
    """
    x, y = (slice(s, s + n) for s, n in zip(space.start, space.extent, strict=True))
    low, high = (float(v) for v in np.percentile(values[x, y], percentiles))
    scaled = np.clip((values - low) / (high - low if high > low else 1.0), 0, 1)
    seen = space.cut((scaled * LARGEST).astype(np.float32)[..., None])
    return np.rint(seen).astype(np.uint8), (low, high)


def common_frame(size: int) -> Slice:
    """Give the space of all pictures: x from the midline outwards, y to the front, mm nominal."""
    return picture((size, size), (FRAME_MM / size, FRAME_MM / size), LABEL)


def resample(plane: Plane, pixel_mm: float) -> Plane:
    """Resample a plane to square pixels; its left and back edges stay where they are.

    Before pixels grow, what they cannot hold is smoothed away (a Gaussian of half the ratio).
    """
    from scipy.ndimage import gaussian_filter, map_coordinates

    sizes = plane.sizes
    ratio = pixel_mm / sizes
    extent = np.array(plane.values.shape) * sizes
    shape = np.maximum(np.rint(extent / pixel_mm), 1).astype(int)
    sigma = 0.5 * np.sqrt(np.maximum(ratio**2 - 1, 0))
    smooth = gaussian_filter(plane.values, sigma, mode="nearest") if sigma.any() else plane.values
    at = [(np.arange(n) + 0.5) * r - 0.5 for n, r in zip(shape, ratio, strict=True)]
    values = map_coordinates(
        smooth, np.stack(np.meshgrid(*at, indexing="ij")), order=1, mode="nearest"
    )
    affine = plane.affine.copy()
    affine[:3, 3] += plane.affine[:3, :2] @ (at[0][0], at[1][0])
    affine[:3, :2] *= ratio
    return Plane(values.astype(np.float32), affine)


def _space(plane: Plane, edges: np.ndarray, size: int, *, mirrored: bool, roi: Roi) -> Slice:
    """Take the pixels whose centres lie between edges (2, 2), in mm from the plane's edges."""
    first = np.ceil(edges[:, 0] / plane.sizes - 0.5).astype(int).clip(0)
    end = np.ceil(edges[:, 1] / plane.sizes - 0.5).astype(int)
    width, depth = (int(n) for n in np.minimum(end, plane.values.shape) - first)
    if min(width, depth) < LEAST_PIXELS:
        raise BadData(
            f"{roi.source}: hardly anything of the box of {roi.injection.label} lies on the "
            f"injected side of the midline ({max(width, 0)} × {max(depth, 0)} pixels). Draw it "
            "again."
        )
    rows = tuple(tuple(float(x) for x in row) for row in plane.affine)
    shape = (*plane.values.shape, 1)
    return Slice(
        (shape[0], shape[1], 1),
        rows,
        axis=2,
        index=0,
        start=(int(first[0]), int(first[1])),
        extent=(width, depth),
        shape=(size, size),
        mirrored=mirrored,
        label=LABEL,
    )
