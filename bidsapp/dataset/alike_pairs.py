"""Pairs of scans that are alike, among all pairs of a cohort.

Up to `EXACT` scans every pair is correlated. Of more, sketches are compared first: an unbiased
estimate of the correlation by 1,024 numbers a scan in place of 30,000, from which only the pairs
that may be alike are correlated.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from bidsapp.dataset.image_prints import Prints

SMALLEST = 0.5
LARGEST = 0.9
SPREADS = 8.0
"""A pair is a near-duplicate from this correlation on, or from as many spreads above the cohort's
median, whichever is more; above `LARGEST` it always is."""
EXACT = 2048
"""Scans of which all pairs are correlated; of more, the median and spread are those of so many."""
BUCKETS = 512
MARGIN = 0.25
"""How far below the limit a sketched correlation may be without the pair being left out. Its error
has a standard deviation of √((1 + r²) / (2 `BUCKETS`)), .035 at .5 and .042 at .9, where scans are
unlike their own mirror images, and √2 times that where they are symmetrical or lie on one side."""

_DECILES = 2.563  # standard deviations of a normal distribution from the first to the last
_BLOCK = 512
_MOST = 100_000  # pairs that are kept in memory
_BINS = 4000
_SEED = 20240301
_PAIR = np.dtype([("first", int), ("second", int), ("correlation", np.float32), ("mirrored", bool)])
_Products = Callable[[slice], Iterator[np.ndarray]]
"""Correlations of some scans with them and all later ones, and then with their mirror images."""


@dataclass(frozen=True)
class Pair:
    """Two scans, by their places in the cohort, and how alike what is their own is.

    Attributes
    ----------
    first, second
        Places, the smaller first.
    correlation
        -1 to 1.
    mirrored
        Whether left and right of one of them are exchanged.
    """

    first: int
    second: int
    correlation: float
    mirrored: bool


@dataclass(frozen=True)
class Likeness:
    """How alike the scans of different participants of a cohort are.

    Attributes
    ----------
    pairs
        The near-duplicates, the most alike first; where there are none, the most alike pair (of
        more than `EXACT` scans, of the 1,000 that are the most alike by their sketches).
    median, spread
        Of the correlations of all pairs, of more than `EXACT` scans of those of so many drawn at
        random; the spread is the range from the first to the last decile in standard deviations
        of a normal distribution. Copies do not move it while they are fewer than a tenth of all
        pairs.
    limit
        From which correlation on a pair is a near-duplicate.
    prints
        By which these scans are known again later, without the images.
    """

    pairs: tuple[Pair, ...]
    median: float
    spread: float
    limit: float
    prints: Prints | None = None

    @property
    def duplicates(self) -> tuple[Pair, ...]:
        """The near-duplicates."""
        return tuple(pair for pair in self.pairs if pair.correlation >= self.limit)


def alike_pairs(own: np.ndarray, people: np.ndarray, mirror: np.ndarray) -> Likeness:
    """Find the near-duplicates among all pairs of scans of different participants.

    Parameters
    ----------
    own
        (scans, n) float32, each of norm 1 (or 0): what is each scan's own.
    people
        (scans,) int, whose each is.
    mirror
        (n,) for each voxel that of the other side.

    Returns
    -------
    Likeness
        Without prints.

    Notes
    -----
    The number of pairs grows with the square of the number of scans, and no way is known to leave
    out pairs unseen: two unrelated scans are as far apart along any direction as two of which one
    is a worn copy (distances 1.4 and 1 in 30,000 dimensions). What a pair costs is what sketches
    make smaller. A sketch sums the voxels, each with a random sign, in random buckets (Charikar et
    al. 2002, https://doi.org/10.1007/3-540-45465-9_59), the part that is the same on both sides and
    the part that is opposite by themselves: sum and difference of the two products are the
    correlation with a scan and with its mirror image.
    """
    counts = np.zeros(_BINS, int)
    if len(own) <= EXACT:
        found = _kept(_exactly(own, mirror), people, SMALLEST, counts)
        limit, median, spread = _limit(counts)
    else:
        drawn = np.argsort(np.random.PCG64(_SEED).random_raw(len(own)))[:EXACT]
        _kept(_exactly(own[drawn], None), people[drawn], SMALLEST, counts)
        limit, median, spread = _limit(counts)
        found = _kept(_sketched(own, mirror), people, limit - MARGIN)
        _correlate(found, own, mirror)
    found = found[np.argsort(-found["correlation"], kind="stable")]
    best: dict[tuple[int, int], Pair] = {}
    for first, second, correlation, mirrored in found.tolist():
        if correlation >= limit or not best:
            best.setdefault((first, second), Pair(first, second, correlation, mirrored))
    return Likeness(tuple(best.values()), median, spread, limit)


def _exactly(own: np.ndarray, mirror: np.ndarray | None) -> _Products:
    def products(rows: slice) -> Iterator[np.ndarray]:
        later = own[rows.start :].T
        yield own[rows] @ later
        if mirror is not None:
            yield own[rows][:, mirror] @ later

    return products


def _sketched(own: np.ndarray, mirror: np.ndarray) -> _Products:
    """Estimate correlations by sketches of the two parts of each scan."""
    into = _buckets(mirror)
    sketch = np.empty((len(own), 2 * BUCKETS), np.float32)
    for start in range(0, len(own), _BLOCK):
        sketch[start : start + _BLOCK] = own[start : start + _BLOCK] @ into
    both, opposite = (
        np.ascontiguousarray(half) for half in (sketch[:, :BUCKETS], sketch[:, BUCKETS:])
    )

    def products(rows: slice) -> Iterator[np.ndarray]:
        same = both[rows] @ both[rows.start :].T
        contrary = opposite[rows] @ opposite[rows.start :].T
        yield same + contrary
        same -= contrary
        yield same

    return products


def _buckets(mirror: np.ndarray):  # type: ignore[no-untyped-def]
    """Give the sparse (n, 2 `BUCKETS`) matrix of sketches, the same on every machine."""
    from scipy.sparse import csr_array

    place = np.arange(len(mirror))
    one = np.minimum(place, mirror)  # a voxel and that of the other side are drawn together
    drawn = np.random.PCG64(_SEED + 1).random_raw(len(mirror))[one]
    sign = np.where(drawn >> 63, 1.0, -1.0)
    bucket = (drawn >> 32) % BUCKETS
    middle = place == mirror
    weight = np.where(middle, 1.0, np.sqrt(0.5))
    side = np.where(middle, 0.0, np.where(place < mirror, 1.0, -1.0))
    values = np.concatenate([sign * weight, sign * weight * side]).astype(np.float32)
    columns = np.concatenate([bucket, bucket + BUCKETS]).astype(np.int64)
    rows = np.concatenate([place, place])
    return csr_array((values, (rows, columns)), shape=(len(mirror), 2 * BUCKETS))


def _kept(
    products: _Products, people: np.ndarray, least: float, counts: np.ndarray | None = None
) -> np.ndarray:
    """Keep the pairs from a correlation on, and of each scan's most alike the most alike 1,000.

    `counts` takes the number of pairs by their correlation, those with mirror images not counted.
    """
    found, nearest = np.empty((2, 0), _PAIR)
    for start in range(0, len(people), _BLOCK):
        rows = slice(start, min(start + _BLOCK, len(people)))
        own = np.arange(len(people[rows]))
        later = np.arange(len(people) - start) > own[:, None]
        later &= people[start:] != people[rows][:, None]
        for mirrored, alike in enumerate(products(rows)):
            if counts is not None and not mirrored:
                counts += np.histogram(alike[later], bins=_BINS, range=(-1, 1))[0]
            alike[~later] = -1
            at = np.stack([own, alike.argmax(axis=1)])
            near = _pairs(alike, at[:, later[tuple(at)]], start, bool(mirrored))
            nearest = _first(np.concatenate([nearest, near]), 1000)
            new = _pairs(alike, np.stack(np.nonzero(alike >= least)), start, bool(mirrored))
            found = _first(np.concatenate([found, new]), _MOST)
    return found if len(found) else nearest


def _pairs(alike: np.ndarray, at: np.ndarray, start: int, mirrored: bool) -> np.ndarray:
    new = np.empty(at.shape[1], _PAIR)
    new["first"], new["second"] = at + start
    new["correlation"], new["mirrored"] = alike[tuple(at)], mirrored
    return new


def _first(found: np.ndarray, most: int) -> np.ndarray:
    return found[np.argsort(-found["correlation"], kind="stable")][:most]


def _correlate(found: np.ndarray, own: np.ndarray, mirror: np.ndarray) -> None:
    """Put the correlations of pairs in the place of their estimates."""
    for start in range(0, len(found), _BLOCK):
        block = found[start : start + _BLOCK]
        one, other = own[block["first"]], own[block["second"]]
        one = np.where(block["mirrored"][:, None], one[:, mirror], one)
        block["correlation"] = np.einsum("ij,ij->i", one, other)


def _limit(counts: np.ndarray) -> tuple[float, float, float]:
    """From where on a pair is a near-duplicate, with median and spread of a histogram."""
    median, spread = _middle(counts)
    return max(SMALLEST, min(median + SPREADS * spread, LARGEST)), median, spread


def _middle(counts: np.ndarray) -> tuple[float, float]:
    """Median and spread of what a histogram over -1 to 1 holds, to a bin's width."""
    centres = (np.arange(_BINS) + 0.5) * 2 / _BINS - 1
    low, median, high = (
        float(centres[min(np.searchsorted(counts.cumsum(), share * counts.sum()), _BINS - 1)])
        for share in (0.1, 0.5, 0.9)
    )
    return median, (high - low) / _DECILES
