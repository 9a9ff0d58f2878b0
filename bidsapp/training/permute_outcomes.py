"""Outcomes permuted over what may change place: participants, within or with their groups."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pandas as pd

from bidsapp.dataset.covariates import user_name, users_column, users_columns
from bidsapp.errors import UsageError

Blocks = list[list[int]]


def shuffled_outcomes(
    cohort: pd.DataFrame,
    grouped: bool,
    rng: np.random.Generator,
    stratum: pd.Series | None = None,
) -> np.ndarray:
    """Permute outcomes over the units that are exchangeable where images say nothing of them.

    A participant's scans keep their outcomes together and change place with those of another
    participant of as many scans. Where groups bind participants, participants change place within
    their group, and whole groups with groups of the same make-up (whole-block and within-block
    exchange, Winkler et al. 2015, doi:10.1016/j.neuroimage.2015.05.092).

    Parameters
    ----------
    cohort
        Columns participant_id, outcome (0 or 1) and, if `grouped`, group; one row per scan.
    grouped
        Whether the group column binds participants.
    stratum
        A label per row, one for all rows of a participant; nobody leaves their stratum.

    Returns
    -------
    numpy.ndarray
        Outcomes, int, in the order of the rows.
    """
    outcome = cohort["outcome"].to_numpy(dtype=int).copy()
    rows: defaultdict[str, list[int]] = defaultdict(list)
    for place, person in enumerate(cohort["participant_id"].astype(str)):
        rows[person].append(place)
    labels = ["" if stratum is None else str(stratum.iloc[rows[who][0]]) for who in rows]
    if not grouped:
        exchange(outcome, list(rows.values()), labels, rng)
        return outcome
    groups: defaultdict[tuple[str, str], list[list[int]]] = defaultdict(list)
    for label, mine in zip(labels, rows.values(), strict=True):
        groups[str(cohort["group"].iloc[mine[0]]), label].append(mine)
    members = [sorted(people, key=len) for people in groups.values()]
    whole = [[row for person in people for row in person] for people in members]
    makeup = [
        f"{label}|{[len(person) for person in people]}"
        for (_, label), people in zip(groups, members, strict=True)
    ]
    exchange(outcome, whole, makeup, rng)
    for people in members:
        exchange(outcome, people, [""] * len(people), rng)
    return outcome


def labels_of(cohort: pd.DataFrame, columns: Sequence[str]) -> pd.Series | None:
    """Label each scan by the values of columns within which outcomes are to be permuted.

    Parameters
    ----------
    cohort
        One row per scan, with covariates as text.
    columns
        Of ``evaluation.permute_within``.

    Returns
    -------
    pandas.Series or None
        As ``Leeds, F``, aligned with `cohort`; None without columns.

    Raises
    ------
    UsageError
        A column is absent, or names so many values that hardly anybody can change place.
    """
    if not columns:
        return None
    there = list(map(str, cohort.columns))
    places = {name: users_column(there, name) for name in columns}
    for name, place in places.items():
        if place is None:
            theirs = [user_name(c) for c in users_columns(there) if not c.startswith("region_")]
            raise UsageError(
                f"evaluation.permute_within: no column {name!r} in the cohort; there are "
                f"{', '.join(theirs) or 'no covariates'}"
            )
    labels = cohort[list(map(str, places.values()))].astype(str).agg(", ".join, axis=1)
    people = cohort.assign(label=labels).drop_duplicates("participant_id")["label"]
    if people.nunique() > len(people) / 2:
        raise UsageError(
            f"evaluation.permute_within: {', '.join(columns)} has {people.nunique()} values among "
            f"{len(people)} people, who could then hardly change place; name a column of few "
            "values, such as a site."
        )
    return labels


def exchange(
    outcome: np.ndarray, blocks: Blocks, labels: Sequence[str], rng: np.random.Generator
) -> None:
    """Let blocks of equal length and label change place, in `outcome` itself."""
    alike: defaultdict[tuple[str, int], Blocks] = defaultdict(list)
    for block, label in zip(blocks, labels, strict=True):
        alike[label, len(block)].append(block)
    for same in alike.values():
        places = np.array(same)
        outcome[places] = outcome[places[rng.permutation(len(places))]]
