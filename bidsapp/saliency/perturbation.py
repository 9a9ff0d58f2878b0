"""Insertion and deletion: the answer as voxels are taken away, or given, in a map's order."""

from collections.abc import Callable, Iterable

import numpy as np

from bidsapp.saliency.aggregate import count_of

SHARES = (0.02, 0.1, 0.3)
"""Shares of the mask's voxels that are replaced, the strongest first."""


def perturbation_curves(
    ask: Callable[[np.ndarray], np.ndarray],
    image: np.ndarray,
    fill: np.ndarray,
    inside: np.ndarray,
    orders: Iterable[np.ndarray],
    sizes: np.ndarray | None = None,
) -> np.ndarray:
    """Follow the answer while voxels of an image give way to another image, and the other way.

    After Petsiuk et al. 2018 (RISE); in place of grey, voxels are replaced by those of `fill`,
    the mean image of the training people, which keeps the input a head.

    Parameters
    ----------
    ask
        Maps images (n, C, X, Y, Z) to n answers.
    image, fill
        (C, X, Y[, Z]).
    inside
        (X, Y[, Z]) bool; voxels outside are left alone.
    orders
        Several (voxels of `inside`,) arrays; the largest value goes first.
    sizes
        (voxels of `inside`,) how much each stands for in a share; all the same by default.

    Returns
    -------
    numpy.ndarray
        (orders, 2, shares) answers: deletion, then insertion.
    """
    place = np.flatnonzero(inside.ravel())
    whole, other = image.reshape(len(image), -1), fill.reshape(len(fill), -1)
    curves = []
    for order in orders:
        first = np.argsort(-np.asarray(order), kind="stable")
        ranked = place[first]
        large = np.ones(len(place)) if sizes is None else sizes[first]
        variants = []
        for start, end in ((whole, other), (other, whole)):
            for share in SHARES:
                taken = ranked[: count_of(share, large)]
                changed = start.copy()
                changed[:, taken] = end[:, taken]
                variants.append(changed.reshape(image.shape))
        curves.append(ask(np.stack(variants)).reshape(2, len(SHARES)))
    return np.array(curves).reshape(-1, 2, len(SHARES))


def effects(curves: np.ndarray, ends: np.ndarray, either_way: bool = False) -> np.ndarray:
    """How far the answer fell as voxels were taken away, and rose as they were given.

    Parameters
    ----------
    curves
        From `perturbation_curves`.
    ends
        Answers to image and fill, shape (2,).
    either_way
        For maps that do not say which way the answer goes: how far it moved.

    Returns
    -------
    numpy.ndarray
        (orders, 2): deletion and insertion, mean over shares, in units of the answer; larger where
        the voxels that went first matter more.
    """
    fell, rose = ends[0] - curves[:, 0], curves[:, 1] - ends[1]
    both = np.stack([fell, rose], axis=1)
    return np.asarray((np.abs(both) if either_way else both).mean(axis=2))
