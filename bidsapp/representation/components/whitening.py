"""The group's principal components in a fold, from products that were taken once per pair."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.linalg import eigh

# Voxels whose products are summed in float32 before they are added up in float64.
_CHUNK = 16384
# People whose reductions are held in memory on either side while their pairs are gone through.
_TOGETHER = 4
# A square matrix of this size is taken apart in a minute and half a gigabyte.
LARGEST_SQUARE = 8192
_PASSES, _SETTLED = 40, 1e-5

Kept = Callable[[int, int, Callable[[], np.ndarray]], np.ndarray]


@dataclass(frozen=True)
class Whitened:
    """The fold's data in its strongest directions.

    Attributes
    ----------
    data
        Images over the mask, float32, shape (C, V): mean 0, variance 1, uncorrelated.
    eigenvalues
        Their variances in the people's stacked reductions, descending, shape (C,). One that is
        alike in all of N people has N, one that is in a single person has 1.
    """

    data: np.ndarray
    eigenvalues: np.ndarray


def pair_products(reductions: Sequence[np.ndarray], kept: Kept | None = None) -> np.ndarray:
    """Take the products of all people's reductions, two people at a time.

    A block holds nothing but two people's data, and its bits hang on nobody else: it can be kept
    for all folds that hold both.

    Parameters
    ----------
    reductions
        One array a person, shape (K, V), any float type; may be memory-mapped.
    kept
        Called with two people's numbers and a function that computes their block; gives the
        block, from where it is kept.

    Returns
    -------
    numpy.ndarray
        float64, shape (N, K, N, K): the mean over voxels of the products.
    """
    people, rows = len(reductions), reductions[0].shape[0]
    products = np.empty((people, rows, people, rows))
    read = lru_cache(2 * _TOGETHER)(lambda person: np.asarray(reductions[person], np.float32))
    starts = range(0, people, _TOGETHER)
    for one, two in ((one, two) for one in starts for two in starts if two >= one):
        for i in range(one, min(one + _TOGETHER, people)):
            for j in range(max(two, i), min(two + _TOGETHER, people)):

                def make(i: int = i, j: int = j) -> np.ndarray:
                    return _product(read(i), read(j))

                block = kept(i, j, make) if kept else make()
                products[i, :, j] = block
                products[j, :, i] = block.T
    return products


def _product(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    voxels = one.shape[1]
    block = np.zeros((len(one), len(two)))
    for begin in range(0, voxels, _CHUNK):
        part = slice(begin, begin + _CHUNK)
        block += one[:, part] @ two[:, part].T
    return block / voxels


def whiten(
    reductions: Sequence[np.ndarray],
    train_rows: np.ndarray,
    components: int,
    products: np.ndarray | None = None,
) -> Whitened:
    """Find the strongest common directions of the training people.

    Parameters
    ----------
    reductions
        One array a person of the whole cohort, shape (K, V); only those of `train_rows` are
        looked at.
    train_rows
        Numbers of the training people.
    components
        How many directions to keep, C.
    products
        What `pair_products` gave for the whole cohort. Where there are fewer voxels than stacked
        components the voxels' own covariance is taken apart instead; where either square would
        be larger than `LARGEST_SQUARE`, the directions are found by passes over the people. The
        cost of both grows with the number of people only.

    Returns
    -------
    Whitened

    Raises
    ------
    ValueError
        The training people hold fewer components than asked for.
    """
    train = np.unique(train_rows)
    rows, voxels = reductions[0].shape
    stacked = len(train) * rows
    if components > min(stacked, voxels - 1):
        raise ValueError(
            f"{len(train)} people with {rows} components each over {voxels} voxels cannot give "
            f"{components} components"
        )
    if voxels < stacked and voxels <= LARGEST_SQUARE:
        return _by_voxels(reductions, train, components)
    if products is None:
        return _by_passes(reductions, train, components)
    square = products[train][:, :, train].reshape(stacked, stacked)
    values, vectors = _strongest(square, components)
    weights = (vectors / np.sqrt(values)).reshape(len(train), rows, components)
    data = np.zeros((components, voxels), np.float32)
    for weight, row in zip(weights.astype(np.float32), train, strict=True):
        data += weight.T @ np.asarray(reductions[row], np.float32)
    return Whitened(_unit(data), values)


def _by_voxels(reductions: Sequence[np.ndarray], train: np.ndarray, components: int) -> Whitened:
    voxels = reductions[0].shape[1]
    covariance = np.zeros((voxels, voxels))
    for row in train:
        person = np.asarray(reductions[row], np.float32)
        covariance += person.T @ person
    values, vectors = _strongest(covariance / voxels, components)
    return Whitened(_unit(vectors.T.astype(np.float32)), values)


def _by_passes(reductions: Sequence[np.ndarray], train: np.ndarray, components: int) -> Whitened:
    """Find the directions by block power iteration (Rachakonda et al. 2016, MPOWIT).

    Source: doi:10.3389/fnins.2016.00017; a block larger than the number of components, and a
    check on the wanted eigenvalues alone.
    """
    rows, voxels = reductions[0].shape
    width = min(2 * components + 10, len(train) * rows, voxels)
    # The first people's components are a start that no random number is needed for.
    needed = -(-width // rows)
    block = _stacked([reductions[row] for row in train[:needed]])[:width].T
    before = np.zeros(components)
    for _ in range(_PASSES):
        block = np.linalg.qr(block)[0]
        image = np.zeros((voxels, width), np.float32)
        for row in train:
            person = np.asarray(reductions[row], np.float32)
            image += person.T @ (person @ block)
        values, turn = _strongest((block.T @ image).astype(np.float64) / voxels, components)
        if np.abs(values - before).max() < _SETTLED * values[0]:
            break
        before, block = values, image
    return Whitened(_unit((block @ turn.astype(np.float32)).T), values)


def _strongest(square: np.ndarray, components: int) -> tuple[np.ndarray, np.ndarray]:
    size = len(square)
    values, vectors = eigh(square, subset_by_index=(size - components, size - 1))
    values, vectors = values[::-1], vectors[:, ::-1]
    largest = vectors[np.abs(vectors).argmax(axis=0), np.arange(components)]
    return values, vectors * np.where(largest < 0, -1, 1)


def _stacked(reductions: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.asarray(person, np.float32) for person in reductions])


def _unit(data: np.ndarray) -> np.ndarray:
    """Take rounding out: mean 0 and variance 1 over voxels in every row."""
    data = data - data.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
    sd = np.sqrt(np.einsum("cv,cv->c", data, data, dtype=np.float64) / data.shape[1])
    return data / sd[:, None].astype(np.float32)
