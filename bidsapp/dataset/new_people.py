"""Columns of new people that a trained model asks for, from the tables of their dataset."""

from collections.abc import Callable, Sequence
from pathlib import Path

from bidsapp.dataset.matching import KnownParts
from bidsapp.dataset.people import labels_of
from bidsapp.dataset.tables import Key
from bidsapp.dataset.user_columns import Columns
from bidsapp.errors import BadData, UsageError


class NewPeople:
    """The tables of a dataset, as a model asks them.

    Parameters
    ----------
    bids_dir
        The dataset.
    missing
        ``COLUMN=VALUE`` that stand for a missing value, as the model's own recipe has them; those
        of columns that are not there are passed over.
    """

    def __init__(self, bids_dir: Path, missing: Sequence[str] = ()) -> None:
        self.bids_dir = bids_dir
        there = Columns.read(bids_dir)
        known = [one for one in missing if there.has(one.partition("=")[0])]
        self._columns = Columns.read(bids_dir, known) if known else there

    def absent(self, names: Sequence[str]) -> list[str]:
        """Name the columns that no table has, or several have."""
        return [name for name in names if not self._columns.has(name)]

    def require(self, names: Sequence[str], model: str) -> None:
        """Refuse a dataset without a column that the model's networks read.

        Raises
        ------
        BadData
            The message names the columns, and says how they can be had.
        """
        absent = self.absent(names)
        if not absent:
            return
        try:
            self._columns.find(absent[0])
        except UsageError as error:
            what = ", ".join(absent)
            raise BadData(
                f"model {model} reads the columns {', '.join(names)} beside the image, and the "
                f"tables of {self.bids_dir} lack {what}: add {what} to participants.tsv, under "
                f"this name and in the units of training. {error}"
            ) from None

    def texts(
        self,
        names: Sequence[str],
        scans: Sequence[Key],
        read_part: Callable[[str], str] | None = None,
    ) -> dict[str, list[str]]:
        """Look columns up for scans, or parts of scans; empty where a person has no value.

        Parameters
        ----------
        names
            Columns; those that are not there are left out.
        scans
            participant_id with ``sub-``, and session_id with ``ses-`` or empty; the part where a
            scan has parts.
        read_part
            Gives the part that a text of a table means, as `Modality.read_part`.
        """
        labels = {key[2] for key in scans if len(key) > 2}
        parts = KnownParts(labels, read_part) if labels and read_part else None
        columns, _ = self._columns.matched(*labels_of(self.bids_dir, scans), parts)
        found = {}
        for name in names:
            if columns.has(name):
                reading = columns.reading(name)
                texts = columns.values(name, scans).texts
                found[name] = [reading.plain(text) or "" for text in texts]
        return found
