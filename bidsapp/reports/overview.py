"""The overview over all participants: a page and a table, outliers first."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bidsapp.contracts.measure import FAIL, PASS, WARN, Measure
from bidsapp.contracts.modality import modality_named
from bidsapp.contracts.prepared import Prepared
from bidsapp.contracts.product import ENTITIES
from bidsapp.derivatives import write_text
from bidsapp.derivatives.dictionaries import describe_table
from bidsapp.derivatives.finished import finished_images
from bidsapp.drawing.pages import render, script, script_hash
from bidsapp.drawing.thumbnails import PATH_UNITS, outlines, thumbnail, thumbnail_file
from bidsapp.reports.cohort_quality import FEWEST, UNUSUAL, Line, compared
from bidsapp.reports.dot_strip import Strip, strip

PAGE = "quality.html"
TABLE = "quality.tsv"
SHOWN = 1000
"""Rows that a page holds with their pictures; those of more are made, and read, when asked for."""

Outlines = Mapping[frozenset[tuple[str, str]], Path | None]
"""Labels of file names to an image on their grid, above 0 inside what is outlined."""


@dataclass(frozen=True)
class Row:
    """One line of the page's table."""

    image: str
    participant: str
    session: str
    report: str
    thumbnail: str
    shows: str
    outline: str
    verdict: str
    reasons: str
    unusual: float | None
    why: str
    cells: Sequence[tuple[str, float | None, bool]]


def write_overview(output_dir: Path, shapes: Outlines) -> None:
    """Write ``quality.html``, ``group/quality.tsv`` and its ``.json``.

    Parameters
    ----------
    output_dir
        The derivatives dataset.
    shapes
        Labels of the file names to the image on that grid that thumbnails are outlined with.
    """
    lines = compared(finished_images(output_dir))
    measures = _measures(lines)
    _write_table(output_dir / "group", lines, measures)
    drawn = {_of_labels(labels): outlines(path) for labels, path in shapes.items() if path}
    table_script = script("tables.js")
    verdicts = {word: sum(line.verdict == word for line in lines) for word in (FAIL, WARN, PASS)}
    # what nobody has a value of (no cord mask, no air) takes no room on the page
    measures = [one for one in measures if any(one.key in line.values for line in lines)]
    kinds = dict.fromkeys(line.image.modality for line in lines)
    told_by = _told_by(lines)
    page = render(
        "overview.html.j2",
        pictures=", or ".join(dict.fromkeys(modality_named(kind).small_picture for kind in kinds)),
        rows=[
            _row(line, drawn, measures, output_dir if place >= SHOWN else None, told_by)
            for place, line in enumerate(lines)
        ],
        people=len({line.image.participant for line in lines}),
        shown=SHOWN,
        measures=measures,
        strips=_strips(lines, measures),
        verdicts=verdicts,
        unusual=sum(line.unusual >= UNUSUAL for line in lines)
        if any(line.z for line in lines)
        else None,
        limit=UNUSUAL,
        fewest=FEWEST,
        several_kinds=len(kinds) > 1,
        several_sessions=any(line.image.session for line in lines),
        shapes=drawn,
        units=PATH_UNITS,
        script=table_script,
        script_hash=script_hash(table_script),
    )
    write_text(output_dir / PAGE, page)


def _of_labels(labels: Iterable[tuple[str, str]]) -> str:
    return "-".join(value for _, value in sorted(labels, reverse=True))


def _part(image: Prepared) -> str:
    """Give the part that a unit is of, also of one that is the only one of its visit."""
    return image.names.part or modality_named(image.modality).part_in(image.sidecar)


def _measures(lines: Sequence[Line]) -> list[Measure]:
    """List what is compared between any of the images, each once."""
    found: dict[str, Measure] = {}
    for line in lines:
        found |= {measure.key: measure for measure in line.measures if measure.key not in found}
    return list(found.values())


def _visit(image: Prepared) -> tuple[str, ...]:
    return image.modality, image.participant, image.session, image.names.part


def _told_by(lines: Sequence[Line]) -> dict[tuple[str, ...], list[str]]:
    """Name the entities in which images of one kind and visit differ: the task, the run."""
    found: dict[tuple[str, ...], list[Mapping[str, str]]] = {}
    for line in lines:
        found.setdefault(_visit(line.image), []).append(line.image.names.entities)
    return {
        visit: [name for name in ENTITIES if len({one.get(name) for one in images}) > 1]
        for visit, images in found.items()
        if len(images) > 1
    }


def _row(
    line: Line,
    shapes: Mapping[str, Any],
    measures: Sequence[Measure],
    beside: Path | None,
    told_by: Mapping[tuple[str, ...], Sequence[str]],
) -> Row:
    """Give a row; where the page's folder is given, its picture is a file and not in the page."""
    image, quality = line.image, line.image.quality
    names = image.names
    series = [
        f"{ENTITIES[name]}-{names.entities[name]}"
        for name in told_by.get(_visit(image), ())
        if name in names.entities
    ]
    trouble = line.trouble
    far = sorted((key for key in trouble if trouble[key] >= UNUSUAL), key=lambda k: -trouble[k])
    shape = _of_labels(names.labels.items())
    heads = {measure.key: measure.head.lower() for measure in measures}
    key = str(image.sidecar.get("RunKey", ""))
    if beside is None:
        picture = thumbnail(names, key)
    else:
        picture = quote(str(thumbnail_file(names, key).relative_to(beside)))
    return Row(
        image=f"{names.space}, {names.resolution} mm",
        participant=" ".join(filter(None, (image.participant, _part(image), *series))),
        session=image.session,
        report=names.report.name,
        thumbnail=picture,
        shows=modality_named(image.modality).image,
        outline=shape if shape in shapes else "",
        verdict=line.verdict,
        reasons=" ".join(map(str, quality.get("reasons") or ())),
        unusual=line.unusual if line.z else None,
        why=", ".join(heads[key] for key in far),
        cells=[
            (
                measure.shown(line.values[measure.key]) if measure.key in line.values else "–",
                line.values.get(measure.key),
                measure.key in far,
            )
            for measure in measures
        ],
    )


def _strips(lines: Sequence[Line], measures: Sequence[Measure]) -> list[Strip]:
    found = []
    for measure in measures:
        values = [line.values[measure.key] for line in lines if measure.key in line.values]
        if values:
            found.append(strip(measure, values))
    return found


def _write_table(folder: Path, lines: Sequence[Line], measures: Sequence[Measure]) -> None:
    keys = [measure.key for measure in measures]
    parts = any(_part(line.image) for line in lines)
    head = [
        "participant_id",
        "session_id",
        *["part_id", "part"] * parts,
        "source",
        "space",
        "resolution",
        "verdict",
        *keys,
    ]
    remarks = _remarks(lines)
    head += [f"z_{key}" for key in keys] + ["unusual", *remarks, "report", "reasons"]
    rows = ["\t".join(head)]
    for line in lines:
        image, quality = line.image, line.image.quality
        cells: list[Any] = [image.participant, image.session or None]
        cells += [image.names.part, _part(image)] * parts + [image.source]
        cells += [image.names.space, image.names.resolution, line.verdict]
        cells += [line.values.get(key) for key in keys] + [line.z.get(key) for key in keys]
        cells.append(line.unusual if line.z else None)
        cells += [_remark(remark, quality.get(key)) for key, remark in remarks.items()]
        cells.append(image.names.report.name)
        cells.append(" ".join(map(str, quality.get("reasons") or ())))
        rows.append("\t".join(map(_cell, cells)))
    write_text(folder / TABLE, "\n".join(rows) + "\n")
    describe_table(folder / TABLE, "quality")


def _remarks(lines: Sequence[Line]) -> dict[str, Measure]:
    """List what is no number and has a column of its own: flags, and lists of names."""
    found: dict[str, Measure] = {}
    for line in lines:
        for measure in modality_named(line.image.modality).measures_for(line.image.settings):
            if measure.kind in ("flag", "names") and measure.column:
                found.setdefault(measure.key, measure)
    return found


def _remark(measure: Measure, value: Any) -> Any:
    return bool(value) if measure.kind == "flag" else " ".join(map(str, value or ()))


def _cell(value: Any) -> str:
    if value is None or value == "":
        return "n/a"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.6g}"
    return " ".join(str(value).split())
