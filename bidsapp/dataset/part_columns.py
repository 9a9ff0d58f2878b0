"""Columns that no table has and that the parts of scans tell by themselves: level and side."""

from collections.abc import Iterable, Sequence
from contextlib import suppress

import pandas as pd

from bidsapp.contracts.modality import Modality
from bidsapp.dataset.covariates import stored_name, users_column
from bidsapp.errors import BadData


def told_by_parts(
    modality: Modality,
    wanted: Iterable[str],
    carried: pd.DataFrame,
    parts: Sequence[str],
    people: Sequence[str],
) -> tuple[pd.DataFrame, list[str]]:
    """Add what parts tell to the columns of the tables; a table's own column stays as it is.

    Parameters
    ----------
    modality
        Says what a part tells.
    wanted
        Names of columns that may be told so.
    carried
        Columns of the tables, a row a scan.
    parts
        Of the same scans, as names of files have them; empty where a scan is one unit.
    people
        Of the same scans, for messages.

    Returns
    -------
    columns, notes
        With what was added, and a sentence on it.

    Raises
    ------
    BadData
        A table's own column says of a part that it is another one.
    """
    told = [modality.of_part(part) if part else {} for part in parts]
    there = list(map(str, carried.columns))
    wanted = list(dict.fromkeys(wanted))
    for name in wanted:
        place = users_column(there, name)
        if place is not None and any(name in one for one in told):
            _require_own_part(modality, name, carried[place].tolist(), parts, people)
    names = [
        name
        for name in wanted
        if users_column(there, name) is None and any(name in one for one in told)
    ]
    if not names:
        return carried, []
    added = {stored_name(name): [one.get(name) for one in told] for name in names}
    columns = pd.concat([carried, pd.DataFrame(added, index=carried.index, dtype=object)], axis=1)
    return columns, [f"No table has {', '.join(names)}: told by the parts of the images."]


def _require_own_part(
    modality: Modality,
    name: str,
    texts: Sequence[object],
    parts: Sequence[str],
    people: Sequence[str],
) -> None:
    """Refuse a column of people that names one of their parts, and so is wrong of the other."""
    own: dict[str, set[str]] = {}
    for person, part in zip(people, parts, strict=True):
        own.setdefault(person, set()).add(part)
    for text, part, person in zip(texts, parts, people, strict=True):
        said = ""
        with suppress(ValueError):
            said = modality.read_part(str(text))
        if part and said != part and said in own[person]:
            raise BadData(
                f"column {name} says {text} of {person}, of whom there are parts "
                f"{' and '.join(sorted(own[person]))}: give the column a row for each in a table "
                "of phenotype/ with part_id, or leave it out, as the parts tell it."
            )
