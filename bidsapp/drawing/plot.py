"""A plot of two axes."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from bidsapp.drawing.svg import HEIGHT, WIDTH, Drawing, short, shortened

_LEFT, _RIGHT, _TOP, _BOTTOM = 54.0, 12.0, 30.0, 48.0
_LEGEND_STEP = 18.0
_CHARACTERS = 54  # of small text that go beside one another across a plot


@dataclass(frozen=True)
class Axis:
    """An axis: what it says (with its unit), where it ends, where its ticks are.

    Attributes
    ----------
    label
        Quantity and unit.
    low, high
        Values at its ends.
    ticks
        Where marks stand; about five round numbers where absent.
    log
        Whether equal steps are equal ratios; both ends are above 0 then.
    """

    label: str
    low: float
    high: float
    ticks: tuple[float, ...] = ()
    log: bool = False

    def share(self, value: float) -> float:
        """Where a value lies, 0 at the low end, 1 at the high end."""
        if self.log:
            low, high = math.log(self.low), math.log(self.high)
            return (math.log(max(value, self.low)) - low) / (high - low)
        return (value - self.low) / (self.high - self.low)

    @property
    def marks(self) -> tuple[float, ...]:
        """The ticks that lie on the axis."""
        return self.ticks or round_ticks(self.low, self.high)


PROBABILITY_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)


def unit_axis(label: str) -> Axis:
    """Return an axis from 0 to 1."""
    return Axis(label, 0.0, 1.0, PROBABILITY_TICKS)


def round_ticks(low: float, high: float, about: int = 5) -> tuple[float, ...]:
    """Round numbers from `low` to `high`, `about` of them."""
    span = high - low
    if not (math.isfinite(span) and span > 0):
        return (low,)
    raw = span / max(about - 1, 1)
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return tuple(number * step for number in range(first, last + 1))


def tick_text(value: float) -> str:
    """Write a tick: no more digits than it needs."""
    return f"{round(value, 10):.6g}".replace("-", "−")


class Plot(Drawing):
    """A drawing with two axes; values are given in units of the axes.

    Parameters
    ----------
    x, y
        The axes.
    key, title, description, width, height
        As for `Drawing`.
    """

    def __init__(
        self,
        key: str,
        title: str,
        description: str,
        x: Axis,
        y: Axis,
        width: float = WIDTH,
        height: float = HEIGHT,
    ) -> None:
        super().__init__(key, title, description, width, height)
        self.x, self.y = x, y
        self._axes()

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Place of a value in the drawing."""
        inner_width = self.width - _LEFT - _RIGHT
        inner_height = self.height - _TOP - _BOTTOM
        return (
            _LEFT + self.x.share(x) * inner_width,
            _TOP + (1 - self.y.share(y)) * inner_height,
        )

    def line(self, xs: Sequence[float], ys: Sequence[float], css: str) -> None:
        """Draw a line, with gaps where a value is not finite; what leaves the axes is cut."""
        for part_x, part_y in _finite_runs(xs, ys):
            self.path([self._inside(x, y) for x, y in zip(part_x, part_y, strict=True)], css)

    def band(
        self, xs: Sequence[float], low: Sequence[float], high: Sequence[float], css: str
    ) -> None:
        """Fill between two lines."""
        fine = np.isfinite(low) & np.isfinite(high)
        kept = [i for i, good in enumerate(fine) if good]
        there = [self._inside(xs[i], low[i]) for i in kept]
        back = [self._inside(xs[i], high[i]) for i in reversed(kept)]
        self.path(there + back, css, close=True)

    def point(self, x: float, y: float, css: str, *, radius: float = 3.5, tip: str = "") -> None:
        """Draw a point at a value."""
        place = self._inside(x, y)
        self.dot(*place, css, radius=radius, tip=tip)

    def bar(
        self, x: tuple[float, float], y: tuple[float, float], css: str, *, tip: str = ""
    ) -> None:
        """Draw a box from one value to another on both axes."""
        left, bottom = self._inside(min(x), min(y))
        right, top = self._inside(max(x), max(y))
        self.rect(left + 0.5, top, right - left - 1, bottom - top, css, tip=tip)

    def rule(self, css: str, *, x: float | None = None, y: float | None = None) -> None:
        """Draw a line across the plot at a value of one axis."""
        if x is not None:
            self.path([self.at(x, self.y.low), self.at(x, self.y.high)], css)
        if y is not None:
            self.path([self.at(self.x.low, y), self.at(self.x.high, y)], css)

    def legend(self, entries: Sequence[tuple[str, str]]) -> None:
        """Say below the plot what lines mean: (style of the line or ``fill`` style, words) each."""
        wide = (self.width - _LEFT - _RIGHT) / 2
        for place, (css, words) in enumerate(entries):
            x = _LEFT + wide * (place % 2)
            middle = self.height + _LEGEND_STEP * (place // 2) + 8
            if css.startswith("fill"):
                self.rect(x, middle - 5, 20, 10, css)
            else:
                self.path([(x, middle), (x + 20, middle)], css)
            self.text(x + 26, middle + 4, words, "legend")
        self.height += _LEGEND_STEP * ((len(entries) + 1) // 2) + 4

    def rule_between(self, start: tuple[float, float], end: tuple[float, float], css: str) -> None:
        """Draw a straight line from one value to another."""
        self.path([self.at(*start), self.at(*end)], css)

    def caption(self, words: str) -> None:
        """Write a line above the plot's area."""
        self.text(self.width - _RIGHT, _TOP - 12, shortened(words, _CHARACTERS), "note", "end")

    def stamp(self, words: str) -> None:
        """Write a warning across the top of the plot's area."""
        self.lines(_LEFT + 6, _TOP + 14, words, _CHARACTERS, "leak")

    def _inside(self, x: float, y: float) -> tuple[float, float]:
        return self.at(min(max(x, self.x.low), self.x.high), min(max(y, self.y.low), self.y.high))

    def _axes(self) -> None:
        left, bottom = _LEFT, self.height - _BOTTOM
        right, top = self.width - _RIGHT, _TOP
        for value in self.y.marks:
            _, y = self.at(self.x.low, value)
            self.path([(left, y), (right, y)], "grid")
            self.text(left - 7, y + 4, tick_text(value), "tick", "end")
        for value in self.x.marks:
            x, _ = self.at(value, self.y.low)
            self.path([(x, bottom), (x, bottom + 4)], "axis")
            self.text(x, bottom + 18, tick_text(value), "tick", "middle")
        self.path([(left, top), (left, bottom), (right, bottom)], "axis")
        self.text((left + right) / 2, self.height - 8, self.x.label, "label", "middle")
        middle = (top + bottom) / 2
        self.add(
            f'<text class="label" text-anchor="middle" transform="translate(13 {short(middle)}) '
            f'rotate(-90)">{escape(self.y.label)}</text>'
        )


def _finite_runs(
    xs: Sequence[float], ys: Sequence[float]
) -> Iterator[tuple[list[float], list[float]]]:
    part_x: list[float] = []
    part_y: list[float] = []
    for x, y in zip(xs, ys, strict=True):
        if math.isfinite(x) and math.isfinite(y):
            part_x.append(float(x))
            part_y.append(float(y))
        elif part_x:
            yield part_x, part_y
            part_x, part_y = [], []
    if part_x:
        yield part_x, part_y
