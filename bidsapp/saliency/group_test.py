"""Positives against negatives: who is compared, given which covariates, and where p is valid."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bidsapp.contracts.unit import PART
from bidsapp.errors import BadData
from bidsapp.saliency.covariates import MOSTLY_THE_OUTCOME, chosen_columns, explained, nuisance_of
from bidsapp.saliency.max_t import ClusterEnhancement, corrected_p, max_t, voxel_t
from bidsapp.saliency.people import PeopleMaps

PERMUTATIONS = 1000
_FEWEST_OF_A_CLASS = 3
FEWEST_PIPELINES = 19
HOLD_OUT, WHOLE_PIPELINE = "hold-out", "whole pipeline"
DESCRIPTIVE = (
    "the comparison of positives with negatives is descriptive and has no p: the outcomes of the "
    "people who are compared have trained the networks of other folds, and a permutation of their "
    f"maps would find differences in noise; --permutations N with N of {FEWEST_PIPELINES} or more "
    "gives p from networks trained anew on permuted outcomes"
)
ONE_FAMILY = (
    "p is corrected over the voxels of this map by one statistic; not over variants, nor for "
    "looking at both t and its enhancement"
)


@dataclass(frozen=True)
class VoxelNull:
    """The largest statistics of maps by networks that were trained on permuted outcomes.

    Attributes
    ----------
    t
        (N,) largest |t| over voxels of each permutation of the whole pipeline.
    tfce
        (N,) the same of threshold-free cluster enhancement; None where it was not made.
    """

    t: np.ndarray
    tfce: np.ndarray | None = None


@dataclass(frozen=True)
class GroupTest:
    """The comparison of positives with negatives, and its test where there is a valid one.

    Attributes
    ----------
    t
        (voxels,) above 0 where the maps of positives are larger.
    df
        Degrees of freedom of t.
    positives, negatives
        How many people of each entered.
    covariates
        Columns adjusted for.
    within_folds
        Whether each fold has an intercept, as its maps come from one network.
    p_from
        `HOLD_OUT` where outcomes were permuted with the network fixed, `WHOLE_PIPELINE` where
        networks were trained anew; empty where the comparison is descriptive.
    permutations
        Number of permutations; 0 where it is descriptive.
    p_fwe
        (voxels,) two-sided p of t corrected over voxels; None where it is descriptive.
    tfce, p_tfce
        Enhanced t and its corrected p; None where there are none.
    q
        (voxels,) false discovery rate of t (`false_discovery_rates`); None where not asked for,
        or where the comparison is descriptive or rests on permuted pipelines.
    notes
        What was left out and why, and how far the p values can be trusted.
    """

    t: np.ndarray
    df: int
    positives: int
    negatives: int
    covariates: tuple[str, ...]
    within_folds: bool
    p_from: str = ""
    permutations: int = 0
    p_fwe: np.ndarray | None = None
    tfce: np.ndarray | None = None
    p_tfce: np.ndarray | None = None
    q: np.ndarray | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Design:
    """Maps (people, voxels) of one row a person, what is compared, and what is adjusted for."""

    values: np.ndarray
    outcome: np.ndarray
    nuisance: np.ndarray
    names: tuple[str, ...]
    blocks: np.ndarray | None
    notes: tuple[str, ...]


def compare_groups(
    people: PeopleMaps,
    covariates: pd.DataFrame | None = None,
    columns: Sequence[str] | None = None,
    *,
    independent: bool = False,
    null: VoxelNull | None = None,
    permutations: int = PERMUTATIONS,
    tfce: bool = True,
    fdr: bool = False,
    seed: int = 0,
) -> tuple[GroupTest | None, list[str]]:
    """Compare the maps of positives with those of negatives, voxel by voxel.

    Each participant enters with one map, the mean of its sessions; where the outcome differs
    between sessions of one participant, there is no comparison. With one repeat and both classes
    in every fold, each fold has an intercept, as its maps come from one network.

    There is a p in two cases. Where nobody who is compared has trained any of the networks, as in
    one hold-out, outcomes are exchangeable with the networks fixed, and maps are permuted
    (`max_t`). In cross-validation they are not: the networks of a fold hold the outcomes of the
    other folds, and at a nominal .05 such a permutation rejected in up to .85 of studies of noise
    (linear networks, docs/statistics.md). There p needs `null`, networks trained anew on permuted
    outcomes.

    Parameters
    ----------
    people
        Smoothed maps.
    covariates
        `participant_id` and other columns, those of `cohort.tsv` for instance.
    columns
        Which of them to adjust for: numbers as they are, others as categories. By default `USUAL`
        where they are there, save one that by itself explains most of the outcome.
    independent
        Whether nobody of `people` has trained any of the networks.
    null
        From `largest_statistics` of permuted pipelines; fewer than `FEWEST_PIPELINES` give no p.
    permutations
        Number of permutations of maps; 0 makes no comparison.
    tfce
        Whether to test enhanced maps too.
    fdr
        Whether to give false discovery rates too.
    seed
        Of the permutations.

    Raises
    ------
    UsageError
        If the table lacks a column that was named.

    Returns
    -------
    test
        None where there are too few people for one, or outcomes differ within people.
    notes
        Why there is none; empty where there is one.
    """
    if not permutations:
        return None, ["no voxelwise comparison: no permutations were asked for"]
    design, why = design_of(people, covariates, columns)
    if design is None:
        return None, why
    enhance = ClusterEnhancement(people.space, people.inside) if tfce else None
    parts = (design.values, design.outcome, design.nuisance)
    fields: dict[str, Any] = {}
    notes = list(design.notes)
    try:
        if null is not None and len(null.t) >= FEWEST_PIPELINES:
            t, df = voxel_t(*parts, design.blocks)
            fields = {"p_from": WHOLE_PIPELINE, "permutations": len(null.t)}
            fields["p_fwe"] = corrected_p(np.abs(t), null.t)
            if enhance is not None and null.tfce is not None:
                fields["tfce"] = enhance(t)
                fields["p_tfce"] = corrected_p(np.abs(fields["tfce"]), null.tfce)
        elif independent:
            rng = np.random.default_rng([seed, 1])
            found = max_t(
                *parts, permutations=permutations, blocks=design.blocks, rng=rng, enhance=enhance
            )
            t, df = found.t, found.df
            fields = {"p_from": HOLD_OUT, "permutations": permutations, "p_fwe": found.p_fwe}
            fields |= {"tfce": found.tfce, "p_tfce": found.p_tfce}
            if fdr:
                fields["q"] = false_discovery_rates(t, df)
        else:
            t, df = voxel_t(*parts, design.blocks)
            if null is not None:
                notes.append(f"{len(null.t)} permuted pipelines are too few for a p of voxels")
    except BadData as error:
        return None, [*design.notes, f"no voxelwise comparison: {error}"]
    notes.append(ONE_FAMILY if fields else DESCRIPTIVE)
    positives = int(design.outcome.sum())
    test = GroupTest(
        t, df, positives, len(design.outcome) - positives, design.names, design.blocks is not None,
        notes=tuple(notes), **fields,
    )  # fmt: skip
    return test, []


def false_discovery_rates(t: np.ndarray, df: int) -> np.ndarray:
    """Give the rate of false discoveries at which each voxel is one, (voxels,) float32.

    Benjamini & Hochberg 1995 (doi:10.1111/j.2517-6161.1995.tb02031.x), of the two-sided p of t by
    its distribution, which holds for normal residuals or many people.
    """
    from scipy.stats import false_discovery_control
    from scipy.stats import t as student

    p = 2 * student.sf(np.abs(np.asarray(t, np.float64)), df)
    return np.asarray(false_discovery_control(p), np.float32)


def largest_statistics(
    people: PeopleMaps,
    covariates: pd.DataFrame | None,
    columns: Sequence[str] | None,
    tfce: bool,
) -> tuple[float, float]:
    """Give the largest |t| and the largest enhancement over voxels, of one permuted pipeline.

    Everything is as in `compare_groups`; 0 where there is no comparison, as where a permutation
    leaves a class empty.
    """
    design, _ = design_of(people, covariates, columns)
    if design is None:
        return 0.0, 0.0
    try:
        t, _ = voxel_t(design.values, design.outcome, design.nuisance, design.blocks)
    except BadData:
        return 0.0, 0.0
    largest = float(np.abs(t).max(initial=0))
    if not tfce:
        return largest, 0.0
    return largest, float(np.abs(ClusterEnhancement(people.space, people.inside)(t)).max(initial=0))


def design_of(
    people: PeopleMaps, covariates: pd.DataFrame | None, columns: Sequence[str] | None
) -> tuple[Design | None, list[str]]:
    """Lay out a comparison; None with the reason where there is none."""
    both = people.scans.groupby("participant_id")["outcome"].nunique() > 1
    if both.any():
        one = "scan" if PART in people.scans else "session"
        return None, [
            f"no voxelwise comparison: {int(both.sum())} people are positive in one {one} and "
            f"negative in another ({', '.join(map(str, both.index[both][:3]))}, ...), so positives "
            f"and negatives are not different people; they can be compared in a run where one "
            f"{one} of each has an outcome (leave the cells of the others empty)"
        ]
    table, values = _one_each(people)
    chosen, notes = chosen_columns(table, covariates, columns)
    nuisance, names, known = nuisance_of(table, covariates, chosen, notes)
    table, values, nuisance = table[known].reset_index(drop=True), values[known], nuisance[known]
    outcome = table["outcome"].to_numpy(float)
    positives, negatives = int(outcome.sum()), int((1 - outcome).sum())
    if min(positives, negatives) < _FEWEST_OF_A_CLASS:
        return None, [
            *notes,
            f"no voxelwise comparison: {positives} positives and {negatives} negatives, at least "
            f"{_FEWEST_OF_A_CLASS} of each are needed",
        ]
    folds = table.groupby("fold")["outcome"].nunique()
    within = people.repeats == 1 and len(folds) > 1 and bool((folds == 2).all())
    share = explained(outcome, nuisance)
    if share > MOSTLY_THE_OUTCOME:
        notes.append(
            f"{', '.join(names)} explain {share:.0%} of the outcome's variance: the comparison "
            "asks what the maps say beyond them"
        )
    blocks = table["fold"].to_numpy() if within else None
    return Design(values, outcome, nuisance, tuple(names), blocks, tuple(notes)), []


def _one_each(people: PeopleMaps) -> tuple[pd.DataFrame, np.ndarray]:
    """One row and one map per participant; its sessions are averaged."""
    key = people.scans["participant_id"].astype(str)
    groups = people.scans.groupby(key, sort=True).indices
    rows = [int(np.min(places)) for places in groups.values()]
    table = people.scans.loc[rows, ["participant_id", "outcome", "fold"]].reset_index(drop=True)
    if len(groups) == len(people.scans):
        return table, people.values[rows]
    values = np.stack([people.values[places].mean(axis=0) for places in groups.values()])
    return table, values
