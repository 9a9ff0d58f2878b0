"""Inner folds: the people of one training fold, divided as the outer folds divide everybody."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from bidsapp.errors import UsageError
from bidsapp.training.splits import Units, in_two, into_folds, units_of


@dataclass(frozen=True)
class Division:
    """How the people of training folds are divided.

    Attributes
    ----------
    key
        The recipe's key that says so, for messages.
    otherwise
        What to do where there are too few people for any; a clause.
    folds
        Number of inner folds.
    size
        Share that is held out once, in place of folds; None where there are folds.
    """

    key: str
    otherwise: str
    folds: int = 1
    size: float | None = None

    def roles(
        self,
        people: pd.DataFrame,
        grouped: bool,
        share: float,
        seeds: tuple[int, ...],
        where: str,
    ) -> list[tuple[int, str, str]]:
        """Give every person a role in every inner fold.

        Persons, or groups, are whole in one part, and parts are alike in outcome. The same people
        and seeds give the same parts, in any order of the rows.

        Parameters
        ----------
        people
            The scans of those from whom a fold learns: `participant_id`, `outcome` and, if
            `grouped`, `group`.
        grouped
            Whether the group binds participants.
        share
            Share of an inner fold's training people whom it validates on.
        seeds
            Of the division.
        where
            Which fold it is, for messages.

        Returns
        -------
        list of (inner, role, participant_id)
            ``test`` for whoever is scored by that inner network.

        Raises
        ------
        UsageError
            There are too few people, or groups, of a class.
        """
        units = units_of(people, grouped)
        holders = int((units.counts > 0).sum(axis=0).min())
        what = "groups with people" if grouped else "people"
        short = f"{where} trains on {holders} {what} of one class"
        rng = np.random.default_rng(seeds)
        if self.size is not None:
            aside = in_two(units.counts, self.size, rng, stratified=True)
            parts = [np.flatnonzero(aside)]
            if not all(self._both(units, aside) for aside in (aside, ~aside)):
                raise UsageError(
                    f"{self.key}: a share of {self.size}, but {short}; both parts need some of "
                    f"each. Take another share, or {self.otherwise}."
                )
        else:
            if holders <= self.folds:
                raise UsageError(
                    f"{self.key}: {self.folds} inner folds, but {short}; every inner fold needs "
                    "one, and one to train on. "
                    + (
                        f"Use at most {holders - 1} (--set {self.key}={holders - 1})."
                        if holders > 2
                        else f"Use fewer folds, or {self.otherwise}."
                    )
                )
            fold_of = into_folds(units.counts, self.folds, rng, stratified=True)
            parts = [np.flatnonzero(fold_of == inner) for inner in range(self.folds)]
            if not all(self._both(units, part) for part in parts):
                raise UsageError(
                    f"{self.key}: {self.folds} inner folds, but {where} trains on groups that "
                    f"leave one of them without people of a class. Use fewer, or {self.otherwise}."
                )
        found = []
        for inner, test in enumerate(parts):
            rest = np.setdiff1d(np.arange(len(units.groups)), test)
            roles = {"test": test, "train": rest}
            if share:
                chosen = in_two(units.counts[rest], share, rng, stratified=True)
                roles |= {"validation": rest[chosen], "train": rest[~chosen]}
            for role, groups in roles.items():
                found += [(inner, role, person) for person in units.people(groups)]
        return found

    @staticmethod
    def _both(units: Units, part: np.ndarray) -> bool:
        return bool((units.counts[part].sum(axis=0) > 0).all())
