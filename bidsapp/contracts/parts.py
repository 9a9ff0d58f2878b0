"""Parts: what a modality says of several units of one visit, an injection each or a knee each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from bidsapp.contracts.scan import Scan

S = TypeVar("S", bound=BaseModel)


@dataclass(frozen=True)
class ToldParts:
    """How files of one visit tell, before any is opened, which part of the person each is of.

    Attributes
    ----------
    of
        Participant, session (None without one; both without their prefix) and path to the label of
        the part; empty where nothing says. Raises NociCastError where what says it is wrong.
    how
        What a person can do where files do not tell, for a message: an infinitive clause.
    said
        Of the images of one visit that are not told apart: what is told of each, by what.
    """

    of: Callable[[str, str | None, Path], str]
    how: str
    said: Callable[[str, str | None, Sequence[Path]], str] = lambda *_: ""


class Parts(Generic[S]):
    """What a modality says of parts; by default, that a scan is one unit."""

    def told_parts(self, bids_dir: Path, settings: S) -> ToldParts | None:
        """Say how images of different parts of one visit are told apart, where each part has one.

        Such a visit is then one scan for each part, named in `Scan.part`. None where a visit has
        one image.
        """
        return None

    def parts(self, scan: Scan, settings: S) -> Sequence[str]:
        """List the parts of a scan that are one unit each; one empty name where it is one unit."""
        return (scan.part,)

    def read_part(self, text: str) -> str:
        """Give the label of the part that a text of a table means (``C6-L``: ``C6L``).

        Raises
        ------
        ValueError
            It means none; the text says what was expected.
        """
        label = "".join(character for character in text if character.isalnum())
        if not label:
            raise ValueError("expected letters or digits")
        return label

    def of_part(self, part: str) -> Mapping[str, str]:
        """Say what the label of a part tells by itself: column to value, as tables have it."""
        return {}

    def part_in(self, sidecar: Mapping[str, Any]) -> str:
        """Read which part a unit is that has none in its name, being the only one of its visit.

        Rows of tables about parts (``part_id``) are then found for it. Empty where it is the whole.
        """
        return ""
