"""Permutation of outcomes on fixed scores, and the p value of a permuted pipeline."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from bidsapp.contracts.unit import unit_columns
from bidsapp.evaluation.ensembles import with_ensembles
from bidsapp.evaluation.held_out import HeldOut, leading_estimate
from bidsapp.evaluation.sample import pool
from bidsapp.evaluation.settings import EvaluationSettings
from bidsapp.evaluation.state import RunState, read_permuted_scores

_BLOCK = 2_000_000
LIBERAL = "with cross-validated scores a nominal .05 means about .10"
CROSS_VALIDATED = f"scores fixed: {LIBERAL}; the whole pipeline permuted would be exact"


def null_words(columns: Sequence[str]) -> str:
    """Say what a permutation of outcomes within these columns rejects, confounding included."""
    if columns:
        named = " and ".join(columns)
        return (
            f"Outcomes changed place within {named} only: what goes with {named} is no finding, "
            "and any other association with the outcome is rejected, confounded or not."
        )
    return (
        "The null hypothesis is that nothing goes with the outcome: an association by way of age, "
        "sex or scanner is rejected as well (evaluation.permute_within keeps to a site)."
    )


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
    rows: pd.DataFrame,
    permutations: int,
    rng: np.random.Generator,
    how: HeldOut | None = None,
    within: pd.Series | None = None,
    named: str = "",
) -> PermutationResult:
    """Test the AUC that leads, of one variant's rows, by permuting outcomes over people.

    With one repeat outcomes are permuted within the folds, so that the folds keep their number of
    positives and their models' level of scores; where a fold has one class only, or people are
    held out several times, over all people. A person's sessions stay together and change place
    only with people who have as many.

    The scores stay as they are, so this asks whether given scores and outcomes are associated, in
    whatever way: by age, sex or scanner too, unless outcomes are permuted within their values. It
    is exact for scores that owe nothing to the outcomes they are tested on, as a hold-out's. The
    scores of cross-validation come from models trained on one another's test folds, and so spread
    more under the null: at a nominal 5 % the test rejected 8 to 12 % (discriminant analysis of
    noise, n = 60 and 128, 8 folds). The exact answer there is `permutation_p` over pipelines
    trained on permuted outcomes.

    Parameters
    ----------
    how
        How the people were held out; given models on new people where absent.
    within
        A label for each of `rows`: nobody leaves the people of their label.
    named
        What the labels are, in words.
    """
    known = how or HeldOut()
    labels = pd.Series("", index=rows.index) if within is None else within.loc[rows.index]
    table = pool(rows)
    unit = unit_columns(rows)
    keys = pd.MultiIndex.from_frame(table[unit])
    of_person = rows.assign(label=labels.astype(str)).drop_duplicates(unit).set_index(unit)
    table = table.assign(label=of_person["label"].reindex(keys).to_numpy())
    outcome = table["outcome"].to_numpy(dtype=float)
    nothing = np.full(0, np.nan)
    if outcome.sum() in (0, len(outcome)):
        note = "only one class among the outcomes"
        return PermutationResult(float("nan"), nothing, float("nan"), "", note)
    stratum, method = _strata(rows, table, known.within, named)
    area = _within_area(rows, keys) if known.within else _pooled_area(table)
    block = max(1, _BLOCK // len(rows))
    groups = exchangeable(table["participant_id"].to_numpy(), stratum)
    parts = [
        area(permuted(outcome, groups, min(block, permutations - start), rng))
        for start in range(0, permutations, block)
    ]
    null = np.concatenate(parts) if parts else nothing
    observed = float(area(outcome[None, :])[0])
    if not len(null):
        note = "no permutations were asked for"
    elif named and all(np.ptp(outcome[stratum == one]) == 0 for one in np.unique(stratum)):
        note = f"every value of {named} has one class only: no outcome can change place"
        return PermutationResult(observed, nothing, float("nan"), method, note)
    else:
        note = CROSS_VALIDATED if known.retrained else ""
    return PermutationResult(observed, null, permutation_p(observed, null), method, note)


def _pooled_area(table: pd.DataFrame) -> Callable[[np.ndarray], np.ndarray]:
    rank = table["probability"].rank().to_numpy()

    def area(outcome: np.ndarray) -> np.ndarray:
        positives = outcome.sum(axis=1)
        wins = outcome @ rank - positives * (positives + 1) / 2
        return np.asarray(wins / (positives * (outcome.shape[1] - positives)))

    return area


def _within_area(rows: pd.DataFrame, keys: pd.MultiIndex) -> Callable[[np.ndarray], np.ndarray]:
    """Share of the pairs of the same fold that are in the right order."""
    fold = rows.groupby(["repeat", "fold"])
    rank = fold["probability"].rank().to_numpy()
    code = fold.ngroup().to_numpy()
    member = (code[:, None] == np.arange(code.max() + 1)).astype(float)
    place = keys.get_indexer(pd.MultiIndex.from_frame(rows[unit_columns(rows)]))

    def area(outcome: np.ndarray) -> np.ndarray:
        drawn = outcome[:, place]
        positives = drawn @ member
        wins = drawn @ rank - (positives * (positives + 1) / 2).sum(axis=1)
        return np.asarray(wins / (positives * (member.sum(axis=0) - positives)).sum(axis=1))

    return area


def _strata(
    rows: pd.DataFrame, table: pd.DataFrame, within_folds: bool, named: str
) -> tuple[np.ndarray, str]:
    """Labels of the people among whom outcomes change place, and words for them."""
    inside = f"within {named}" if named else ""
    label = table.groupby("label").ngroup().to_numpy()
    if rows["repeat"].nunique() > 1:
        return label, inside or "over all people (several repeats)"
    cells = table.groupby(["label", "fold"])
    if within_folds or (cells["outcome"].nunique() > 1).all():
        return cells.ngroup().to_numpy(), f"{inside} and folds" if inside else "within folds"
    return label, inside or "over all people (a fold has one class)"


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


FILE = "permuted_scores.tsv"
METHOD = "whole pipeline, trained anew"
_COLUMNS = ("variant", "auc", "p", "permutations", "method", "note")


def read_permuted(state: RunState) -> pd.DataFrame:
    """Read `permuted_scores.tsv`: held-out scores of models trained on permuted outcomes.

    Returns
    -------
    pandas.DataFrame
        `permutation` and the columns of `scores.tsv`; empty where the file is not there.

    Raises
    ------
    BadData
        A value or row is wrong; the message names file and line.
    """
    path = Path(state.folder) / FILE
    return read_permuted_scores(path, state.cohort) if path.is_file() else pd.DataFrame()


def null_aucs(
    permuted: pd.DataFrame, plan: EvaluationSettings, layouts: Mapping[str, HeldOut] | None = None
) -> pd.DataFrame:
    """AUC of every permutation and variant, ensembles among them: pooled, or within folds.

    Returns
    -------
    pandas.DataFrame
        `variant`, `permutation`, `auc`; without those whose outcomes are of one class.
    """
    # a permutation is as good as a repeat to what joins members of an ensemble
    wide = int(permuted["repeat"].max()) + 1
    combined = permuted["permutation"] * wide + permuted["repeat"]
    scores = permuted.drop(columns="permutation").assign(repeat=combined)
    scores = with_ensembles(scores, plan.ensembles, plan.threshold)
    scores = scores.assign(permutation=scores["repeat"] // wide)
    one = ["variant", "permutation"]
    people = scores.groupby([*one, *unit_columns(scores)], sort=False, dropna=False)
    pooled = people.agg(outcome=("outcome", "first"), probability=("probability", "mean"))
    rank = pooled.groupby(level=one, sort=False)["probability"].rank()
    positive = pooled["outcome"] == 1
    groups = pooled.assign(rank=rank.where(positive, 0.0), positive=positive).groupby(level=one)
    sums = groups.agg(wins=("rank", "sum"), m=("positive", "sum"), n=("positive", "size"))
    pairs = sums["m"] * (sums["n"] - sums["m"])
    auc = (sums["wins"] - sums["m"] * (sums["m"] + 1) / 2) / pairs.where(pairs > 0)
    found = auc.rename("auc").dropna().reset_index()
    inside = [name for name, how in (layouts or {}).items() if how.within]
    if not inside:
        return found
    mine = _within(scores[scores["variant"].isin(inside)])
    return pd.concat([found[~found["variant"].isin(inside)], mine], ignore_index=True)


def _within(scores: pd.DataFrame) -> pd.DataFrame:
    """AUC over pairs of the same fold of every permutation and variant."""
    one = ["variant", "permutation"]
    folds = scores.groupby([*one, "repeat", "fold"], sort=False)
    positive = scores["outcome"] == 1
    ranked = scores.assign(
        rank=folds["probability"].rank().where(positive, 0.0), positive=positive
    ).groupby([*one, "repeat", "fold"], sort=False)
    sums = ranked.agg(wins=("rank", "sum"), m=("positive", "sum"), n=("positive", "size"))
    sums = sums.assign(
        pairs=sums["m"] * (sums["n"] - sums["m"]),
        wins=sums["wins"] - sums["m"] * (sums["m"] + 1) / 2,
    )
    total = sums.groupby(level=one, sort=False)[["wins", "pairs"]].sum()
    auc = total["wins"] / total["pairs"].where(total["pairs"] > 0)
    return auc.rename("auc").dropna().reset_index()


def pipeline_test(
    scores: pd.DataFrame,
    permuted: pd.DataFrame,
    plan: EvaluationSettings,
    layouts: Mapping[str, HeldOut] | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Set the AUC that leads, of every variant, beside those under permutation.

    The test is exact: what was done with the outcomes was done again with the permuted ones. What
    it rejects is said by `permutation.null_words`.

    Parameters
    ----------
    scores
        Of networks and ensembles, in the columns of `scores.tsv`.
    permuted
        As `read_permuted` gives them.
    layouts
        How the people of each variant were held out.

    Returns
    -------
    test
        Rows for `tables/permutations.tsv`: one-sided p, and how many permutations.
    null
        `variant`, `permutation`, `auc`.
    """
    empty = pd.DataFrame(columns=pd.Index(_COLUMNS))
    if permuted.empty:
        return empty, pd.DataFrame(columns=pd.Index(["variant", "permutation", "auc"]))
    known = layouts or {}
    null = null_aucs(permuted, plan, known)
    records = []
    for variant, rows in scores.groupby("variant", sort=False):
        values = null.loc[null["variant"] == variant, "auc"].to_numpy()
        if not len(values):
            continue
        how = known.get(str(variant), HeldOut())
        both = rows["outcome"].nunique() > 1
        observed = leading_estimate(rows, how).value if both else float("nan")
        p = permutation_p(observed, np.asarray(values))
        note = f"{len(values)} permutations give no p below {1 / (len(values) + 1):.2g}"
        records.append((variant, observed, p, len(values), METHOD, note))
    return pd.DataFrame(records, columns=pd.Index(_COLUMNS)), null
