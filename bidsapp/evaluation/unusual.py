"""Held-out images whose measures lie far from those of the people that their fold was trained on.

Mean and standard deviation are of a fold's training people alone, so that nothing of who is tested
enters the limits.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from bidsapp.contracts.modality_tables import unusual_measures
from bidsapp.contracts.unit import PARTICIPANT, unit_columns
from bidsapp.evaluation.tsv import numeric

COLUMNS = ("repeat", "fold", "column", "value", "mean", "sd", "away")
FEWEST = 5
"""Training people that a standard deviation needs at least."""
_NAMED = 5


def unusual_values(
    measured: pd.DataFrame, splits: pd.DataFrame, limits: Mapping[str, tuple[str, float]]
) -> pd.DataFrame:
    """List held-out images beyond the limits of the people that their fold was trained on.

    Parameters
    ----------
    measured
        A row an image, with the columns of the unit and the measures.
    splits
        As ``splits.tsv`` has them.
    limits
        Column to its title, and to how many standard deviations from the mean are unusual.

    Returns
    -------
    pandas.DataFrame
        The columns of the unit and `COLUMNS`; ``away`` in standard deviations, signed.
    """
    lead = unit_columns(measured)
    keys = [name for name in lead if name in splits]
    roles = splits[["repeat", "fold", *keys, "role"]].drop_duplicates()
    found = []
    for column, (_, most) in limits.items():
        if column not in measured:
            continue
        own = measured[lead].assign(value=numeric(measured[column])).dropna(subset="value")
        for (repeat, fold), rows in roles.groupby(["repeat", "fold"]):
            known = own.merge(rows[[*keys, "role"]], on=keys)
            train, test = (known[known["role"] == role] for role in ("train", "test"))
            sd = float(train["value"].std()) if train[PARTICIPANT].nunique() >= FEWEST else 0.0
            if not sd > 0:
                continue
            mean = float(train["value"].mean())
            away = (test["value"] - mean) / sd
            beyond = test[np.abs(away) > most].drop(columns="role")
            facts = {"repeat": repeat, "fold": fold, "column": column, "mean": mean, "sd": sd}
            found.append(beyond.assign(**facts, away=away[beyond.index]))
    names = pd.Index([*lead, *COLUMNS])
    return pd.concat(found, ignore_index=True)[names] if found else pd.DataFrame(columns=names)


def unusual_images(
    measured: pd.DataFrame, splits: pd.DataFrame
) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Look for them by the measures that modalities name: a table where there are such, and words.

    Returns
    -------
    tables, sentences
        ``unusual``, where any image has such a measure; a sentence a measure that is broken.
    """
    limits = {f"quality_{key}": told for key, told in unusual_measures().items()}
    if not any(column in measured for column in limits):
        return {}, []
    table = unusual_values(measured, splits, limits)
    sentences = []
    for column, rows in table.groupby("column", sort=False):
        title, most = limits[str(column)]
        people = list(dict.fromkeys(rows[PARTICIPANT].astype(str)))
        more = f" and {len(people) - _NAMED} more" if len(people) > _NAMED else ""
        sentences.append(
            f"{title}: {', '.join(people[:_NAMED])}{more} more than {most:g} SD from the mean of "
            "those whom the fold was trained on (tables/unusual.tsv): look at their images."
        )
    return {"unusual": table}, sentences
