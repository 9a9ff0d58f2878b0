"""Correlations between regions, seen from the mean of the training people: the tangent space."""

from typing import Any, Self

import numpy as np

from bidsapp.errors import BadData

PREFIX = "region_connectivity_"
_SHRUNK = 0.1
_PASSES, _SETTLED = 20, 1e-7


def shrunk(z: np.ndarray) -> np.ndarray:
    """Turn rows of Fisher's z of all pairs into correlation matrices that have an inverse.

    Parameters
    ----------
    z
        (n, R (R - 1) / 2), in the order of ``numpy.triu_indices(R, 1)``. A pair that is missing is
        0.

    Returns
    -------
    numpy.ndarray
        (n, R, R): a tenth of the way to no correlation at all, as a series of few independent
        volumes has a matrix without an inverse.

    Raises
    ------
    BadData
        The columns are not those of all pairs, or somebody has no number at all.
    """
    count = round((1 + np.sqrt(1 + 8 * z.shape[1])) / 2)
    if count * (count - 1) // 2 != z.shape[1]:
        raise BadData(
            f"{z.shape[1]} columns {PREFIX}* are not all pairs of any number of regions; {count} "
            f"have {count * (count - 1) // 2}. Leave the columns as they were measured"
        )
    without = int(np.isnan(z).all(axis=1).sum())
    if without:
        raise BadData(
            f"{without} of {len(z)} people have none of the columns {PREFIX}*; measure them, or "
            "leave these people out"
        )
    rows, columns = np.triu_indices(count, 1)
    found = np.tile(np.eye(count), (len(z), 1, 1))
    r = (1 - _SHRUNK) * np.tanh(np.nan_to_num(z))
    found[:, rows, columns] = found[:, columns, rows] = r
    return found


def geometric_mean(matrices: np.ndarray, passes: int = _PASSES) -> np.ndarray:
    """Mean of symmetric positive matrices (n, R, R) by their own distance.

    Steps along the mean logarithm from the arithmetic mean on, until that is 0; Pennec et al.
    (2006), doi:10.1007/s11263-005-3222-z.

    Raises
    ------
    BadData
        So many steps did not reach it.
    """
    mean = matrices.mean(axis=0)
    for _ in range(passes):
        whitener, root = _power(mean, -0.5), _power(mean, 0.5)
        step = _log(whitener @ matrices @ whitener).mean(axis=0)
        values, vectors = np.linalg.eigh(step)
        mean = root @ (vectors * np.exp(values)) @ vectors.T @ root
        if np.linalg.norm(step) < _SETTLED * len(mean):
            return np.asarray((mean + mean.T) / 2)
    raise BadData(
        f"the mean of {len(matrices)} people's connectomes did not settle in {passes} steps"
    )


class TangentClassifier:
    """A penalised logistic regression on connectomes in the tangent space.

    The reference is the mean of those that it is fitted on (Varoquaux et al. 2010,
    doi:10.1007/978-3-642-15705-9_25); differences from it are scaled by their SD over these people.

    Parameters
    ----------
    model
        An unfitted classifier of scikit-learn.
    """

    def __init__(self, model: Any) -> None:
        self.model = model

    def fit(self, z: Any, outcome: np.ndarray) -> Self:
        """Fit on rows of Fisher's z (n, pairs) and their outcomes."""
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        matrices = shrunk(np.asarray(z, float))
        self.whitener_ = _power(geometric_mean(matrices), -0.5)
        self.fitted_ = make_pipeline(StandardScaler(), self.model)
        self.fitted_.fit(self._rows(matrices), outcome)
        return self

    def predict_proba(self, z: Any) -> np.ndarray:
        """Give the probability of both classes, (n, 2)."""
        found: np.ndarray = self.fitted_.predict_proba(self._rows(shrunk(np.asarray(z, float))))
        return found

    def _rows(self, matrices: np.ndarray) -> np.ndarray:
        return tangent(matrices, self.whitener_)


def tangent(matrices: np.ndarray, whitener: np.ndarray) -> np.ndarray:
    """Logarithm of each matrix seen from a reference, as a row (n, R (R + 1) / 2).

    Parameters
    ----------
    matrices
        (n, R, R).
    whitener
        Inverse root of the reference.
    """
    rows, columns = np.tril_indices(len(whitener))
    return np.asarray(_log(whitener @ matrices @ whitener)[:, rows, columns])


def _log(matrices: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh((matrices + matrices.swapaxes(-1, -2)) / 2)
    scaled = vectors * np.log(np.maximum(values, 1e-12))[..., None, :]
    return np.asarray(scaled @ vectors.swapaxes(-1, -2))


def _power(matrix: np.ndarray, exponent: float) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * values**exponent) @ vectors.T)
