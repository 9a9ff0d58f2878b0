"""Other runs on the same people in the output folder: what was tried beside the run that is read.

A run cannot know what was chosen by its held-out results; it can count what lies beside it. Runs
elsewhere, and those that were removed, are not seen.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bidsapp.contracts.unit import unit_columns
from bidsapp.errors import NociCastError
from bidsapp.evaluation.tsv import read_table

COLUMNS = ("run", "shared", "share", "outcome", "agreement", "networks")
MANY = 5
"""From so many networks of other runs on, with the same outcome, their number is a doubt."""
_SAME = 0.9
_ENOUGH = 10
_GROUP = "group"  # the folder that holds the runs of an output folder


@dataclass(frozen=True)
class Tried:
    """How many other runs there are, and how many networks they scored.

    Attributes
    ----------
    runs, networks
        With the same outcome on the same people.
    others
        Runs with another outcome on the same people.
    """

    runs: int
    networks: int
    others: int


def other_runs(folder: Path, cohort: pd.DataFrame) -> pd.DataFrame:
    """List the other scored runs of the output folder that have people of this one.

    Those that were set aside under a dated name are among them; simulated ones are not. A scan is
    the same where its image's hash is, or its name within the dataset.

    Parameters
    ----------
    folder
        Of the run, ``<output_dir>/group/<run label>``; anything else lies beside no other run.
    cohort
        Of the run.

    Returns
    -------
    pandas.DataFrame
        `COLUMNS`: label; scans of this cohort that it has too and their share of this cohort;
        ``same`` where at least nine of ten of them have the same outcome, else ``other``; that
        share; how many networks it scored.
    """
    rows = []
    if folder.resolve().parent.name == _GROUP:
        for path in sorted(folder.resolve().parent.glob("*/cohort.tsv")):
            if path.parent != folder.resolve():
                row = _compared(path.parent, cohort)
                rows += [row] if row else []
    return pd.DataFrame(rows, columns=pd.Index(COLUMNS))


def tried(table: pd.DataFrame) -> Tried:
    """Count the runs in a table of `other_runs`, as it is or as it was read."""
    if not len(table):
        return Tried(0, 0, 0)
    same = table["outcome"] == "same"
    networks = pd.to_numeric(table.loc[same, "networks"], errors="coerce").fillna(0)
    return Tried(int(same.sum()), int(networks.sum()), int((~same).sum()))


def tried_words(table: pd.DataFrame) -> str:
    """Say in a sentence what lies beside a run, and what is not seen."""
    found = tried(table)
    unseen = "runs elsewhere, and runs that were removed, are not seen"
    if not (found.runs or found.others):
        return f"The output folder holds no other scored run on these participants; {unseen}."
    parts = []
    if found.runs:
        word = "network" if found.networks == 1 else "networks"
        parts.append(f"{found.runs} with the same outcome ({found.networks} {word})")
    if found.others:
        parts.append(f"{found.others} with another outcome")
    several = "run" if found.runs + found.others == 1 else "runs"
    count = f"{found.runs + found.others} other scored {several} on these participants"
    return f"The output folder holds {count}: {' and '.join(parts)}; {unseen}."


def best_by_chance(networks: int, positives: int, negatives: int) -> float:
    """Give the AUC that the best of several analyses has on average where there is no effect.

    That of independent analyses: those of the same people are alike, and their best is lower. The
    expected largest of k standard normal values is Blom's (1958) approximation; the standard error
    of an AUC under chance is that of the Mann-Whitney statistic without ties.

    Parameters
    ----------
    networks
        How many.
    positives, negatives
        People, or scans, of each class.

    Returns
    -------
    float
        In 0.5 to 1; NaN without both classes.
    """
    from scipy.stats import norm

    if not (positives and negatives):
        return float("nan")
    error = sqrt((positives + negatives + 1) / (12 * positives * negatives))
    largest = norm.ppf((networks - 0.375) / (networks + 0.25)) if networks > 1 else 0.0
    return float(min(0.5 + largest * error, 1.0))


def _compared(folder: Path, cohort: pd.DataFrame) -> tuple[Any, ...] | None:
    """Row of a run; None where it is not scored, simulated, unreadable or of other people."""
    if not (folder / "scores.tsv").is_file():
        return None
    try:
        other = read_table(folder / "cohort.tsv", ("participant_id", "session_id", "outcome"))
        scores = read_table(folder / "scores.tsv", ("variant",))
    except (NociCastError, OSError):
        return None
    if "simulated" in scores:
        return None
    theirs = _outcomes(other)
    mine = [(keys, str(outcome)) for keys, outcome in _scans(cohort)]
    found = [
        (own, next(theirs[key] for key in keys if key in theirs))
        for keys, own in mine
        if any(key in theirs for key in keys)
    ]
    if not found:
        return None
    agreement = float(np.mean([own == their for own, their in found]))
    if len(found) >= _ENOUGH:  # an outcome told the other way round is the same one
        agreement = max(agreement, 1 - agreement)
    kind = "same" if agreement >= _SAME else "other"
    share = len(found) / len(mine)
    networks = scores["variant"].nunique()
    return folder.name, len(found), round(share, 3), kind, round(agreement, 3), networks


def _scans(table: pd.DataFrame) -> list[tuple[tuple[str, ...], Any]]:
    """Every scan by the hash of its image, if it has one, and by its name; with its outcome."""
    hashes = table["sha256"] if "sha256" in table else [""] * len(table)
    names = (" ".join(map(str, row)) for row in table[unit_columns(table)].itertuples(index=False))
    rows = zip(hashes, names, table["outcome"], strict=True)
    return [
        (tuple(key for key in (str(sha256), name) if key not in ("", "n/a")), y)
        for sha256, name, y in rows
    ]


def _outcomes(table: pd.DataFrame) -> Mapping[str, str]:
    return {key: str(outcome) for keys, outcome in _scans(table) for key in keys}
