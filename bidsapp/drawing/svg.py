"""Shapes and text as SVG, and the series that a page can switch between."""

import math
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from html import escape
from pathlib import Path

WIDTH, HEIGHT = 420.0, 330.0
_TITLE = 30.0


def number(value: float, digits: int = 2) -> str:
    """Write a number for people: fixed digits, a true minus, a dash for none."""
    if value is None or not math.isfinite(value):
        return "–"
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("-")
    return text.replace("-", "−")


@lru_cache(maxsize=1)
def chart_style() -> str:
    """Return the style sheet of all charts, for pages and for figures that stand alone."""
    path = Path(__file__).parent / "templates" / "chart.css"
    return path.read_text(encoding="utf-8")


class Drawing:
    """Shapes in a box of the given size; what is drawn later lies on top.

    Parameters
    ----------
    key
        Name of the figure: of its file, and of its parts on a page.
    title, description
        What it is, and what it shows in words for those who cannot see it.
    width, height
        Size in units of the drawing; the text is 13 units high.
    """

    def __init__(
        self,
        key: str,
        title: str,
        description: str,
        width: float = WIDTH,
        height: float = HEIGHT,
    ) -> None:
        self.key, self.title, self.description = key, title, description
        self.width, self.height = width, height
        self._parts: list[str] = []

    def add(self, text: str) -> None:
        """Add SVG text that is escaped already."""
        self._parts.append(text)

    def path(self, points: Sequence[tuple[float, float]], css: str, *, close: bool = False) -> None:
        """Draw a line through points of the drawing."""
        if not points:
            return
        first, *rest = [f"{short(x)} {short(y)}" for x, y in points]
        d = f"M{first}" + (f"L{' '.join(rest)}" if rest else "") + ("Z" if close else "")
        self.add(f'<path class="{css}" d="{d}"/>')

    def rect(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        css: str,
        *,
        tip: str = "",
        rounded: float = 0.0,
    ) -> None:
        """Draw a box; `tip` is shown where the pointer rests."""
        shape = (
            f'class="{css}" x="{short(x)}" y="{short(y)}" '
            f'width="{short(max(width, 0))}" height="{short(max(height, 0))}"'
        )
        if rounded:
            shape += f' rx="{short(rounded)}"'
        self.add(_with_tip("rect", shape, tip))

    def dot(self, x: float, y: float, css: str, *, radius: float = 3.5, tip: str = "") -> None:
        """Draw a point."""
        shape = f'class="{css}" cx="{short(x)}" cy="{short(y)}" r="{short(radius)}"'
        self.add(_with_tip("circle", shape, tip))

    def text(self, x: float, y: float, words: str, css: str = "", anchor: str = "start") -> None:
        """Write text; `anchor` is start, middle or end."""
        kind = f' class="{css}"' if css else ""
        self.add(
            f'<text{kind} x="{short(x)}" y="{short(y)}" text-anchor="{anchor}">'
            f"{escape(words)}</text>"
        )

    def lines(self, x: float, y: float, words: str, most: int, css: str) -> None:
        """Write text in lines of at most so many characters, the first at `y`."""
        for place, line in enumerate(textwrap.wrap(words, most)):
            self.text(x, y + 14 * place, line, css)

    @contextmanager
    def series(self, variant: str, *, on: bool) -> Iterator[None]:
        """Show what is drawn inside only while the variant is chosen."""
        state = " on" if on else ""
        self.add(f'<g class="series{state}" data-variant="{escape(variant)}">')
        yield
        self.add("</g>")

    def inline(self) -> str:
        """SVG for a page, which says the title itself."""
        return self._svg(0.0, "", "")

    def standalone(self) -> str:
        """SVG as a file: with title, style and background."""
        head = f'<text class="heading" x="4" y="{short(-_TITLE + 18)}">{escape(self.title)}</text>'
        paper = (
            f'<rect class="paper" x="0" y="{short(-_TITLE)}" width="{short(self.width)}" '
            f'height="{short(self.height + _TITLE)}"/>'
        )
        style = f"<style>{chart_style()}</style>"
        return self._svg(_TITLE, style + paper + head, ' xmlns="http://www.w3.org/2000/svg"')

    def _svg(self, top: float, before: str, namespace: str) -> str:
        box = f"0 {short(-top)} {short(self.width)} {short(self.height + top)}"
        names = f"fig-{self.key}-title fig-{self.key}-desc"
        size = f' width="{short(self.width * 1.5)}"' if namespace else ""
        return (
            f'<svg{namespace}{size} class="chart" viewBox="{box}" role="img" '
            f'aria-labelledby="{names}">'
            f'<title id="fig-{self.key}-title">{escape(self.title)}</title>'
            f'<desc id="fig-{self.key}-desc">{escape(self.description)}</desc>'
            f"{before}{''.join(self._parts)}</svg>"
        )


def shortened(words: str, most: int) -> str:
    """Cut words to a number of characters, with an ellipsis where something is lost."""
    return words if len(words) <= most else words[: most - 1] + "…"


def short(value: float) -> str:
    """Write a coordinate with a tenth of a unit."""
    return f"{value:.1f}".removesuffix(".0")


def _with_tip(tag: str, shape: str, tip: str) -> str:
    if not tip:
        return f"<{tag} {shape}/>"
    return f"<{tag} {shape}><title>{escape(tip)}</title></{tag}>"
