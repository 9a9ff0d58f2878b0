"""Insertion and deletion: the answer as voxels are taken away, or given, in a map's order."""

from collections.abc import Callable, Sequence

import numpy as np

SHARES = (0.02, 0.1, 0.3)
"""Shares of the mask's voxels that are replaced, the strongest first."""


def perturbation_curves(
    ask: Callable[[np.ndarray], np.ndarray],
    image: np.ndarray,
    fill: np.ndarray,
    inside: np.ndarray,
    orders: Sequence[np.ndarray],
) -> np.ndarray:
    """Follow the answer while voxels of an image give way to another image, and the other way.

    After Petsiuk et al. 2018 (RISE); in place of grey, voxels are replaced by those of `fill`,
    the mean image of the training people, which keeps the input a head.

    Parameters
    ----------
    ask
        Maps images (n, C, X, Y, Z) to n answers.
    image, fill
        (C, X, Y, Z).
    inside
        (X, Y, Z) bool; voxels outside are left alone.
    orders
        Several (voxels of `inside`,) arrays; the largest value goes first.

    Returns
    -------
    numpy.ndarray
        (orders, 2, shares) answers: deletion, then insertion.
    """
    place = np.flatnonzero(inside.ravel())
    whole, other = image.reshape(len(image), -1), fill.reshape(len(fill), -1)
    variants = []
    for order in orders:
        ranked = place[np.argsort(-np.asarray(order), kind="stable")]
        for start, end in ((whole, other), (other, whole)):
            for share in SHARES:
                taken = ranked[: max(1, round(share * len(ranked)))]
                changed = start.copy()
                changed[:, taken] = end[:, taken]
                variants.append(changed.reshape(image.shape))
    return ask(np.stack(variants)).reshape(len(orders), 2, len(SHARES))


def gaps(curves: np.ndarray, ends: np.ndarray | None = None) -> tuple[float, float]:
    """How much better the first order is than the mean of the others.

    Parameters
    ----------
    curves
        From `perturbation_curves`.
    ends
        Answers to image and fill, shape (2,), for maps that do not say which way the answer goes:
        what counts is then how far it moves from there.

    Returns
    -------
    deletion, insertion
        Mean over shares, in units of the answer: by how much further it fell, and rose; with
        `ends`, by how much further it moved.
    """
    if ends is not None:
        moved = np.abs(curves - np.asarray(ends)[None, :, None])
        curves = moved * np.array([-1.0, 1.0])[None, :, None]
    mean = curves.mean(axis=2)
    others = mean[1:].mean(axis=0)
    return float(others[0] - mean[0, 0]), float(mean[0, 1] - others[1])
