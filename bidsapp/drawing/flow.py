"""The flow diagram: who was there, who was left out and why, who is in, how they were divided."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from bidsapp.drawing.svg import Drawing

_WIDTH = 520.0
_MAIN = (10.0, 235.0)  # left border and width
_SIDE = (285.0, 225.0)
_LINE, _PAD, _GAP = 18.0, 10.0, 26.0
_CHARACTERS = 33


@dataclass(frozen=True)
class Step:
    """A box of the diagram: a bold line, lines below it, and a box of those who leave here."""

    heading: str
    lines: Sequence[str] = ()
    leaving: Sequence[str] = ()


def flow(steps: Sequence[Step]) -> Drawing:
    """Draw the steps from top to bottom, those who leave to the right."""
    blocks = [(_wrapped(step), _folded(step.leaving)) for step in steps]
    heights = [max(_height(main), _height(side)) for main, side in blocks]
    total = sum(heights) + _GAP * (len(steps) - 1) + 16
    words = "; ".join(
        ", ".join([step.heading, *step.lines, *[f"left out: {w}" for w in step.leaving[1:]]])
        for step in steps
    )
    drawing = Drawing("flow", "Who is in the cohort", words, _WIDTH, total)
    top = 8.0
    for place, ((main, side), high) in enumerate(zip(blocks, heights, strict=True)):
        own = _height(main)
        y = top + (high - own) / 2
        _box(drawing, _MAIN, y, main)
        middle = _MAIN[0] + _MAIN[1] / 2
        if side:
            end = _MAIN[0] + _MAIN[1]
            drawing.path([(end, y + own / 2), (_SIDE[0] - 7, y + own / 2)], "axis")
            _arrow(drawing, _SIDE[0], y + own / 2, sideways=True)
            _box(drawing, _SIDE, top + (high - _height(side)) / 2, side)
        if place + 1 < len(steps):
            next_own = _height(blocks[place + 1][0])
            below = top + high + _GAP + (heights[place + 1] - next_own) / 2
            drawing.path([(middle, y + own), (middle, below - 7)], "axis")
            _arrow(drawing, middle, below, sideways=False)
        top += high + _GAP
    return drawing


def _wrapped(step: Step) -> list[str]:
    return [step.heading, *_folded(step.lines)]


def _folded(lines: Sequence[str]) -> list[str]:
    return [part for line in lines for part in textwrap.wrap(line, _CHARACTERS) or [""]]


def _height(lines: Sequence[str]) -> float:
    return 2 * _PAD + _LINE * len(lines) if lines else 0.0


def _box(drawing: Drawing, place: tuple[float, float], y: float, lines: Sequence[str]) -> None:
    drawing.rect(place[0], y, place[1], _height(lines), "box", rounded=7)
    for number, words in enumerate(lines):
        css = "strong" if number == 0 else ""
        drawing.text(place[0] + 12, y + _PAD + _LINE * (number + 0.72), words, css)


def _arrow(drawing: Drawing, x: float, y: float, *, sideways: bool) -> None:
    wings = [(x - 8, y - 4), (x, y), (x - 8, y + 4)]
    if not sideways:
        wings = [(x - 4, y - 8), (x, y), (x + 4, y - 8)]
    drawing.path(wings, "arrow", close=True)
