"""The region of an injection: cut from one slice, mirrored to one side, scaled for a network."""

from dataclasses import dataclass

import numpy as np

from bidsapp.errors import BadData
from bidsapp.modalities.spine.midline import Midline
from bidsapp.modalities.spine.roi_table import Roi
from bidsapp.modalities.spine.stack import Plane, Stack

LARGEST = 255


@dataclass(frozen=True)
class Region:
    """What is made of one injection.

    Attributes
    ----------
    slice
        The whole slice, resampled to the stated size of a pixel; x to the right, y to the front.
    region
        The box of the slice on the injected side of the midline, not mirrored.
    picture
        What a network sees: (size, size, 1), uint8. x grows from the midline outwards on whichever
        side it was, y to the front. Its affine leads to where each pixel lies in the person, so
        that it holds a mirror for left sides.
    midline_mm
        How far the midline lies from the left edge of `slice`, in mm.
    cut_share
        Share of the box that lay beyond the midline and was cut off.
    window
        Intensities that became 0 and 255.
    """

    slice: Plane
    region: Plane
    picture: Plane
    midline_mm: float
    cut_share: float
    window: tuple[float, float]


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
        The box lies on the other side of the midline than the injection, or nothing of it is left.
    """
    plane = stack.plane(roi.slice, thickness_mm)
    x0, x1, y0, y1 = stack.in_plane(roi.box)
    if (x0 + x1) / 2 == midline.x or ((x0 + x1) / 2 > midline.x) != (roi.injection.side == "R"):
        wrong = "left" if roi.injection.side == "R" else "right"
        raise BadData(
            f"{roi.source}: the box of {roi.injection.label} lies on the patient's {wrong} (by the "
            f"affine; midline by {midline.how}). Correct the side or the box."
        )
    # edges in mm from the left and back edges of the plane
    edges = np.array([[x0, x1 + 1], [y0, y1 + 1]]) * plane.sizes[:, None]
    middle = (midline.x + 0.5) * float(plane.sizes[0])
    width = edges[0, 1] - edges[0, 0]
    if roi.injection.side == "R":
        edges[0, 0] = max(edges[0, 0], middle)
    else:
        edges[0, 1] = min(edges[0, 1], middle)
    resampled = resample(plane, pixel_mm)
    region = crop(resampled, edges)
    low, high = (float(value) for value in np.percentile(region.values, percentiles))
    scaled = np.clip((region.values - low) / (high - low if high > low else 1.0), 0, 1) * LARGEST
    outward = Plane(scaled.astype(np.float32), region.affine)
    picture = stretch(mirrored(outward) if roi.injection.side == "L" else outward, size)
    return Region(
        slice=resampled,
        region=region,
        picture=Plane(np.rint(picture.values).clip(0, LARGEST).astype(np.uint8), picture.affine),
        midline_mm=middle,
        cut_share=float(1 - (edges[0, 1] - edges[0, 0]) / width),
        window=(low, high),
    )


def resample(plane: Plane, pixel_mm: float) -> Plane:
    """Resample a plane to square pixels; its left and back edges stay where they are."""
    extent = np.array(plane.values.shape) * plane.sizes
    shape = np.maximum(np.rint(extent / pixel_mm), 1).astype(int)
    return _sampled(plane, np.full(2, pixel_mm), shape)


def crop(plane: Plane, edges: np.ndarray) -> Plane:
    """Cut out the pixels whose centres lie between edges (2, 2), in mm from the plane's edges."""
    sizes = plane.sizes
    first = np.ceil(edges[:, 0] / sizes - 0.5).astype(int).clip(0)
    last = np.ceil(edges[:, 1] / sizes - 0.5).astype(int)
    values = plane.values[first[0] : last[0], first[1] : last[1]]
    if min(values.shape) < 2:
        raise BadData("nothing of the box is left on the injected side of the midline")
    return Plane(values, _moved(plane.affine, first))


def mirrored(plane: Plane) -> Plane:
    """Turn x round; the affine follows, so that every pixel stays where it lies in the person."""
    affine = _moved(plane.affine, np.array([plane.values.shape[0] - 1, 0]))
    affine[:3, 0] *= -1
    return Plane(np.ascontiguousarray(plane.values[::-1]), affine)


def stretch(plane: Plane, size: int) -> Plane:
    """Resample a plane to `size` × `size` pixels over the same rectangle."""
    extent = np.array(plane.values.shape) * plane.sizes
    return _sampled(plane, extent / size, np.array([size, size]))


def put_back(values: np.ndarray, picture_affine: np.ndarray, stack: Stack, index: int) -> Plane:
    """Bring a map of the network's picture home onto the slice it came from.

    Parameters
    ----------
    values
        (x, y) in the picture's pixels.
    picture_affine
        Of the picture, to RAS mm.
    stack, index
        The series, and the slice.

    Returns
    -------
    Plane
        On the pixels of ``stack.plane(index)``, 0 outside the picture; linear interpolation.
    """
    from scipy.ndimage import map_coordinates

    plane = stack.plane(index)
    shape = plane.values.shape
    places = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1).reshape(-1, 2)
    mm = places @ plane.affine[:3, :2].T + plane.affine[:3, 3]
    inverse = np.linalg.inv(picture_affine)
    at = (mm @ inverse[:3, :3].T + inverse[:3, 3])[:, :2]
    sizes = np.array(values.shape)
    inside = ((at > -0.5) & (at < sizes - 0.5)).all(axis=1)
    found = map_coordinates(
        np.asarray(values, dtype=np.float32), at[inside].T, order=1, mode="nearest"
    )
    home = np.zeros(len(at), dtype=np.float32)
    home[inside] = found
    return Plane(home.reshape(shape), plane.affine)


def _sampled(plane: Plane, pixel: np.ndarray, shape: np.ndarray) -> Plane:
    """Sample a plane at pixels of another size, from the same left and back edges on.

    Before pixels grow, what they cannot hold is smoothed away (a Gaussian of half the ratio).
    """
    from scipy.ndimage import gaussian_filter, map_coordinates

    sizes = plane.sizes
    ratio = pixel / sizes
    sigma = 0.5 * np.sqrt(np.maximum(ratio**2 - 1, 0))
    smooth = gaussian_filter(plane.values, sigma, mode="nearest") if sigma.any() else plane.values
    at = [(np.arange(shape[axis]) + 0.5) * pixel[axis] / sizes[axis] - 0.5 for axis in (0, 1)]
    grid = np.stack(np.meshgrid(*at, indexing="ij"))
    values = map_coordinates(smooth, grid, order=1, mode="nearest")
    affine = plane.affine.copy()
    affine[:3, :2] *= ratio
    first = np.array([at[0][0], at[1][0]])
    affine[:3, 3] = _moved(plane.affine, first)[:3, 3]
    return Plane(values.astype(np.float32), affine)


def _moved(affine: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Affine of pixels that begin at `first` (2,) of those of `affine`."""
    moved = affine.copy()
    moved[:3, 3] = affine[:3, :2] @ first + affine[:3, 3]
    return moved
