"""AUC over pairs of the same fold, with DeLong's variance summed over folds."""

import numpy as np

from bidsapp.evaluation.delong import AucCovariance, placements


def within_covariance(
    outcome: np.ndarray,
    scores: np.ndarray,
    stratum: np.ndarray,
    participant: np.ndarray | None = None,
) -> AucCovariance:
    """AUCs within strata and their covariance.

    The share of the pairs of a positive and a negative of the same stratum that are in the right
    order: the mean of the strata's AUCs, weighted by their pairs. What shifts the scores of a
    whole stratum (another scanner, another share of positives among the people trained on) does
    not act on it. The variance is DeLong's of each stratum; a person in several strata (repeats
    of a cross-validation, sessions) enters with the sum of their influences, as in Obuchowski
    1997 (doi:10.2307/2533958).

    Parameters
    ----------
    outcome
        (n,) bool.
    scores
        (k, n), or (n,) for one.
    stratum
        (n,) labels, as of folds. Strata with one class have no pairs and are left out.
    participant
        (n,) labels of the persons; absent, each observation is its own.

    Raises
    ------
    ValueError
        No stratum has both classes.
    """
    truth = np.asarray(outcome, dtype=bool)
    values = np.atleast_2d(np.asarray(scores, dtype=float))
    people = np.arange(len(truth)) if participant is None else np.asarray(participant)
    person = np.unique(people.astype(str), return_inverse=True)[1]
    inside = [stratum == label for label in np.unique(stratum)]
    parts = [where for where in inside if truth[where].any() and not truth[where].all()]
    if not parts:
        raise ValueError("no fold has both classes")
    pairs = sum(_pairs(truth[where]) for where in parts)
    placed = [placements(values[:, where], truth[where]) for where in parts]
    auc = sum(
        (
            _pairs(truth[where]) / pairs * above.mean(axis=1)
            for where, (above, _) in zip(parts, placed, strict=True)
        ),
        np.zeros(len(values)),
    )
    influence = np.zeros((len(values), int(person.max()) + 1))
    for where, (above, below) in zip(parts, placed, strict=True):
        weight = _pairs(truth[where]) / pairs
        for placed_here, whose in ((above, truth), (below, ~truth)):
            who = person[where & whose]
            centred, correction = _centred(placed_here, auc, len(np.unique(who)))
            share = weight * correction * centred / len(who)
            for row, value in zip(influence, share, strict=True):
                np.add.at(row, who, value)
    return AucCovariance(auc, influence @ influence.T)


def strata_sizes(outcome: np.ndarray, stratum: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positives and negatives of each stratum that has both."""
    truth = np.asarray(outcome, dtype=bool)
    labels = np.unique(stratum)
    positive = np.array([int(truth[stratum == label].sum()) for label in labels])
    negative = np.array([int((~truth)[stratum == label].sum()) for label in labels])
    both = (positive > 0) & (negative > 0)
    return positive[both], negative[both]


def _pairs(truth: np.ndarray) -> int:
    return int(truth.sum()) * int((~truth).sum())


def _centred(values: np.ndarray, auc: np.ndarray, people: int) -> tuple[np.ndarray, float]:
    """Placements about their own mean; about the joint AUC where one person has no spread."""
    if people > 1:
        return values - values.mean(axis=1, keepdims=True), float(np.sqrt(people / (people - 1)))
    return values - auc[:, None], 1.0
