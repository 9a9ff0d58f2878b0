"""Scaling of images whose unit means nothing, each by itself."""

import numpy as np

# The interquartile range of a normal distribution, in standard deviations.
IQR_PER_SD = 1.3489795


def robust_scaling(volume: np.ndarray) -> np.ndarray:
    """Give the brain median 0 and interquartile range 1.349, and the background 0.

    Min–max hangs on two voxels, the brightest of which is often a vessel: in a cohort the mean of
    the brain then differs between people by a factor of two, which says nothing about them.

    Parameters
    ----------
    volume
        Normalised image, (X, Y, Z), 0 outside of the brain.

    Returns
    -------
    numpy.ndarray
        float32, the same shape; a unit is the standard deviation that a normal distribution with
        this interquartile range has.

    Raises
    ------
    ValueError
        If the image is 0 everywhere, or half of its brain has one value.
    """
    brain = volume != 0
    if not brain.any():
        raise ValueError("it is 0 everywhere")
    low, middle, high = np.percentile(volume[brain], (25, 50, 75))
    if not high > low:
        raise ValueError("half of its brain or more has one and the same value")
    scaled = (volume - np.float32(middle)) * np.float32(IQR_PER_SD / (high - low))
    return np.where(brain, scaled, np.float32(0)).astype(np.float32)
