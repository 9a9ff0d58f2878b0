"""What follows a run over participants: overview, methods text, each report's place among all."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from bidsapp.derivatives import OutputNames
from bidsapp.derivatives.finished import finished_images
from bidsapp.drawing.pages import fill, render
from bidsapp.execution.last_job import done_for_all
from bidsapp.reports.cohort_quality import UNUSUAL, Line, compared
from bidsapp.reports.dot_strip import strip
from bidsapp.reports.methods_text import write_participant_words
from bidsapp.reports.overview import PAGE, Outlines, write_overview
from bidsapp.reports.prediction import show_predictions


def after_run(
    output_dir: Path,
    outlines: Outlines,
    images: Sequence[OutputNames],
    command: str = "",
) -> None:
    """Write what is about all participants, and complete the reports of this run.

    Safe and quick where many jobs end at once: of these, one writes and one waits to.

    Parameters
    ----------
    output_dir
        The derivatives dataset.
    outlines
        Labels of the file names to an image on that grid, whose outline thumbnails get.
    images
        The images of this run; those that are not finished are passed over.
    command
        Command line that makes predictions again; empty leaves the reports' own.
    """
    lines = compared(finished_images(output_dir))
    if not lines:
        return
    for names in images:
        show_predictions(names, command)
    tell_reports(lines, {names.report for names in images})

    def write() -> None:
        write_overview(output_dir, outlines)
        write_participant_words(output_dir)

    done_for_all(output_dir / "logs" / "overview.lock", write)


def tell_reports(lines: Collection[Line], reports: Collection[Path]) -> None:
    """Put into each page how its numbers lie among those of images made alike."""
    wanted = set(reports)
    alike: dict[tuple[Any, ...], list[Line]] = defaultdict(list)
    for line in lines:
        alike[line.kind].append(line)
    for line in lines:
        if line.image.names.report in wanted:
            fill(line.image.names.report, {"cohort": _section(line, alike[line.kind])})


def _section(line: Line, alike: Collection[Line]) -> str:
    """Say how one image lies among all made alike, itself included; nothing where it is alone."""
    if len(alike) < 2:
        return ""
    strips = []
    for measure in line.measures:
        own = line.values.get(measure.key)
        values = [other.values[measure.key] for other in alike if measure.key in other.values]
        if own is not None and len(values) > 1:
            far = line.trouble.get(measure.key, 0.0) >= UNUSUAL
            strips.append((strip(measure, values, own), measure.shown(own), far))
    return render("cohort.html.j2", strips=strips, count=len(alike), overview=PAGE)
