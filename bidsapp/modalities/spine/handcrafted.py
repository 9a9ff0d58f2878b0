"""Handcrafted features of a region: texture, and how wide the foramen's bright channel is.

Measured in one mirrored picture alone, for models without a network. Texture: co-occurrence
matrices (Haralick et al. 1973) and uniform local binary patterns (Ojala et al. 2002), by
scikit-image. Width: what is bright in T2w (fluid and fat) in the outer part of the region, where
the nerve leaves the canal, is taken for the foramen's channel and measured in mm. That is a proxy:
nobody outlined the foramen.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bidsapp.intake.images import read_numbers
from bidsapp.modalities.spine.home import box_of

LEVELS = 32
"""Grey levels of the co-occurrence matrices."""
DISTANCES = (2, 6)
"""Distances in cells at which pairs are counted, about 0.6 and 1.7 mm of a box of 28 mm."""
ANGLES = (0.0, np.pi / 4, np.pi / 2, 3 * np.pi / 4)
TEXTURES = ("contrast", "homogeneity", "energy", "correlation")
NEIGHBOURS, RADIUS = 8, 2
"""Neighbours and radius in cells of the local binary patterns."""
CHANNEL = (0.4, 0.9)
"""The part of the region, from the midline outwards, in which the channel is measured."""
_SMOOTH_MM = 0.5


def features_of(image: Path) -> Mapping[str, float]:
    """Measure the features of a prepared region, from its picture and the box of its sidecar.

    Raises
    ------
    NoInput, BadData
        Picture or sidecar cannot be read, or do not belong together.
    """
    values, _ = read_numbers(image)
    box, _ = box_of(image)
    cells = np.linalg.norm(box.affine[:3, :2], axis=0)
    return handcrafted_features(values[..., 0], (float(cells[0]), float(cells[1])))


def handcrafted_features(picture: np.ndarray, cell_mm: tuple[float, float]) -> Mapping[str, float]:
    """Measure the features of one region.

    Parameters
    ----------
    picture
        (size, size), 0 to 1; x from the midline outwards, y to the front.
    cell_mm
        Size of a cell along x and y in the person, as boxes of all sizes become one picture.

    Returns
    -------
    dict
        Name to finite number. ``width_…`` in mm, ``area`` in mm²; all others have no unit.
    """
    grey = np.clip(np.rint(np.asarray(picture) * 255), 0, 255).astype(np.uint8)
    return {**_moments(grey), **_texture(grey), **_patterns(grey), **_widths(grey, cell_mm)}


def _moments(grey: np.ndarray) -> dict[str, float]:
    values = grey.astype(float).ravel() / 255
    mean, sd = float(values.mean()), float(values.std())
    skew = float((((values - mean) / sd) ** 3).mean()) if sd > 0 else 0.0
    return {"mean": mean, "sd": sd, "skew": skew}


def _texture(grey: np.ndarray) -> dict[str, float]:
    """Average properties of the co-occurrence matrices over four directions."""
    from skimage.feature import graycomatrix, graycoprops

    counts = graycomatrix(
        grey // (256 // LEVELS), DISTANCES, ANGLES, LEVELS, symmetric=True, normed=True
    )
    found = {}
    for name in TEXTURES:
        by_distance = graycoprops(counts, name).mean(axis=1)
        for distance, value in zip(DISTANCES, by_distance, strict=True):
            found[f"glcm_{name}_{distance}"] = float(value)
    return found


def _patterns(grey: np.ndarray) -> dict[str, float]:
    """Give the shares of the uniform patterns, and of all others together."""
    from skimage.feature import local_binary_pattern

    codes = local_binary_pattern(grey, NEIGHBOURS, RADIUS, method="uniform").astype(int)
    shares = np.bincount(codes.ravel(), minlength=NEIGHBOURS + 2) / codes.size
    return {f"lbp_{number}": float(share) for number, share in enumerate(shares)}


def _widths(grey: np.ndarray, cell_mm: tuple[float, float]) -> dict[str, float]:
    """Measure what is bright in the outer part: across it, and by the circles that fit into it."""
    from scipy.ndimage import distance_transform_edt, gaussian_filter
    from skimage.filters import threshold_otsu
    from skimage.morphology import skeletonize

    smooth = gaussian_filter(grey.astype(float), [_SMOOTH_MM / mm for mm in cell_mm])
    bright = smooth > threshold_otsu(smooth) if np.ptp(smooth) > 0 else np.zeros(grey.shape, bool)
    first, last = (round(share * len(grey)) for share in CHANNEL)
    # measured in the whole picture, so that where the part ends is no edge
    radius = distance_transform_edt(np.pad(bright, 1), sampling=cell_mm)[1:-1, 1:-1]
    middle = skeletonize(bright)
    part, radius, middle = (one[first:last] for one in (bright, radius, middle))
    across = np.array([longest_run(column) for column in part]) * cell_mm[1]
    along = 2 * radius[middle]
    return {
        "width_narrow": float(np.quantile(across, 0.1)),
        "width_median": float(np.median(across)),
        "width_wide": float(np.quantile(across, 0.9)),
        "width_circle": float(2 * radius.max()),
        "width_middle": float(np.median(along)) if along.size else 0.0,
        "area": float(part.sum() * cell_mm[0] * cell_mm[1]),
        "open": float((across > 0).mean()),
    }


def longest_run(row: np.ndarray) -> int:
    """Count the cells of the longest unbroken run of truths."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], row.astype(np.int8), [0]))))
    return int((edges[1::2] - edges[::2]).max(initial=0))
