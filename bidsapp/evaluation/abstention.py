"""Fit when a model does not answer, and count what that keeps: coverage, errors, promises.

Two limits, both from people who were held out. Unlike: a conformal limit on how far somebody is
from the training people, which turns away a stated share of people like them. Unsure: the smallest
distance from the threshold at which errors among the answers stay under a stated rate, by an exact
upper bound, tested from the surest people on in a fixed sequence (Geifman & El-Yaniv 2017,
arXiv:1705.08500; Angelopoulos et al. 2021, arXiv:2110.01052). Both hold for people like those of
training, and promise nothing of others: who is unlike is turned away for that reason, not since an
error was foreseen.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.stats import beta

from bidsapp.contracts.abstention import UNLIKE, UNSURE, Limits
from bidsapp.evaluation.intervals import LEVEL, wilson

UNLIKE_SHARE = 0.05
"""Share of people like those of training who are turned away as unlike."""
ERROR_RATE = 0.10
"""Share of the answers that may be wrong."""
CONFIDENCE = 0.95
"""With which the error rate is kept."""
FEWEST = 20
"""Held-out people that limits need at least."""
_MAD = 1.4826
COVERAGE = ("order", "coverage", "answered", "errors", "accuracy", "ci_low", "ci_high")
KEPT = ("part", "people", "errors", "error_rate", "ci_low", "ci_high", "promise", "note")


def fit_limits(
    distances: Mapping[str, np.ndarray],
    outcome: np.ndarray,
    probability: np.ndarray,
    threshold: float,
    error_rate: float = ERROR_RATE,
    unlike_share: float = UNLIKE_SHARE,
) -> Limits | None:
    """Fit both limits on held-out people.

    Parameters
    ----------
    distances
        Signal to (n,) distances of held-out people from those that their fold was trained on; a
        signal that is not finite for somebody, or has no spread, is left out.
    outcome, probability
        (n,) of the same people, a row each.
    threshold
        Of the answer.
    error_rate, unlike_share
        What is promised.

    Returns
    -------
    Limits or None
        None with fewer than `FEWEST` people, or without a signal.
    """
    truth = np.asarray(outcome, bool)
    if len(truth) < FEWEST:
        return None
    centre, spread = {}, {}
    for name, values in distances.items():
        if not np.isfinite(values).all():
            continue
        logs = np.log(np.maximum(np.asarray(values, float), 1e-6))
        middle = float(np.median(logs))
        width = _MAD * float(np.median(np.abs(logs - middle)))
        if width > 0:
            centre[name], spread[name] = middle, width
    if not centre:
        return None
    bare = Limits(centre, spread, None, unlike_share, None, error_rate, threshold, len(truth))
    unlike = conformal_limit(bare.unlikeness(distances), unlike_share)
    wrong = (np.asarray(probability, float) >= threshold) != truth
    sure = sure_limit(bare.sureness(probability), wrong, error_rate)
    notes = []
    if unlike is None:
        notes.append(
            f"unlike: {len(truth)} held-out people are too few for a share of {unlike_share:g}"
        )
    if sure is None:
        need = fewest_for(error_rate)
        why = (
            f"even without an error it needs {need} people"
            if len(truth) < need
            else "already the surest people are wrong too often"
        )
        notes.append(
            f"unsure: no limit keeps errors under {error_rate:g} with {CONFIDENCE:.0%} confidence "
            f"among {len(truth)} held-out people: {why}"
        )
    return Limits(
        *(centre, spread, unlike, unlike_share, sure, error_rate, threshold, len(truth)),
        tuple(notes),
    )


def conformal_limit(values: np.ndarray, share: float) -> float | None:
    """Give the value that at most `share` of exchangeable people exceed; None with too few.

    The ⌈(n + 1)(1 − share)⌉-th smallest of n (Vovk et al. 2005).
    """
    place = int(np.ceil((len(values) + 1) * (1 - share) - 1e-9))
    return None if place > len(values) else float(np.sort(values)[place - 1])


def fewest_for(error_rate: float, confidence: float = CONFIDENCE) -> int:
    """Count the people who show a rate of errors to be kept when none of them is wrong."""
    return int(np.ceil(np.log(1 - confidence) / np.log(1 - error_rate)))


def sure_limit(
    sureness: np.ndarray, wrong: np.ndarray, error_rate: float, confidence: float = CONFIDENCE
) -> float | None:
    """Give the least sureness at which the upper bound of the errors stays under a rate.

    Begins with the `fewest_for` surest people and takes one more at a time, until the exact
    (Clopper–Pearson) upper bound exceeds the rate; ties are taken together.

    Parameters
    ----------
    sureness
        (n,) 0 or more.
    wrong
        (n,) bool.
    """
    order = np.argsort(-sureness, kind="stable")
    values, errors = sureness[order], np.cumsum(wrong[order])
    found = None
    for count in range(fewest_for(error_rate, confidence), len(values) + 1):
        if count < len(values) and values[count] == values[count - 1]:
            continue
        k = int(errors[count - 1])
        bound = 1.0 if k == count else float(beta.ppf(confidence, k + 1, count - k))
        if bound > error_rate:
            break
        found = float(values[count - 1])
    return found


def coverage_curve(
    outcome: np.ndarray,
    probability: np.ndarray,
    threshold: float,
    orders: Mapping[str, np.ndarray],
    level: float = LEVEL,
) -> pd.DataFrame:
    """Count right answers when the first so many people alone are answered.

    Parameters
    ----------
    orders
        Name to (n,) numbers; who has the larger is answered first.

    Returns
    -------
    pandas.DataFrame
        Columns `COVERAGE`: for each order and each number of people answered, accuracy with
        Wilson's interval.
    """
    wrong = (np.asarray(probability, float) >= threshold) != np.asarray(outcome, bool)
    n = len(wrong)
    rows = []
    for name, values in orders.items():
        errors = np.cumsum(wrong[np.argsort(-np.asarray(values, float), kind="stable")])
        for count in range(1, n + 1):
            right = count - int(errors[count - 1])
            low, high = wilson(right, count, level)
            rows.append((name, count / n, count, count - right, right / count, low, high))
    return pd.DataFrame(rows, columns=pd.Index(COVERAGE))


def kept_errors(
    reasons: "list[str]",
    outcome: np.ndarray,
    probability: np.ndarray,
    limits: Limits,
    level: float = LEVEL,
) -> pd.DataFrame:
    """Set the errors among who was answered beside what was promised: columns `KEPT`.

    Parameters
    ----------
    reasons
        As `Limits.reasons` gave them.
    outcome, probability
        (n,) of these people.
    """
    wrong = (np.asarray(probability, float) >= limits.threshold) != np.asarray(outcome, bool)
    why = np.array(reasons)
    promise = limits.error_rate if limits.sure is not None else np.nan
    unlike = (why == UNLIKE).mean()
    parts = (
        ("everybody", np.ones(len(why), bool), np.nan, ""),
        ("answered", why == "", promise, _verdict(wrong[why == ""], promise, level)),
        (
            "unlike",
            why == UNLIKE,
            np.nan,
            f"{unlike:.0%} of these people; of people like those of "
            f"training {limits.unlike_share:.0%} are expected",
        ),
        ("unsure", why == UNSURE, np.nan, ""),
    )
    rows = []
    for name, inside, told, note in parts:
        count, errors = int(inside.sum()), int(wrong[inside].sum())
        low, high = wilson(errors, count, level) if count else (np.nan, np.nan)
        rate = errors / count if count else np.nan
        rows.append((name, count, errors, rate, low, high, told, note))
    return pd.DataFrame(rows, columns=pd.Index(KEPT))


def _verdict(wrong: np.ndarray, promise: float, level: float) -> str:
    if promise != promise:
        return "nothing is promised: no limit could be fitted in training"
    if not len(wrong):
        return "nobody was answered"
    low, high = wilson(int(wrong.sum()), len(wrong), level)
    if low > promise:
        return "the promise does not hold for these people"
    return "the promise is kept" if high <= promise else "not shown to be broken, nor kept"
