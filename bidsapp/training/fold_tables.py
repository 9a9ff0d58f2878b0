"""What trained folds say of themselves: how long they took, what components they found."""

from collections.abc import Mapping, Sequence
from math import nan

import numpy as np
import pandas as pd

from bidsapp.contracts.fitted import stamp_text
from bidsapp.intake.json_text import read_own_json
from bidsapp.recipes import Recipe
from bidsapp.representation.components.matching import match
from bidsapp.training.fold import fitted_of
from bidsapp.training.task import FoldTask

FOLDS = ("variant", "repeat", "fold", "parameters", "epochs", "epoch_kept", "seconds")
NUMBERS = ("stability", "variance", "template_r", "template_null", "p", "r", "kept")
"""Columns of components.tsv that the fitted steps fill, where they are asked for."""
_PAIRED = ("variant", "repeat", "fold", "component", "like", "like_r", "like_null")
_DIGITS = 6

Maps = Mapping[str, np.ndarray]


def stamped(table: pd.DataFrame, recipe: Recipe) -> pd.DataFrame:
    """Put the stamps of variants that leak into a table of folds, and that of a planted signal."""
    names = {str(name): recipe.with_variant(str(name)) for name in table["variant"].unique()}
    stamps = {name: stamp_text(one.leaks("scores")) for name, one in names.items()}
    if any(stamps.values()):
        table = table.assign(leak=table["variant"].map(stamps))
    simulated = recipe.simulation.stamp
    return table.assign(simulated=simulated) if simulated else table


def gather_folds(tasks: Sequence[FoldTask]) -> pd.DataFrame:
    """Put together what every fold took: columns `FOLDS`."""
    records = [dict(read_own_json(task.record_file)) for task in tasks]
    own = [
        {"variant": task.variant, "repeat": task.repeat, "fold": task.fold}
        | {name: record.get(name) for name in FOLDS[3:]}
        for task, record in zip(tasks, records, strict=True)
    ]
    return pd.DataFrame(own, columns=pd.Index(FOLDS))


def gather_components(tasks: Sequence[FoldTask]) -> pd.DataFrame:
    """Put together what every fold found of its components, matched with the first fold's.

    Returns
    -------
    pandas.DataFrame
        A row per fold and component; those columns of `NUMBERS` alone that a step fills. No rows
        where no step tells of channels.
    """
    rows: list[dict[str, object]] = []
    first: dict[str, Maps] = {}
    for task in tasks:
        given = task.images.channels
        fitted = fitted_of(task)
        told = fitted.told(given)
        if not told:
            continue
        maps = fitted.group_maps(given)
        pairs = matched(maps, first.setdefault(task.variant, maps))
        for name, numbers in told.items():
            # given maps are the same in every fold, and so are their names: nothing is matched
            unmatched = (None if pairs else name, nan, nan)
            like, like_r, like_null = pairs.get(name, unmatched)
            rows.append(
                {
                    "variant": task.variant,
                    "repeat": task.repeat,
                    "fold": task.fold,
                    "component": name,
                    "like": like,
                    "like_r": round(like_r, _DIGITS),
                    "like_null": round(like_null, _DIGITS),
                }
                | {key: round(value, _DIGITS) for key, value in numbers.items()}
            )
    filled = [name for name in NUMBERS if any(name in row for row in rows)]
    return pd.DataFrame(rows, columns=pd.Index([*_PAIRED, *filled]))


def matched(maps: Maps, reference: Maps) -> dict[str, tuple[str | None, float, float]]:
    """Say of each map which of a reference it is, with ``|r|`` and what the flipped one reaches.

    One that is no more alike than that has no name there, and one that is left over, where there
    are more of them than of the reference, has neither; the same maps are themselves.
    """
    if not maps:
        return {}
    one, other = (np.stack(list(found.values())) for found in (maps, reference))
    if one.shape == other.shape and (one == other).all():
        return {name: (name, 1.0, nan) for name in maps}
    inside = np.asarray(one.any(axis=0) | other.any(axis=0))
    pairs = match(one[:, inside], other[:, inside], inside)
    names, known = list(maps), list(reference)
    rows = zip(
        pairs.components, pairs.references, pairs.r, pairs.null, pairs.above_null, strict=True
    )
    left_over = dict.fromkeys(names, (None, nan, nan))
    return left_over | {
        names[number]: (known[place] if same else None, abs(float(r)), float(null))
        for number, place, r, null, same in rows
    }
