"""How participants were held out, in words, from the splits that took place."""

import pandas as pd

from bidsapp.dataset.covariates import DATE
from bidsapp.errors import NociCastError
from bidsapp.recipes import Recipe
from bidsapp.recipes.learning import Protocol
from bidsapp.training.splits import make_splits

_KINDS = {
    "kfold": "{folds}-fold cross-validation",
    "repeated_kfold": "{folds}-fold cross-validation, repeated {repeats} times",
    "nested": "nested cross-validation ({folds} outer folds)",
    "leave_one_group_out": "leave-one-group-out cross-validation ({folds} folds)",
    "holdout": "a single hold-out split",
    "temporal": "a single split by the date of the scan",
}
_REPEATED = ("repeated_kfold", "nested")


def splits_words(recipe: Recipe, cohort: pd.DataFrame, splits: pd.DataFrame) -> str:
    """Say by which splits a variant was tested, and how large their parts are.

    Parameters
    ----------
    recipe
        The variant's.
    cohort, splits
        As in cohort.tsv and, of this variant alone, splits.tsv; numbers may be text.

    Returns
    -------
    str
        As in ``3-fold cross-validation with splits that were given in a file: in each fold, ...``.
    """
    protocol = recipe.protocol
    folds = splits.groupby("repeat")["fold"].nunique()
    drawn = f" (seed {protocol.seed})"
    if protocol.stratified:
        drawn = f", stratified by outcome{drawn}"
    kind_of: str = protocol.kind
    if kind_of == "temporal":
        drawn = _from_when(cohort, splits)
    if not _as_drawn(protocol, cohort, splits, recipe.binds((recipe.base,))):
        drawn = " with splits that were given in a file"
        kind_of = _kind_of(protocol, splits)
    kind = _KINDS[kind_of].format(folds=int(folds.max()), repeats=len(folds))
    roles = splits.groupby(["repeat", "fold", "role"])["participant_id"].nunique()
    tested, trained = (roles.xs(role, level="role") for role in ("test", "train"))
    text = (
        f"{kind}{drawn}: in each fold, "
        f"{_span(trained.min(), trained.max())} participants were trained on and "
        f"{_span(tested.min(), tested.max())} held out"
    )
    if "validation" in set(splits["role"]):
        inner = roles.xs("validation", level="role")
        text += f", with {_span(inner.min(), inner.max())} others as inner validation split"
    return text


def _from_when(cohort: pd.DataFrame, splits: pd.DataFrame) -> str:
    """Say from which day on people were held out."""
    if DATE not in cohort:
        return ""
    tested = splits.loc[splits["role"] == "test", "participant_id"]
    first = cohort.groupby("participant_id")[DATE].max()[tested].min()
    return f" (held out is whose last scan was acquired on {first} or later)"


def held_out_words(splits: pd.DataFrame, participants: int) -> str:
    """Say how many of a cohort were scored by models that had not seen them.

    Parameters
    ----------
    splits
        Of one variant.
    participants
        How many people are in the cohort.
    """
    tested = splits.loc[splits["role"] == "test", "participant_id"].nunique()
    if tested == participants:
        return "Every one was scored by models that had not seen them"
    return (
        f"{tested} of the {participants} were held out and scored by models that had not seen "
        "them; the others were trained on alone"
    )


def _span(least: int, most: int) -> str:
    return str(least) if least == most else f"{least} to {most}"


def _kind_of(protocol: Protocol, splits: pd.DataFrame) -> str:
    """Kind of splits that a person gave, by their shape; the protocol's where that may be."""
    repeats = splits["repeat"].nunique()
    if splits.groupby("repeat")["fold"].nunique().max() == 1:
        return "holdout" if repeats == 1 else protocol.kind
    if protocol.kind in ("holdout", "temporal") or (repeats > 1) != (protocol.kind in _REPEATED):
        return "repeated_kfold" if repeats > 1 else "kfold"
    return protocol.kind


def _as_drawn(
    protocol: Protocol, cohort: pd.DataFrame, splits: pd.DataFrame, grouped: bool
) -> bool:
    """Tell whether splits are those that the recipe draws, rather than a person's own."""
    cohort = cohort.assign(outcome=pd.to_numeric(cohort["outcome"]).astype(int))
    try:
        drawn = make_splits(cohort, protocol, grouped)
    except NociCastError:
        return False
    columns = list(drawn.columns)
    rows = [set(map(tuple, one[columns].astype(str).to_numpy())) for one in (drawn, splits)]
    return rows[0] == rows[1]
