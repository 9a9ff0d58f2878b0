"""One scan under two names in a group run: found, told, and kept from crossing a fold."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from bidsapp.dataset.left_out import without
from bidsapp.errors import BadData
from bidsapp.intake.gifti import ENDING
from bidsapp.recipes import Recipe

if TYPE_CHECKING:
    from bidsapp.dataset.alike_pairs import Likeness, Pair
    from bidsapp.dataset.cohort import Cohort
    from bidsapp.dataset.image_prints import Prints

COLUMNS = (
    *("participant_id", "session_id", "other_participant", "other_session", "correlation"),
    *("mirrored", "near_duplicate", "limit", "cohort_median", "cohort_spread"),
)
TABLE = "near_duplicates.tsv"
_MOST = 6


def settle_near_duplicates(
    cohort: "Cohort",
    recipe: Recipe,
    variants: Sequence[str],
    template_mask: Path,
    splits: Path | None,
    place: Path,
    threads: int,
) -> tuple["Cohort", pd.DataFrame, "Prints | None"]:
    """Look for near-duplicates, and do with them what the recipe says.

    Parameters
    ----------
    cohort
        With images on the recipe's grid.
    recipe, variants
        What is run.
    template_mask
        The template's brain mask on that grid.
    splits
        The file of splits, where the person gave one.
    place
        Folder where the pairs are written if the run is refused.
    threads
        How many images are read at once.

    Returns
    -------
    cohort
        Without copies (``inputs.near_duplicates: exclude``), or with those of one scan in one
        group (``together``).
    table
        `COLUMNS`: the near-duplicates of the whole cohort; where there are none, the most alike
        pair of two participants.
    prints
        By which these scans are known again later; None where they are not compared.

    Raises
    ------
    BadData
        Near-duplicates are on both sides of a split.
    """
    from bidsapp.dataset.near_duplicates import find_near_duplicates

    if template_mask.suffix == ENDING:
        print("Near-duplicates are looked for among images, not among maps on surfaces.")
        return cohort, pd.DataFrame(columns=pd.Index(COLUMNS)), None
    images = [scan.image for scan in cohort.files]
    people = [str(who) for who in cohort.table["participant_id"]]
    found = find_near_duplicates(images, people, template_mask, threads)
    if found is None:
        return cohort, pd.DataFrame(columns=pd.Index(COLUMNS)), None
    table = _table(cohort, found)
    if not found.duplicates:
        return cohort, table, found.prints
    wish = recipe.with_variant(variants[0]).inputs.near_duplicates
    if wish == "exclude":
        return without_copies(cohort, found), table, found.prints
    if wish == "together" and recipe.group_column(variants) is None:
        cohort = _in_one_group(cohort, found)
    apart = _crossing(cohort, recipe, variants, splits, found)
    told = _named(cohort, apart or found.duplicates)
    if not apart:
        print(f"Near-duplicates, on one side of every split: {told}.", file=sys.stderr)
        return cohort, table, found.prints
    from bidsapp.dataset.tables import write_table

    path = place / TABLE
    write_table(path, table)
    advice = (
        "If they are one person, or you know that they are two, --set "
        "inputs.near_duplicates=together keeps them on one side of every split."
        if recipe.group_column(variants) is None
        else "If they are one person, or you know that they are two, give them one value of "
        "the column that protocol.groups names."
    )
    raise BadData(
        f"cohort: {len(apart)} {'pair' if len(apart) == 1 else 'pairs'} of participants have one "
        f"scan, or nearly, and are on both sides of a split: {told}. Two scans of this cohort "
        f"correlate at {found.median:.2f} (spread {found.spread:.2f}) in what is their own; from "
        f"{found.limit:.2f} on a pair is taken for one scan. Leave out one of each, or --set "
        f"inputs.near_duplicates=exclude, which keeps the first by name. {advice} All pairs: {path}"
    )


def _table(cohort: "Cohort", found: "Likeness") -> pd.DataFrame:
    keys = list(zip(cohort.table["participant_id"], cohort.table["session_id"], strict=True))
    rows = [
        (
            *(*keys[pair.first], *keys[pair.second], round(pair.correlation, 4)),
            *("true" if flag else "false" for flag in (pair.mirrored, pair in found.duplicates)),
            *(round(found.limit, 4), round(found.median, 4), round(found.spread, 4)),
        )
        for pair in found.pairs
    ]
    return pd.DataFrame(rows, columns=pd.Index(COLUMNS), dtype=object)


def _named(cohort: "Cohort", pairs: Sequence["Pair"]) -> str:
    names = [" ".join(filter(None, scan.unit)) for scan in cohort.files]
    told = [
        f"{names[pair.first]} and {names[pair.second]} ({pair.correlation:.2f}"
        f"{', mirrored' if pair.mirrored else ''})"
        for pair in pairs[:_MOST]
    ]
    more = f" and {len(pairs) - _MOST} more" if len(pairs) > _MOST else ""
    return f"{', '.join(told)}{more}"


def _sets(cohort: "Cohort", found: "Likeness") -> Mapping[str, str]:
    """Participant to the first, by name, of those who share a scan."""
    people = [str(who) for who in cohort.table["participant_id"]]
    first = {who: who for who in people}
    for pair in found.duplicates:
        one, other = first[people[pair.first]], first[people[pair.second]]
        least = min(one, other)
        first = {who: least if its in (one, other) else its for who, its in first.items()}
    return first


def without_copies(cohort: "Cohort", found: "Likeness") -> "Cohort":
    """Leave out every participant but the first of those who share a scan."""
    first = _sets(cohort, found)
    people = [str(who) for who in cohort.table["participant_id"]]
    kept = [first[who] == who for who in people]
    best: dict[str, str] = {}
    for pair in found.duplicates:
        for own, its in ((pair.first, pair.second), (pair.second, pair.first)):
            how = f"correlation {pair.correlation:.2f}{', mirrored' if pair.mirrored else ''}"
            best.setdefault(people[own], f"of {people[its]} ({how}); {first[people[own]]} is kept")
    reasons = {
        row: ("near-duplicate", best[who])
        for row, (who, stays) in enumerate(zip(people, kept, strict=True))
        if not stays
    }
    print(f"Left out as near-duplicates: {', '.join(sorted({people[row] for row in reasons}))}.")
    return without(cohort, reasons)


def _in_one_group(cohort: "Cohort", found: "Likeness") -> "Cohort":
    first = _sets(cohort, found)
    group = [first[str(who)] for who in cohort.table["participant_id"]]
    return replace(cohort, table=cohort.table.assign(group=group))


def _crossing(
    cohort: "Cohort",
    recipe: Recipe,
    variants: Sequence[str],
    splits: Path | None,
    found: "Likeness",
) -> list["Pair"]:
    """Near-duplicates of which one is tested where the other is not."""
    from bidsapp.training.run import run_splits

    table = run_splits(recipe, variants, cohort.table, splits)
    fold = [name for name in ("variant", "repeat", "fold") if name in table]
    tested: dict[str, set[tuple[object, ...]]] = {}
    held_out = table[table["role"] == "test"]
    for who, *where in held_out[["participant_id", *fold]].itertuples(index=False):
        tested.setdefault(str(who), set()).add(tuple(where))
    people = [str(who) for who in cohort.table["participant_id"]]
    return [
        pair
        for pair in found.duplicates
        if tested.get(people[pair.first]) != tested.get(people[pair.second])
    ]
