"""Draw a map on a surface from fixed sides: shaded where it is small, in colours where large."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bidsapp.contracts.home import View
from bidsapp.drawing.svg import Drawing, short
from bidsapp.errors import BadData
from bidsapp.intake.gifti import read_surface
from bidsapp.intake.json_text import read_own_json
from bidsapp.reports.saliency.overlays import colour_index, map_colours
from bidsapp.spaces.files import read_whole

_PIXELS, _GAP, _TOP, _WIDTH = 360, 12.0, 40.0, 640.0
_MOST_POINTS = 1_500_000  # strewn over all triangles
_LIGHT = np.array([-0.35, 0.45, 0.82])  # right, up, toward the eye
_GREY = 205.0


@dataclass(frozen=True)
class SurfaceMap:
    """A map and the surface that it lies on.

    Attributes
    ----------
    points, triangles
        (n, 3) mm in the space's frame, (m, 3).
    values
        (n,).
    label
        Of the space.
    """

    points: np.ndarray
    triangles: np.ndarray
    values: np.ndarray
    label: str


def read_surface_map(path: Path) -> SurfaceMap:
    """Read a group's map and the surface beside it.

    Raises
    ------
    NoInput, BadData
        Either cannot be read, or they do not belong together.
    """
    whole = read_whole(path)
    told = read_own_json(path.with_name(path.name.removesuffix(".shape.gii") + ".json"))
    surface = path.parent / Path(str(told.get("Surface", ""))).name
    points, triangles = read_surface(surface)
    values = np.nan_to_num(whole.values.ravel(), posinf=0, neginf=0)
    if len(values) != len(points):
        raise BadData(f"{path.name} has {len(values)} values, {surface.name} {len(points)} points")
    return SurfaceMap(points, triangles, values, str(whole.told.get("label", "")))


def surface_views(
    shown: SurfaceMap, views: Sequence[View], limit: float, top: float, name: str, stamp: str = ""
) -> Drawing:
    """Draw a map from every side.

    Parameters
    ----------
    shown
        The map.
    views
        Of the modality.
    limit, top
        Magnitudes from which on, and up to which, the map is coloured.
    name
        For the name of the figure: the variant.
    stamp
        A warning that is written across the top; empty where there is none.
    """
    side = (_WIDTH - (len(views) + 1) * _GAP) / len(views)
    drawing = Drawing(
        f"surface_{name}",
        f"Map on the surface, {name}",
        f"The {shown.label} seen {', '.join(view.title for view in views)}; coloured where the map "
        "is largest.",
        _WIDTH,
        _TOP + side + 30,
    )
    middle = (shown.points.min(0) + shown.points.max(0)) / 2
    reach = float(np.linalg.norm(shown.points - middle, axis=1).max())
    for number, view in enumerate(views):
        left = _GAP + number * (side + _GAP)
        picture = _uri(rendered(shown, view, middle, reach, limit, top))
        drawing.add(
            f'<image x="{short(left)}" y="{short(_TOP)}" width="{short(side)}" '
            f'height="{short(side)}" href="{picture}"/>'
        )
        drawing.text(left, _TOP - 8, view.ends[0], "note")
        drawing.text(left + side, _TOP - 8, view.ends[1], "note", "end")
        drawing.text(left + side / 2, _TOP + side + 18, view.title, "note", "middle")
    if stamp:
        drawing.text(_GAP, 14, stamp, "leak")
    return drawing


def rendered(
    shown: SurfaceMap, view: View, middle: np.ndarray, reach: float, limit: float, top: float
) -> np.ndarray:
    """(pixels, pixels, 4) uint8 of one side, rows down; transparent beside the surface.

    Points are strewn over every triangle, closer than pixels, and the nearest to the eye is seen.
    """
    right, up = np.array(view.right), np.array(view.up)
    axes = np.stack([right, up, np.cross(right, up)])
    seen = (shown.points - middle) @ axes.T
    corners = seen[shown.triangles]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    smooth = np.zeros_like(seen)
    np.add.at(smooth, shown.triangles.ravel(), np.repeat(normal, 3, axis=0))
    smooth /= np.maximum(np.linalg.norm(smooth, axis=1), 1e-12)[:, None]
    volume = float((corners[:, 0] * np.cross(corners[:, 1], corners[:, 2])).sum())
    smooth *= 1 if volume >= 0 else -1  # triangles that are stored the other way round
    shade = np.clip(smooth @ _LIGHT / np.linalg.norm(_LIGHT), 0, 1) * 0.65 + 0.35
    size = 2 * reach / _PIXELS
    edges = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2)
    shares = _shares(float(edges.max()) / size, len(corners))
    place = np.einsum("sk,tkd->tsd", shares, corners).reshape(-1, 3)
    light = (shade[shown.triangles] @ shares.T).ravel()
    value = (shown.values[shown.triangles].astype(float) @ shares.T).ravel()
    column = np.rint((place[:, 0] + reach) / size - 0.5).astype(int)
    row = np.rint((reach - place[:, 1]) / size - 0.5).astype(int)
    inside = (column >= 0) & (column < _PIXELS) & (row >= 0) & (row < _PIXELS)
    order = np.argsort(place[inside, 2], kind="stable")  # the nearest is written last
    column, row = column[inside][order], row[inside][order]
    light, value = light[inside][order], value[inside][order]
    picture = np.zeros((_PIXELS, _PIXELS, 4), np.uint8)
    colours = np.full((len(value), 3), _GREY)
    on = np.abs(value) >= limit
    colours[on] = map_colours()[colour_index(value[on], limit, top)]
    picture[row, column, :3] = np.clip(colours * light[:, None], 0, 255).astype(np.uint8)
    picture[row, column, 3] = 255
    return picture


def _shares(pixels: float, triangles: int) -> np.ndarray:
    """Strew points over a triangle so many pixels wide: (samples, 3) shares of its corners."""
    most = int(np.sqrt(2 * _MOST_POINTS / triangles))
    steps = int(np.clip(np.ceil(2 * pixels), 2, max(most, 2)))
    a, b = np.meshgrid(np.arange(steps + 1), np.arange(steps + 1), indexing="ij")
    kept = a + b <= steps
    return np.stack([a[kept], b[kept], steps - a[kept] - b[kept]], axis=1) / steps


def _uri(picture: np.ndarray) -> str:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture, "RGBA").save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
