"""A prepared unit whose place was drawn otherwise: moved, or by another rater."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

MOVED, RATER = "moved", "rater"


@dataclass(frozen=True)
class Placement:
    """One other way to place what a person placed by hand.

    Attributes
    ----------
    name
        What all units that are placed so have in common: ``5 pixels outwards``, ``rater CD``.
    kind
        `MOVED` or `RATER`.
    file
        The unit's main product as it would have become; read as that one is.
    facts
        Numbers that compare both places: ``apart_mm`` (between the centres) and, of a rater,
        ``overlap`` (intersection over union of the boxes, 0 to 1), ``slices_apart``, and the sizes
        of both boxes in mm (``width_mm``, ``own_width_mm``, ``depth_mm``, ``own_depth_mm``).
    """

    name: str
    kind: str
    file: Path
    facts: Mapping[str, float] = field(default_factory=dict)
