"""Averages of each image weighted by its own held-out map, with the controls that they need.

The weights of a person are of the network of the fold that held the person out. What such an
average tells can be the network's answer in another guise: beside it stand the plain means, the
same average by the weights of somebody else, by those of a network that was never trained, and by
weights at shuffled places, and what each adds where the network's own answer is known.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bidsapp.contracts.unit import unit_columns, units_in
from bidsapp.errors import BadData, UsageError
from bidsapp.evaluation.regression.guided import (
    COLUMNS,
    at_other_places,
    compare_averages,
    guided_averages,
    of_others,
)
from bidsapp.representation.cohort_array import CohortArray
from bidsapp.saliency.plain_images import tissue
from bidsapp.saliency.stack import MapStack

GUIDED = {
    "guided": "by the magnitude of the person's own map",
    "printed": "by the person's own map, brought to 0..1 by its least and largest value",
    "others": "by the magnitude of somebody else's map",
    "random": "by the magnitude of the map of a network that was never trained",
    "shuffled": "by the magnitude of the person's own map at shuffled places, alike for everybody",
}
"""Ways to weigh, in the order of the columns."""
_LEAST_LOGIT = 1e-6
_FOLDS = 10


@dataclass(frozen=True)
class Guides:
    """Maps of held-out people, and of the same people by networks that were never trained.

    Attributes
    ----------
    trained, untrained
        Of the same rows.
    """

    trained: MapStack
    untrained: MapStack


def guided_table(
    guides: Guides,
    images: CohortArray,
    channels: Sequence[str],
    regions: Mapping[str, np.ndarray],
    sizes: np.ndarray,
    seed: int,
) -> pd.DataFrame:
    """Average the images of everybody who was held out.

    Parameters
    ----------
    guides
        The weights.
    images
        The cohort's images in the same space; 0 is no tissue, save in holes that tissue encloses.
    channels
        Which of them are averaged.
    regions
        Name to bool of the space's shape; each has a plain mean.
    sizes
        (cells,) how much each counts, or (rows, cells) where people differ in that.
    seed
        Of the controls that are drawn.

    Returns
    -------
    pandas.DataFrame
        A row a unit, with its columns, outcome, probability and ``network_logit``, and for each
        channel ``CHANNEL_mean``, ``CHANNEL_REGION`` and ``CHANNEL_`` with the names of `GUIDED`.
        Those who were held out several times have the mean over repeats.
    """
    rows = guides.trained.rows.reset_index(drop=True)
    place = {unit: number for number, unit in enumerate(images.units)}
    at = np.array([place[unit] for unit in units_in(rows)], int)
    # one order of places for everybody, and one other person for each
    magnitude = _magnitudes(guides.trained)
    weights = {
        "guided": magnitude,
        "printed": _scaled(guides.trained),
        "others": of_others(magnitude, np.random.default_rng([seed, 5])),
        "random": _magnitudes(guides.untrained),
    }
    columns: dict[str, np.ndarray] = {}
    data = images.open()
    for channel in channels:
        number = images.channels.index(channel)
        values = np.stack([np.asarray(data[row, number], np.float64).ravel() for row in at])
        values = tissue(images.space, values)
        known = np.isfinite(values)
        columns[f"{channel}_mean"] = guided_averages(values, np.ones(values.shape[1]), sizes)
        for name, cells in regions.items():
            flat = cells.ravel().astype(float)
            columns[f"{channel}_{name.replace(' ', '_')}"] = guided_averages(values, flat, sizes)
        for name, given in weights.items():
            columns[f"{channel}_{name}"] = guided_averages(values, given, sizes)
        anybody = np.flatnonzero(known.any(0))
        columns[f"{channel}_shuffled"] = guided_averages(
            values[:, anybody],
            at_other_places(magnitude[:, anybody], np.random.default_rng([seed, 6])),
            sizes[..., anybody],
        )
    probability = np.clip(rows["probability"].to_numpy(float), _LEAST_LOGIT, 1 - _LEAST_LOGIT)
    lead = unit_columns(rows)
    table = rows[[*lead, "outcome", "probability"]].assign(
        network_logit=np.log(probability / (1 - probability)), **columns
    )
    return table.groupby(lead, sort=True, dropna=False).mean(numeric_only=True).reset_index()


def added_by_averages(
    table: pd.DataFrame,
    channels: Sequence[str],
    covariates: Mapping[str, np.ndarray],
    regions: Sequence[str],
) -> tuple[pd.DataFrame, list[str]]:
    """Test what each average adds to covariates and plain means, and to the network's answer.

    Parameters
    ----------
    table
        Of `guided_table`.
    channels
        Each by itself.
    covariates
        Name to (rows,) numbers.
    regions
        Whose plain means are among the base columns; the mean of all where there is none.

    Returns
    -------
    table
        ``channel`` and the columns of `bidsapp.evaluation.regression.guided.COLUMNS`.
    notes
        What was left out, and why.
    """
    found, notes = [], []
    for channel in channels:
        plain = [f"{channel}_{name.replace(' ', '_')}" for name in regions] or [f"{channel}_mean"]
        base = dict(covariates) | {name: table[name].to_numpy(float) for name in plain}
        averages = {name: table[f"{channel}_{name}"].to_numpy(float) for name in GUIDED}
        network = table["network_logit"].to_numpy(float)
        known = np.isfinite(np.column_stack([*base.values(), *averages.values(), network])).all(1)
        if not known.all():
            notes.append(
                f"{channel}: {int((~known).sum())} scans lack a value and are in no test of what "
                "weighted averages add"
            )
        try:
            one = compare_averages(
                table["outcome"].to_numpy(float)[known],
                {name: values[known] for name, values in base.items()},
                {name: values[known] for name, values in averages.items()},
                table["participant_id"].to_numpy()[known],
                network[known],
                folds=_folds(table[known]),
            )
        except (BadData, UsageError) as error:
            notes.append(f"{channel}: it was not tested what weighted averages add: {error}")
            continue
        found.append(one.assign(channel=channel))
    columns = ["channel", *COLUMNS]
    table = pd.concat(found, ignore_index=True)[columns] if found else pd.DataFrame(columns=columns)
    return table, notes


def _folds(table: pd.DataFrame) -> int:
    """Give how many folds the fewer people of a class can fill, 0 for none."""
    positive = table.groupby("participant_id")["outcome"].max() > 0
    most = min(_FOLDS, int(positive.sum()), int((~positive).sum()))
    return most if most > 1 else 0


def _magnitudes(stack: MapStack) -> np.ndarray:
    """Give (maps, cells), without the direction in which a map speaks."""
    return np.abs(stack.combined().reshape(len(stack.rows), -1)).astype(np.float64)


def _scaled(stack: MapStack) -> np.ndarray:
    """Bring each map to 0..1 by itself, (maps, cells)."""
    maps = stack.combined().reshape(len(stack.rows), -1).astype(np.float64)
    low = maps.min(1, keepdims=True)
    width = maps.max(1, keepdims=True) - low
    return np.asarray((maps - low) / np.where(width > 0, width, 1))
