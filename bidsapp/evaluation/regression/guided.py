"""Averages weighted by what a network looks at, as a biomarker, and the controls that it needs.

A weight is a network's: it carries its decision, so that an average of anything can tell who is
positive. An average says something of tissue only where it adds to compartments' plain means, the
same average by a random network's weights or by weights at shuffled places does not, and it still
adds where the network's own answer is among the base columns. Weights have to be those of networks
that did not train on the person.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from bidsapp.errors import BadData
from bidsapp.evaluation.regression.added_auc import added_auc
from bidsapp.evaluation.regression.models import Kind, ToldApart
from bidsapp.evaluation.regression.nested import Rows, compare_nested

COLUMNS = ("added", "beside", "test", "statistic", "p", "auc", "auc_gain", "gain_low", "gain_high")
NO_TEST = "none: these columns tell the classes apart completely"


def guided_averages(values: np.ndarray, weights: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Average each person's map by weights: ``sum(size w value) / sum(size w)``.

    Parameters
    ----------
    values
        (n, cells); NaN where there is no tissue, which counts nowhere.
    weights
        (n, cells) or (cells,), 0 or more.
    sizes
        (cells,) or (n, cells) area or solid angle of each; equal ones give the printed average of
        pixels.

    Returns
    -------
    numpy.ndarray
        (n,) in the unit of the values; NaN for somebody without any weight on tissue.

    Raises
    ------
    ValueError
        A weight is negative.
    """
    given = np.broadcast_to(weights, values.shape)
    if (given < 0).any():
        raise ValueError("weights must not be negative")
    known = np.isfinite(values)
    share = given * sizes * known
    total = share.sum(1)
    summed = (share * np.where(known, values, 0.0)).sum(1)
    return np.where(total > 0, summed / np.where(total > 0, total, 1), np.nan)


def of_others(weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Give everybody the weights of somebody else: (n, cells), nobody keeps their own."""
    order = rng.permutation(len(weights))
    other = np.empty_like(order)
    other[order] = np.roll(order, 1)
    return np.asarray(weights[other])


def at_other_places(weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Shuffle the places of (n, cells) weights, alike for everybody."""
    return np.asarray(weights[:, rng.permutation(weights.shape[1])])


def compare_averages(
    outcome: np.ndarray,
    base: Mapping[str, np.ndarray],
    averages: Mapping[str, np.ndarray],
    person: np.ndarray,
    network: np.ndarray | None = None,
    kind: Kind = "logistic",
    folds: int = 10,
) -> pd.DataFrame:
    """Test what each average adds to base columns, and to the network's own answer.

    Parameters
    ----------
    outcome
        (n,).
    base
        Name to (n,) column: covariates and plain means.
    averages
        Name to (n,): the guided average, and its controls under their names.
    person
        (n,) whose row it is.
    network
        (n,) held-out log odds of the network; None leaves the second question out.
    folds
        Of the held-out AUC of logistic regressions; 0 for none.

    Returns
    -------
    pandas.DataFrame
        `COLUMNS`: a row an average, beside ``base`` and, with a network, ``base and network``; the
        test that takes people as what is independent where they have several rows, or `NO_TEST`,
        with statistic and p NaN, where no estimate is finite.

    Raises
    ------
    BadData
        A column is not finite, or a model cannot be fitted.
    """
    for name, column in {**base, **averages}.items():
        if not np.isfinite(column).all():
            raise BadData(f"{name} is missing for somebody; leave them out of all columns.")
    beside = {"base": base}
    if network is not None:
        beside["base and network"] = {**base, "network": network}
    records = []
    for where, columns in beside.items():
        candidates = dict(averages)
        if network is not None and where == "base":
            candidates = {"network": network, **averages}
        for name, values in candidates.items():
            found = _added(outcome, columns, name, values, person, kind, folds)
            records.append((name, where, *found))
    return pd.DataFrame(records, columns=pd.Index(COLUMNS))


def _added(
    outcome: np.ndarray,
    columns: Mapping[str, np.ndarray],
    name: str,
    values: np.ndarray,
    person: np.ndarray,
    kind: Kind,
    folds: int,
) -> tuple[object, ...]:
    design = np.column_stack([*columns.values(), values])
    rows = Rows(outcome, design, (*columns, name), len(columns), person, 0)
    nan = float("nan")
    try:
        test = compare_nested(rows, kind).tests[-1]
        tested = (test.name, test.statistic, test.p)
    except ToldApart:  # the held-out AUC still says how well
        tested = (NO_TEST, nan, nan)
    if kind == "linear" or not folds:
        return *tested, nan, nan, nan, nan
    found = added_auc(rows, folds)
    gain = found.gain
    low, high = gain.interval.low, gain.interval.high
    return *tested, found.larger.value, gain.difference, low, high
