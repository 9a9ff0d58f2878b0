"""What splits divide: participants, joined to groups that stay together, with their outcomes."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from bidsapp.errors import BadData


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
        with several sessions counts as positive if any of them is.
    """

    groups: tuple[str, ...]
    members: tuple[tuple[str, ...], ...]
    counts: np.ndarray

    def take(self, index: np.ndarray) -> "Units":
        """Keep some groups, in the order of their names."""
        kept = np.sort(index)
        return Units(
            tuple(self.groups[i] for i in kept),
            tuple(self.members[i] for i in kept),
            self.counts[kept],
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
    people = table.groupby("person").agg({"group": "first", "positive": "max"})
    groups, members, counts = [], [], []
    for name, rows in people.groupby("group"):
        groups.append(str(name))
        members.append(tuple(sorted(rows.index)))
        positive = int(rows["positive"].sum())
        counts.append((len(rows) - positive, positive))
    return Units(tuple(groups), tuple(members), np.array(counts, int).reshape(-1, 2))


def _some(names: pd.Series | pd.Index, most: int = 5) -> str:
    unique = sorted({str(name) for name in names})
    return ", ".join(unique[:most]) + (f" and {len(unique) - most} more" * (len(unique) > most))
