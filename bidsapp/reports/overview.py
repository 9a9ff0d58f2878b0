"""The overview over all participants: a page and a table, outliers first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bidsapp.derivatives import write_text
from bidsapp.derivatives.dictionaries import describe_table
from bidsapp.derivatives.finished import finished_images
from bidsapp.drawing.pages import render, script, script_hash
from bidsapp.drawing.thumbnails import PATH_UNITS, outlines, thumbnail
from bidsapp.modalities.t1w.quality import FAIL, PASS, WARN
from bidsapp.reports.cohort_quality import FEWEST, MEASURES, UNUSUAL, Line, compared
from bidsapp.reports.dot_strip import Strip, strip

PAGE = "quality.html"
TABLE = "quality.tsv"
_SHORT = {measure.key: measure.short for measure in MEASURES}


@dataclass(frozen=True)
class Row:
    """One line of the page's table."""

    image: str
    participant: str
    session: str
    report: str
    thumbnail: str
    outline: str
    verdict: str
    reasons: str
    unusual: float | None
    why: str
    cells: Sequence[tuple[str, float | None, bool]]


def write_overview(output_dir: Path, templates: Mapping[tuple[str, int], Path]) -> None:
    """Write ``quality.html``, ``group/quality.tsv`` and its ``.json``.

    Parameters
    ----------
    output_dir
        The derivatives dataset.
    templates
        Space and resolution to the template's brain on that grid, for the outline on thumbnails.
    """
    lines = compared(finished_images(output_dir))
    _write_table(output_dir / "group", lines)
    shapes = {f"{space}-{res}": outlines(path) for (space, res), path in templates.items()}
    table_script = script("tables.js")
    verdicts = {word: sum(line.verdict == word for line in lines) for word in (FAIL, WARN, PASS)}
    page = render(
        "overview.html.j2",
        rows=[_row(line, shapes) for line in lines],
        measures=MEASURES,
        strips=_strips(lines),
        verdicts=verdicts,
        unusual=sum(line.unusual >= UNUSUAL for line in lines)
        if any(line.z for line in lines)
        else None,
        limit=UNUSUAL,
        fewest=FEWEST,
        several_sessions=any(line.image.session for line in lines),
        shapes=shapes,
        units=PATH_UNITS,
        script=table_script,
        script_hash=script_hash(table_script),
    )
    write_text(output_dir / PAGE, page)


def _row(line: Line, shapes: Mapping[str, Any]) -> Row:
    image, quality = line.image, line.image.quality
    names = image.names
    trouble = line.trouble
    far = sorted((key for key in trouble if trouble[key] >= UNUSUAL), key=lambda k: -trouble[k])
    shape = f"{names.space}-{names.resolution}"
    return Row(
        image=f"{names.space}, {names.resolution} mm",
        participant=image.participant,
        session=image.session,
        report=names.report.name,
        thumbnail=thumbnail(names, str(image.sidecar.get("RunKey", ""))),
        outline=shape if shape in shapes else "",
        verdict=line.verdict,
        reasons=" ".join(map(str, quality.get("reasons") or ())),
        unusual=line.unusual if line.z else None,
        why=", ".join(_SHORT[key].lower() for key in far),
        cells=[
            (
                measure.shown(line.values[measure.key]) if measure.key in line.values else "–",
                line.values.get(measure.key),
                measure.key in far,
            )
            for measure in MEASURES
        ],
    )


def _strips(lines: Sequence[Line]) -> list[Strip]:
    found = []
    for measure in MEASURES:
        values = [line.values[measure.key] for line in lines if measure.key in line.values]
        if values:
            found.append(strip(measure, values))
    return found


def _write_table(folder: Path, lines: Sequence[Line]) -> None:
    keys = [measure.key for measure in MEASURES]
    head = ["participant_id", "session_id", "source", "space", "resolution", "verdict", *keys]
    head += [f"z_{key}" for key in keys] + ["unusual", "cut_faces", "rescued", "report", "reasons"]
    rows = ["\t".join(head)]
    for line in lines:
        image, quality = line.image, line.image.quality
        cells: list[Any] = [image.participant, image.session or None, image.source]
        cells += [image.names.space, image.names.resolution, line.verdict]
        cells += [line.values.get(key) for key in keys] + [line.z.get(key) for key in keys]
        cells += [line.unusual if line.z else None, " ".join(quality.get("cut_faces") or ())]
        cells += [bool(quality.get("rescued")), image.names.report.name]
        cells.append(" ".join(map(str, quality.get("reasons") or ())))
        rows.append("\t".join(map(_cell, cells)))
    write_text(folder / TABLE, "\n".join(rows) + "\n")
    describe_table(folder / TABLE, "quality")


def _cell(value: Any) -> str:
    if value is None or value == "":
        return "n/a"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.6g}"
    return " ".join(str(value).split())
