"""N4: the smooth field by which intensities of one tissue differ, fitted by cubic B-splines.

Computed here, by the steps and with the constants of ITK's filter
(`itk::N4BiasFieldCorrectionImageFilter`, Apache License 2.0); on a grid, sums over control points
are products of three small matrices, so that an iteration takes a tenth of the time.
"""

from collections.abc import Sequence
from functools import reduce

import numpy as np

BINS = 200
_PADDED = 512
FWHM = 0.15  # of the Gaussian by which a bias field is taken to blur the histogram
NOISE = 0.01  # of the Wiener filter
_LEAST = 1e-9
_ORDER = 3
FIRST_POINTS = 4  # control points along each axis at the first level


def fit_log_bias(
    image: np.ndarray, inside: np.ndarray, iterations: Sequence[int], tolerance: float
) -> np.ndarray:
    """Fit the logarithm of the bias field.

    Parameters
    ----------
    image
        (x, y, z), not below 0.
    inside
        (x, y, z) bool: the voxels that count.
    iterations
        The most at each level; each level has twice as many spans of the spline as the one before.
    tolerance
        A level ends when the field changes by less: the coefficient of variation of the ratio.

    Returns
    -------
    ndarray
        Control points (a, b, c) of the spline; NaN where it could not be fitted.

    References
    ----------
    Tustison et al., N4ITK: Improved N3 Bias Correction, IEEE TMI 2010. Sled et al., A nonparametric
    method for automatic correction of intensity nonuniformity in MRI data, IEEE TMI 1998 (the
    histogram without its blur). Lee et al., Scattered data interpolation with multilevel B-splines,
    IEEE TVCG 1997.
    """
    values = np.asarray(image[inside], dtype=np.float64)
    log = np.log(values, out=np.zeros_like(values), where=values > 0)
    points = np.zeros((FIRST_POINTS,) * 3)
    if not values.size:
        return np.full_like(points, np.nan)
    field = np.zeros_like(log)
    for level, most in enumerate(iterations):
        if level:
            points = _refined(points)
        spline = _Spline(inside, points.shape)
        for _ in range(most):
            flat = log - field
            sharp = _sharpened(flat)
            if sharp is None:
                return np.full_like(points, np.nan)
            points = points + spline.fit(flat - sharp)
            before, field = field, spline.at(points)
            ratio = np.exp(field - before)
            if not ratio.std(ddof=1) > tolerance * ratio.mean():
                break
    return points


def log_bias_on(points: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Evaluate the spline on a grid (x, y, z) that spans what it was fitted on; float32."""
    weights = [_weights(size, count) for size, count in zip(shape, points.shape, strict=True)]
    return _contracted(points.astype(np.float32), [w.T.astype(np.float32) for w in weights])


class _Spline:
    """Least squares by Lee's rule on the voxels of a mask."""

    def __init__(self, inside: np.ndarray, counts: tuple[int, ...]) -> None:
        self.inside = inside
        self.weights = [_weights(size, n) for size, n in zip(inside.shape, counts, strict=True)]
        squares = [weight**2 for weight in self.weights]
        self.cubes = [weight**3 for weight in self.weights]
        self.omega = _contracted(inside.astype(np.float64), squares)
        lines = np.ix_(*(square.sum(axis=0) for square in squares))
        self.sums = reduce(np.multiply, lines)[inside]

    def fit(self, values: np.ndarray) -> np.ndarray:
        """Control points for values at the voxels of the mask."""
        volume = np.zeros(self.inside.shape)
        volume[self.inside] = values / self.sums
        delta = _contracted(volume, self.cubes)
        return np.divide(delta, self.omega, out=np.zeros_like(delta), where=self.omega > 0)

    def at(self, points: np.ndarray) -> np.ndarray:
        """Values of the spline at the voxels of the mask."""
        return _contracted(points, [weight.T for weight in self.weights])[self.inside]


def _contracted(volume: np.ndarray, matrices: Sequence[np.ndarray]) -> np.ndarray:
    """Multiply each axis of a volume by a matrix (new, old)."""
    for matrix in matrices:
        volume = np.tensordot(volume, matrix, axes=(0, 1))
    return volume


def _weights(size: int, count: int) -> np.ndarray:
    """Weight of each control point at each of so many places from end to end: (count, size)."""
    spans = count - _ORDER
    places = np.linspace(0.0, spans, size) if size > 1 else np.zeros(1)
    first = np.minimum(places.astype(int), spans - 1)
    t = places - first
    pieces = (1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, 3 * (t + t**2 - t**3) + 1, t**3
    weights = np.zeros((count, size))
    for piece, values in enumerate(pieces):
        weights[first + piece, np.arange(size)] = values / 6
    return weights


def _refined(points: np.ndarray) -> np.ndarray:
    """Control points of the same spline with every span halved."""
    count = points.shape[0]
    matrix = np.zeros((2 * count - _ORDER, count))
    for row in range(len(matrix)):
        first = row // 2
        if row % 2:
            matrix[row, first : first + 3] = 1 / 8, 6 / 8, 1 / 8
        else:
            matrix[row, first : first + 2] = 1 / 2, 1 / 2
    return _contracted(points, [matrix] * 3)


def _sharpened(values: np.ndarray) -> np.ndarray | None:
    """Take from log intensities the blur of a bias field; None where all are alike."""
    low, high = values.min(), values.max()
    if not high > low:
        return None
    slope = (high - low) / (BINS - 1)
    at = (values - low) / slope
    below = np.minimum(at.astype(int), BINS - 2)
    share = at - below
    start = (_PADDED - BINS) // 2
    counts = np.bincount(below + start, 1 - share, _PADDED)
    counts += np.bincount(below + start + 1, share, _PADDED)
    blur = _blur(FWHM / slope)
    wiener = blur / (blur * blur + NOISE)
    sharp = np.maximum(np.fft.irfft(np.fft.rfft(counts) * wiener, _PADDED), 0)
    levels = low + (np.arange(_PADDED) - start) * slope
    above, under = (
        np.fft.irfft(np.fft.rfft(some) * blur, _PADDED) for some in (levels * sharp, sharp)
    )
    # where next to no voxel is left the quotient is of rounding errors: such values stay
    means = np.divide(above, under, out=levels, where=under > _LEAST * under.max())
    return np.interp(at, np.arange(BINS), means[start : start + BINS])


def _blur(fwhm: float) -> np.ndarray:
    """Fourier transform of a Gaussian of so many bins, which is real."""
    steps = np.minimum(np.arange(_PADDED), _PADDED - np.arange(_PADDED))
    gaussian = np.exp(-4 * np.log(2) * (steps / fwhm) ** 2) * 2 * np.sqrt(np.log(2) / np.pi) / fwhm
    return np.fft.rfft(gaussian).real
