"""Whether a model is used on people like those that it is meant for, aspect by aspect."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from bidsapp.contracts.prepared import APP
from bidsapp.dataset.covariates import SIDECAR, shown_name
from bidsapp.evaluation.separation import is_of_scanner
from bidsapp.evaluation.state import RunState
from bidsapp.evaluation.tsv import is_missing

COLUMNS = ("aspect", "model", "people", "verdict", "note")
AS_MEANT, OUTSIDE, UNKNOWN = "as meant", "outside", "not known"
UNLIKE = 0.5
"""A standardised difference from which on a column is called unlike (half an SD)."""
_FEW = 0.05
_NOT_TOLD = "nothing in the bundle"
_UNTOLD = (APP,)


def intended_use(facts: Mapping[str, Any], case_mix: pd.DataFrame, state: RunState) -> pd.DataFrame:
    """Compare how a model is used with what it saw.

    Parameters
    ----------
    facts
        As `validation.json` has it.
    case_mix
        As `aggregates.compare_with_aggregates` gives it.
    state
        The validation.

    Returns
    -------
    pandas.DataFrame
        Columns `COLUMNS`: preparation and outcome, site and scanner, and every column of which
        more than one in twenty lie outside of what training saw, or that differs by half a SD.
    """
    place = facts.get("preparation", {})
    grid = f"{place.get('template', 'its own space')} {place.get('resolution', '')} mm"
    outcome = facts["outcome"]
    same = outcome["training"] == outcome["validation"]
    rows: list[tuple[str, str, str, str, str]] = [
        ("scan", str(place.get("modality", "")), "the same", AS_MEANT, "others are refused"),
        ("space", grid, "the same", AS_MEANT, "images on another grid are refused"),
        (
            *("outcome", outcome["training"], outcome["validation"]),
            *((AS_MEANT, "") if same else (OUTSIDE, "another column or other values")),
        ),
        *_preparation(facts, state),
    ]
    if case_mix.empty or not facts.get("training_cohort"):
        why = "the bundle holds no aggregates of its training cohort (an earlier version's)"
        return _table([*rows, ("people", _NOT_TOLD, "", UNKNOWN, why)])
    people = state.cohort["participant_id"].nunique()
    heads = case_mix[~case_mix["column"].duplicated()]
    for row in heads.to_dict("records"):
        rows += _column(row, case_mix, people)
    if not any(is_of_scanner(str(name)) for name in heads["column"]):
        why = "neither the bundle nor these people name site or scanner"
        rows.append(("site and scanner", "", "", UNKNOWN, why))
    return _table(rows)


def _column(
    row: Mapping[Any, Any], case_mix: pd.DataFrame, people: int
) -> list[tuple[str, str, str, str, str]]:
    name = str(row["column"])
    shown = shown_name(name).removeprefix(SIDECAR)
    levels = case_mix[case_mix["column"] == name]
    before, now = (_levels(levels, side) for side in ("training", "validation"))
    scanner = is_of_scanner(name)
    if is_missing(row["training"]) or is_missing(row["validation"]):
        if not scanner:
            return []
        return [(shown, before, now, UNKNOWN, str(row["note"]))]
    outside = float(row["outside"]) if row["outside"] == row["outside"] else 0.0
    difference = row["standardised_difference"]
    far = difference == difference and abs(float(difference)) >= UNLIKE
    beyond = outside > _FEW * people
    if not (scanner or far or beyond or name == "age"):
        return []
    told = []
    if outside:
        told.append(f"{outside:.0f} of {people} outside of what training saw")
    if difference == difference:
        told.append(f"standardised difference {float(difference):+.2f}")
    verdict = OUTSIDE if far or beyond else AS_MEANT
    return [(shown, before, now, verdict, "; ".join(told))]


def _levels(levels: pd.DataFrame, side: str) -> str:
    there = [
        (str(row["value"]), str(row[side]))
        for row in levels.to_dict("records")
        if not is_missing(row[side]) and not str(row[side]).startswith("0 (")
    ]
    if len(levels) == 1 and there and there[0][0] == "mean (SD)":
        return there[0][1]
    return ", ".join(f"{value}: {count}" if value else count for value, count in there) or "–"


def _preparation(facts: Mapping[str, Any], state: RunState) -> list[tuple[str, str, str, str, str]]:
    """Say by what, and with what effort, the images of training and these were made."""
    made = facts.get("images_made_by", {})
    before, now = (tuple(made.get(side, ())) for side in ("training", "validation"))
    before, now = before or _UNTOLD, now or _told_by_images(state)
    same = {name.partition(" ")[0] for name in before} == {name.partition(" ")[0] for name in now}
    note = "" if before == now else "another version" if same else "other software"
    if same and before == _UNTOLD:
        note = "an earlier version's bundle does not tell by what its images were made"
    rows = [("preparation", ", ".join(before), ", ".join(now), AS_MEANT if same else OUTSIDE, note)]
    for one in facts.get("made_otherwise", ()):
        told = f"{one['here']} ({one['images']})"
        why = "images were made otherwise than those of training"
        rows.append((f"preparation: {one['key']}", str(one["training"]), told, OUTSIDE, why))
    return rows


def _told_by_images(state: RunState) -> tuple[str, ...]:
    """Name the datasets that images came from, in a validation of an earlier version."""
    images = state.cohort["image"].astype(str) if "image" in state.cohort else pd.Series([""])
    foreign = images.str.startswith("bids:") & ~images.str.startswith("bids::")
    names = sorted({text.split(":")[1] for text in images[foreign]})
    return (*names, *(() if foreign.all() else _UNTOLD))


def _table(rows: list[tuple[str, str, str, str, str]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=pd.Index(COLUMNS))
