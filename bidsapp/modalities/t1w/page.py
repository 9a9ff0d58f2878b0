"""The report of one participant: was the normalisation right, seen and in numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bidsapp.contracts.measure import FAIL, PASS, WARN
from bidsapp.contracts.prepared import RAW, UnitPage
from bidsapp.drawing.contours import tissue_levels
from bidsapp.drawing.histogram import HEIGHT, WIDTH, Histogram, histogram
from bidsapp.drawing.mosaic import Layer, Outline, Tile, mosaic
from bidsapp.drawing.pages import plain_text, render
from bidsapp.drawing.pictures import diverging_colours
from bidsapp.drawing.quality_table import advice, quality_rows
from bidsapp.drawing.volumes import Volume, box_around, choose_cuts, read_head, read_volume
from bidsapp.modalities.t1w.intensity import level
from bidsapp.modalities.t1w.measures import MEASURES, OTHERWISE

LOG_RATIO = 1.0  # ends of the colour bar; the same for everybody, so that reports compare
_HEAD_MARGIN_MM = 18.0  # shows scalp and skull around the brain
_BRAIN_MARGIN_MM = 3.0
_TILTED_DEGREES = 3.0
_SAMPLE = 500_000  # voxels from which the window of a head is taken; more change nothing

_VERDICTS = {
    PASS: ("Pass", "The normalised image can be used."),
    WARN: ("Warn", "Look at the overlays before you use the normalised image."),
    FAIL: ("Fail", "Do not use the normalised image."),
}


@dataclass(frozen=True)
class ParticipantReport:
    """What the report of one participant (and session) says.

    Attributes
    ----------
    title
        Such as ``sub-01 ses-02``.
    source
        The image that was used, relative to the dataset.
    chosen_because
        A sentence: why this image.
    template, resolution
        Label of the template, and the voxel size of the normalised image in mm.
    quality
        What ``Quality.plain()`` gives.
    notes
        What was repaired or is doubtful, a sentence each.
    seconds
        CPU seconds per step, in the order of the steps.
    settings, versions
        The settings that applied and the software that ran.
    command
        Command line that makes this again.
    head, head_mask
        The image as acquired, or as it was read, and its brain mask, on one grid.
    t1w, mask, template_brain, log_jacobian
        The normalised brain (0 to 1), its mask, the template's brain, and the natural logarithm of
        the volume ratio participant to template, on one grid.
    unit
        How many units of `head` make one of the scanner's.
    """

    title: str
    source: str
    chosen_because: str
    template: str
    resolution: float
    quality: Mapping[str, Any]
    notes: Sequence[str]
    seconds: Mapping[str, float]
    settings: Mapping[str, Any]
    versions: Mapping[str, Any]
    command: str
    head: Path
    head_mask: Path
    t1w: Path
    mask: Path
    template_brain: Path
    log_jacobian: Path
    unit: float = 1.0


def report_of(
    unit: UnitPage, *, head: tuple[Path, Path], template_brain: Path, unit_of_head: float = 1.0
) -> ParticipantReport:
    """Gather what the report of a normalised image says.

    Parameters
    ----------
    unit
        The image.
    head
        The image as it was acquired, or read, and its brain mask.
    template_brain
        On the grid of the normalised image.
    unit_of_head
        How many units of the head make one of the scanner's.
    """
    names, provenance, facts = unit.names, unit.provenance, unit.facts
    return ParticipantReport(
        title=unit.title,
        source=next(iter(provenance.sources)).removeprefix(RAW),
        chosen_because=provenance.selection,
        template=names.space,
        resolution=int(names.resolution),
        quality=dict(unit.quality),
        notes=[str(note) for note in facts["notes"]],
        seconds={k: v for k, v in facts["seconds"].items() if k != "total"},
        settings=dict(provenance.settings),
        versions=dict(facts["software"]),
        command=unit.command,
        head=head[0],
        head_mask=head[1],
        t1w=unit.folder / names["preproc"],
        mask=unit.folder / names["brain_mask"],
        template_brain=template_brain,
        log_jacobian=unit.folder / names["log_jacobian"],
        unit=unit_of_head,
    )


@dataclass(frozen=True)
class _Native:
    """Head, from its own zero up, its brain mask, and how many units make one of the scanner's."""

    head: Volume
    mask: Volume
    unit: float


@dataclass(frozen=True)
class _Mosaics:
    registration: list[Tile]
    brain_mask: list[Tile]
    volume_change: list[Tile]
    tilt: float
    ratios: tuple[float, float, float] | None


def write_participant_report(report: ParticipantReport, path: Path) -> None:
    """Write one self-contained HTML file.

    Parameters
    ----------
    report
        What it says, and the images it shows.
    path
        The file; its folder exists. The caller sees to it that a half-written file is never left.

    Raises
    ------
    ValueError
        Images that belong together do not share a grid, or the verdict is unknown.
    """
    verdict = report.quality.get("verdict")
    if verdict not in _VERDICTS:
        raise ValueError(f"The verdict of {report.title} is {verdict!r}, not pass, warn or fail.")
    rows = quality_rows(MEASURES, report.quality)
    native = _native(report)
    word, sentence = _VERDICTS[verdict]
    seconds = {name: float(value) for name, value in report.seconds.items()}
    page = render(
        "participant.html.j2",
        report=report,
        verdict={"status": verdict, "word": word, "sentence": sentence},
        rows=rows,
        advice=advice(MEASURES, report.quality, OTHERWISE),
        mosaics=_mosaics(report, native),
        colour_bar=_colour_bar(),
        seconds=seconds,
        longest=max(seconds.values(), default=0.0) or 1.0,
        histograms=_histograms(report, native),
        plot_size=(WIDTH, HEIGHT),
        settings=_texts(report.settings),
        versions=_texts(report.versions),
    )
    path.write_text(page, encoding="utf-8")


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {str(key): plain_text(value) for key, value in values.items()}


def _histograms(report: ParticipantReport, native: _Native) -> list[Histogram]:
    head, head_mask = native.head, native.mask
    t1w, mask = _on_one_grid(report.t1w, report.mask)
    scaled = report.settings.get("intensity") == "minmax"
    found = [
        histogram(
            "Before: as acquired",
            "intensity (the scanner's units)",
            np.asarray(head.data)[np.asarray(head_mask.data) > 0] / native.unit,
        ),
        histogram(
            "After: corrected and normalised",
            "intensity (0 to 1)" if scaled else "intensity (the scanner's units)",
            np.asarray(t1w.data)[np.asarray(mask.data) > 0],
        ),
    ]
    return [plot for plot in found if plot is not None]


def _mosaics(report: ParticipantReport, native: _Native) -> _Mosaics:
    head, head_mask = native.head, native.mask
    t1w, mask, template, log_jacobian = _on_one_grid(
        report.t1w, report.mask, report.template_brain, report.log_jacobian
    )
    return _Mosaics(
        registration=_registration(t1w, template, report.template),
        brain_mask=_brain_mask(head, head_mask),
        volume_change=_volume_change(log_jacobian, mask),
        tilt=head.tilt if head.tilt > _TILTED_DEGREES else 0.0,
        ratios=_ratios(log_jacobian, mask),
    )


def _native(report: ParticipantReport) -> _Native:
    head, mask = read_head(report.head, report.head_mask)
    try:
        found = level(np.asarray(head.data))
    except ValueError:  # an image of nothing, which is shown as that
        return _Native(head, mask, report.unit)
    return _Native(head.like(found.data), mask, found.factor * report.unit)


def _on_one_grid(*paths: Path) -> list[Volume]:
    volumes = [read_volume(path) for path in paths]
    for path, volume in zip(paths, volumes, strict=True):
        same = volume.data.shape == volumes[0].data.shape
        if not same or not np.allclose(volume.affine, volumes[0].affine, atol=1e-3):
            raise ValueError(f"{path} does not lie on the grid of {paths[0]}.")
    return volumes


def _bright(values: np.ndarray, percent: float) -> float:
    """Percentile of the finite values above 0; 1 where there are none."""
    values = values[np.isfinite(values) & (values > 0)]
    return float(np.percentile(values, percent)) if values.size else 1.0


def _brain_window(brain: np.ndarray) -> tuple[float, float]:
    """Window that tells grey from white matter; fluid may go black."""
    return 0.9 * _bright(brain, 3), _bright(brain, 99.7)


def _registration(t1w: Volume, template: Volume, label: str) -> list[Tile]:
    inside = np.asarray(template.data) > 0
    box = box_around(inside, template.voxel_sizes, _BRAIN_MARGIN_MM)
    inside, grid = inside[box], template.cropped(box)
    person, standard = np.asarray(t1w.data[box]), np.asarray(grid.data)
    _, grey_white = tissue_levels(standard)
    return mosaic(
        grid,
        choose_cuts(grid.like(inside)),
        [
            Layer("participant", "Participant, normalised", person, _brain_window(person)),
            Layer("template", f"Template {label}", standard, _brain_window(standard)),
        ],
        # A ring of a few points in the inner contour is texture, not anatomy.
        [Outline("inner", standard, grey_white, shortest=9), Outline("outer", inside)],
    )


def _brain_mask(head: Volume, head_mask: Volume) -> list[Tile]:
    mask = np.asarray(head_mask.data) > 0
    box = box_around(mask, head.voxel_sizes, _HEAD_MARGIN_MM)
    grid, mask = head.cropped(box), mask[box]
    data = np.asarray(grid.data)
    step = max(1, round((data.size / _SAMPLE) ** (1 / 3)))
    thinned = (slice(None, None, step),) * 3
    sample, brain = data[thinned], data[thinned][mask[thinned]]
    finite = sample[np.isfinite(sample)]
    low = float(np.percentile(finite, 1)) if finite.size else 0.0
    # Scalp is brighter than brain; what has to be judged is the border of the brain.
    high = 1.15 * _bright(brain if brain.size else sample, 99.5)
    return mosaic(
        grid,
        choose_cuts(grid.like(mask)),
        [Layer("participant", "Native image", data, (low, high))],
        [Outline("outer", mask)],
    )


def _volume_change(log_jacobian: Volume, mask: Volume) -> list[Tile]:
    inside = np.asarray(mask.data) > 0
    box = box_around(inside, mask.voxel_sizes, _BRAIN_MARGIN_MM)
    grid = log_jacobian.cropped(box)
    inside = inside[box] & np.isfinite(grid.data)
    return mosaic(
        grid,
        choose_cuts(grid.like(inside), ("axial", "coronal")),
        [
            Layer(
                "participant",
                "Natural logarithm of the volume ratio participant to template",
                np.asarray(grid.data),
                (-LOG_RATIO, LOG_RATIO),
                diverging_colours(),
                inside,
            )
        ],
    )


def _ratios(log_jacobian: Volume, mask: Volume) -> tuple[float, float, float] | None:
    """Volume ratios: 5th percentile, median and 95th percentile inside the brain."""
    values = np.asarray(log_jacobian.data)[np.asarray(mask.data) > 0]
    values = values[np.isfinite(values)]
    if not values.size:
        return None
    low, middle, high = np.exp(np.percentile(values, (5, 50, 95)))
    return float(low), float(middle), float(high)


def _colour_bar() -> dict[str, Any]:
    stops = diverging_colours(17)
    ticks = np.linspace(-LOG_RATIO, LOG_RATIO, 5)
    return {
        "gradient": ", ".join(f"rgb({red} {green} {blue})" for red, green, blue in stops.tolist()),
        "ticks": [
            (f"{tick:+.1f}".replace("-", "−") if tick else "0", f"×{np.exp(tick):.2f}")
            for tick in ticks
        ],
    }
