"""One person's BOLD series reduced by PCA before a group ICA; each person by themselves."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh

from bidsapp.errors import BadData

# Eigenvalues below this share of the largest are rounding, not signal.
_RANK = 1e-6


@dataclass(frozen=True)
class Reduction:
    """The strongest principal components of one person's series.

    Attributes
    ----------
    components
        Images over the mask, float32, shape (K, V); each has mean 0 and variance 1 over voxels
        and is uncorrelated with the others.
    share
        Which share of the standardised series' variance they hold, 0 to 1.
    """

    components: np.ndarray
    share: float


def standardised(series: np.ndarray) -> np.ndarray:
    """Give every voxel mean 0 and variance 1 over time, then every volume mean 0 over voxels.

    Without this the ICA would find the brightest vessels, and the global signal, first.

    Parameters
    ----------
    series
        Denoised values inside the mask, shape (T, V); a voxel that does not change becomes 0.

    Returns
    -------
    numpy.ndarray
        float32, shape (T, V).

    Raises
    ------
    BadData
        A value is not finite, or no voxel changes.
    """
    values = np.array(series, np.float32)
    if values.ndim != 2 or not np.isfinite(values).all():
        raise BadData("a series of shape (volumes, voxels) of finite numbers is expected")
    values -= values.mean(axis=0, dtype=np.float64).astype(np.float32)
    sd = np.sqrt(np.einsum("tv,tv->v", values, values, dtype=np.float64) / len(values))
    changes = sd > 1e-6 * sd.max(initial=0.0)
    if not changes.any():
        raise BadData("no voxel of the series changes over time")
    values *= np.where(changes, 1 / np.where(changes, sd, 1), 0).astype(np.float32)
    values -= values.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
    return values


def reduce_person(series: np.ndarray, components: int = 64) -> Reduction:
    """Reduce one person's series to its strongest principal components, whitened.

    Whitened, every person has the same weight in the group, however strong their signal (as in
    GIFT, and in CanICA, where the step that follows is a canonical correlation analysis).

    Parameters
    ----------
    series
        Denoised values inside the mask, shape (T, V).
    components
        How many to keep.

    Returns
    -------
    Reduction

    Raises
    ------
    BadData
        The series is too short, or too little of it is left after denoising, for so many
        components.

    Notes
    -----
    Exact, by the eigenvectors of the T × T covariance of volumes: T is a few hundred, V a few
    hundred thousand. Source of the procedure: Calhoun et al. (2001), doi:10.1002/hbm.1048.
    """
    values = standardised(series)
    covariance = (values @ values.T).astype(np.float64) / values.shape[1]
    eigenvalues, vectors = eigh(covariance)
    eigenvalues, vectors = eigenvalues[::-1], vectors[:, ::-1]
    rank = int(np.count_nonzero(eigenvalues > _RANK * eigenvalues[0]))
    if components > rank:
        raise BadData(
            f"its {len(values)} volumes hold {rank} components after denoising, and "
            f"{components} are asked for: set representation.fitted.group_ica.reduction to {rank} "
            "or less, or leave the person out"
        )
    vectors = _signed(vectors[:, :components])
    weights = vectors / np.sqrt(eigenvalues[:components])
    share = eigenvalues[:components].sum() / eigenvalues[eigenvalues > 0].sum()
    return Reduction(weights.T.astype(np.float32) @ values, float(share))


def _signed(vectors: np.ndarray) -> np.ndarray:
    """Give every column the sign that makes its largest entry positive."""
    largest = vectors[np.abs(vectors).argmax(axis=0), np.arange(vectors.shape[1])]
    return vectors * np.where(largest < 0, -1, 1)
