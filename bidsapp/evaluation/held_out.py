"""How people were held out, from the splits that took place: what an AUC of theirs may claim."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bidsapp.evaluation.estimates import AucEstimate, estimate_aucs
from bidsapp.evaluation.sample import pool
from bidsapp.evaluation.settings import WITH_IMAGE, EvaluationSettings
from bidsapp.training.splits_file import splits_of

UNLIKE = 0.05
"""Shares of positives of the folds differ where chance gives as much this rarely (chi-square)."""
_LEAST_INSIDE = 0.5


@dataclass(frozen=True)
class HeldOut:
    """How the people of one variant were held out.

    Attributes
    ----------
    inflation
        What DeLong's variance is multiplied by to hold for models trained on other people: 1 where
        nobody who was tested was trained on elsewhere, else ``1 + tested / trained on``
        (`inflation_of`).
    tests
        How many test sets of this size the tested people fill: the folds of a cross-validation,
        however often it is repeated.
    ratio
        Mean over the folds of people tested per person trained on (`held_out_ratio`).
    within
        Whether the AUC leads that takes pairs within folds only.
    why
        Why it does; or, where folds are too small for it, what is wrong with the pooled one.
    """

    inflation: float = 1.0
    tests: float = float("nan")
    ratio: float = float("nan")
    within: bool = False
    why: str = ""

    @property
    def retrained(self) -> bool:
        """Whether somebody who was tested was trained on in another fold or repeat."""
        return self.inflation > 1


def held_out(
    rows: pd.DataFrame, splits: pd.DataFrame, groups: Mapping[str, str] | None = None
) -> HeldOut:
    """Read from the splits of a variant what its scores owe to one another.

    The protocol's name plays no part, so that splits given in a file, and hold-outs that are
    repeated, are judged by what they are.

    Parameters
    ----------
    rows
        Its scores.
    splits
        Its rows of splits.tsv.
    groups
        Participant to the group (site, family) that is never divided; absent where there are none.
    """
    ratio = held_out_ratio(splits)
    tests = _test_sets(splits)
    inflation = inflation_of(splits)
    if inflation == 1 and rows["repeat"].nunique() * rows["fold"].nunique() < 2:
        return HeldOut(inflation, tests, ratio)
    why = _unlike_folds(rows, splits, groups)
    if not why:
        return HeldOut(inflation, tests, ratio)
    if _share_inside(rows) >= _LEAST_INSIDE:
        return HeldOut(inflation, tests, ratio, True, why)
    small = f"{why}, and most folds have people of one class only: the pooled AUC leans below .5"
    return HeldOut(inflation, tests, ratio, False, small)


def inflation_of(splits: pd.DataFrame) -> float:
    """Give what DeLong's variance is multiplied by to hold for models trained on other people.

    ``1 + n_tested / n_trained_on`` where somebody who is tested is trained on elsewhere. This is
    what Nadeau and Bengio's correction (2003, doi:10.1023/A:1024068626366) does to the variance of
    a mean over folds, with as many independent test sets as the tested people fill: repeats add
    models, and no people. Otherwise 1: the scores are those of given models on new people.
    """
    if not trained_elsewhere(splits):
        return 1.0
    ratio = held_out_ratio(splits)
    return 1 + _test_sets(splits) * ratio if np.isfinite(ratio) else 1.0


def trained_elsewhere(splits: pd.DataFrame) -> bool:
    """Whether anybody who was tested was trained or validated on in another fold or repeat."""
    tested = splits.loc[splits["role"] == "test", "participant_id"]
    trained = splits.loc[splits["role"] != "test", "participant_id"]
    return bool(tested.isin(trained).any())


def held_out_ratio(splits: pd.DataFrame) -> float:
    """Mean over folds of people tested per person trained on (validation counts as training)."""
    tested = splits["role"] == "test"
    folds = tested.groupby([splits["repeat"], splits["fold"]])
    test, everybody = folds.sum(), folds.size()
    ratios = (test / (everybody - test)).replace(np.inf, np.nan).dropna()
    return float(ratios.mean()) if len(ratios) else float("nan")


def splits_behind(splits: pd.DataFrame, name: str, plan: EvaluationSettings) -> pd.DataFrame:
    """Rows of the splits table by which a network, or what stands on networks, was tested."""
    own = splits_of(splits, name)
    if len(own):
        return own
    if name in plan.ensembles:
        return splits_behind(splits, plan.ensembles[name][0][0], plan)
    if name in plan.stack:
        return splits_behind(splits, plan.stack[name][0], plan)
    if name.startswith(WITH_IMAGE):
        return splits_behind(splits, name.removeprefix(WITH_IMAGE), plan)
    prefix = name.rpartition("/")[0]
    return splits_of(splits, prefix or plan.base)


def leading_estimate(rows: pd.DataFrame, how: HeldOut) -> AucEstimate:
    """AUC that a report leads with: within folds where `how` says so, else pooled.

    Parameters
    ----------
    rows
        Scores of one variant, both outcomes among them.
    """
    if how.within:
        return within_estimate(rows, how)
    pooled = pool(rows)
    return estimate_aucs(
        pooled["outcome"].to_numpy(dtype=bool),
        pooled["probability"].to_numpy(dtype=float),
        pooled["participant_id"].to_numpy().astype(str),
        inflation=how.inflation,
    )[0][0]


def within_estimate(rows: pd.DataFrame, how: HeldOut) -> AucEstimate:
    """AUC over pairs of the same fold; over several repeats, the mean of theirs."""
    return estimate_aucs(
        rows["outcome"].to_numpy(dtype=bool),
        rows["probability"].to_numpy(dtype=float),
        rows["participant_id"].to_numpy().astype(str),
        fold_codes(rows),
        how.inflation,
    )[0][0]


def fold_codes(rows: pd.DataFrame) -> np.ndarray:
    """(n,) a number for each repeat and fold."""
    return rows.groupby(["repeat", "fold"], sort=True).ngroup().to_numpy()


def _test_sets(splits: pd.DataFrame) -> float:
    tested = splits[splits["role"] == "test"]
    sizes = tested.groupby(["repeat", "fold"]).size()
    return float(tested["participant_id"].nunique() / sizes.mean()) if len(sizes) else float("nan")


def _unlike_folds(
    rows: pd.DataFrame, splits: pd.DataFrame, groups: Mapping[str, str] | None
) -> str:
    """Say why pairs of different folds should not be compared; empty where they may be."""
    tested = splits[splits["role"] == "test"]
    if groups and _whole_groups(tested, groups):
        return "each fold is one group that the others know nothing of"
    first = rows[rows["repeat"] == rows["repeat"].min()]
    table = pd.crosstab(first["fold"], first["outcome"]).to_numpy()
    if min(table.shape) < 2:
        return ""
    from scipy.stats import chi2_contingency

    if chi2_contingency(table, correction=False).pvalue < UNLIKE:
        return "the folds differ in their share of positives"
    return ""


def _whole_groups(tested: pd.DataFrame, groups: Mapping[str, str]) -> bool:
    """Whether every fold tests the whole of one group of several people, and nobody else."""
    group = tested["participant_id"].map(groups)
    if group.isna().any():
        return False
    of_fold = group.groupby([tested["repeat"], tested["fold"]])
    sizes = pd.Series(groups).value_counts()
    one = of_fold.nunique().eq(1).all()
    return bool(
        one and len(of_fold) > 1 and (of_fold.size() == sizes[of_fold.first()].to_numpy()).all()
    ) and bool((sizes > 1).any())


def _share_inside(rows: pd.DataFrame) -> float:
    """Share of the people whose fold has both classes."""
    both = rows.groupby(["repeat", "fold"])["outcome"].transform("nunique") > 1
    return float(both.mean())
