"""The whole pipeline trained anew on permuted outcomes: its AUCs, and the p value they give."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from bidsapp.evaluation.ensembles import with_ensembles
from bidsapp.evaluation.held_out import HeldOut, leading_estimate
from bidsapp.evaluation.permutation import permutation_p
from bidsapp.evaluation.sample import PERSON
from bidsapp.evaluation.settings import EvaluationSettings
from bidsapp.evaluation.state import RunState, read_permuted_scores

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
    people = scores.groupby([*one, *PERSON], sort=False, dropna=False)
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
