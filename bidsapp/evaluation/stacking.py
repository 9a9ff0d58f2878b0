"""Stacked models: clinical columns and the logits of networks in one regression, fold by fold."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bidsapp.contracts.unit import unit_columns, with_part
from bidsapp.dataset.covariates import users_column
from bidsapp.errors import BadData
from bidsapp.evaluation.baseline_models import BASELINES, design_table, in_fold_model
from bidsapp.evaluation.baselines import lacking_for
from bidsapp.evaluation.settings import CLINICAL, WITH_IMAGE
from bidsapp.representation.table_design import FEWEST
from bidsapp.training.columns import LEARNING, SCORES

_EDGE = 1e-6
_STACK = "logistic"


@dataclass(frozen=True)
class Stack:
    """What goes into one model: clinical columns, logits of networks, or both.

    Attributes
    ----------
    name
        As it stands in tables.
    columns
        Clinical columns, as the user names them.
    variants
        Networks whose logits go in.
    model
        Of the clinical columns: ``logistic``, ``random_forest`` or ``xgboost``.
    """

    name: str
    columns: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    model: str = _STACK


def with_image(variant: str) -> str:
    """Name the model of the clinical columns and a network."""
    return f"{WITH_IMAGE}{variant}"


def logit(probability: np.ndarray) -> np.ndarray:
    """Log odds; probabilities within a millionth of 0 or 1 count as that far from them."""
    kept = np.clip(np.asarray(probability, dtype=float), _EDGE, 1 - _EDGE)
    return np.asarray(np.log(kept) - np.log1p(-kept))


def clinical_lacking(cohort: pd.DataFrame, columns: Sequence[str]) -> str:
    """Say what of the clinical columns a cohort lacks; empty where nothing."""
    return lacking_for(BASELINES[_STACK], cohort, columns, None)


def stacked_scores(
    cohort: pd.DataFrame,
    splits: pd.DataFrame,
    stack: Stack,
    scores: pd.DataFrame,
    crossfit: pd.DataFrame,
) -> pd.DataFrame:
    """Fit a stacked model in every training fold, and score the people whom it holds out.

    The regression of a fold is fitted on its training people (roles train and validation), with
    imputation, encoding and scaling. A network's logit of a training person is that of the inner
    network that did not see the person (`crossfit`); the logit of a held-out person is that of the
    fold's own network. So no person's logit comes from a network that learned from the person, and
    nothing of a fold's model has seen whom it holds out.

    Another model of the clinical columns than the logistic one gives its own logit, from inner
    fits on the same inner folds, and is joined to the networks' by the same regression.

    Parameters
    ----------
    cohort, splits
        As `state.read_state` gives them; the splits are those of the networks.
    stack
        What goes in.
    scores
        Held-out scores of the networks.
    crossfit
        As `state.read_crossfit` gives them: scores of each fold's training people by networks that
        did not see them. Not needed without networks.

    Returns
    -------
    pandas.DataFrame
        In the columns of `scores.tsv`, under the name of the stack.

    Raises
    ------
    BadData
        A training person of some fold has no score of an inner network; a fold trains on one class
        only.
    """
    unit = unit_columns(cohort)
    outcome = cohort["outcome"].to_numpy(dtype=int)
    clinical = Design.of(cohort, stack.columns)
    parts = []
    for place in stack_folds(cohort, splits, stack.variants, scores, crossfit):
        probability = _fold(clinical, stack, outcome, place)
        parts.append(
            cohort.loc[place.test, [*unit, "outcome"]].assign(
                variant=stack.name,
                repeat=place.repeat,
                fold=place.fold,
                probability=probability,
            )
        )
    return pd.concat(parts, ignore_index=True)[with_part(SCORES, cohort)]


@dataclass(frozen=True)
class StackFold:
    """One fold of a run, as stacked models see it.

    Attributes
    ----------
    repeat, fold
        Which.
    train, test
        (n,) whether a row of the cohort is one that the fold trains on, or holds out.
    logits
        Network to (n,) logits by networks that did not see the person; NaN elsewhere.
    inside
        (n,) inner fold of every row, -1 where it has none.
    """

    repeat: int
    fold: int
    train: np.ndarray
    test: np.ndarray
    logits: dict[str, np.ndarray]
    inside: np.ndarray


def stack_folds(
    cohort: pd.DataFrame,
    splits: pd.DataFrame,
    variants: Sequence[str],
    scores: pd.DataFrame,
    crossfit: pd.DataFrame,
) -> Iterator[StackFold]:
    """Give every fold that holds somebody out, with networks' logits of everybody in it.

    Raises
    ------
    BadData
        As for `stacked_scores`.
    """
    unit = unit_columns(cohort)
    people = pd.MultiIndex.from_frame(cohort[unit].astype(str))
    held_out, inner = (_by_fold(table, variants, unit) for table in (scores, crossfit))
    outcome = cohort["outcome"].to_numpy(dtype=int)
    keys = splits[["repeat", "fold"]].drop_duplicates().itertuples(index=False)
    for repeat, fold in keys:
        roles = splits[(splits["repeat"] == repeat) & (splits["fold"] == fold)]
        role = cohort["participant_id"].map(roles.set_index("participant_id")["role"])
        train = role.isin(LEARNING).to_numpy()
        test = (role == "test").to_numpy()
        if not test.any():
            continue
        where = f"repeat {repeat}, fold {fold}"
        if len(np.unique(outcome[train])) < 2:
            raise BadData(f"{where} trains on one class only")
        logits = {}
        for name in variants:
            known = np.full(len(cohort), np.nan)
            for table, rows in ((inner, train), (held_out, test)):
                own = table.get((name, repeat, fold))
                if own is not None:
                    known[rows] = own["probability"].reindex(people[rows]).to_numpy(dtype=float)
            absent = np.flatnonzero((train | test) & np.isnan(known))
            if len(absent):
                who = " ".join(map(str, people[absent[0]]))
                raise BadData(
                    f"{name}, {where}: no score of {who} by a network that did not see them; "
                    "rerun the group level"
                )
            logits[name] = logit(known)
        inside = _inner_folds(inner, variants, repeat, fold, people)
        yield StackFold(int(repeat), int(fold), train, test, logits, inside)


@dataclass(frozen=True)
class Design:
    """Clinical columns of a cohort, typed.

    Attributes
    ----------
    table
        The columns, numbers as numbers.
    numbers, categories
        Names of each kind, in their order.
    """

    table: pd.DataFrame
    numbers: list[str]
    categories: list[str]

    @classmethod
    def of(cls, cohort: pd.DataFrame, columns: Sequence[str]) -> "Design":
        """Take columns by the names that the user has for them."""
        if not columns:
            return cls(pd.DataFrame(index=cohort.index), [], [])
        there = list(map(str, cohort.columns))
        return cls(*design_table(cohort, [users_column(there, name) or name for name in columns]))

    def with_logits(self, logits: Mapping[str, np.ndarray]) -> "Design":
        """Put logits of networks behind the columns of numbers."""
        added = {f"logit {name}": values for name, values in logits.items()}
        table = pd.concat([self.table, pd.DataFrame(added, index=self.table.index)], axis=1)
        return Design(table, [*self.numbers, *added], self.categories)

    def fitted(self, model: str, outcome: np.ndarray, rows: np.ndarray) -> Any:
        """Fit imputation, encoding, scaling and a model on some rows."""
        made = in_fold_model(BASELINES[model].estimator(), self.numbers, self.categories, FEWEST)
        return made.fit(self.table[rows], outcome[rows])


def _fold(clinical: Design, stack: Stack, outcome: np.ndarray, place: StackFold) -> np.ndarray:
    """Probability of each held-out row of a fold."""
    train, test, logits = place.train, place.test, place.logits
    design = clinical
    if stack.columns and logits and stack.model != _STACK:
        own = _clinical_logit(clinical, stack.model, outcome, train, test, place.inside)
        design = Design(pd.DataFrame({CLINICAL: own}, index=clinical.table.index), [CLINICAL], [])
    if logits:
        design = design.with_logits(logits)
    model = _STACK if logits else stack.model
    found = design.fitted(model, outcome, train).predict_proba(design.table[test])
    return np.asarray(found[:, 1], dtype=float)


def _clinical_logit(
    clinical: Design,
    model: str,
    outcome: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
    inside: np.ndarray,
) -> np.ndarray:
    """Logit of a clinical model: of training rows by inner fits that did not see them."""
    found = np.full(len(outcome), np.nan)
    parts = [(train & (inside != k), train & (inside == k)) for k in np.unique(inside[train])]
    for learned, asked in [*parts, (train, test)]:
        if len(np.unique(outcome[learned])) < 2:
            raise BadData("an inner fold trains on one class only; use fewer inner folds")
        fitted = clinical.fitted(model, outcome, learned)
        found[asked] = logit(fitted.predict_proba(clinical.table[asked])[:, 1])
    return found


def _by_fold(
    table: pd.DataFrame, variants: Sequence[str], unit: list[str]
) -> dict[tuple[str, int, int], pd.DataFrame]:
    """Scores of each variant, repeat and fold, indexed by unit."""
    if not variants:
        return {}
    mine = table[table["variant"].isin(list(variants))]
    keys = zip(mine["variant"], mine["repeat"], mine["fold"], strict=True)
    places: dict[tuple[str, int, int], list[int]] = {}
    for place, key in enumerate(keys):
        places.setdefault(key, []).append(place)
    whole = mine.set_axis(pd.MultiIndex.from_frame(mine[unit].astype(str)))
    return {key: whole.iloc[rows] for key, rows in places.items()}


def _inner_folds(
    inner: dict[tuple[str, int, int], pd.DataFrame],
    variants: Sequence[str],
    repeat: int,
    fold: int,
    people: pd.MultiIndex,
) -> np.ndarray:
    """(n,) inner fold of every row, -1 where it has none."""
    own = inner.get((variants[0], repeat, fold)) if variants else None
    if own is None:
        return np.full(len(people), -1)
    return own["inner"].reindex(people).fillna(-1).to_numpy(dtype=int)
