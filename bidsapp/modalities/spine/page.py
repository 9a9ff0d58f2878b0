"""The page of one injection: is the box on the foramen, seen and in numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bidsapp.contracts.measure import FAIL, PASS, WARN
from bidsapp.contracts.prepared import Provenance
from bidsapp.contracts.product import OutputNames
from bidsapp.drawing.pages import plain_text, render
from bidsapp.drawing.pictures import data_uri, enlarged, windowed
from bidsapp.drawing.quality_table import advice, quality_rows
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


@dataclass(frozen=True)
class RegionReport:
    """What the page of one injection is made of.

    Attributes
    ----------
    names, provenance, quality, facts
        Of the unit; facts as `bidsapp.modalities.spine.steps.facts_of` and the writer give them.
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


def write_region_report(report: RegionReport, path: Path) -> None:
    """Write one self-contained HTML file; the caller sees to it that no half of it is left."""
    word, sentence = _VERDICTS[report.quality["verdict"]]
    injection = dict(report.facts["injection"])
    midline = dict(injection.get("Midline") or {})
    seconds = {name: float(value) for name, value in report.facts["seconds"].items()}
    side = {"L": "left", "R": "right"}.get(str(injection.get("Side")), "")
    session = report.names.entities.get("session")
    person = f"sub-{report.names.entities['subject']}" + (f" ses-{session}" if session else "")
    page = render(
        "region.html.j2",
        title=f"{person} {injection.get('Level')} {side}",
        side=side,
        verdict={"status": report.quality["verdict"], "word": word, "sentence": sentence},
        quality=report.quality,
        rows=quality_rows(MEASURES, report.quality),
        advice=advice(MEASURES, report.quality),
        slice=_slice_picture(report, midline),
        picture=_region_picture(report),
        midline=_HOW.get(str(midline.get("How")), "not recorded"),
        notes=report.facts.get("notes") or (),
        source=next(iter(report.provenance.sources), "").removeprefix("bids:raw:"),
        chosen_because=report.provenance.selection,
        command=report.command,
        seconds=seconds,
        settings={str(k): plain_text(v) for k, v in report.provenance.settings.items()},
        versions={str(k): plain_text(v) for k, v in report.facts["software"].items()},
        facts={k: plain_text(v) for k, v in injection.items() if k != "Midline"},
    )
    path.write_text(page, encoding="utf-8")


def _slice_picture(report: RegionReport, midline: Mapping[str, Any]) -> dict[str, Any]:
    """Give the slice around the region as radiologists look at it, with box and midline."""
    space = Slice.from_dict(report.facts["space"])
    values, affine = read_numbers(report.folder / report.names["slice"])
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


def _region_picture(report: RegionReport) -> str:
    values, _ = read_numbers(report.folder / report.names["picture"])
    grey = np.rint(values[..., 0].T[::-1] * 255).astype(np.uint8)
    return data_uri(enlarged(grey, (400, 400)))
