"""The page of one head in its own space: does the box hold it, seen and in numbers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bidsapp.contracts.measure import FAIL, PASS, WARN
from bidsapp.contracts.prepared import UnitPage
from bidsapp.drawing.mosaic import Layer, Outline, Tile, mosaic
from bidsapp.drawing.pages import render
from bidsapp.drawing.quality_table import common_parts
from bidsapp.drawing.volumes import Volume, choose_cuts, read_volume
from bidsapp.modalities.t1w.measures import MEASURES
from bidsapp.modalities.t1w.native.measures import NATIVE_MEASURES

_FINEST_MM = 1.5  # a picture of the whole box need not show more
_OPPOSITE = dict(zip("RLAPSI", "LRPAIS", strict=True))
_VERDICTS = {
    PASS: ("Pass", "The box can be used."),
    WARN: ("Warn", "Look at the box before you use it."),
    FAIL: ("Fail", "Do not use this image."),
}


def write_head_page(unit: UnitPage, path: Path) -> None:
    """Write one self-contained HTML file; the caller sees to it that no half of it is left.

    Parameters
    ----------
    unit
        Its facts hold ``padded`` and ``cropped``.
    path
        The file; its folder exists.
    """
    names, settings = unit.names, unit.provenance.settings
    measures = [one for one in (*MEASURES, *NATIVE_MEASURES) if one.applies(settings)]
    box = Volume(*_read(unit.folder / names[names.main.key]))
    page = render(
        "head.html.j2",
        **common_parts(unit, measures, _VERDICTS),
        title=unit.title,
        whole=settings["brain"] == "whole",
        box=" × ".join(map(str, settings["box"])),
        axes=settings["axes"],
        tiles=_tiles(box, unit.folder / names["own_mask"]),
        tilt=box.tilt if box.tilt > 3.0 else 0.0,
        fitted=_fitted(unit.facts, settings["axes"]),
        seconds={name: float(value) for name, value in unit.facts["seconds"].items()},
    )
    path.write_text(page, encoding="utf-8")


def _read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    found = read_volume(path)
    return np.asarray(found.data), found.affine


def _tiles(box: Volume, mask: Path) -> list[Tile]:
    """Cut the whole box into slices, with its own edge black, and the brain's outline."""
    inside = np.asarray(read_volume(mask).data) > 0
    step = max(1, int(_FINEST_MM / float(box.voxel_sizes.min())))
    thin = (slice(None, None, step),) * 3
    affine = box.affine @ np.diag([step, step, step, 1.0])
    values, inside = np.asarray(box.data[thin], np.float32), inside[thin]
    grid = Volume(values, affine)
    brain = values[inside]
    high = 1.15 * float(np.percentile(brain, 99.5)) if brain.size else float(values.max())
    everything = grid.like(np.ones(values.shape, bool))
    return mosaic(
        grid,
        choose_cuts(everything),
        [Layer("participant", "The box as a network is given it", values, (0.0, high or 1.0))],
        [Outline("outer", inside)],
    )


def _fitted(facts: Mapping[str, Any], axes: str) -> list[str]:
    """Say how many voxels were added or cut off at either end of each axis."""
    lines = []
    for letter, added, cut in zip(axes, facts["padded"], facts["cropped"], strict=True):
        for what, (low, high) in (("added", added), ("cut off", cut)):
            if low or high:
                ends = f"{low} on the side of {_OPPOSITE[letter]}, {high} on that of {letter}"
                lines.append(f"Voxels {what}: {ends}")
    return lines
