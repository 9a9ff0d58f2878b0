"""Figures as pictures of print size: the app's own SVG (`svg.Drawing`) drawn with Pillow."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from importlib.util import find_spec
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from bidsapp.drawing.svg import WIDTH, chart_style

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont

COLUMN_MM = 90.0
"""Width in print of a plot: one column of most journals. Its text is then 7 to 8 points high."""
DPI = 300
_FINER = 2  # drawn so many times larger, and averaged: edges are smooth then
_NARROW = 0.88  # the pages' fonts are narrower than DejaVu, and boxes were made for them
_SVG = "{http://www.w3.org/2000/svg}"
_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
_PLACES = re.compile(r"-?\d+(?:\.\d+)?")
Style = Mapping[str, str]


def as_png(svg: str, notes: Mapping[str, str] | None = None) -> bytes:
    """Draw a figure on white at `DPI`, `COLUMN_MM` wide where it has the usual width.

    Of series that a page can switch between, those are drawn that show first.

    Parameters
    ----------
    svg
        What `svg.Drawing.standalone` gave; other SVG is not understood.
    notes
        Written into the file as text, at its beginning.

    Returns
    -------
    bytes
        A PNG that says its resolution.
    """
    from PIL import Image, ImageDraw
    from PIL.PngImagePlugin import PngInfo

    root = ElementTree.fromstring(svg)
    left, top, width, height = map(float, root.attrib["viewBox"].split())
    scale = COLUMN_MM / 25.4 * DPI / WIDTH
    size = round(width * scale), round(height * scale)
    canvas = Image.new("RGB", (size[0] * _FINER, size[1] * _FINER), "white")
    _Sheet(canvas, ImageDraw.Draw(canvas, "RGBA"), left, top, scale * _FINER).children(root)
    made = BytesIO()
    smooth = canvas.resize(size, Image.Resampling.BOX)
    info = PngInfo()
    for key, text in (notes or {}).items():
        info.add_text(key, text)
    smooth.save(made, "PNG", dpi=(DPI, DPI), compress_level=6, pnginfo=info)
    return made.getvalue()


class _Sheet:
    """Where a figure is drawn: units of the drawing to pixels."""

    def __init__(
        self, canvas: "Image", pen: "ImageDraw", left: float, top: float, scale: float
    ) -> None:
        self.canvas, self.pen = canvas, pen
        self.left, self.top, self.scale = left, top, scale

    def at(self, x: float, y: float) -> tuple[float, float]:
        return (x - self.left) * self.scale, (y - self.top) * self.scale

    def children(self, node: ElementTree.Element) -> None:
        for child in node:
            css = child.get("class", "")
            tag = child.tag.removeprefix(_SVG)
            if tag == "g" and not ("series" in css.split() and "on" not in css.split()):
                self.children(child)
            elif tag in ("path", "rect", "circle", "text"):
                getattr(self, f"draw_{tag}")(child, _style_of(tag, css))

    def draw_path(self, node: ElementTree.Element, style: Style) -> None:
        numbers = list(map(float, _PLACES.findall(node.attrib["d"])))
        points = [self.at(*pair) for pair in zip(numbers[::2], numbers[1::2], strict=True)]
        closed = node.attrib["d"].endswith("Z")
        if (fill := _colour(style, "fill")) and closed and len(points) > 2:
            self.pen.polygon(points, fill=fill)
        self._stroke([*points, points[0]] if closed else points, style)

    def draw_rect(self, node: ElementTree.Element, style: Style) -> None:
        x, y, width, height, round_by = (
            float(node.get(key, 0)) for key in ("x", "y", "width", "height", "rx")
        )
        box = (*self.at(x, y), *self.at(x + width, y + height))
        if width <= 0 or height <= 0:
            return
        line = max(round(float(style.get("stroke-width", 1)) * self.scale), 1)
        outline = _colour(style, "stroke")
        self.pen.rounded_rectangle(
            box,
            round_by * self.scale,
            _colour(style, "fill"),
            outline,
            line if outline else 0,
        )

    def draw_circle(self, node: ElementTree.Element, style: Style) -> None:
        x, y, r = (float(node.attrib[key]) for key in ("cx", "cy", "r"))
        line = max(round(float(style.get("stroke-width", 1)) * self.scale), 1)
        box = (*self.at(x - r, y - r), *self.at(x + r, y + r))
        self.pen.ellipse(box, _colour(style, "fill"), _colour(style, "stroke"), line)

    def draw_text(self, node: ElementTree.Element, style: Style) -> None:
        words = "".join(node.itertext())
        colour = _colour(style, "fill")
        if not words or colour is None:
            return
        size = float(style.get("font-size", "13px").removesuffix("px")) * self.scale
        mask, baseline = _written(words, round(size), bold=_is_bold(style))
        moved = list(map(float, _PLACES.findall(node.get("transform", ""))))
        x, y = moved[:2] if moved else (float(node.get("x", 0)), float(node.get("y", 0)))
        start = {"middle": 0.5, "end": 1.0}.get(node.get("text-anchor", ""), 0.0) * mask.width
        place_x, place_y = self.at(x, y)
        if moved and moved[-1] == -90:
            from PIL import Image

            mask = mask.transpose(Image.Transpose.ROTATE_90)
            corner = place_x - baseline, place_y + start - mask.height
        else:
            corner = place_x - start, place_y - baseline
        self.canvas.paste(colour[:3], (round(corner[0]), round(corner[1])), mask)

    def _stroke(self, points: Sequence[tuple[float, float]], style: Style) -> None:
        colour = _colour(style, "stroke")
        if colour is None or len(points) < 2:
            return
        width = max(round(float(style.get("stroke-width", 1)) * self.scale), 1)
        dashes = [float(one) * self.scale for one in style.get("stroke-dasharray", "").split()]
        for part in _dashed(points, dashes) if dashes else (points,):
            self.pen.line(list(part), colour, width, joint="curve")


def _dashed(
    points: Sequence[tuple[float, float]], dashes: Sequence[float]
) -> Iterator[list[tuple[float, float]]]:
    """Cut a line into its dashes, around its corners."""
    place, left, drawn = 0, dashes[0], True
    part = [points[0]]
    for start, end in pairwise(points):
        length = math.dist(start, end)
        done = 0.0
        while length - done > left:
            done += left
            share = done / length
            corner = (
                start[0] + share * (end[0] - start[0]),
                start[1] + share * (end[1] - start[1]),
            )
            if drawn:
                yield [*part, corner]
            part, drawn = [corner], not drawn
            place = (place + 1) % len(dashes)
            left = dashes[place]
        left -= length - done
        part.append(end)
    if drawn and len(part) > 1:
        yield part


@lru_cache(maxsize=1)
def _sheet() -> Mapping[str, Style]:
    """Read the style sheet of charts as it prints: class, or element, to its properties."""
    text = chart_style()
    printed = text[text.index("@media print") :]
    named = dict(re.findall(r"(--[\w-]+):\s*([^;}]+)", printed))
    found: dict[str, dict[str, str]] = {}
    plain = re.sub(r"@media[^{]*\{(?:[^{}]*\{[^{}]*\})*\s*\}", "", text)
    for selectors, body in _RULE.findall(plain):
        values = dict(re.findall(r"([\w-]+):\s*([^;]+)", body))
        for selector in selectors.split(","):
            name = selector.strip().removeprefix(".chart").strip().lstrip(".")
            for key, value in values.items():
                said = re.sub(r"var\((--[\w-]+)\)", lambda one: named[one[1]].strip(), value)
                found.setdefault(name, {})[key] = said.strip()
    return found


@lru_cache(maxsize=200)
def _style_of(tag: str, css: str) -> Style:
    found = {"fill": "#000", **_sheet().get(tag, {})}
    for name in css.split():
        found |= _sheet().get(name, {})
    return found


def _colour(style: Style, key: str) -> tuple[int, int, int, int] | None:
    text = style.get(key, "none")
    if not text.startswith("#"):
        return None
    digits = text[1:] if len(text) == 7 else "".join(2 * one for one in text[1:])
    red, green, blue = (int(digits[k : k + 2], 16) for k in (0, 2, 4))
    return red, green, blue, round(255 * float(style.get("opacity", 1)))


def _is_bold(style: Style) -> bool:
    return int(style.get("font-weight", "400")) >= 600


@lru_cache(maxsize=64)
def _font(size: int, bold: bool) -> "FreeTypeFont":
    from PIL import ImageFont

    package = find_spec("matplotlib")  # whose fonts have every sign that figures write
    assert package is not None
    assert package.origin is not None
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(
        Path(package.origin).parent / "mpl-data" / "fonts" / "ttf" / name, size
    )


def _written(words: str, size: int, *, bold: bool) -> tuple["Image", int]:
    """Give a mask of written words, and how far below its upper edge they stand."""
    from PIL import Image, ImageDraw

    font = _font(size, bold)
    above, below = font.getmetrics()
    width = max(math.ceil(font.getlength(words)), 1)
    mask = Image.new("L", (width, above + below), 0)
    ImageDraw.Draw(mask).text((0, above), words, fill=255, font=font, anchor="ls")
    return mask.resize((max(round(width * _NARROW), 1), mask.height), Image.Resampling.BOX), above
