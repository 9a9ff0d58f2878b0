"""The page of one injection: is the box on the foramen, seen and in numbers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bidsapp.contracts.measure import FAIL, PASS, WARN
from bidsapp.contracts.prepared import UnitPage
from bidsapp.drawing.pages import plain_text, render
from bidsapp.drawing.pictures import data_uri, enlarged, windowed
from bidsapp.drawing.quality_table import common_parts
from bidsapp.intake.images import read_numbers
from bidsapp.modalities.spine.measures import MEASURES
from bidsapp.spaces import Slice

_SHOWN_MM = 140.0  # around the region
_HEIGHT = 560
_VERDICTS = {
    PASS: ("Pass", "The region can be used."),
    WARN: ("Warn", "Look at the slice before you use the region."),
    FAIL: ("Fail", "Do not use the region."),
}
_HOW = {
    "cord": "the middle of the cord's mask",
    "symmetry": "the slice's own symmetry",
    "centre": "the centre of the field of view",
}


def write_region_page(unit: UnitPage, path: Path) -> None:
    """Write one self-contained HTML file; the caller sees to it that no half of it is left.

    Parameters
    ----------
    unit
        Facts as `bidsapp.modalities.spine.steps.facts_of` and the writer give them.
    path
        The file; its folder exists.
    """
    injection = dict(unit.facts["injection"])
    midline = dict(injection.get("Midline") or {})
    side = {"L": "left", "R": "right"}.get(str(injection.get("Side")), "")
    page = render(
        "region.html.j2",
        **common_parts(unit, MEASURES, _VERDICTS),
        title=f"{unit.title} {injection.get('Level')} {side}",
        side=side,
        slice=_slice_picture(unit, midline),
        picture=_region_picture(unit),
        midline=_HOW.get(str(midline.get("How")), "not recorded"),
        seconds={name: float(value) for name, value in unit.facts["seconds"].items()},
        facts={k: plain_text(v) for k, v in injection.items() if k != "Midline"},
    )
    path.write_text(page, encoding="utf-8")


def _slice_picture(unit: UnitPage, midline: Mapping[str, Any]) -> dict[str, Any]:
    """Give the slice around the region as radiologists look at it, with box and midline."""
    space = Slice.from_dict(unit.facts["space"])
    values, affine = read_numbers(unit.folder / unit.names["slice"])
    plane = values[..., 0]
    sizes = np.linalg.norm(affine[:3, :2], axis=0)
    (x, y), (width, depth) = space.start, space.extent
    half = np.maximum(_SHOWN_MM / 2 / sizes, 8)
    low = np.maximum(np.array([x + width / 2, y + depth / 2]) - half, 0).astype(int)
    high = np.minimum(low + (2 * half).astype(int), plane.shape)
    cut = plane[low[0] : high[0], low[1] : high[1]]
    grey = windowed(cut.T[::-1, ::-1], *np.percentile(cut, (1, 99.5)))
    scale = _HEIGHT / cut.shape[1]
    size = (max(1, round(cut.shape[0] * scale)), _HEIGHT)
    line = midline.get("FromLeftEdgeMM")
    return {
        "uri": data_uri(enlarged(grey, size)),
        "size": size,
        "box": [
            (high[0] - x - width) * scale,
            (high[1] - y - depth) * scale,
            width * scale,
            depth * scale,
        ],
        "line": None if line is None else (high[0] - line / sizes[0]) * scale,
    }


def _region_picture(unit: UnitPage) -> str:
    values, _ = read_numbers(unit.folder / unit.names["picture"])
    grey = np.rint(values[..., 0].T[::-1] * 255).astype(np.uint8)
    return data_uri(enlarged(grey, (400, 400)))
