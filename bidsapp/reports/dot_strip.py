"""The spread of a number over a cohort as one line of dots, with its limits and one's own mark."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bidsapp.contracts.measure import Measure

_PERCENTILES = (5, 50, 95)


@dataclass(frozen=True)
class Strip:
    """A line of dots; places are shares of its width, 0 to 1.

    Attributes
    ----------
    measure
        What is shown.
    dots
        Place and height (0 to 1) of each image.
    limits
        Places of the limits that lie on the scale.
    low, high
        The ends of the scale as text.
    typical
        5th percentile, median and 95th percentile as text.
    mark
        Place of the one image that the line is about; None where it is about all.
    """

    measure: Measure
    dots: Sequence[tuple[float, float]]
    limits: Sequence[float]
    low: str
    high: str
    typical: tuple[str, str, str]
    mark: float | None = None


def strip(measure: Measure, values: Sequence[float], own: float | None = None) -> Strip:
    """Lay out the values of a cohort on a scale that holds them all.

    Parameters
    ----------
    measure
        What they are.
    values
        At least one.
    own
        The value that is marked.
    """
    everything = [*values, *([own] if own is not None else [])]
    low, high = min(everything), max(everything)
    room = (high - low) * 0.04 or max(abs(high) * 0.05, 1e-6)
    low, high = low - room, high + room

    def place(value: float) -> float:
        return (value - low) / (high - low)

    ordered = sorted(values)
    return Strip(
        measure,
        # Heights that repeat every few dots keep neighbours from hiding one another.
        [(place(value), (index * 3 % 7) / 6) for index, value in enumerate(ordered)],
        [place(limit) for limit in measure.limits if low <= limit <= high],
        measure.shown(low + room),
        measure.shown(high - room),
        (
            measure.shown(percentile(ordered, _PERCENTILES[0])),
            measure.shown(percentile(ordered, _PERCENTILES[1])),
            measure.shown(percentile(ordered, _PERCENTILES[2])),
        ),
        None if own is None else place(own),
    )


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Percentile of sorted values, interpolated linearly."""
    where = percent / 100 * (len(ordered) - 1)
    below = math.floor(where)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (where - below) * (ordered[above] - ordered[below])
