"""Permutation of outcomes on fixed scores, and the p value of a permuted pipeline."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from bidsapp.evaluation.sample import pool

_BLOCK = 2_000_000
LIBERAL = "with cross-validated scores a nominal .05 means about .10"
CROSS_VALIDATED = f"scores fixed: {LIBERAL}; the whole pipeline permuted would be exact"


@dataclass(frozen=True)
class PermutationResult:
    """An AUC against what permuted outcomes give.

    Attributes
    ----------
    observed
        The AUC.
    null
        (N,) the AUCs under permutation.
    p
        One-sided, ``(1 + #{null >= observed}) / (N + 1)``; NaN where undefined.
    method
        How outcomes were permuted.
    note
        Why there is no p value.
    """

    observed: float
    null: np.ndarray
    p: float
    method: str
    note: str = ""


def permutation_p(observed: float, permuted: np.ndarray) -> float:
    """One-sided p value of a score among those of k permuted pipelines.

    ``(1 + #{permuted >= observed}) / (k + 1)`` (Phipson & Smyth 2010,
    doi:10.2202/1544-6115.1585): never 0, and valid for any k. Values equal up to rounding count
    as equal. NaN where `observed` or all permuted scores are undefined.
    """
    known = np.asarray(permuted, dtype=float)
    known = known[np.isfinite(known)]
    if not np.isfinite(observed) or not len(known):
        return float("nan")
    return float((1 + (known >= observed - 1e-12).sum()) / (len(known) + 1))


def permute_outcomes(
    rows: pd.DataFrame, permutations: int, rng: np.random.Generator
) -> PermutationResult:
    """Test the pooled AUC of one variant's rows by permuting outcomes over people.

    With one repeat outcomes are permuted within the folds, so that the folds keep their number of
    positives and their models' level of scores; where a fold has one class only, or people are
    held out several times, over all people. A person's sessions stay together and change place
    only with people who have as many.

    The scores stay as they are, so this asks whether given scores and outcomes are associated. It
    is exact for scores that owe nothing to the outcomes they are tested on, as a hold-out's. The
    scores of cross-validation come from models trained on one another's test folds, and so spread
    more under the null: at a nominal 5 % the test rejected 8 to 12 % (discriminant analysis of
    noise, n = 60 and 128, 8 folds). The exact answer there is `permutation_p` over pipelines
    trained on permuted outcomes.
    """
    table = pool(rows)
    outcome = table["outcome"].to_numpy(dtype=float)
    positives = int(outcome.sum())
    nothing = np.full(0, np.nan)
    if positives in (0, len(outcome)):
        note = "only one class among the outcomes"
        return PermutationResult(float("nan"), nothing, float("nan"), "", note)
    stratum, method = _strata(rows, table)
    rank = table["probability"].rank().to_numpy()

    def area(ranks: np.ndarray) -> np.ndarray:
        wins = ranks - positives * (positives + 1) / 2
        return np.asarray(wins / (positives * (len(outcome) - positives)))

    block = max(1, _BLOCK // len(outcome))
    groups = exchangeable(table["participant_id"].to_numpy(), stratum)
    parts = [
        area(permuted(outcome, groups, min(block, permutations - start), rng) @ rank)
        for start in range(0, permutations, block)
    ]
    null = np.concatenate(parts) if parts else nothing
    observed = float(area(outcome @ rank))
    note = CROSS_VALIDATED if rows["fold"].nunique() > 1 else ""
    note = note if len(null) else "no permutations were asked for"
    return PermutationResult(observed, null, permutation_p(observed, null), method, note)


def _strata(rows: pd.DataFrame, table: pd.DataFrame) -> tuple[np.ndarray, str]:
    nothing = np.zeros(len(table), dtype=int)
    if rows["repeat"].nunique() > 1:
        return nothing, "over all people (several repeats)"
    fold = table["fold"].to_numpy()
    both = table.groupby("fold")["outcome"].nunique()
    if (both < 2).any():
        return nothing, "over all people (a fold has one class)"
    return fold, "within folds"


def exchangeable(participant: np.ndarray, stratum: np.ndarray) -> list[np.ndarray]:
    """Rows that may change place: per stratum and number of rows, (people, rows of each)."""
    person = np.unique(participant.astype(str), return_inverse=True)[1]
    place = np.unique(stratum, return_inverse=True)[1]
    groups: dict[tuple[int, int], list[np.ndarray]] = {}
    for code in range(int(person.max()) + 1):
        mine = np.flatnonzero(person == code)
        for where in np.unique(place[mine]):
            rows = mine[place[mine] == where]
            groups.setdefault((int(where), len(rows)), []).append(rows)
    return [np.stack(members) for members in groups.values()]


def permuted(
    outcome: np.ndarray, groups: list[np.ndarray], permutations: int, rng: np.random.Generator
) -> np.ndarray:
    """(permutations, n) outcomes with people's places changed within their groups."""
    result = np.tile(outcome, (permutations, 1))
    for rows in groups:
        places = np.tile(np.arange(len(rows)), (permutations, 1))
        places = rng.permuted(places, axis=1)
        result[:, rows.ravel()] = outcome[rows[places]].reshape(permutations, -1)
    return result
