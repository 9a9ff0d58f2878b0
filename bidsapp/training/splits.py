"""Splits: who trains, who validates and who is tested, from a cohort and a protocol."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bidsapp.contracts.unit import PART
from bidsapp.dataset.covariates import DATE
from bidsapp.errors import BadData, UsageError
from bidsapp.recipes.learning import Protocol
from bidsapp.training.columns import SPLITS


@dataclass(frozen=True)
class Units:
    """The groups of a cohort, in the order of their names.

    Attributes
    ----------
    groups
        Names, G of them.
    members
        Participants of each group, in the order of their names.
    counts
        Shape (G, 2): how many of a group's participants are negative and positive. A participant
        with several sessions counts as positive if any of them is; where scans have parts of both
        outcomes, or nobody would be negative, scans and parts are counted.
    last
        Day of each group's last scan, ``2019-03-04``; empty where days are not known.
    """

    groups: tuple[str, ...]
    members: tuple[tuple[str, ...], ...]
    counts: np.ndarray
    last: tuple[str, ...] = ()

    def take(self, index: np.ndarray) -> "Units":
        """Keep some groups, in the order of their names."""
        kept = np.sort(index)
        return Units(
            tuple(self.groups[i] for i in kept),
            tuple(self.members[i] for i in kept),
            self.counts[kept],
            tuple(self.last[i] for i in kept) if self.last else (),
        )

    def people(self, index: np.ndarray) -> list[str]:
        """List the participants of some groups."""
        return [person for i in np.sort(index) for person in self.members[i]]


def units_of(cohort: pd.DataFrame, grouped: bool) -> Units:
    """Join a cohort's rows to participants, and participants to groups.

    Parameters
    ----------
    cohort
        Columns ``participant_id``, ``outcome`` (0 or 1) and, if `grouped`, ``group``; one row per
        scan, in any order.
    grouped
        Whether the group column binds participants; if not, each is a group by itself.

    Raises
    ------
    BadData
        If an outcome is not 0 or 1, a group is missing, or a participant is in two groups.
    """
    outcome = pd.to_numeric(cohort["outcome"], errors="coerce")
    bad = cohort.loc[~outcome.isin([0, 1]), "participant_id"]
    if len(bad):
        raise BadData(f"outcome of {_some(bad)}: expected 0 or 1 in the cohort table")
    table = pd.DataFrame(
        {
            "person": cohort["participant_id"].astype(str),
            "group": cohort["group" if grouped else "participant_id"],
            "positive": outcome.astype(int),
        }
    )
    empty = table.loc[table["group"].isna() | (table["group"].astype(str) == ""), "person"]
    if len(empty):
        raise BadData(f"group of {_some(empty)} is missing; the protocol needs it for everybody")
    table["group"] = table["group"].astype(str)
    apart = table.groupby("person")["group"].nunique()
    if (apart > 1).any():
        raise BadData(f"{_some(apart.index[apart > 1])} is in more than one group")
    by_person = table.groupby("person")["positive"]
    mixed = by_person.nunique() > 1
    if mixed.any() and (PART in cohort or by_person.max().all()):
        counted = table
    else:
        counted = table.groupby("person", as_index=False).agg({"group": "first", "positive": "max"})
    groups, members, counts = [], [], []
    rows_of: dict[str, list[tuple[str, int]]] = {}
    for name, *row in counted[["group", "person", "positive"]].itertuples(index=False, name=None):
        rows_of.setdefault(name, []).append((row[0], row[1]))
    for name in sorted(rows_of):  # without pandas' groups: it is done for every permutation
        groups.append(name)
        members.append(tuple(sorted({person for person, _ in rows_of[name]})))
        positive = sum(one for _, one in rows_of[name])
        counts.append((len(rows_of[name]) - positive, positive))
    last: tuple[str, ...] = ()
    if DATE in cohort:
        days = cohort[DATE].astype(str).groupby(table["group"]).max()
        last = tuple(days[name] for name in groups)
    return Units(tuple(groups), tuple(members), np.array(counts, int).reshape(-1, 2), last)


def _some(names: pd.Series | pd.Index, most: int = 5) -> str:
    unique = sorted({str(name) for name in names})
    return ", ".join(unique[:most]) + (f" and {len(unique) - most} more" * (len(unique) > most))


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
    if protocol.kind == "temporal":
        return [scanned_last(units, protocol.test_size or 0.2)]
    if protocol.kind == "holdout":
        aside = in_two(units.counts, protocol.test_size or 0.2, rng, stratified)
        _require_both(units.counts[aside], "the held-out part (protocol.test_size)")
        return [np.flatnonzero(aside)]
    folds = protocol.folds or 8
    _require_enough(units, folds, "protocol.folds")
    fold_of = into_folds(units.counts, folds, rng, stratified)
    return [np.flatnonzero(fold_of == fold) for fold in range(folds)]


def scanned_last(units: Units, share: float) -> np.ndarray:
    """Find the groups whose last scan was acquired last, about `share` of the people.

    Who was scanned on one day stays together: of all days, the one is taken from which on the
    number of people is nearest to the share (the later one of two).

    Parameters
    ----------
    units
        With the days of their last scans.
    share
        0 to 1.

    Returns
    -------
    numpy.ndarray
        Numbers of the groups, ascending.

    Raises
    ------
    UsageError
        Days are not known, everybody was scanned on one, or one class is missing among the last.
    """
    if not units.last:
        raise UsageError(
            f"protocol.kind temporal: the cohort table has no {DATE}; run the group level anew"
        )
    days, size = np.array(units.last), units.counts.sum(axis=1)
    first = np.unique(days)[1:]
    if not len(first):
        raise UsageError(
            f"protocol.kind temporal: everybody was scanned on one day ({days[0]}); choose another "
            "protocol.kind"
        )
    apart = [abs(size[days >= day].sum() / size.sum() - share) for day in first[::-1]]
    found = np.flatnonzero(days >= first[::-1][int(np.argmin(apart))])
    _require_both(units.counts[found], "the held-out part (the people scanned last)")
    return found


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


def into_folds(
    counts: np.ndarray, folds: int, rng: np.random.Generator, stratified: bool
) -> np.ndarray:
    """Give every group a fold so that folds are alike in size and, if asked, in outcome.

    Groups are drawn at random and placed largest first, each where it unbalances least. With
    groups of one person, class sizes differ by at most one between folds, and so do fold sizes.

    Parameters
    ----------
    counts
        Shape (G, 2): negatives and positives of each group.

    Returns
    -------
    numpy.ndarray
        Fold of each group, 0 to ``folds - 1``.
    """
    order = rng.permutation(len(counts))
    size = counts.sum(axis=1)
    share = counts[:, 1] / size
    # Positives before negatives: the class placed last evens out what the first left uneven.
    keys = (-share[order], -size[order]) if stratified else (-size[order],)
    order = order[np.lexsort(keys)]
    target = np.maximum(counts.sum(axis=0) / folds, 1e-9)
    placed = np.zeros((folds, 2))
    fold_of = np.zeros(len(counts), int)
    for group in order:
        total = placed.sum(axis=1)
        if stratified:
            excess = ((placed + counts[group]) / target) ** 2 - (placed / target) ** 2
            fold = np.lexsort((total, excess.sum(axis=1).round(9)))[0]
        else:
            fold = int(np.argmin(total))
        fold_of[group] = fold
        placed[fold] += counts[group]
    return fold_of


def in_two(
    counts: np.ndarray, share: float, rng: np.random.Generator, stratified: bool
) -> np.ndarray:
    """Draw groups at random until `share` of the participants is set aside.

    A group that would overshoot is left out, so a part can be smaller than asked where groups are
    large; with groups of one person the share is met to the nearest person (of each class, if
    stratified), and never less than one.

    Returns
    -------
    numpy.ndarray
        True for the groups set aside, shape (G,).
    """
    total = counts.sum(axis=0)
    target = np.maximum(np.round(share * total), np.minimum(1, total))
    whole = max(1.0, round(share * total.sum()))
    aside = np.zeros(len(counts), bool)
    taken = np.zeros(2)
    for group in rng.permutation(len(counts)):
        after = taken + counts[group]
        if (after <= target).all() if stratified else after.sum() <= whole:
            aside[group] = True
            taken = after
    return aside
