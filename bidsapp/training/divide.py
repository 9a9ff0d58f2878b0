"""Dividing groups into folds, or into two parts, evenly and by one random generator."""

import numpy as np


def into_folds(
    counts: np.ndarray, folds: int, rng: np.random.Generator, stratified: bool
) -> np.ndarray:
    """Give every group a fold so that folds are alike in size and, if asked, in outcome.

    Groups are drawn at random and placed largest first, each where it unbalances least. With
    groups of one person, class sizes differ by at most one between folds, and so do fold sizes.

    Parameters
    ----------
    counts
        Shape (G, 2): negatives and positives of each group.

    Returns
    -------
    numpy.ndarray
        Fold of each group, 0 to ``folds - 1``.
    """
    order = rng.permutation(len(counts))
    size = counts.sum(axis=1)
    share = counts[:, 1] / size
    # Positives before negatives: the class placed last evens out what the first left uneven.
    keys = (-share[order], -size[order]) if stratified else (-size[order],)
    order = order[np.lexsort(keys)]
    target = np.maximum(counts.sum(axis=0) / folds, 1e-9)
    placed = np.zeros((folds, 2))
    fold_of = np.zeros(len(counts), int)
    for group in order:
        total = placed.sum(axis=1)
        if stratified:
            excess = ((placed + counts[group]) / target) ** 2 - (placed / target) ** 2
            fold = np.lexsort((total, excess.sum(axis=1).round(9)))[0]
        else:
            fold = int(np.argmin(total))
        fold_of[group] = fold
        placed[fold] += counts[group]
    return fold_of


def in_two(
    counts: np.ndarray, share: float, rng: np.random.Generator, stratified: bool
) -> np.ndarray:
    """Draw groups at random until `share` of the participants is set aside.

    A group that would overshoot is left out, so a part can be smaller than asked where groups are
    large; with groups of one person the share is met to the nearest person (of each class, if
    stratified), and never less than one.

    Returns
    -------
    numpy.ndarray
        True for the groups set aside, shape (G,).
    """
    total = counts.sum(axis=0)
    target = np.maximum(np.round(share * total), np.minimum(1, total))
    whole = max(1.0, round(share * total.sum()))
    aside = np.zeros(len(counts), bool)
    taken = np.zeros(2)
    for group in rng.permutation(len(counts)):
        after = taken + counts[group]
        if (after <= target).all() if stratified else after.sum() <= whole:
            aside[group] = True
            taken = after
    return aside
