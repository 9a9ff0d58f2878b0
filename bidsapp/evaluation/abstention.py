"""Fit when a model does not answer, and count what that keeps: coverage, errors, promises.

Two limits, both from people who were held out. Unlike: a conformal limit for each signal on how far
somebody is from the training people; together they turn away at most a stated share of people like
them. Each signal has a limit of its own, as a few people who are unusual in one would else widen
that of all: on real heads one rough image hid every slope of intensities. Unsure: the smallest
distance from the threshold at which errors among the answers stay under a stated rate, by an exact
upper bound, tested from the surest people on in a fixed sequence (Geifman & El-Yaniv 2017,
arXiv:1705.08500; Angelopoulos et al. 2021, arXiv:2110.01052). Both hold for people like those of
training, and promise nothing of others: who is unlike is turned away for that reason, not since an
error was foreseen.

Both are of people, not of scans: several knees, injections or visits of one person are one draw.
Turned away as unlike is, at most at the stated share, a person of whom any forecast is; the error
rate is the mean over people of the share of their answers that is wrong. The mean and not any
error, since a person with six forecasts would all but never have none; and a second copy of a scan
changes neither.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binom

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
COVERAGE = ("order", "coverage", "answered", "errors", "accuracy", "ci_low", "ci_high")
KEPT = (
    *("part", "people", "forecasts", "errors", "error_rate", "ci_low", "ci_high"),
    *("promise", "note"),
)


def fit_limits(
    distances: Mapping[str, np.ndarray],
    outcome: np.ndarray,
    probability: np.ndarray,
    person: np.ndarray,
    threshold: float,
    error_rate: float = ERROR_RATE,
    unlike_share: float = UNLIKE_SHARE,
) -> Limits | None:
    """Fit both limits on held-out people.

    Parameters
    ----------
    distances
        Signal to (n,) distances of held-out forecasts from those that their fold was trained on; a
        signal that is not finite for somebody, or has no spread, is left out.
    outcome, probability, person
        (n,) of the same, a row for each forecast; whose it is.
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
    code = np.unique(np.asarray(person).astype(str), return_inverse=True)[1]
    people = int(code.max()) + 1 if len(code) else 0
    if people < FEWEST:
        return None
    farthest = {}
    for name, values in distances.items():
        most = np.full(people, -np.inf)
        np.maximum.at(most, code, np.log(np.maximum(np.asarray(values, float), 1e-6)))
        if np.isfinite(values).all() and np.ptp(most) > 0:
            farthest[name] = most
    centre, spread, away = {}, {}, 0.0
    for name, most in farthest.items():
        limit, share = conformal_limit(most, unlike_share / len(farthest))
        middle = float(np.median(most))
        if limit > middle:
            centre[name], spread[name] = middle, limit - middle
            away += share
    if not centre:
        return None
    bare = Limits(centre, spread, 1.0, away, None, error_rate, threshold, people)
    wrong = (np.asarray(probability, float) >= threshold) != truth
    sure = sure_limit(bare.sureness(probability), wrong, code, error_rate)
    notes = []
    if away > unlike_share + 1e-9:
        notes.append(
            f"unlike: {people} held-out people are too few to turn away at most {unlike_share:.0%} "
            f"of people like them; it is at most {away:.0%}"
        )
    if sure is None:
        need = fewest_for(error_rate)
        why = (
            f"even without an error it needs {need} people"
            if people < need
            else "already the surest people are wrong too often"
        )
        notes.append(
            f"unsure: no limit keeps errors under {error_rate:g} with {CONFIDENCE:.0%} confidence "
            f"among {people} held-out people: {why}"
        )
    return replace(bare, sure=sure, notes=tuple(notes))


def conformal_limit(values: np.ndarray, share: float) -> tuple[float, float]:
    """Give the value that at most a share of exchangeable people exceed, and that share.

    The ⌈(n + 1)(1 − share)⌉-th smallest of n (Vovk et al. 2005); where n is too small for the
    share, the largest, which a share of 1 / (n + 1) exceeds.
    """
    n = len(values)
    place = min(int(np.ceil((n + 1) * (1 - share) - 1e-9)), n)
    return float(np.sort(values)[place - 1]), (n + 1 - place) / (n + 1)


def fewest_for(error_rate: float, confidence: float = CONFIDENCE) -> int:
    """Count the people who show a rate of errors to be kept when none of them is wrong."""
    return int(np.ceil(np.log(1 - confidence) / np.log(1 - error_rate)))


def sure_limit(
    sureness: np.ndarray,
    wrong: np.ndarray,
    person: np.ndarray,
    error_rate: float,
    confidence: float = CONFIDENCE,
) -> float | None:
    """Give the least sureness at which the errors among a person's answers stay under a rate.

    Begins with the `fewest_for` people of the surest forecasts and takes one forecast more at a
    time, until it is not shown any more (`error_rate_p`); ties are taken together.

    Parameters
    ----------
    sureness
        (n,) 0 or more.
    wrong
        (n,) bool.
    person
        (n,) whose forecast it is.
    """
    each = -np.asarray(sureness, float), np.asarray(person), np.asarray(wrong, bool)
    rows = sorted(set(zip(*each, strict=True)))
    several = len(rows) > len({one for _, one, _ in rows})
    least = fewest_for(error_rate, confidence)
    seen: dict[object, tuple[int, int]] = {}
    errors, found = 0.0, None
    for place, (value, one, bad) in enumerate(rows):
        count, false = seen.get(one, (0, 0))
        errors += (false + bad) / (count + 1) - (false / count if count else 0.0)
        seen[one] = count + 1, false + int(bad)
        tied = place + 1 < len(rows) and rows[place + 1][0] == value
        if tied or len(seen) < least:
            continue
        if error_rate_p(errors, len(seen), error_rate, several=several) > 1 - confidence:
            break
        found = float(-value)
    return found


def error_rate_p(errors: float, people: int, rate: float, *, several: bool) -> float:
    """Give the p-value of the hypothesis that the mean share of wrong answers is above a rate.

    Of one answer a person the exact binomial one. Where a person can have several, shares lie
    between 0 and 1, and the smaller of Hoeffding's and Bentkus' bounds stands in (Bates et al.
    2021, doi:10.1145/3478535; Angelopoulos et al. 2021, section 2): equal to the exact one where
    nobody is wrong, larger else.

    Parameters
    ----------
    errors
        Sum over people of the share of their answers that is wrong.
    people
        How many are answered.
    rate
        Above 0 and below 1.
    several
        Whether anybody has several answers.
    """
    whole = int(np.ceil(errors - 1e-9))
    exact = float(binom.cdf(whole, people, rate))
    if not several:
        return exact
    share = min(errors / people, rate)
    apart = (1 - share) * np.log((1 - share) / (1 - rate))
    apart += share * np.log(share / rate) if share > 0 else 0.0
    return float(min(np.exp(-people * apart), np.e * exact))


def coverage_curve(
    outcome: np.ndarray,
    probability: np.ndarray,
    person: np.ndarray,
    threshold: float,
    orders: Mapping[str, np.ndarray],
    level: float = LEVEL,
) -> pd.DataFrame:
    """Count right answers when the first so many forecasts alone are answered.

    Parameters
    ----------
    person
        (n,) whose forecast it is.
    orders
        Name to (n,) numbers; who has the larger is answered first.

    Returns
    -------
    pandas.DataFrame
        Columns `COVERAGE`: for each order and each number of forecasts answered, accuracy (the
        mean over people) with Wilson's interval for as many people.
    """
    wrong = (np.asarray(probability, float) >= threshold) != np.asarray(outcome, bool)
    n = len(wrong)
    rows = []
    for name, values in orders.items():
        seen: dict[object, tuple[int, int]] = {}
        share, errors = 0.0, 0
        for count, place in enumerate(np.argsort(-np.asarray(values, float), kind="stable"), 1):
            own, false = seen.get(person[place], (0, 0))
            share += (false + wrong[place]) / (own + 1) - (false / own if own else 0.0)
            seen[person[place]] = own + 1, false + int(wrong[place])
            errors += int(wrong[place])
            right = max(len(seen) - share, 0.0)
            low, high = wilson(right, len(seen), level)
            rows.append((name, count / n, count, errors, right / len(seen), low, high))
    return pd.DataFrame(rows, columns=pd.Index(COVERAGE))


def kept_errors(
    reasons: "list[str]",
    outcome: np.ndarray,
    probability: np.ndarray,
    person: np.ndarray,
    limits: Limits,
    level: float = LEVEL,
) -> pd.DataFrame:
    """Set the errors among who was answered beside what was promised: columns `KEPT`.

    Parameters
    ----------
    reasons
        As `Limits.reasons` gave them.
    outcome, probability, person
        (n,) of these forecasts; whose they are. The rate is the mean over people of the share of
        their forecasts that is wrong, with Wilson's interval for as many people.
    """
    wrong = (np.asarray(probability, float) >= limits.threshold) != np.asarray(outcome, bool)
    why, who = np.array(reasons), np.asarray(person).astype(str)
    promise = limits.error_rate if limits.sure is not None else np.nan
    everybody = len(np.unique(who))
    unlike = len(np.unique(who[why == UNLIKE])) / everybody if everybody else 0.0
    parts = (
        ("everybody", np.ones(len(why), bool), np.nan, ""),
        ("answered", why == "", promise, None),
        (
            "unlike",
            why == UNLIKE,
            np.nan,
            f"{unlike:.0%} of these people; of people like those of "
            f"training at most {limits.unlike_share:.0%} are expected",
        ),
        ("unsure", why == UNSURE, np.nan, ""),
    )
    rows = []
    for name, inside, told, note in parts:
        people, errors = _by_person(wrong[inside], who[inside])
        low, high = wilson(errors, people, level) if people else (np.nan, np.nan)
        rate = errors / people if people else np.nan
        said = _verdict(people, low, high, promise) if note is None else note
        counts = (people, int(inside.sum()), int(wrong[inside].sum()))
        rows.append((name, *counts, rate, low, high, told, said))
    return pd.DataFrame(rows, columns=pd.Index(KEPT))


def _by_person(wrong: np.ndarray, person: np.ndarray) -> tuple[int, float]:
    """Count people, and add up the share of each one's forecasts that is wrong."""
    code = np.unique(person, return_inverse=True)[1]
    if not len(code):
        return 0, 0.0
    shares = np.bincount(code, wrong) / np.bincount(code)
    return len(shares), float(shares.sum())


def _verdict(people: int, low: float, high: float, promise: float) -> str:
    if promise != promise:
        return "nothing is promised: no limit could be fitted in training"
    if not people:
        return "nobody was answered"
    if low > promise:
        return "the promise does not hold for these people"
    return "the promise is kept" if high <= promise else "not shown to be broken, nor kept"


def counted(rows: Mapping[str, Mapping[Any, Any]], what: str = "") -> tuple[str, str]:
    """Say how many forecasts of how many people were judged, and how many of them have no answer.

    Parameters
    ----------
    rows
        Part to its row of `kept_errors`.
    what
        Before "people": "held-out " or nothing.

    Returns
    -------
    everybody, away
        ``60 people``, or ``96 forecasts of 60 people``; the number without an answer.
    """
    every = rows["everybody"]
    people, forecasts = int(every["people"]), int(every["forecasts"])
    of = f"{people} {what}people"
    told = of if people == forecasts else f"{forecasts} forecasts of {of}"
    away = sum(int(rows[part]["forecasts"]) for part in (UNLIKE, UNSURE))
    return told, str(away)
