"""Splits: who trains, who validates and who is tested, from a cohort and a protocol."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from bidsapp.errors import UsageError
from bidsapp.recipes.learning import Protocol
from bidsapp.training.columns import SPLITS
from bidsapp.training.divide import in_two, into_folds
from bidsapp.training.units import Units, units_of

COLUMNS = list(SPLITS)

# (repeat, fold, groups tested, groups validated on, groups trained on)
Fold = tuple[int, int, np.ndarray, np.ndarray, np.ndarray]


def make_splits(cohort: pd.DataFrame, protocol: Protocol, grouped: bool = False) -> pd.DataFrame:
    """Divide a cohort as the protocol says.

    The same seed gives the same splits whatever the order of the cohort's rows. Nested splits
    with k inner folds are k repeats of the outer folds, each validated on another inner fold, so
    that in every repeat each participant is tested once.

    Parameters
    ----------
    cohort
        Columns ``participant_id``, ``outcome`` (0 or 1) and, where the protocol names groups,
        ``group`` (the values of that column); one row per scan.
    protocol
        The recipe's section.
    grouped
        Whether ``group`` binds participants though the protocol names no column.

    Returns
    -------
    pandas.DataFrame
        Columns repeat, fold, participant_id, role (train, validation or test), numbered from 0
        and sorted.

    Raises
    ------
    UsageError
        If the cohort is too small for the protocol: fewer of a class than folds, fewer groups
        than folds, a part of a fold with one class only.
    BadData
        If an outcome or group cannot be used.
    """
    units = units_of(cohort, grouped or protocol.groups is not None)
    _require_both(units.counts, "the cohort")
    rows = []
    for repeat, fold, test, validation, train in _folds(units, protocol):
        where = f"repeat {repeat}, fold {fold}"
        _require_both(units.counts[train], f"the training part of {where}")
        if len(validation):
            _require_both(units.counts[validation], f"the validation part of {where}")
        for role, groups in (("train", train), ("validation", validation), ("test", test)):
            rows += [(repeat, fold, person, role) for person in units.people(groups)]
    table = pd.DataFrame(rows, columns=COLUMNS)
    return table.sort_values(COLUMNS[:3], ignore_index=True)


def _folds(units: Units, protocol: Protocol) -> Iterator[Fold]:
    for draw in range(protocol.repeats or 1):
        rng = np.random.default_rng([protocol.seed, draw])
        for fold, test in enumerate(_tests(units, protocol, rng)):
            rest = np.setdiff1d(np.arange(len(units.groups)), test)
            inner = np.random.default_rng([protocol.seed, draw, fold, 1])
            for i, validation in enumerate(_validations(units, rest, protocol, inner)):
                repeat = draw * (protocol.inner.folds or 1) + i
                yield repeat, fold, test, validation, np.setdiff1d(rest, validation)


def _tests(units: Units, protocol: Protocol, rng: np.random.Generator) -> list[np.ndarray]:
    stratified = protocol.stratified is not False
    if protocol.kind == "leave_one_group_out":
        if len(units.groups) < 2:
            raise UsageError(
                f"protocol.groups: {protocol.groups} has one value only ({units.groups[0]}), "
                "nothing to leave out"
            )
        return [np.array([group]) for group in range(len(units.groups))]
    if protocol.kind == "holdout":
        aside = in_two(units.counts, protocol.test_size or 0.2, rng, stratified)
        _require_both(units.counts[aside], "the held-out part (protocol.test_size)")
        return [np.flatnonzero(aside)]
    folds = protocol.folds or 8
    _require_enough(units, folds, "protocol.folds")
    fold_of = into_folds(units.counts, folds, rng, stratified)
    return [np.flatnonzero(fold_of == fold) for fold in range(folds)]


def _validations(
    units: Units, rest: np.ndarray, protocol: Protocol, rng: np.random.Generator
) -> list[np.ndarray]:
    stratified = protocol.stratified is not False
    counts = units.counts[rest]
    if protocol.inner.folds is not None:
        _require_enough(units.take(rest), protocol.inner.folds, "protocol.inner.folds")
        fold_of = into_folds(counts, protocol.inner.folds, rng, stratified)
        return [rest[fold_of == fold] for fold in range(protocol.inner.folds)]
    if protocol.inner.size is not None:
        return [rest[in_two(counts, protocol.inner.size, rng, stratified)]]
    return [np.array([], int)]


def _require_enough(units: Units, folds: int, key: str) -> None:
    holders, word = min(
        (int((units.counts[:, outcome] > 0).sum()), word)
        for outcome, word in enumerate(("negative", "positive"))
    )
    if holders >= folds:
        return
    one = holders == 1
    if any(len(members) > 1 for members in units.members):
        what = "group holds a" if one else "groups hold a"
    else:
        what = "participant is" if one else "participants are"
    most = f"use at most {holders} folds (--set {key}={holders})"
    raise UsageError(
        f"{key}: {folds} folds, but only {holders} {what} {word}; every fold needs one, so "
        + (most if holders > 1 else "more of them are needed")
    )


def _require_both(counts: np.ndarray, where: str) -> None:
    negative, positive = counts.sum(axis=0) if len(counts) else (0, 0)
    if not (negative and positive):
        raise UsageError(
            f"{where} has {negative} negative and {positive} positive participants; both are "
            "needed: use fewer folds, larger parts or other groups"
        )
