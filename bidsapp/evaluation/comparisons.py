"""Variants against one another: paired DeLong and McNemar, corrected for their number."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from bidsapp.evaluation.corrections import holm
from bidsapp.evaluation.delong import compare_aucs
from bidsapp.evaluation.intervals import LEVEL
from bidsapp.evaluation.sample import DEFAULT_THRESHOLD, pool

COLUMNS = (
    "first",
    "second",
    "test",
    "difference",
    "ci_low",
    "ci_high",
    "ci_method",
    "statistic",
    "p",
    "p_holm",
    "n",
    "note",
)


def mcnemar(only_first: int, only_second: int) -> float:
    """Exact two-sided p value of McNemar's test; NaN without discordant people.

    Parameters
    ----------
    only_first, only_second
        People whom only the first, only the second model got right.
    """
    from scipy.stats import binom

    discordant = only_first + only_second
    if discordant == 0:
        return float("nan")
    tail = binom.cdf(min(only_first, only_second), discordant, 0.5)
    return float(min(1.0, 2 * tail))


def compare_variants(
    scores: pd.DataFrame,
    tests: Sequence[str] = ("delong", "mcnemar"),
    threshold: float = DEFAULT_THRESHOLD,
    level: float = LEVEL,
    pairs: Sequence[tuple[str, str]] | None = None,
) -> pd.DataFrame:
    """Compare variants on the people whom both scored, pooled over folds and repeats.

    Parameters
    ----------
    tests
        ``delong``: difference of AUCs. ``mcnemar``: difference of accuracies at `threshold`.
    pairs
        Which variants; all pairs where absent. Holm's correction is over the pairs, for each test
        by itself.

    Returns
    -------
    pandas.DataFrame
        Columns `COLUMNS`; `difference` is first minus second; `statistic` is z for DeLong, for
        McNemar the number of discordant people. NaN with its reason in `note`.
    """
    names = [str(name) for name in scores["variant"].drop_duplicates()]
    chosen = list(combinations(names, 2)) if pairs is None else list(pairs)
    wanted = {name for pair in chosen for name in pair}
    pooled = {
        name: pool(scores[scores["variant"] == name]).set_index(["participant_id", "session_id"])
        for name in names
        if name in wanted
    }
    tables = []
    for test in tests:
        if test not in _TESTS:
            continue
        records = [
            (first, second, test, *_pair(test, pooled[first], pooled[second], threshold, level))
            for first, second in chosen
        ]
        table = pd.DataFrame(
            records, columns=pd.Index([name for name in COLUMNS if name != "p_holm"])
        )
        tables.append(table.assign(p_holm=holm(table["p"].to_numpy(dtype=float))))
    if not tables:
        return pd.DataFrame(columns=pd.Index(COLUMNS))
    return pd.concat(tables, ignore_index=True)[list(COLUMNS)]


def _pair(
    test: str, first: pd.DataFrame, second: pd.DataFrame, threshold: float, level: float
) -> tuple[object, ...]:
    both = first.index.intersection(second.index)
    n = len(both)
    nan = float("nan")
    notes = []
    if n < len(first) or n < len(second):
        notes.append(f"on the {n} whom both scored, of {len(first)} and {len(second)}")
    a, b = first.loc[both], second.loc[both]
    outcome = a["outcome"].to_numpy(dtype=bool)
    if n == 0 or outcome.all() or not outcome.any():
        notes.append("only one class among the outcomes")
        return nan, nan, nan, "", nan, nan, n, "; ".join(notes)
    values = _TESTS[test](a, b, outcome, threshold, level)
    return *values[:-1], n, "; ".join(filter(None, [*notes, str(values[-1])]))


def _delong(
    a: pd.DataFrame, b: pd.DataFrame, outcome: np.ndarray, _threshold: float, level: float
) -> tuple[object, ...]:
    person = np.unique(a.index.get_level_values(0).astype(str), return_inverse=True)[1]
    first = a["probability"].to_numpy(dtype=float)
    second = b["probability"].to_numpy(dtype=float)
    result = compare_aucs(outcome, first, second, person, level)
    limits = (result.interval.low, result.interval.high, result.interval.method)
    return result.difference, *limits, result.z, result.p, result.note


def _mcnemar(
    a: pd.DataFrame, b: pd.DataFrame, outcome: np.ndarray, threshold: float, _level: float
) -> tuple[object, ...]:
    nan = float("nan")
    right_first = (a["probability"].to_numpy(dtype=float) >= threshold) == outcome
    right_second = (b["probability"].to_numpy(dtype=float) >= threshold) == outcome
    difference = float(right_first.mean() - right_second.mean())
    if a.index.get_level_values(0).has_duplicates:
        note = "several rows per person: McNemar's test needs one"
        return difference, nan, nan, "", nan, nan, note
    only_first = int((right_first & ~right_second).sum())
    only_second = int((right_second & ~right_first).sum())
    p = mcnemar(only_first, only_second)
    note = "" if p == p else "no discordant people"
    return difference, nan, nan, "", only_first + only_second, p, note


_TESTS = {"delong": _delong, "mcnemar": _mcnemar}
