"""How many people and scans a cohort holds, and of which of the two the positives are counted."""

from dataclasses import dataclass

import pandas as pd

from bidsapp.contracts.unit import PART


@dataclass(frozen=True)
class Counts:
    """Size of a cohort.

    Attributes
    ----------
    people, scans
        How many there are.
    positive
        How many of the `unit` are positive.
    by_scan
        Whether the outcome differs between scans of one person, so that scans are counted.
    what
        What a scan is called: ``parts`` where one scan holds several units.
    """

    people: int
    scans: int
    positive: int
    by_scan: bool
    what: str = "scans"

    @property
    def total(self) -> int:
        """How many of the unit there are."""
        return self.scans if self.by_scan else self.people

    @property
    def negative(self) -> int:
        """How many of the unit are negative."""
        return self.total - self.positive

    @property
    def unit(self) -> str:
        """``scans``, ``parts`` or ``participants``: what positives and negatives are."""
        return self.what if self.by_scan else "participants"

    @property
    def classes(self) -> str:
        """``5 positive, 15 negative scans``; the unit is left out where there is but one."""
        unit = "" if self.people == self.scans else f" {self.unit}"
        return f"{self.positive} positive, {self.negative} negative{unit}"

    @property
    def observations(self) -> str:
        """What a number over all scans is computed from: ``48 people``, ``20 scans of 10 people``.

        Every scan has a score of its own, whatever the outcome is one of.
        """
        one = self.people == self.scans
        return (
            f"{self.people} people" if one else f"{self.scans} {self.what} of {self.people} people"
        )


def considered_words(*tables: pd.DataFrame) -> tuple[str, str]:
    """Name what a dataset holds that can be left out, one and several.

    Parameters
    ----------
    tables
        Cohort and exclusions: where one of them has parts, parts can be.
    """
    if any(PART in table for table in tables):
        return "participant, scan or part", "participants, scans or parts"
    return "participant or scan", "participants or scans"


def cohort_counts(scans: pd.DataFrame) -> Counts:
    """Count people, scans and positives.

    Where every person has one outcome, people are counted; where it differs between scans of a
    person, the outcome is one of the scan, and scans are.

    Parameters
    ----------
    scans
        A row per scan or part: ``participant_id``, ``outcome`` (0 or 1, as number or text).
    """
    outcome = pd.to_numeric(scans["outcome"], errors="coerce").astype(float)
    by_person = outcome.groupby(scans["participant_id"])
    by_scan = bool((by_person.nunique() > 1).any())
    positive = outcome.sum() if by_scan else by_person.first().sum()
    what = "parts" if PART in scans else "scans"
    return Counts(scans["participant_id"].nunique(), len(scans), int(positive), by_scan, what)
