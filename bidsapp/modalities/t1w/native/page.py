"""The page of one head in its own space: does the box hold it, seen and in numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bidsapp.contracts.measure import FAIL, PASS, WARN
from bidsapp.contracts.prepared import RAW, Provenance
from bidsapp.contracts.product import OutputNames
from bidsapp.drawing.mosaic import Layer, Outline, Tile, mosaic
from bidsapp.drawing.pages import plain_text, render
from bidsapp.drawing.quality_table import advice, quality_rows
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


@dataclass(frozen=True)
class HeadReport:
    """What the page of one head in its own space is made of.

    Attributes
    ----------
    names, provenance, quality, facts
        Of the unit; facts hold ``notes``, ``seconds``, ``software``, ``padded`` and ``cropped``.
    folder
        Where its products lie.
    command
        Command line that makes it again.
    """

    names: OutputNames
    provenance: Provenance
    quality: Mapping[str, Any]
    facts: Mapping[str, Any]
    folder: Path
    command: str


def report_of(
    names: OutputNames,
    provenance: Provenance,
    quality: Mapping[str, Any],
    facts: Mapping[str, Any],
    folder: Path,
    command: str,
) -> HeadReport:
    """Gather what the page says; see `HeadReport`."""
    return HeadReport(names, provenance, dict(quality), dict(facts), folder, command)


def write_head_report(report: HeadReport, path: Path) -> None:
    """Write one self-contained HTML file; the caller sees to it that no half of it is left."""
    names, settings = report.names, report.provenance.settings
    word, sentence = _VERDICTS[report.quality["verdict"]]
    measures = [one for one in (*MEASURES, *NATIVE_MEASURES) if one.applies(settings)]
    session = names.entities.get("session")
    box = Volume(*_read(report.folder / names[names.main.key]))
    page = render(
        "head.html.j2",
        title=f"sub-{names.entities['subject']}" + (f" ses-{session}" if session else ""),
        whole=settings["brain"] == "whole",
        box=" × ".join(map(str, settings["box"])),
        axes=settings["axes"],
        verdict={"status": report.quality["verdict"], "word": word, "sentence": sentence},
        quality=report.quality,
        rows=quality_rows(measures, report.quality),
        advice=advice(measures, report.quality),
        tiles=_tiles(box, report.folder / names["own_mask"]),
        tilt=box.tilt if box.tilt > 3.0 else 0.0,
        fitted=_fitted(report.facts, settings["axes"]),
        notes=report.facts.get("notes") or (),
        source=next(iter(report.provenance.sources), "").removeprefix(RAW),
        chosen_because=report.provenance.selection,
        command=report.command,
        seconds={name: float(value) for name, value in report.facts["seconds"].items()},
        settings={str(k): plain_text(v) for k, v in settings.items()},
        versions={str(k): plain_text(v) for k, v in report.facts["software"].items()},
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
