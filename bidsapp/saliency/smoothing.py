"""Gaussian smoothing in millimetres inside a mask, without drawing in what lies outside."""

import numpy as np

FWHM_PER_SIGMA = float(np.sqrt(8 * np.log(2)))
_TRUNCATE = 4.0


class MaskedSmoother:
    """Smooth many maps on one grid inside one mask.

    The smoothed map is ``G(m·f) / G(m)`` at the voxels of the mask ``m``: a weighted mean of the
    mask's own voxels (normalised convolution, Knutsson & Westin 1993,
    doi:10.1109/CVPR.1993.341081), so that a map does not fade towards the rim of the brain or of a
    slab. It is linear: the smoothed mean is the mean of the smoothed maps.

    Parameters
    ----------
    inside
        (x, y, z) bool, the voxels that are kept.
    zooms
        Voxel size in mm along x, y, z.
    fwhm_mm
        Full width at half maximum in mm; 0 changes nothing.
    """

    def __init__(
        self, inside: np.ndarray, zooms: tuple[float, float, float], fwhm_mm: float
    ) -> None:
        self.inside = np.asarray(inside, bool)
        self.fwhm_mm = float(fwhm_mm)
        self._sigma = [self.fwhm_mm / FWHM_PER_SIGMA / zoom for zoom in zooms]
        # Nothing further away than the kernel reaches can matter, so empty rims are cut off.
        self._box = bounding_box(self.inside)
        self._mask = self.inside[self._box]
        if self.fwhm_mm > 0:
            self._weight = self._filter(self._mask.astype(np.float32))[self._mask]

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Smooth one map, given and returned as (voxels of the mask,) float32 in C order."""
        values = np.asarray(values, np.float32)
        if self.fwhm_mm == 0:
            return values
        block = np.zeros(self._mask.shape, np.float32)
        block[self._mask] = values
        return self._filter(block)[self._mask] / self._weight

    def _filter(self, block: np.ndarray) -> np.ndarray:
        from scipy.ndimage import gaussian_filter

        return gaussian_filter(block, self._sigma, mode="constant", truncate=_TRUNCATE)


def bounding_box(inside: np.ndarray) -> tuple[slice, ...]:
    """Give the smallest box that holds every voxel of a mask, a slice for each axis."""
    box = []
    for axis in range(inside.ndim):
        others = tuple(a for a in range(inside.ndim) if a != axis)
        places = np.flatnonzero(inside.any(axis=others))
        box.append(slice(int(places[0]), int(places[-1]) + 1) if len(places) else slice(0, 0))
    return tuple(box)
