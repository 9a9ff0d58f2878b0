"""Which components become channels: all, those that look like networks, or by the outcome."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import ttest_ind

from bidsapp.errors import BadData
from bidsapp.representation.components.matching import Match


@dataclass(frozen=True)
class GroupDifference:
    """Component by component, how two groups differ in its strength.

    Attributes
    ----------
    p
        Of Student's t test with equal variances, two-sided, uncorrected, shape (C,).
    r
        Point-biserial correlation with the outcome, shape (C,); positive where it is stronger
        in the positives.
    """

    p: np.ndarray
    r: np.ndarray


def strengths(person_maps: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """Say how strong each component is in each person: their map's slope on the group's map.

    Parameters
    ----------
    person_maps
        Dual-regressed maps over the mask, shape (N, C, V).
    maps
        The group's maps, shape (C, V).

    Returns
    -------
    numpy.ndarray
        float64, shape (N, C).
    """
    centred = maps - maps.mean(axis=1, keepdims=True)
    weights = centred / (centred**2).sum(axis=1, keepdims=True)
    return np.array([np.einsum("cv,cv->c", person, weights) for person in person_maps], float)


def difference(strength: np.ndarray, outcome: np.ndarray) -> GroupDifference:
    """Compare the strength of every component between positives and negatives.

    Parameters
    ----------
    strength
        Shape (N, C): the training people alone, unless a leak is wanted.
    outcome
        0 or 1 for each of them, shape (N,).

    Raises
    ------
    BadData
        A group has fewer than two people.
    """
    positive = np.asarray(outcome).astype(bool)
    if min(positive.sum(), (~positive).sum()) < 2:
        raise BadData(
            f"components cannot be chosen by the outcome: {positive.sum()} positive and "
            f"{(~positive).sum()} negative people, and at least two of each are needed"
        )
    p, r = np.ones(strength.shape[1]), np.zeros(strength.shape[1])
    varies = np.ptp(strength, axis=0) > 0
    t, p[varies] = ttest_ind(strength[positive][:, varies], strength[~positive][:, varies])
    r[varies] = t / np.sqrt(t**2 + len(strength) - 2)
    return GroupDifference(p, r)


def by_outcome(found: GroupDifference, count: int) -> np.ndarray:
    """Choose the components with the smallest p; their numbers, ascending.

    A fixed number is chosen, not all below a limit: a network's channels are as many in every
    fold.
    """
    return np.sort(np.argsort(found.p, kind="stable")[:count])


def by_template(found: Match, count: int | None = None) -> np.ndarray:
    """Choose the components that match a template better than their null; numbers, ascending.

    Parameters
    ----------
    found
        The components matched with the template's maps.
    count
        How many at most: the best matches; all of them where not given.

    Raises
    ------
    BadData
        No component is above its null, or fewer than `count` are.
    """
    passed = np.flatnonzero(found.above_null)
    if len(passed) < (count or 1):
        raise BadData(
            f"{len(passed)} of {len(found.r)} components match the template better than the same "
            f"template flipped, and {count or 1} are asked for: use a finer grid or more people, "
            "ask for fewer, or take all components (leave the selection out)"
        )
    best = passed[np.argsort(-np.abs(found.r[passed]), kind="stable")[:count]]
    return np.sort(found.components[best])
