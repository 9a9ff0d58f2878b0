"""What a map says region by region, with an interval over people."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bidsapp.saliency.atlas import Atlas
from bidsapp.saliency.people import PeopleMaps

COLUMNS = (
    "atlas",
    "index",
    "region",
    "also",
    "voxels",
    "covered",
    "mean",
    "ci_low",
    "ci_high",
    "share",
    "enrichment",
    "peak",
    "peak_x",
    "peak_y",
    "peak_z",
    "rank",
)
_FEWEST_FOR_AN_INTERVAL = 3
# A corner of a region that a slab just touches must not lead the table.
_LEAST_COVERED = 0.5


def region_table(
    people: PeopleMaps,
    cell: str,
    atlases: Sequence[Atlas],
    *,
    rng: np.random.Generator,
    resamples: int = 2000,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Summarise the mean map of a cell by region.

    Parameters
    ----------
    people
        Smoothed maps.
    cell
        Whose mean map is summarised.
    atlases
        On the same grid.
    rng
        Of the bootstrap over people.
    resamples
        Bootstrap replicates.
    confidence
        Coverage of the percentile interval of the mean.

    Returns
    -------
    pandas.DataFrame
        A row per region with `COLUMNS`: `voxels` inside mask and window and the share of the
        region that they are (`covered`); `mean` of the map with its interval; `share` of the sum
        of magnitudes over the whole map, and that share over the region's share of the whole
        (`enrichment`), voxels weighted by their size where it varies; the value of largest
        magnitude (`peak`) and its place in mm; `rank` by the magnitude of the mean among the
        atlas's regions of which at least half is covered, 1 first.
        Undefined values are NaN; there is no interval below three people.
    """
    values = people.of(cell)[1]
    mean = values.mean(axis=0, dtype=np.float64)
    points = people.points()
    weights = people.weights()
    tables = [
        _one(atlas, people, values, mean, points, weights, rng, resamples, confidence)
        for atlas in atlases
    ]
    if not tables:
        return pd.DataFrame(columns=list(COLUMNS))
    return pd.concat(tables, ignore_index=True)[list(COLUMNS)]


def labels_inside(atlas: Atlas, people: PeopleMaps) -> np.ndarray:
    """(voxels,) label of each voxel of the maps; 0 where there is none."""
    return np.asarray(people.space.cut(atlas.labels, fill=0)[people.inside])


def region_sums(
    labels: np.ndarray, numbers: np.ndarray, values: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Sum (rows, voxels) values times (voxels,) weights over each region of `numbers`.

    Returns
    -------
    numpy.ndarray
        (rows, regions) float64.
    """
    place, size = _places(labels, numbers), len(numbers)
    return np.stack(
        [np.bincount(place, row * weights, minlength=size + 1)[:size] for row in values]
    )


def _places(labels: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Give each label its place in `numbers`, and ``len(numbers)`` where it is not there."""
    order = {number: place for place, number in enumerate(numbers)}
    present, code = np.unique(labels, return_inverse=True)
    return np.array([order.get(label, len(numbers)) for label in present], int)[code.ravel()]


def _sizes(labels: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Count the voxels of each region of `numbers`, (regions,)."""
    return np.bincount(_places(labels, numbers), minlength=len(numbers) + 1)[: len(numbers)]


def _one(
    atlas: Atlas,
    people: PeopleMaps,
    values: np.ndarray,
    mean: np.ndarray,
    points: np.ndarray,
    weights: np.ndarray,
    rng: np.random.Generator,
    resamples: int,
    confidence: float,
) -> pd.DataFrame:
    labels = labels_inside(atlas, people)
    numbers = atlas.regions["index"].to_numpy(int)
    sizes, whole = _sizes(labels, numbers), _sizes(atlas.labels.ravel(), numbers)
    with np.errstate(invalid="ignore", divide="ignore"):
        large = region_sums(labels, numbers, np.ones((1, len(mean))), weights)[0]
        by_person = region_sums(labels, numbers, values, weights) / large
        means = region_sums(labels, numbers, mean[None], weights)[0] / large
        total = float((np.abs(mean) * weights).sum())
        share = region_sums(labels, numbers, np.abs(mean)[None], weights)[0] / total
        enrichment = share / (large / weights.sum())
        covered = sizes / whole
    share[sizes == 0] = np.nan
    low, high = _interval(by_person, rng, resamples, confidence)
    peaks = np.array([_peak(mean, points, labels == number) for number in numbers]).reshape(-1, 4)
    table = pd.DataFrame(
        {
            "atlas": atlas.name,
            "index": numbers,
            "region": atlas.regions["name"].to_numpy(),
            "also": atlas.regions["also"].to_numpy(),
            "voxels": sizes,
            "covered": covered,
            "mean": means,
            "ci_low": low,
            "ci_high": high,
            "share": share,
            "enrichment": enrichment,
            "peak": peaks[:, 0],
            "peak_x": peaks[:, 1],
            "peak_y": peaks[:, 2],
            "peak_z": peaks[:, 3],
        }
    )
    known = table["mean"].abs().where(table["covered"] >= _LEAST_COVERED)
    table["rank"] = known.rank(ascending=False, method="min").astype("Int64")
    return table


def _interval(
    by_person: np.ndarray, rng: np.random.Generator, resamples: int, confidence: float
) -> tuple[np.ndarray, np.ndarray]:
    """Percentile interval of the mean over people, (regions,) each."""
    n, regions = by_person.shape
    if n < _FEWEST_FOR_AN_INTERVAL or not resamples:
        return np.full(regions, np.nan), np.full(regions, np.nan)
    weights = rng.multinomial(n, np.full(n, 1 / n), size=resamples) / n
    tail = (1 - confidence) / 2
    low, high = np.quantile(weights @ by_person, [tail, 1 - tail], axis=0)
    return low, high


def _peak(mean: np.ndarray, points: np.ndarray, own: np.ndarray) -> tuple[float, ...]:
    places = np.flatnonzero(own)
    if not len(places):
        return (np.nan,) * 4
    best = places[np.argmax(np.abs(mean[places]))]
    x, y, z = points[best]
    return float(mean[best]), float(x), float(y), float(z)
