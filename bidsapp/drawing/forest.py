"""Forests: a value with its interval on every line, on one scale."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bidsapp.drawing.plot import tick_text
from bidsapp.drawing.svg import Drawing, number, shortened

_LEFT, _RIGHT = 12.0, 12.0
_ROW, _HEAD, _FOOT = 46.0, 8.0, 46.0
_LONGEST = 36


@dataclass(frozen=True)
class Line:
    """One line of a forest.

    Attributes
    ----------
    label
        Whose value it is.
    value, low, high
        The value and its interval; NaN where there is none.
    wide_low, wide_high
        A second, wider interval; NaN where there is none.
    points
        Values of single folds.
    printed
        What a paper printed; NaN where nothing.
    baseline
        Drawn in the other colour.
    note
        Words behind the numbers, such as ``n = 24`` or a warning.
    """

    label: str
    value: float
    low: float = float("nan")
    high: float = float("nan")
    wide_low: float = float("nan")
    wide_high: float = float("nan")
    points: tuple[float, ...] = ()
    printed: float = float("nan")
    baseline: bool = False
    note: str = ""


def forest(
    key: str,
    title: str,
    description: str,
    lines: Sequence[Line],
    label: str,
    *,
    low: float = 0.0,
    high: float = 1.0,
    chance: float | None = 0.5,
    width: float = 520.0,
) -> Drawing:
    """Draw lines one below the other.

    Parameters
    ----------
    key, title, description
        As for `Drawing`.
    lines
        From top to bottom.
    label
        Quantity of the axis.
    low, high, chance
        Ends of the axis, and the value that chance gives, None for none.
    width
        Units of the drawing.
    """
    height = _HEAD + _ROW * len(lines) + _FOOT
    drawing = Drawing(key, title, description, width, height)
    bottom = height - _FOOT

    def x(value: float) -> float:
        share = min(max((value - low) / (high - low), 0.0), 1.0)
        return _LEFT + share * (width - _LEFT - _RIGHT)

    for tick in np.linspace(low, high, 5).tolist():
        drawing.path([(x(tick), _HEAD), (x(tick), bottom)], "grid")
        anchor = "start" if tick == low else "end" if tick == high else "middle"
        drawing.text(x(tick), bottom + 16, tick_text(tick), "tick", anchor)
    if chance is not None:
        drawing.path([(x(chance), _HEAD), (x(chance), bottom)], "chance")
    drawing.path([(_LEFT, bottom), (width - _RIGHT, bottom)], "axis")
    drawing.text(width / 2, height - 10, label, "label", "middle")
    for place, line in enumerate(lines):
        _draw(drawing, line, _HEAD + _ROW * place, x, width - _RIGHT)
    return drawing


def _draw(
    drawing: Drawing, line: Line, top: float, x: Callable[[float], float], right: float
) -> None:
    name = shortened(line.label, _LONGEST)
    drawing.text(_LEFT, top + 15, name, "strong")
    drawing.text(right, top + 15, _in_words(line), "note", "end")
    middle = top + 31
    kind = "baseline-" if line.baseline else ""
    tip = f"{line.label}: {_in_words(line)}"
    if np.isfinite([line.wide_low, line.wide_high]).all():
        ends = [(x(line.wide_low), middle), (x(line.wide_high), middle)]
        drawing.path(ends, f"{kind}wide")
    if np.isfinite([line.low, line.high]).all():
        ends = [(x(line.low), middle), (x(line.high), middle)]
        drawing.path(ends, f"{kind}limit")
    for value in line.points:
        if np.isfinite(value):
            drawing.dot(x(value), middle, "fold", radius=3, tip=f"one fold: {number(value)}")
    if np.isfinite(line.printed):
        at = x(line.printed)
        corners = [(at, middle - 9), (at + 6, middle), (at, middle + 9), (at - 6, middle)]
        drawing.path(corners, "printed", close=True)
    if np.isfinite(line.value):
        drawing.dot(x(line.value), middle, f"{kind}point", radius=6, tip=tip)


def _in_words(line: Line) -> str:
    if not np.isfinite(line.value):
        return line.note or "n/a"
    words = number(line.value)
    for low, high in ((line.wide_low, line.wide_high), (line.low, line.high)):
        if np.isfinite([low, high]).all():
            words += f" ({number(low)} to {number(high)})"
            break
    return f"{words}; {line.note}" if line.note else words
