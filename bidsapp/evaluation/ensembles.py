"""Ensembles of variants, as variants: mean probability and majority vote."""

from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from bidsapp.contracts.unit import unit_columns
from bidsapp.errors import BadData, UsageError
from bidsapp.evaluation.sample import DEFAULT_THRESHOLD


def mean_probability(probabilities: pd.DataFrame, _threshold: float) -> pd.Series:
    """Mean over the members."""
    return probabilities.mean(axis=1)


def majority_vote(probabilities: pd.DataFrame, threshold: float) -> pd.Series:
    """Share of members that call positive at the threshold.

    The ensemble is positive from a share of one half on, whatever the members' threshold; so an
    even split counts as positive. As a score it has as many values as members plus one, and its
    AUC is coarse.
    """
    return (probabilities >= threshold).mean(axis=1)


RULES: dict[str, Callable[[pd.DataFrame, float], pd.Series]] = {
    "mean": mean_probability,
    "vote": majority_vote,
}


def ensemble_scores(
    scores: pd.DataFrame,
    name: str,
    members: Sequence[str],
    rule: str,
    threshold: float = DEFAULT_THRESHOLD,
) -> pd.DataFrame:
    """Scores of one ensemble, in the columns of `scores.tsv`.

    Members are joined by unit (participant, session, part) and repeat. Where all of them have the
    same folds the ensemble keeps them; else it is refused, for a mean over models that held
    different people out has no fold of its own.

    Raises
    ------
    UsageError
        An unknown rule, or a member without scores.
    BadData
        The members have not scored the same people in the same folds.
    """
    if rule not in RULES:
        raise UsageError(f"ensembles.{name}.rule: {rule!r} is not one of {sorted(RULES)}")
    there = list(dict.fromkeys(scores["variant"]))
    absent = [member for member in members if member not in there]
    if absent or not members:
        raise UsageError(f"ensembles.{name}.of: {absent} has no scores; scored are {there}")
    key = [*unit_columns(scores), "repeat"]
    tables = {member: scores[scores["variant"] == member].set_index(key) for member in members}
    first = tables[members[0]]
    for member, table in tables.items():
        aligned = table["fold"].reindex(first.index)
        if len(table) != len(first) or not (aligned == first["fold"]).all():
            raise BadData(
                f"ensembles.{name}: {member!r} and {members[0]!r} were not scored on the same "
                "people in the same folds; combine variants that share their splits"
            )
    probabilities = pd.concat({m: tables[m]["probability"] for m in members}, axis=1)
    combined = first.assign(
        variant=name, probability=RULES[rule](probabilities.loc[first.index], threshold)
    )
    return combined.reset_index()[list(scores.columns)]


def with_ensembles(
    scores: pd.DataFrame,
    ensembles: Mapping[str, tuple[Sequence[str], str]],
    threshold: float = DEFAULT_THRESHOLD,
) -> pd.DataFrame:
    """Append ensembles to the scores; those already among the variants are left as they are.

    Parameters
    ----------
    ensembles
        Name -> (members, rule ``mean`` or ``vote``). An ensemble whose members were not all run
        (a run of some variants only) is left out.
    """
    there = set(scores["variant"])
    tables = [scores]
    for name, (members, rule) in ensembles.items():
        if name not in there and set(members) <= there:
            tables.append(ensemble_scores(scores, name, members, rule, threshold))
    return pd.concat(tables, ignore_index=True)
