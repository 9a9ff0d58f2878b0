"""Stratified bootstrap over participants: percentile and BCa, all metrics from the same draws."""

from collections.abc import Iterator, Sequence

import numpy as np

from bidsapp.evaluation.intervals import LEVEL, Interval
from bidsapp.evaluation.metrics import METRICS
from bidsapp.evaluation.resampled import Resampled, class_weights
from bidsapp.evaluation.sample import Sample

RESAMPLES = 2000
_BLOCK = 200_000
_LEAST_DEFINED = 0.9


def strata_of(sample: Sample) -> np.ndarray:
    """(persons,) 0 where all outcomes of a person are negative, 1 mixed, 2 all positive."""
    rows = np.bincount(sample.participant)
    positive = np.bincount(sample.participant, weights=sample.outcome, minlength=len(rows))
    return np.where(positive == 0, 0, np.where(positive == rows, 2, 1))


def bootstrap_weights(
    sample: Sample, strata: np.ndarray, resamples: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Draw persons with replacement within strata, in blocks of resamples.

    Parameters
    ----------
    strata
        (persons,) label of the stratum that each person is drawn within.

    Yields
    ------
    numpy.ndarray
        (b, n) how often each observation is drawn; the blocks' b add up to `resamples`.
    """
    members = [np.flatnonzero(strata == value) for value in np.unique(strata)]
    columns = np.argsort(np.concatenate(members))[sample.participant]
    straight = np.array_equal(columns, np.arange(sample.n))
    block = max(1, _BLOCK // sample.n)
    for start in range(0, resamples, block):
        size = min(block, resamples - start)
        tallies = [_tally(len(people), size, rng) for people in members]
        counts = np.concatenate(tallies, axis=1).astype(float)
        yield counts if straight else counts[:, columns]


def _tally(people: int, size: int, rng: np.random.Generator) -> np.ndarray:
    drawn = rng.integers(0, people, size=(size, people))
    drawn += (np.arange(size) * people)[:, None]
    return np.bincount(drawn.ravel(), minlength=size * people).reshape(size, people)


def bootstrap_values(
    sample: Sample,
    names: Sequence[str],
    strata: np.ndarray,
    resamples: int,
    rng: np.random.Generator,
    prevalence: float | None = None,
) -> dict[str, np.ndarray]:
    """(resamples,) values of each metric, NaN where a resample leaves it undefined."""
    draws = bootstrap_weights(sample, strata, resamples, rng)
    blocks = [_evaluate(sample, weights, names, prevalence) for weights in draws]
    return {name: np.concatenate([block[name] for block in blocks]) for name in names}


def jackknife_values(
    sample: Sample, names: Sequence[str], prevalence: float | None = None
) -> dict[str, np.ndarray]:
    """(participants,) values of each metric with one person left out."""
    people = int(sample.participant.max()) + 1
    block = max(1, _BLOCK // max(sample.n, 1))
    parts = []
    for start in range(0, people, block):
        left_out = np.arange(start, min(start + block, people))
        weights = (sample.participant != left_out[:, None]).astype(float)
        parts.append(_evaluate(sample, weights, names, prevalence))
    return {name: np.concatenate([part[name] for part in parts]) for name in names}


def _evaluate(
    sample: Sample, weights: np.ndarray, names: Sequence[str], prevalence: float | None
) -> dict[str, np.ndarray]:
    drawn = weights if prevalence is None else class_weights(sample, weights, prevalence)
    view = Resampled(sample, drawn)
    return {name: METRICS[name].compute(view) for name in names}


def bootstrap_intervals(
    sample: Sample,
    names: Sequence[str],
    resamples: int = RESAMPLES,
    rng: np.random.Generator | None = None,
    method: str = "bca",
    level: float = LEVEL,
    prevalence: float | None = None,
) -> dict[str, Interval]:
    """Bootstrap intervals of several metrics.

    Persons are drawn with replacement, all observations of a person together. Metrics that do not
    depend on the prevalence are drawn within strata of outcome; the others over all persons,
    since an interval that holds the prevalence fixed is too narrow for them.

    Parameters
    ----------
    method
        ``bca`` (Efron 1987, doi:10.2307/2289144; falls back to the percentiles, saying so, where
        the jackknife is undefined) or ``percentile``.
    prevalence
        Share of positives that people are weighted to; it is then given, and all metrics are
        drawn within strata.

    Returns
    -------
    dict
        An interval per metric; without limits and with the reason in its note where fewer than
        90 % of the resamples define the metric, or all have one value.
    """
    if sample.n == 0:
        return {name: Interval(note="no observations") for name in names}
    generator = np.random.default_rng(0) if rng is None else rng
    by_outcome = strata_of(sample)
    kind = "clustered " if sample.clustered else ""
    result = {}
    for strata, fixed in ((by_outcome, True), (np.zeros_like(by_outcome), False)):
        known = prevalence is not None
        wanted = [name for name in names if (known or not METRICS[name].prevalence) == fixed]
        if not wanted:
            continue
        label = f"{'stratified ' if fixed else ''}{kind}bootstrap"
        values = bootstrap_values(sample, wanted, strata, resamples, generator, prevalence)
        left_out = jackknife_values(sample, wanted, prevalence) if method == "bca" else {}
        observed = _evaluate(sample, np.ones((1, sample.n)), wanted, prevalence)
        for name in wanted:
            result[name] = _interval(
                float(observed[name][0]), values[name], left_out.get(name), strata, level, label
            )
    return {name: result[name] for name in names}


def _interval(
    estimate: float,
    values: np.ndarray,
    left_out: np.ndarray | None,
    strata: np.ndarray,
    level: float,
    label: str,
) -> Interval:
    known = values[np.isfinite(values)]
    if not np.isfinite(estimate):
        return Interval(note="the value itself is undefined")
    if len(known) < _LEAST_DEFINED * len(values):
        return Interval(note=f"undefined in {1 - len(known) / len(values):.0%} of resamples")
    if known.min() == known.max():
        return Interval(note="every resample gives the same value")
    lost = len(values) - len(known)
    note = f"{lost} of {len(values)} resamples undefined, left out" if lost else ""
    limits = None if left_out is None else bca_limits(estimate, known, left_out, strata, level)
    if limits is not None:
        return Interval(*limits, f"{label}, BCa", note)
    return Interval(*percentile_limits(known, level), f"{label}, percentile", note)


def percentile_limits(values: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    """Percentiles of the bootstrap values that enclose `level` of them."""
    low, high = np.percentile(values, [50 * (1 - level), 50 * (1 + level)])
    return float(low), float(high)


def bca_limits(
    estimate: float,
    values: np.ndarray,
    left_out: np.ndarray,
    strata: np.ndarray,
    level: float = LEVEL,
) -> tuple[float, float] | None:
    """Bias-corrected and accelerated limits for a stratified sample.

    Parameters
    ----------
    estimate
        The metric on the whole sample.
    values
        (B,) finite bootstrap values.
    left_out
        (persons,) the metric without each person.
    strata
        (persons,) the stratum that each person is drawn within.

    Returns
    -------
    tuple of float or None
        None where a jackknife value is undefined or all bootstrap values lie on one side.
    """
    from scipy.special import ndtr, ndtri

    if not np.isfinite(left_out).all():
        return None
    share = ((values < estimate).sum() + (values <= estimate).sum()) / (2 * len(values))
    if not 0 < share < 1:
        return None
    third = second = 0.0
    for stratum in np.unique(strata):
        part = left_out[strata == stratum]
        influence = (len(part) - 1) * (part.mean() - part)
        third += float((influence**3).sum()) / len(part) ** 3
        second += float((influence**2).sum()) / len(part) ** 2
    acceleration = third / (6 * second**1.5) if second > 0 else 0.0
    bias = ndtri(share)
    quantiles = bias + ndtri(np.array([0.5 - level / 2, 0.5 + level / 2]))
    scale = 1 - acceleration * quantiles
    if (scale <= 0).any():
        return None
    low, high = np.percentile(values, 100 * ndtr(bias + quantiles / scale))
    return float(low), float(high)
