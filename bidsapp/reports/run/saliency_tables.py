"""Tables and facts of a variant's saliency, from its summary and the files that it names."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from bidsapp.derivatives.saliency_meanings import SALIENCY
from bidsapp.drawing.svg import number
from bidsapp.evaluation.tsv import as_float
from bidsapp.intake.json_text import read_own_json
from bidsapp.reports.run.files import RunFiles, known
from bidsapp.reports.run.grids import Cell, Grid
from bidsapp.saliency.group_test import HOLD_OUT, WHOLE_PIPELINE
from bidsapp.saliency.verdict import FAIL, NOT_RUN, PASS, UNDECIDED, verdict_of

MOST_ROWS = 200
MOST_COLUMNS = 24  # wider ones, a column for every region, are for programs
_EXPLAINED = ("covered", "mean", "share", "enrichment", "rank")
# A region's name outlives every caveat that stands beside it: only maps that passed name one first.
_PASSED = (
    "Its maps passed their sanity checks and show what the network used, not a cause: "
    "among the regions of which it sees at least half, they are on average strongest in"
)
_UNNAMED = {
    FAIL: "Its maps failed their sanity checks: where they are strongest says nothing. "
    "That is about the maps, not about the forecast.",
    UNDECIDED: "The sanity checks of its maps are not decisive: where they are strongest may be "
    "chance, and no region is named here. That is about the maps, not about the forecast.",
    NOT_RUN: "No sanity check tells whether its maps show more than the network's architecture: "
    "no region is named here.",
}
_P_FROM = {
    HOLD_OUT: "network fixed, as it has seen nobody of them",
    WHOLE_PIPELINE: "networks trained anew",
}
_TABLE_NAMES = {
    "regions": "Regions",
    "peaks": "Peaks",
    "biomarkers": "Biomarkers",
    "biomarkers_by_fold": "Biomarkers by fold",
    "guided": "Averages weighted by maps",
    "guided_added": "What weighted averages add",
    "components": "Components by what the forecast loses without them",
    "component_groups": "Positives against negatives in their own maps of each component",
    "sanity": "Sanity checks",
}


@dataclass(frozen=True)
class TableOf:
    """A table, or words about one that no page can hold; its file, and what its columns mean."""

    grid: Grid | None
    words: str
    file: str
    meaning: Mapping[str, str] = field(default_factory=dict)


def relative(run: RunFiles, folder: Path, file: str) -> str:
    """Path of a file of the summary, relative to the run's folder."""
    return f"{folder.relative_to(run.folder).as_posix()}/{Path(file).name}"


def facts_of(summary: Mapping[str, Any]) -> dict[str, str]:
    """Tell what went into the maps: name and value."""
    counts = summary.get("n") or {}
    who = "; ".join(f"{str(name).replace('_', ' ')}: {n}" for name, n in dict(counts).items())
    smoothing = as_float(summary.get("smoothing_fwhm_mm"))
    facts = {
        "Method": str(summary.get("method", "")).replace("_", " "),
        "Explained": f"{summary.get('target', '')} of the positive class",
        "Values": "absolute, as averaged" if summary.get("absolute") else "",
        "Averaged over": str(summary.get("of", "")).replace("_", " "),
        "People": who,
        "Channels": ", ".join(map(str, summary.get("channels", ()))),
        "Smoothed": f"{smoothing:g} mm FWHM" if math.isfinite(smoothing) else "",
        "Units": str(summary.get("units", "")),
    }
    cells = f"{summary.get('cell', 'voxel')}s"
    facts |= _agreement(summary.get("overlap_of_folds"), cells) | _test(summary.get("test"), cells)
    return {name: text for name, text in facts.items() if text}


def _agreement(overlap: Any, cells: str) -> dict[str, str]:
    """Tell how far the maps of different folds agree."""
    if not isinstance(overlap, Mapping):
        return {}
    found, chance = as_float(overlap.get("mean_dice")), as_float(overlap.get("dice_by_chance"))
    share = as_float(overlap.get("top_share"))
    words = f"Dice {number(found)} of the top {share:.0%} of {cells}, by chance {number(chance)}"
    return {"Agreement of folds": words} if math.isfinite(found) else {}


def _test(test: Any, cells: str) -> dict[str, str]:
    """Tell how positives and negatives were compared voxel by voxel, with p where it is valid."""
    if not isinstance(test, Mapping):
        return {}
    name = "Positives against negatives"
    p, voxels = as_float(test.get("smallest_p_fwe")), as_float(test.get("voxels_below_05_fwe"))
    how = _P_FROM.get(str(test.get("p_from", "")), "")
    if not how or not math.isfinite(p):
        return {name: "descriptive: map of t without p (see the notes)"}
    words = f"smallest corrected p {p:.2g}; {voxels:.0f} {cells} at 0.05 or less"
    return {name: f"{words} ({test.get('permutations')} permutations, {how})"}


def tables_of(run: RunFiles, folder: Path, summary: Mapping[str, Any]) -> list[TableOf]:
    """Lay out the tables that a summary names, those that are there."""
    found = []
    for key, file in dict(summary.get("tables") or {}).items():
        name = relative(run, folder, str(file))
        table = run.table(name)
        if table.empty:
            continue
        if "rank" in table:  # the strongest first, as a reader looks for them
            rank = pd.to_numeric(table["rank"], errors="coerce")
            table = table.loc[rank.sort_values(kind="stable", na_position="last").index]
        title = _TABLE_NAMES.get(key, str(key))
        caption = f"{title}, {folder.name}"
        if len(table) > MOST_ROWS:
            caption += f": the first {MOST_ROWS} of {len(table)}"
        words = f"{title}: {len(table)} rows, {table.shape[1]} columns"
        grid = None
        if table.shape[1] <= MOST_COLUMNS:
            grid = _as_it_is(f"{key}-{folder.name}", caption, table.head(MOST_ROWS))
        meaning = {
            column: SALIENCY["saliency/regions"][column].description
            for column in _EXPLAINED
            if key == "regions" and column in table
        }
        found.append(TableOf(grid, words, name, meaning))
    return found


def leading_region(run: RunFiles, variant: str) -> str:
    """Say in which region a variant's maps are strongest, and whether they can be trusted.

    Returns
    -------
    str
        Sentences; empty where there are no maps, or no region that the network sees enough of.
        Only maps that passed their sanity checks name a region.
    """
    folder = run.folder / "saliency" / variant
    try:
        summary = read_own_json(folder / "summary.json")
        verdict = verdict_of(summary.get("sanity"))
        file = str((summary.get("tables") or {})["regions"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ""
    if verdict != PASS:
        return _UNNAMED.get(verdict, _UNNAMED[NOT_RUN])
    table = run.table(relative(run, folder, file), numeric=("rank", "enrichment"))
    leaders = table[table["rank"] == 1]
    if leaders.empty or "region" not in table:
        return ""
    first = leaders.iloc[0]
    atlas = known(first.get("atlas")).replace("_", " ")
    size = f"{first['enrichment']:.1f} times its share by volume"
    facts = [atlas, size if math.isfinite(first["enrichment"]) else ""]
    about = f" ({'; '.join(filter(None, facts))})" if any(facts) else ""
    return f"{_PASSED} {first['region']}{about}."


def _as_it_is(key: str, caption: str, table: pd.DataFrame) -> Grid:
    """Lay out a table with whatever columns it has; three digits where all are numbers."""
    columns = [str(name) for name in table.columns]
    numeric = tuple(
        place
        for place, name in enumerate(columns)
        if all(not known(v) or math.isfinite(as_float(v)) for v in table[name])
        and any(known(v) for v in table[name])
    )
    rows = []
    for _, row in table.iterrows():
        cells = []
        for place, name in enumerate(columns):
            text = known(row[name]) or "–"
            value = as_float(row[name])
            if place in numeric and math.isfinite(value):
                where = _place(row) if name == "peak" else ""
                cells.append(Cell(number_with_digits(value), value, place=where))
            else:
                cells.append(Cell(text))
        rows.append(cells)
    headings = [name.replace("_", " ") for name in columns]
    return Grid(key, caption, headings, rows, numeric, find=len(rows) > 12)


def _place(row: pd.Series) -> str:
    """Coordinates of a row in mm, empty where it has none."""
    for names in (("x", "y", "z"), ("peak_x", "peak_y", "peak_z")):
        found = [as_float(row.get(name)) for name in names]
        if all(map(math.isfinite, found)):
            return " ".join(f"{value:g}" for value in found)
    return ""


def number_with_digits(value: float) -> str:
    """Write a number with three significant digits, whole ones whole."""
    if value == round(value) and abs(value) < 1e6:
        return number(value, 0)
    return f"{value:.3g}".replace("-", "−")
