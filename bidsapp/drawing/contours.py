"""Contours of a slice as SVG paths."""

import numpy as np

# Paths are written in tenths of a pixel, so that whole numbers are exact enough.
UNITS = 10
_STEP = 2  # pixels of the picture per cell of the contour's grid
_SMOOTH_VOXELS = 0.6  # rounds the stairs of a mask; the outline moves by less than 0.3 voxel


def contour_path(
    plane: np.ndarray, level: float, size: tuple[int, int], *, shortest: int = 3
) -> str:
    """Trace where a slice crosses a level.

    Parameters
    ----------
    plane
        Slice as it is shown (rows down, columns right). A boolean one is smoothed by 0.6 voxel
        so that its outline is no staircase.
    level
        Value to trace, in units of `plane` (of 0 to 1 where it is boolean).
    size
        Width and height of the picture in pixels that the path will lie on.
    shortest
        Lines of fewer points are left out.

    Returns
    -------
    str
        Value of the attribute ``d``, in tenths of a pixel; empty where nothing crosses. A region
        that reaches the border of the slice is closed along that border.
    """
    from contourpy import LineType, contour_generator

    if not plane.any():
        return ""
    surface, level = _surface(plane, level, size)
    scale = np.array([size[0] / surface.shape[1], size[1] / surface.shape[0]])
    closed = np.pad(surface, 1, constant_values=min(float(surface.min()), level - 1))
    generator = contour_generator(z=closed, name="serial", line_type=LineType.Separate)
    parts = []
    for line in generator.lines(level):
        if len(line) < shortest:
            continue
        # One cell of padding, and the centre of a cell lies half a cell inside it.
        points = np.rint((np.asarray(line) - 0.5) * scale * UNITS)
        parts.append(_relative(np.clip(points, 0, np.array(size) * UNITS).astype(int)))
    return "".join(parts)


def _surface(plane: np.ndarray, level: float, size: tuple[int, int]) -> tuple[np.ndarray, float]:
    from PIL import Image, ImageFilter

    cells = (max(2, size[0] // _STEP), max(2, size[1] // _STEP))
    if plane.dtype != bool:
        image = Image.fromarray(np.ascontiguousarray(plane, dtype=np.float32))
        return np.asarray(image.resize(cells, Image.Resampling.BICUBIC)), level
    image = Image.fromarray(np.ascontiguousarray(plane, dtype=np.uint8) * 255)
    radii = tuple(
        _SMOOTH_VOXELS * cell / voxels
        for cell, voxels in zip(cells, plane.shape[::-1], strict=True)
    )
    image = image.resize(cells, Image.Resampling.BICUBIC)
    image = image.filter(ImageFilter.GaussianBlur((radii[0], radii[1])))
    return np.asarray(image, dtype=np.float32), level * 255


def _relative(points: np.ndarray) -> str:
    """Write a line as one absolute point and steps from it."""
    steps = np.diff(points, axis=0)
    steps = steps[steps.any(axis=1)]
    ending = "z" if (points[0] == points[-1]).all() else ""
    start = f"M{points[0, 0]} {points[0, 1]}l"
    text = " ".join(map(str, steps.ravel().tolist())).replace(" -", "-")
    return f"{start}{text}{ending}" if text else ""


def tissue_levels(image: np.ndarray, bins: int = 96) -> tuple[float, float]:
    """Split a brain's intensities into three classes of least variance within.

    In a T1w brain these are fluid, grey and white matter.

    Parameters
    ----------
    image
        Any shape; voxels of 0 and below are outside the brain.
    bins
        How finely the two levels are searched.

    Returns
    -------
    lower, upper : float
        Fluid to grey, and grey to white, in the units of `image`; both 0 for an empty image.

    References
    ----------
    N. Otsu, A threshold selection method from gray-level histograms, IEEE Transactions on
    Systems, Man, and Cybernetics 9 (1979), section on multithresholding.
    """
    values = image[np.isfinite(image) & (image > 0)]
    if values.size == 0:
        return 0.0, 0.0
    counts, edges = np.histogram(values, bins=bins)
    centres = (edges[:-1] + edges[1:]) / 2
    weight = np.concatenate([[0], np.cumsum(counts)]).astype(float)
    total = np.concatenate([[0], np.cumsum(counts * centres)])

    def spread(low: np.ndarray, high: np.ndarray) -> np.ndarray:
        mass = weight[high] - weight[low]
        return (total[high] - total[low]) ** 2 / np.maximum(mass, 1)

    first, second = np.triu_indices(bins + 1, k=1)
    end = np.full_like(first, bins)
    between = spread(np.zeros_like(first), first) + spread(first, second) + spread(second, end)
    best = int(np.argmax(between))
    return float(edges[first[best]]), float(edges[second[best]])
