"""Every participant on a line: held-out scores, and the way to the participant's own report."""

import math
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bidsapp.contracts.product import stem_in
from bidsapp.contracts.unit import PART, Unit, units_in
from bidsapp.dataset.covariates import user_name, users_column
from bidsapp.drawing.svg import number
from bidsapp.evaluation.sample import pool
from bidsapp.evaluation.tsv import as_float, is_missing
from bidsapp.reports.run.files import RunFiles
from bidsapp.reports.run.grids import Cell, Grid

MOST_VARIANTS = 6
MOST_COVARIATES = 10


def people_table(run: RunFiles) -> tuple[Grid | None, list[str]]:
    """Lay out the cohort, and name the covariates that found no place."""
    cohort = run.cohort
    if cohort.empty:
        return None, []
    variants = _shown_variants(run)
    scores = {name: _pooled(run, name) for name in variants}
    covariates = _covariates(run)
    sessions = not cohort["session_id"].map(is_missing).all()
    parts = PART in cohort
    heading = ["Participant", *["Session"] * sessions, *["Part"] * parts, "Outcome"]
    columns = [*heading, *[f"p({name})" for name in variants], "Call", "Fold", "Quality"]
    first = len(heading)
    rows = []
    for row in cohort.to_dict("records"):
        key = Unit.of(row)
        cells = [person_cell(run.folder, key, _text(row.get("image")))]
        if sessions:
            cells.append(Cell(key.session or "–"))
        if parts:
            cells.append(Cell(key.part or "–"))
        outcome = as_float(row["outcome"])
        cells.append(Cell("positive" if outcome == 1 else "negative"))
        cells += [_probability(scores[name], key) for name in variants]
        cells += _call(run, scores, key, outcome)
        cells.append(Cell(_text(row.get("quality"))))
        cells += [_covariate(row[name]) for name in covariates]
        rows.append(cells)
    places = tuple(range(first, first + len(variants)))
    grid = Grid(
        "people",
        "The cohort with its held-out scores",
        [*columns, *map(user_name, covariates)],
        rows,
        places,
        find=True,
    )
    return grid, [user_name(name) for name in run.covariates if name not in covariates]


def _shown_variants(run: RunFiles) -> list[str]:
    others = [name for name in run.variants if name != run.lead]
    return [run.lead, *others][:MOST_VARIANTS] if run.lead else []


def _covariates(run: RunFiles) -> list[str]:
    wanted = [*run.settings.subgroups, *run.settings.predictors]
    there = [name for one in wanted if (name := users_column(run.covariates, one))]
    return list(dict.fromkeys([*there, *run.covariates]))[:MOST_COVARIATES]


def _pooled(run: RunFiles, name: str) -> dict[Unit, Any]:
    if not name:
        return {}
    table = pool(run.scores_of(name), run.settings.of(name).threshold)
    return dict(zip(units_in(table), table.to_dict("records"), strict=True))


def person_cell(folder: Path, unit: Unit, image: str) -> Cell:
    """Name a participant, with the way to the page of the unit where there is one.

    Parameters
    ----------
    folder
        Of the run; pages lie beside ``group/``.
    unit
        Participant, session and part.
    image
        Path or BIDS URI of its main file: a series has another page than the head, and an image of
        several preparations one for each (`bidsapp.contracts.product.OutputNames.report`).
    """
    person, file = unit.participant, Path(image)
    stems = [f"{person}_{unit.session}"] if unit.session else []
    stems.append(person)
    part = f"_{unit.part}" if unit.part else ""
    kind = f"_{file.parent.name}" if file.parent.name not in ("", "anat") else ""
    ends = dict.fromkeys((part + kind, part, ""))
    whole = file.name.partition(".")[0].rpartition("_")[0]
    names = [whole, *(f"{stem_in(file.name)}{end}" for end in ends)]
    names += [f"{stem}{end}" for end in ends for stem in stems]
    output = folder.parent.parent
    for name in [f"{name}.html" for name in names if name]:
        # a name is a file name only; anything else in the table must not lead out of the folder
        if Path(name).name == name and (output / name).is_file():
            return Cell(person, href=f"../../{quote(name)}")
    return Cell(person)


def _probability(scores: dict, key: Unit) -> Cell:
    row = scores.get(key)
    if row is None:
        return Cell("–", -1.0)
    return Cell(number(row["probability"]), float(row["probability"]))


def _call(run: RunFiles, scores: dict, key: Unit, outcome: float) -> list[Cell]:
    row = scores.get(run.lead, {}).get(key)
    if row is None:
        return [Cell("not scored"), Cell("–", -1)]
    called = row["probability"] >= row["threshold"]
    words = {
        (True, True): ("true positive", ""),
        (True, False): ("false positive", "wrong"),
        (False, False): ("true negative", ""),
        (False, True): ("false negative", "wrong"),
    }
    text, css = words[bool(called), outcome == 1]
    return [Cell(text, css=css), Cell(f"{row['fold']:.0f}", float(row["fold"]))]


def _text(value: object) -> str:
    return "–" if is_missing(value) else str(value)


def _covariate(value: object) -> Cell:
    found = as_float(value)
    return Cell(_text(value), found if math.isfinite(found) else None)
