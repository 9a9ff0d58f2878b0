"""The page of one BOLD series: did the head lie still, is it in place, seen and in numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bidsapp.contracts.measure import FAIL, INFO, PASS, WARN
from bidsapp.contracts.prepared import RAW, UnitPage
from bidsapp.dataset.tables import read_frame
from bidsapp.drawing.contours import tissue_levels
from bidsapp.drawing.mosaic import Layer, Outline, Tile, mosaic
from bidsapp.drawing.pages import render
from bidsapp.drawing.pictures import data_uri, diverging_colours, enlarged, windowed
from bidsapp.drawing.plot import Axis, Plot
from bidsapp.drawing.quality_table import common_parts
from bidsapp.drawing.svg import chart_style
from bidsapp.drawing.volumes import Volume, box_around, choose_cuts
from bidsapp.intake.images import open_image, read_numbers
from bidsapp.modalities.bold.confounds import (
    DVARS_LIMIT,
    FD_LIMIT_MM,
    MOTION,
    steady_volumes,
)
from bidsapp.modalities.bold.measures import MEASURES, OTHERWISE
from bidsapp.modalities.bold.quality import tsnr
from bidsapp.modalities.bold.runs import SUMMED
from bidsapp.modalities.bold.steps import on_grid

_CARPET_ROWS, _CARPET_SD = 300, 2.0
_CARPET_SIZE = (860, 260)
_MARGIN_MM = 4.0
_TRACE_SIZE = (860.0, 200.0)
_VERDICTS = {
    PASS: ("Pass", "The series can be used."),
    WARN: ("Warn", "Look at motion and overlays before you use the series."),
    FAIL: ("Fail", "Do not use the series."),
}
# Rows and columns of the picture of correlations: what one would not like to see go together.
_COMPARED = (*MOTION, "framewise_displacement", "std_dvars", "global_signal", "white_matter", "csf")
_STYLES = ("main", "baseline", "chance")
_WORDS = {
    "trans_x": "shift left–right",
    "trans_y": "shift back–front",
    "trans_z": "shift up–down",
    "rot_x": "pitch",
    "rot_y": "roll",
    "rot_z": "yaw",
    "std_dvars": "DVARS",
    "csf": "ventricles",
}
# Columns of the table of runs, the fit first.
_OF_RUNS = [
    one
    for key in ("brain_dice", "fd_mean", "displacement_max", "minutes_left", "tsnr", "coverage")
    for one in MEASURES
    if one.key == key
]
# Beyond this correlation a cell is so dark that its number is white.
_DARK = 0.6


def write_series_page(unit: UnitPage, t1w: Path | None, template_mask: Path, path: Path) -> None:
    """Write one self-contained HTML file; the caller sees to it that no half of it is left.

    Parameters
    ----------
    unit
        Its facts hold ``timing`` and ``kept``, and of several runs ``runs`` and ``volumes``.
    t1w
        The normalised T1w image; None where it is not there any more.
    template_mask
        The template's brain on the grid of the series.
    path
        The file; its folder exists.
    """
    seconds = {
        name: float(value) for name, value in unit.facts["seconds"].items() if name != "total"
    }
    table = read_frame(unit.folder / unit.names["confounds"])
    numbers = table.replace("n/a", np.nan).astype(float)
    values, affine = read_numbers(template_mask)
    mask = values > 0.5
    order = np.argsort(-np.argwhere(mask)[:, 2], kind="stable")  # from the crown downwards
    before, after = (_series(unit, kind, mask) for kind in ("preproc", "denoised"))
    still = steady_volumes(numbers)
    kept = np.zeros(len(numbers), bool)
    kept[list(unit.facts["kept"])] = True
    task, series = unit.names.entities.get("task"), _series_of(unit.names.stem)
    seconds_long = len(numbers) * float(unit.facts["timing"]["tr"])
    runs = _runs(unit)
    page = render(
        "series.html.j2",
        runs=runs,
        run_heads=[one.head for one in _OF_RUNS],
        **common_parts(unit, MEASURES, _VERDICTS, OTHERWISE),
        title=" ".join(
            filter(None, (unit.title, task, series, f"({len(runs)} runs)" if runs else ""))
        ),
        space=unit.names.space,
        registration=_registration(unit, mask, t1w, template_mask, worst_of(runs)),
        compared=("Participant", "Template") if t1w else None,
        chart_style=chart_style(),
        traces=[
            {"title": plot.title, "svg": plot.inline()}
            for plot in _traces(numbers, float(unit.facts["timing"]["tr"]))
        ],
        carpets=[
            {
                "title": title,
                "uri": data_uri(enlarged(laid_out(carpet(drawn, order), shown), _CARPET_SIZE)),
            }
            for title, drawn, shown in (
                ("Before denoising", None if before is None else before[still], still),
                ("After denoising", after, kept),
            )
            if drawn is not None
        ],
        carpet_size=_CARPET_SIZE,
        ruler=[f"{seconds_long * part / 4:.0f} s" for part in range(5)],
        unsteady=int((~still).sum()),
        left_out=int((~kept & still).sum()),
        noise=[] if before is None else _noise(before[still], mask, affine),
        correlations=_correlations(numbers),
        seconds=seconds,
    )
    path.write_text(page, encoding="utf-8")


def _series_of(stem: str) -> str:
    """Name a series of a task by its other entities: ``acq-mb run-2``."""
    known = ("sub-", "ses-", "task-")
    return " ".join(one for one in stem.split("_") if not one.startswith(known))


@dataclass(frozen=True)
class RunRow:
    """One of several runs on the page: what it was made from, and its own numbers.

    `cells` are values as they are shown, with the status of each; `fit` is the overlap with the
    T1w image, None where it is not known.
    """

    number: int
    source: str
    volumes: int
    cells: Sequence[tuple[str, str]]
    fit: float | None
    worst: bool = False


def _runs(unit: UnitPage) -> list[RunRow]:
    """List the runs of a series that was joined; none of a single one."""
    told = [one if isinstance(one, Mapping) else {} for one in unit.facts.get("runs") or ()]
    volumes = list(unit.facts.get("volumes") or ())
    if len(told) < 2 or len(told) != len(volumes):
        return []
    rows = []
    for number, (one, count) in enumerate(zip(told, volumes, strict=True), start=1):
        quality = one.get("Quality")
        quality = quality if isinstance(quality, Mapping) else {}
        values = [quality.get(line.key) for line in _OF_RUNS]
        cells = [
            ("–", "unknown")
            if value is None or not line.fits(value)
            else (line.shown(value), INFO if line.key in SUMMED else line.status(value))
            for line, value in zip(_OF_RUNS, values, strict=True)
        ]
        fit = values[0] if _OF_RUNS[0].fits(values[0]) else None
        rows.append(RunRow(number, str(one.get("Source", "")).removeprefix(RAW), count, cells, fit))
    fits = [row.fit for row in rows if row.fit is not None]
    least = next((row.number for row in rows if fits and row.fit == min(fits)), 1)
    return [replace(row, worst=row.number == least) for row in rows]


def worst_of(runs: Sequence[RunRow]) -> int | None:
    """Give the place of the run that fits its T1w image worst; None where there are no several."""
    return next((row.number - 1 for row in runs if row.worst), None)


def _registration(
    unit: UnitPage, mask: np.ndarray, t1w: Path | None, template_mask: Path, run: int | None
) -> list[Tile]:
    """Mean volume and T1w image to switch between, with the outlines of the T1w image.

    Of several runs the mean of `run`: their common mean would hide one that lies elsewhere.
    """
    mean, affine = read_numbers(unit.folder / unit.names["boldref"])
    if run is not None and any(one.key == "run_means" for one in unit.names.products):
        means, _ = read_numbers(unit.folder / unit.names["run_means"])
        # a sidecar that somebody changed can tell of more runs than there are
        mean = means[..., run] if means.ndim == 4 and run < means.shape[3] else mean
    grid = Volume(mean, affine)
    box = box_around(mask, grid.voxel_sizes, _MARGIN_MM)
    inside = mask[box]
    volume = grid.cropped(box)
    shown = np.asarray(volume.data)
    layers = [Layer("participant", "Mean volume of the series", shown, _window(shown))]
    outlines = [Outline("outer", inside)]
    if t1w is not None and t1w.is_file():
        head = on_grid(t1w, template_mask)[box]
        layers.append(Layer("template", "T1w image", head, _window(head)))
        outlines.insert(0, Outline("inner", head, tissue_levels(head)[1], shortest=12))
    return mosaic(volume, choose_cuts(volume.like(inside)), layers, outlines)


def _series(unit: UnitPage, kind: str, mask: np.ndarray) -> np.ndarray | None:
    """Read a series as written, float32 (T, V); None where it was not kept."""
    path = unit.folder / unit.names["denoised"].replace("desc-denoised", f"desc-{kind}")
    if not path.is_file():
        return None
    image = open_image(path)
    series = np.empty((image.shape[3], int(mask.sum())), np.float32)
    for number, volume in enumerate(series):  # as a whole it would take four times the memory
        volume[:] = np.asarray(image.dataobj[..., number], np.float32)[mask]
    return series


def _noise(series: np.ndarray, mask: np.ndarray, affine: np.ndarray) -> list[Tile]:
    """Temporal signal to noise before denoising, of a series (T, V)."""
    values = np.zeros(mask.shape, np.float32)
    values[mask] = tsnr(series)
    grid = Volume(values, affine)
    box = box_around(mask, grid.voxel_sizes, _MARGIN_MM)
    volume = grid.cropped(box)
    shown = np.asarray(volume.data)
    layer = Layer("participant", "tSNR", shown, (0.0, float(np.percentile(values[mask], 99))))
    return mosaic(volume, choose_cuts(volume.like(mask[box])), [layer])


def _window(values: np.ndarray) -> tuple[float, float]:
    bright = values[np.isfinite(values) & (values > 0)]
    return (0.0, float(np.percentile(bright, 99.5))) if bright.size else (0.0, 1.0)


def _traces(table: Any, tr: float) -> list[Plot]:
    """Plot translations, rotations, framewise displacement and DVARS over time."""
    seconds = np.arange(len(table)) * tr
    time = Axis("time (s)", 0.0, float(seconds[-1]) or 1.0)
    move = table[list(MOTION[:3])].to_numpy()
    turn = np.degrees(table[list(MOTION[3:])].to_numpy())
    plots = []
    for key, title, label, values, names in (
        ("translation", "Translations", "mm", move, ("left–right", "back–front", "up–down")),
        ("rotation", "Rotations", "°", turn, ("pitch", "roll", "yaw")),
    ):
        reach = max(float(np.abs(values).max()) * 1.1, 0.5)
        plot = Plot(key, title, f"{title} over time.", time, Axis(label, -reach, reach),
                    *_TRACE_SIZE)  # fmt: skip
        for column, style in zip(values.T, _STYLES, strict=True):
            plot.line(seconds.tolist(), column.tolist(), style)
        plot.legend(list(zip(_STYLES, names, strict=True)))
        plots.append(plot)
    between = steady_volumes(table, changes=True)
    for key, title, label, limit in (
        ("framewise_displacement", "Framewise displacement", "mm", FD_LIMIT_MM),
        ("std_dvars", "Standardised DVARS", "noise = 1", DVARS_LIMIT),
    ):
        # before steady state the image fades: its change would flatten all others
        values = table[key].to_numpy()
        if key == "std_dvars":
            values = np.where(between, values, np.nan)
        high = max(float(np.nanmax(values)) * 1.1, (limit or 1.0) * 1.2)
        plot = Plot(key, title, f"{title} over time.", time, Axis(label, 0.0, high), *_TRACE_SIZE)
        plot.line(seconds.tolist(), values.tolist(), "main")
        if limit is not None:
            plot.rule("chance", y=limit)
            plot.legend([("chance", f"{limit:g}{' mm' if label == 'mm' else ''}")])
        plots.append(plot)
    return plots


def carpet(series: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Draw a carpet, uint8 (rows, T): a line for a voxel, 2 SD below its mean black, above white.

    Parameters
    ----------
    series
        Shape (T, V).
    order
        The voxels' numbers in the order in which they are to be drawn.

    Notes
    -----
    Every voxel a line, every volume a column, after a line over time was taken out: Power (2017),
    doi:10.1016/j.neuroimage.2016.08.009.
    """
    changing = order[np.ptp(series, axis=0)[order] > 0]
    if not len(changing):
        return np.zeros((_CARPET_ROWS, len(series)), np.uint8)
    parts = np.array_split(changing, min(_CARPET_ROWS, len(changing)))
    # A picture has fewer lines than a brain voxels: each is one voxel, not a mean that hides it.
    chosen = series[:, [part[len(part) // 2] for part in parts]].T.astype(np.float64)
    time = np.linspace(-1, 1, len(series))
    centred = chosen - chosen.mean(axis=1, keepdims=True)
    centred = centred - np.outer(centred @ time / (time @ time), time)
    sd = centred.std(axis=1, keepdims=True)
    lines = np.divide(centred, sd, out=np.zeros_like(centred), where=sd > 0)
    return windowed(lines, -_CARPET_SD, _CARPET_SD)


def laid_out(lines: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """Put the columns of a carpet (rows, T') where their volumes lie among all, (rows, T).

    Those that are not shown, T - T' of the booleans `shown`, are white.
    """
    whole = np.full((len(lines), len(shown)), 255, np.uint8)
    whole[:, shown] = lines
    return whole


def _word(column: str) -> str:
    return _WORDS.get(column, column.replace("_", " "))


def _correlations(table: Any) -> dict[str, Any]:
    """Correlations of the confounds with one another, as a picture and as its largest numbers."""
    names = [name for name in _COMPARED if name in table.columns]
    values = table[names].to_numpy()[steady_volumes(table, changes=True)]
    with np.errstate(invalid="ignore", divide="ignore"):
        r = np.nan_to_num(np.corrcoef(values.T))
    pairs = sorted(
        (
            (float(r[i, j]), _word(names[i]), _word(names[j]))
            for i in range(len(names))
            for j in range(i)
        ),
        key=lambda pair: -abs(pair[0]),
    )
    colours = diverging_colours()
    index = np.rint((np.clip(r, -1, 1) + 1) * 127.5).astype(int)
    cells: Sequence[Sequence[tuple[str, str, str]]] = [
        [
            (
                "#{:02x}{:02x}{:02x}".format(*colours[index[i, j]]),
                "#fff" if abs(r[i, j]) > _DARK else "#1a2027",
                f"{r[i, j]:+.2f}".replace("-", "−"),
            )
            for j in range(len(names))
        ]
        for i in range(len(names))
    ]
    return {
        "names": [_word(name) for name in names],
        "cells": cells,
        "largest": pairs[:6],
    }
