"""Added value: how much better a larger model forecasts than a smaller one, on the same folds."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from bidsapp.contracts.unit import unit_columns
from bidsapp.errors import BadData
from bidsapp.evaluation.estimates import difference_of, estimate_aucs
from bidsapp.evaluation.held_out import HeldOut, fold_codes
from bidsapp.evaluation.intervals import LEVEL, normal_quantile
from bidsapp.evaluation.planning import added_auc_error
from bidsapp.evaluation.regression.nested import CLUSTERED, Rows, compare_nested
from bidsapp.evaluation.sample import pool
from bidsapp.evaluation.stacking import logit

COLUMNS = (
    "first",
    "second",
    "measure",
    "value_first",
    "value_second",
    "gain",
    "ci_low",
    "ci_high",
    "ci_method",
    "statistic",
    "p",
    "n",
    "note",
)
GAINS = ("auc", "brier", "log_likelihood", "net_benefit")
"""What is measured; a gain above 0 is for the better, of the Brier score too."""
TEST = "likelihood_ratio"
_STEPS = 41
_LEAST = 1e-6


@dataclass(frozen=True)
class Gain:
    """A measure of a smaller and a larger model, and what the larger one gains.

    Attributes
    ----------
    smaller, larger
        The measure of each.
    gain
        By how much the larger one is better.
    low, high
        Interval of the gain; NaN where there is none.
    method, note
        How it was made; what the reader has to know.
    z, p
        Of the gain against 0; only where there is a test (AUC).
    """

    smaller: float
    larger: float
    gain: float
    low: float
    high: float
    method: str = ""
    note: str = ""
    z: float = float("nan")
    p: float = float("nan")


def added_value(
    smaller: pd.DataFrame,
    larger: pd.DataFrame,
    image: pd.DataFrame,
    how: HeldOut,
    net_benefit: tuple[float, float],
    level: float = LEVEL,
) -> pd.DataFrame:
    """Measure what a larger model gains over a smaller one, on the same held-out people.

    The gain in AUC is DeLong's paired difference; those in Brier score, log-likelihood and net
    benefit are means of what each person contributes, with the variance of people (rows of one
    person are added up). All variances are multiplied by `HeldOut.inflation`, so that intervals
    hold for models that are trained on other people; the statistic of the likelihood-ratio test is
    divided by it.

    Where the larger model happens to give the image little weight, the two order people alike and
    the variance of the gain is all but 0, whatever the image could add. The upper limit of the AUC
    is therefore the largest true gain that lies so near in its own standard error
    (`planning.added_auc_error`), not only in that of the scores, and the upper arms of the other
    gains are as many times longer as that of the AUC becomes. Lower limits are as they were.

    Parameters
    ----------
    smaller, larger
        Held-out scores of the two models, in the columns of `scores.tsv`.
    image
        Held-out scores of the network (of several, below one another) that only the larger has.
    how
        How the people were held out.
    net_benefit
        Range of thresholds over which net benefit is averaged.
    level
        Of the intervals.

    Returns
    -------
    pandas.DataFrame
        Columns `COLUMNS` without `first` and `second`: a row for each of `GAINS`, and `TEST`.
    """
    unit = unit_columns(smaller)
    both = [pool(one).set_index(unit) for one in (smaller, larger)]
    both[1] = both[1].loc[both[0].index]
    outcome = both[0]["outcome"].to_numpy(dtype=bool)
    person = both[0].index.get_level_values(0).to_numpy().astype(str)
    chances = [one["probability"].to_numpy(dtype=float) for one in both]
    area, arm = _auc(smaller, larger, how, level)
    found = {"auc": area}
    means: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
        "brier": _brier,
        "log_likelihood": _log_likelihood,
        "net_benefit": partial(_net_benefit, limits=net_benefit),
    }
    for name, each in means.items():
        first, second = (each(outcome, chance) for chance in chances)
        lower = name == "brier"
        one = _mean_gain(first, second, person, how.inflation, level, lower=lower)
        found[name] = replace(one, high=one.gain + arm * (one.high - one.gain))
    records: list[tuple[Any, ...]] = [
        (name, g.smaller, g.larger, g.gain, g.low, g.high, g.method, g.z, g.p, g.note)
        for name, g in found.items()
    ]
    statistic, p, note = likelihood_ratio(outcome, chances[0], _wide(image, both[0]), person, how)
    records.append((TEST, *[np.nan] * 5, "", statistic, p, note))
    names = [name for name in COLUMNS if name not in ("first", "second", "n")]
    table = pd.DataFrame(records, columns=pd.Index(names))
    table.insert(len(names) - 1, "n", len(np.unique(person)))
    return table


def likelihood_ratio(
    outcome: np.ndarray,
    smaller: np.ndarray,
    added: np.ndarray,
    person: np.ndarray,
    how: HeldOut,
) -> tuple[float, float, str]:
    """Test whether the held-out logits of networks tell anything beside the smaller model's.

    A logistic regression of the outcome on the smaller model's held-out logit, against one with
    the networks' held-out logits too (Pepe et al. 2013, doi:10.1002/sim.5727, on why the
    coefficient is tested and the gain only estimated). With several rows a person, the Wald test
    with errors clustered by person.

    Parameters
    ----------
    outcome, smaller
        (n,) outcome, and the smaller model's probability.
    added
        (n, k) the networks' logits.
    person
        (n,) whose row it is.
    how
        The chi-square is divided by its inflation: the same outcomes made the networks and test
        them.

    Returns
    -------
    statistic, p, note
        NaN where a regression cannot be fitted, with the reason.
    """
    from scipy.stats import chi2

    design = np.column_stack([logit(smaller), added])
    names = ("smaller", *(f"added {k}" for k in range(added.shape[1])))
    try:
        nested = compare_nested(
            Rows(outcome.astype(float), design, names, 1, person, 0), "logistic"
        )
    except BadData as error:
        return float("nan"), float("nan"), str(error)
    test = nested.tests[-1]
    freedom = added.shape[1]
    statistic = test.statistic * (freedom if test.name == CLUSTERED else 1) / how.inflation
    if not np.isfinite(statistic):
        return float("nan"), float("nan"), test.note or "no test statistic"
    note = f"{test.name}, {freedom} degree{'s' * (freedom > 1)} of freedom"
    if how.retrained:
        note += f"; chi-square divided by {how.inflation:.2f}"
    return float(statistic), float(chi2.sf(statistic, freedom)), note


def _wide(image: pd.DataFrame, rows: pd.DataFrame) -> np.ndarray:
    """(n, k) held-out logits of k networks."""
    columns = []
    for _, own in image.groupby("variant", sort=False):
        pooled = pool(own).set_index(unit_columns(image))["probability"]
        columns.append(logit(pooled.loc[rows.index].to_numpy(dtype=float)))
    return np.column_stack(columns)


def _auc(
    smaller: pd.DataFrame, larger: pd.DataFrame, how: HeldOut, level: float
) -> tuple[Gain, float]:
    """Give the gain in AUC, and how many times longer its upper arm is than DeLong's."""
    unit = unit_columns(smaller)
    key = [*unit, "repeat", "fold"] if how.within else unit
    both = [(one if how.within else pool(one)).set_index(key) for one in (smaller, larger)]
    both[1] = both[1].loc[both[0].index]
    outcome = both[0]["outcome"].to_numpy(dtype=bool)
    stratum = fold_codes(both[0].reset_index()) if how.within else None
    chances = np.stack([one["probability"].to_numpy(dtype=float) for one in both])
    person = both[0].index.get_level_values(0).to_numpy().astype(str)
    try:
        (low, high), correlation = estimate_aucs(outcome, chances, person, stratum, how.inflation)
    except ValueError as error:
        nan = float("nan")
        return Gain(nan, nan, nan, nan, nan, note=str(error)), 1.0
    found = difference_of(high, low, float(correlation[0, 1]), level)
    limits = found.interval
    method = f"{limits.method}{', widened' if how.retrained else ''}" if limits.known else ""
    note = "; ".join(filter(None, ["within folds" if how.within else "", found.note]))
    ends = (low.value, high.value, found.difference, limits.low, limits.high)
    gain = Gain(*ends, method, note, found.z, found.p)
    if not limits.known or limits.high <= found.difference:
        return gain, 1.0
    m = len(np.unique(person[outcome]))
    sizes = (m, max(2, len(np.unique(person)) - m))
    reach = normal_quantile(level) * float(np.sqrt(how.inflation))
    top = _farthest(low.value, found.difference, limits.high, reach, sizes)
    arm = (top - found.difference) / (limits.high - found.difference)
    return replace(gain, high=top), arm


def _farthest(
    smaller: float, gain: float, high: float, reach: float, sizes: tuple[int, int]
) -> float:
    """Largest true gain of which a gain lies within `reach` standard errors; at least `high`."""
    from scipy.optimize import brentq

    def beyond(true: float) -> float:
        return true - gain - reach * added_auc_error(true, smaller, *sizes)

    most = 1 - max(smaller, 0.5) - _LEAST
    if high >= most or beyond(high) >= 0:
        return high
    return most if beyond(most) <= 0 else float(brentq(beyond, high, most, xtol=1e-6))


def _mean_gain(
    smaller: np.ndarray,
    larger: np.ndarray,
    person: np.ndarray,
    inflation: float,
    level: float,
    *,
    lower: bool,
) -> Gain:
    """Gain of a measure that is a mean over rows, with the variance of people."""
    gained = smaller - larger if lower else larger - smaller
    mean, n = float(gained.mean()), len(gained)
    code = np.unique(person, return_inverse=True)[1]
    sums = np.bincount(code, gained - mean)
    ends = (float(smaller.mean()), float(larger.mean()), mean)
    if len(sums) < 2:
        return Gain(*ends, float("nan"), float("nan"), note="one person only: no variance")
    variance = len(sums) / (len(sums) - 1) * float(sums @ sums) / n**2
    half = normal_quantile(level) * float(np.sqrt(inflation * variance))
    method = "mean over people" + (", widened" if inflation > 1 else "")
    return Gain(*ends, mean - half, mean + half, method)


def _brier(outcome: np.ndarray, probability: np.ndarray) -> np.ndarray:
    return np.asarray((probability - outcome) ** 2)


def _log_likelihood(outcome: np.ndarray, probability: np.ndarray) -> np.ndarray:
    odds = logit(probability)
    return np.asarray(-np.logaddexp(0.0, np.where(outcome, -odds, odds)))


def _net_benefit(
    outcome: np.ndarray, probability: np.ndarray, limits: tuple[float, float]
) -> np.ndarray:
    """(n,) what each person adds to the net benefit, averaged over a range of thresholds."""
    grid = np.linspace(*limits, _STEPS)
    worth = np.where(outcome[:, None], 1.0, -grid / (1 - grid))
    return np.asarray((worth * (probability[:, None] >= grid)).mean(axis=1))


def reclassified(
    smaller: pd.DataFrame, larger: pd.DataFrame, cuts: tuple[float, ...]
) -> pd.DataFrame:
    """Count who changes the class of risk from a smaller to a larger model, by outcome.

    Parameters
    ----------
    smaller, larger
        Held-out scores of the two models.
    cuts
        Probabilities between classes, ascending.

    Returns
    -------
    pandas.DataFrame
        `outcome`, `risk_first`, `risk_second`, `n`: rows (people, or scans) that are of one class
        by the first and of another, or the same, by the second.
    """
    unit = unit_columns(smaller)
    both = [pool(one).set_index(unit) for one in (smaller, larger)]
    both[1] = both[1].loc[both[0].index]
    edges = [0.0, *cuts, 1.0]
    names = [f"{low:.0%} to {high:.0%}" for low, high in pairwise(edges)]
    names[0], names[-1] = f"below {cuts[0]:.0%}", f"{cuts[-1]:.0%} or more"
    first, second = (np.digitize(one["probability"], cuts) for one in both)
    outcome = both[0]["outcome"].to_numpy(dtype=int)
    records = [
        (label, one, other, int(((outcome == label) & (first == i) & (second == j)).sum()))
        for label in (1, 0)
        for i, one in enumerate(names)
        for j, other in enumerate(names)
    ]
    return pd.DataFrame(records, columns=pd.Index(["outcome", "risk_first", "risk_second", "n"]))
