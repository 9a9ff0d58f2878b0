"""Variants against one another and against baselines: AUCs and decisions, corrected."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from bidsapp.contracts.unit import unit_columns
from bidsapp.evaluation.chance import CHANCE
from bidsapp.evaluation.estimates import difference_of, estimate_aucs
from bidsapp.evaluation.held_out import HeldOut, fold_codes
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
SAME = "the same scores: one network under two names"
"""Note of a pair that is not compared."""
_GIVEN = HeldOut()


def mcnemar(only_first: float, only_second: float, inflation: float = 1.0) -> float:
    """Two-sided p value of McNemar's test; NaN without discordant people.

    Exact for the decisions of given models. With an inflation, the counts are divided by it and p
    is the mid-p of the binomial continued to counts that are not whole (the beta function).

    Parameters
    ----------
    only_first, only_second
        People whom only the first, only the second model got right.
    inflation
        Of cross-validated scores (`held_out.inflation_of`).
    """
    discordant = (only_first + only_second) / inflation
    fewer = min(only_first, only_second) / inflation
    if discordant == 0:
        return float("nan")
    tail = _at_most(fewer, discordant)
    if inflation > 1:
        tail = (tail + _at_most(fewer - 1, discordant)) / 2
    return float(min(1.0, 2 * tail))


def _at_most(count: float, n: float) -> float:
    """Probability of at most `count` heads in `n` throws of a coin."""
    from scipy.special import betainc

    if count < 0:
        return 0.0
    return 1.0 if count >= n else float(betainc(n - count, count + 1, 0.5))


@dataclass(frozen=True)
class _Pair:
    """Two variants on the people, or rows, whom both scored, in the same order."""

    first: pd.DataFrame
    second: pd.DataFrame
    stratum: np.ndarray | None
    inflation: float
    rival: bool

    @property
    def outcome(self) -> np.ndarray:
        return self.first["outcome"].to_numpy(dtype=bool)

    @property
    def scores(self) -> np.ndarray:
        both = (self.first, self.second)
        return np.stack([one["probability"].to_numpy(dtype=float) for one in both])

    @property
    def participant(self) -> np.ndarray:
        return self.first.index.get_level_values(0).to_numpy().astype(str)


def compare_variants(
    scores: pd.DataFrame,
    tests: Sequence[str] = ("delong", "mcnemar"),
    threshold: float = DEFAULT_THRESHOLD,
    level: float = LEVEL,
    pairs: Sequence[tuple[str, str]] | None = None,
    layouts: Mapping[str, HeldOut] | None = None,
    rivals: Collection[str] = (),
) -> pd.DataFrame:
    """Compare variants on the people whom both scored, pooled over folds and repeats.

    Where somebody who was tested was trained on in another fold, the same outcomes made and test
    the models, and a paired test takes differences for real that are of this cohort: variances
    are multiplied as those of single AUCs are (`HeldOut.inflation`), and McNemar's counts divided.
    Where either AUC leads within folds and both were tested in the same folds, so is the
    difference taken.

    Parameters
    ----------
    tests
        ``delong``: difference of AUCs. ``mcnemar``: difference of accuracies at `threshold`.
    pairs
        Which variants; all pairs where absent. Holm's correction is over the pairs, for each test
        by itself.
    layouts
        How the people of each variant were held out; scores of given models where absent.
    rivals
        Models without a network: one whose AUC is below .5 counts as chance, as the second of a
        pair, for nobody would use it the wrong way round.

    Returns
    -------
    pandas.DataFrame
        Columns `COLUMNS`; `difference` is first minus second; `statistic` is z, for McNemar the
        number of discordant people. NaN with its reason in `note`.
    """
    names = [str(name) for name in scores["variant"].drop_duplicates()]
    chosen = list(combinations(names, 2)) if pairs is None else list(pairs)
    known = layouts or {}
    rows = dict(list(scores.groupby("variant", sort=False)))
    pooled = {
        name: pool(rows[name]).set_index(unit_columns(scores))
        for name in dict.fromkeys(name for pair in chosen for name in pair)
    }
    tables = []
    for test in tests:
        if test not in _TESTS:
            continue
        records = []
        for first, second in chosen:
            how = (known.get(first, _GIVEN), known.get(second, _GIVEN))
            both = (rows[first], rows[second]), (pooled[first], pooled[second])
            pair, notes = _matched(test, *both, how, second in rivals)
            records.append((first, second, test, *_compared(test, pair, notes, threshold, level)))
        table = pd.DataFrame(
            records, columns=pd.Index([name for name in COLUMNS if name != "p_holm"])
        )
        tables.append(table.assign(p_holm=holm(table["p"].to_numpy(dtype=float))))
    if not tables:
        return pd.DataFrame(columns=pd.Index(COLUMNS))
    return pd.concat(tables, ignore_index=True)[list(COLUMNS)]


def _matched(
    test: str,
    rows: tuple[pd.DataFrame, pd.DataFrame],
    pooled: tuple[pd.DataFrame, pd.DataFrame],
    how: tuple[HeldOut, HeldOut],
    rival: bool,
) -> tuple[_Pair, list[str]]:
    """Bring two variants onto the people whom both scored; within folds where that leads."""
    both = pooled[0].index.intersection(pooled[1].index)
    notes = []
    if len(both) < max(map(len, pooled)):
        notes.append(
            f"on the {len(both)} whom both scored, of {len(pooled[0])} and {len(pooled[1])}"
        )
    inflation = max(one.inflation for one in how)
    if test == "delong" and any(one.within for one in how):
        key = [*unit_columns(rows[0]), "repeat", "fold"]
        keyed = [one.set_index(key) for one in rows]
        same = keyed[0].index.intersection(keyed[1].index)
        if len(same) >= _SAME_FOLDS * max(map(len, keyed)):
            first, second = (one.loc[same] for one in keyed)
            codes = fold_codes(first.reset_index())
            return _Pair(first, second, codes, inflation, rival), [*notes, "within folds"]
        notes.append("pooled: the two were not tested in the same folds")
    return _Pair(pooled[0].loc[both], pooled[1].loc[both], None, inflation, rival), notes


def _compared(
    test: str, pair: _Pair, notes: list[str], threshold: float, level: float
) -> tuple[object, ...]:
    nan = float("nan")
    outcome = pair.outcome
    n = len(_units(pair.first)) if len(pair.first) else 0
    if n == 0 or outcome.all() or not outcome.any():
        notes = [*notes, "only one class among the outcomes"]
        return nan, nan, nan, "", nan, nan, n, "; ".join(notes)
    if not pair.rival and np.array_equal(*pair.scores):
        notes = [*notes, SAME]
        return nan, nan, nan, "", nan, nan, n, "; ".join(notes)
    values = _TESTS[test](pair, threshold, level)
    return *values[:-1], n, "; ".join(filter(None, [*notes, str(values[-1])]))


def _units(rows: pd.DataFrame) -> pd.DataFrame:
    """Whose rows they are, each unit once."""
    return rows.index.to_frame()[unit_columns(rows.index.names)].drop_duplicates()


def _delong(pair: _Pair, _threshold: float, level: float) -> tuple[object, ...]:
    try:
        (first, second), correlation = estimate_aucs(
            pair.outcome, pair.scores, pair.participant, pair.stratum, pair.inflation
        )
    except ValueError as error:
        return *_nothing(), str(error)
    widened = ", widened" if pair.inflation > 1 else ""
    if pair.rival and second.value < CHANCE:
        note = f"its AUC of {second.value:.2f} counts as chance (.50)"
        interval = first.interval(level)
        low, high, p = interval.low - CHANCE, interval.high - CHANCE, first.p_against(CHANCE)
        method = f"{interval.method}{widened}, less .50" if interval.known else ""
        z = float("nan") if not interval.known else _signed_z(p, first.value - CHANCE)
        notes = "; ".join(filter(None, (note, interval.note)))
        return first.value - CHANCE, low, high, method, z, p, notes
    found = difference_of(first, second, float(correlation[0, 1]), level)
    method = f"{found.interval.method}{widened}" if found.interval.known else ""
    limits = (found.interval.low, found.interval.high, method)
    return found.difference, *limits, found.z, found.p, found.note


def _mcnemar(pair: _Pair, threshold: float, _level: float) -> tuple[object, ...]:
    right = (pair.scores >= threshold) == pair.outcome
    difference = float(right[0].mean() - right[1].mean())
    if pair.first.index.get_level_values(0).has_duplicates:
        return difference, *_nothing()[1:], "several rows per person: McNemar's test needs one"
    only_first, only_second = int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())
    p = mcnemar(only_first, only_second, pair.inflation)
    note = f"mid-p of counts divided by {pair.inflation:.2f}" if pair.inflation > 1 else ""
    note = note if p == p else "no discordant people"
    return difference, *_nothing()[1:4], only_first + only_second, p, note


def _nothing() -> tuple[object, ...]:
    nan = float("nan")
    return nan, nan, nan, "", nan, nan


def _signed_z(p: float, difference: float) -> float:
    from scipy.special import ndtri

    return float(np.copysign(-ndtri(p / 2), difference))


_TESTS = {"delong": _delong, "mcnemar": _mcnemar}
_SAME_FOLDS = 0.9


def _with_missing(p: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    values = np.asarray(p, dtype=float)
    known = np.flatnonzero(np.isfinite(values))
    return np.full(values.shape, np.nan), known, values[known]


def bonferroni(p: np.ndarray) -> np.ndarray:
    """Multiply by the number of tests that have a p value; NaN stays NaN."""
    out, known, values = _with_missing(p)
    out[known] = np.minimum(1, values * len(values))
    return out


def holm(p: np.ndarray) -> np.ndarray:
    """Step-down Bonferroni (Holm 1979): valid whatever the dependence, never weaker."""
    out, known, values = _with_missing(p)
    order = np.argsort(values, kind="stable")
    scaled = values[order] * (len(values) - np.arange(len(values)))
    out[known[order]] = np.minimum(1, np.maximum.accumulate(scaled))
    return out


def false_discovery_rate(p: np.ndarray) -> np.ndarray:
    """Benjamini-Hochberg 1995, for independent or positively dependent tests."""
    out, known, values = _with_missing(p)
    order = np.argsort(values, kind="stable")[::-1]
    scaled = values[order] * len(values) / (len(values) - np.arange(len(values)))
    out[known[order]] = np.minimum(1, np.minimum.accumulate(scaled))
    return out
