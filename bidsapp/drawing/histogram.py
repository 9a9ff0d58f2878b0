"""The intensities of a brain before and after, as drawn on a page."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

WIDTH, HEIGHT = 320, 120  # of the plot, in units of the drawing
_BINS = 64
_TOP = 99.9  # percentile at which the scale ends
_TICKS = 5
_SAMPLE = 20_000  # voxels that tell whether intensities are multiples of a step
_MOST_STEPS = 2**16  # between the ends of the scale; with more, intensities count as continuous


@dataclass(frozen=True)
class Histogram:
    """A histogram ready to be drawn in `WIDTH` × `HEIGHT` units, the origin at the lower left.

    Attributes
    ----------
    title, axis
        What it is of, and the label of its horizontal axis.
    path
        Outline of the steps, SVG.
    ticks
        Places along the horizontal axis, in units, and their text.
    peak
        Share of the voxels in the fullest bin, as text: the top of the vertical axis.
    summary
        The same in words.
    """

    title: str
    axis: str
    path: str
    ticks: Sequence[tuple[float, str]]
    peak: str
    summary: str


def histogram(title: str, axis: str, values: np.ndarray) -> Histogram | None:
    """Count the intensities of a brain.

    Parameters
    ----------
    title, axis
        As they are printed.
    values
        Voxels of the brain, any shape; what is not finite is left out. The scale begins at 0, or
        at the least value where that is below, and ends at the 99.9th percentile, which takes
        what lies beyond.

    Returns
    -------
    Histogram
        None where there is nothing to count or no spread.
    """
    values = values[np.isfinite(values)].astype(float)
    if not values.size:
        return None
    low, high = min(0.0, float(values.min())), float(np.percentile(values, _TOP))
    if high <= low:
        return None
    step = _step(values, high - low)
    if step:
        # bins of whole steps, or some bins hold more of the values that occur than others
        first = float(values.min())
        low = first - step * float(np.ceil((first - low) / step - 1e-6)) - step / 2
        high = low + _BINS * step * float(np.ceil((high - low) / (_BINS * step) - 1e-6))
    counts, _ = np.histogram(np.minimum(values, high), bins=_BINS, range=(low, high))
    share = counts / counts.sum()
    heights = HEIGHT * (1 - share / share.max())
    steps = "".join(
        f"V{height:.1f}H{(place + 1) * WIDTH / _BINS:.1f}" for place, height in enumerate(heights)
    )
    ticks = [((tick - low) / (high - low) * WIDTH, f"{tick:g}") for tick in _round_ticks(low, high)]
    median, spread = np.median(values), np.percentile(values, (25, 75))
    return Histogram(
        title,
        axis,
        f"M0 {HEIGHT}{steps}V{HEIGHT}z",
        ticks,
        f"{share.max():.1%}",
        f"median {_short(median)}, middle half from {_short(spread[0])} to {_short(spread[1])}",
    )


def _step(values: np.ndarray, span: float) -> float:
    """Find the step of which all differences between intensities are multiples; 0 without one.

    Whole numbers have one, and so has what a scanner wrote as whole numbers with a slope.
    """
    found = np.unique(values[:: max(1, len(values) // _SAMPLE)])
    gaps = np.diff(found)
    gaps = gaps[gaps > 1e-6 * span]  # the same number, rounded otherwise
    if not gaps.size or gaps.min() < span / _MOST_STEPS:
        return 0.0
    places = (found - found[0]) / gaps.min()
    step = float((found[-1] - found[0]) / np.rint(places[-1]))
    off = (found - found[0]) / step
    return step if np.abs(off - np.rint(off)).max() < 0.05 else 0.0


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _round_ticks(low: float, high: float) -> list[float]:
    """Round numbers inside a range, at most `_TICKS` + 1 of them."""
    raw = (high - low) / _TICKS
    power = 10.0 ** np.floor(np.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw)
    first = int(np.ceil(low / step - 1e-9))
    last = int(np.floor(high / step + 1e-9))
    return [float(np.round(place * step, 10)) for place in range(first, last + 1)]
