"""The whole pipeline trained anew on permuted outcomes: its AUCs, and the p value they give."""

from pathlib import Path

import numpy as np
import pandas as pd

from bidsapp.evaluation.ensembles import with_ensembles
from bidsapp.evaluation.metrics import point_estimates
from bidsapp.evaluation.permutation import permutation_p
from bidsapp.evaluation.sample import PERSON, from_scores
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


def null_aucs(permuted: pd.DataFrame, plan: EvaluationSettings) -> pd.DataFrame:
    """Pooled AUC of every permutation and variant, ensembles among them.

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
    return auc.rename("auc").dropna().reset_index()


def pipeline_test(
    scores: pd.DataFrame, permuted: pd.DataFrame, plan: EvaluationSettings
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Set the pooled AUC of every variant beside those under permutation.

    The test is exact: what was done with the outcomes was done again with the permuted ones.

    Parameters
    ----------
    scores
        Of networks and ensembles, in the columns of `scores.tsv`.
    permuted
        As `read_permuted` gives them.

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
    null = null_aucs(permuted, plan)
    records = []
    for variant, rows in scores.groupby("variant", sort=False):
        values = null.loc[null["variant"] == variant, "auc"].to_numpy()
        if not len(values):
            continue
        observed = point_estimates(from_scores(rows), ("auc",))["auc"]
        p = permutation_p(observed, np.asarray(values))
        note = f"{len(values)} permutations give no p below {1 / (len(values) + 1):.2g}"
        records.append((variant, observed, p, len(values), METHOD, note))
    return pd.DataFrame(records, columns=pd.Index(_COLUMNS)), null
