"""Columns that no table has and that the parts of scans tell by themselves: level and side."""

from collections.abc import Iterable, Sequence

import pandas as pd

from bidsapp.contracts.modality import Modality
from bidsapp.dataset.covariates import stored_name, users_column


def told_by_parts(
    modality: Modality, wanted: Iterable[str], carried: pd.DataFrame, parts: Sequence[str]
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

    Returns
    -------
    columns, notes
        With what was added, and a sentence on it.
    """
    told = [modality.of_part(part) if part else {} for part in parts]
    there = list(map(str, carried.columns))
    names = [
        name
        for name in dict.fromkeys(wanted)
        if users_column(there, name) is None and any(name in one for one in told)
    ]
    if not names:
        return carried, []
    added = {stored_name(name): [one.get(name) for one in told] for name in names}
    columns = pd.concat([carried, pd.DataFrame(added, index=carried.index, dtype=object)], axis=1)
    return columns, [f"No table has {', '.join(names)}: told by the parts of the images."]
