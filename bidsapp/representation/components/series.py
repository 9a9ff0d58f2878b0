"""Series as images hold them: volumes as channels, padded to the longest by volumes of zeros."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bidsapp.contracts.fitted import Images
from bidsapp.errors import BadData
from bidsapp.representation.components.dual_regression import Values, dual_regression
from bidsapp.representation.components.reduction import reduce_person


@dataclass(frozen=True)
class Inside:
    """Voxels of a grid that hold components.

    Attributes
    ----------
    mask
        Booleans, shape of the grid, V of them true.
    """

    mask: np.ndarray

    def series(self, image: np.ndarray) -> np.ndarray:
        """Take one person's series out of an image (T, *space), float32, shape (T', V)."""
        volumes = image.reshape(len(image), -1)
        values = np.asarray(volumes[:, self.mask.ravel()], np.float32)
        return values[values.any(axis=1)]

    def lay(self, maps: np.ndarray) -> np.ndarray:
        """Lay maps (C, V) into the grid, float32, shape (C, *space); 0 outside."""
        whole = np.zeros((len(maps), *self.mask.shape), np.float32)
        whole[:, self.mask] = maps
        return whole


def reduced(image: np.ndarray, components: int) -> np.ndarray:
    """Reduce one person's series where it changes, float16, shape (K, *space), 0 elsewhere.

    Raises
    ------
    BadData
        As `reduce_person`.
    """
    here = Inside(np.ptp(image, axis=0) > 0)
    if not here.mask.any():
        raise BadData("no voxel of the series changes over time")
    found = reduce_person(here.series(image), components)
    return here.lay(found.components).astype(np.float16)


def person_maps(
    images: Images, row: int, maps: np.ndarray, inside: Inside, values: Values
) -> np.ndarray:
    """Give one person's maps of a group's components, by dual regression.

    Parameters
    ----------
    images, row
        Of the person.
    maps
        The group's, float32, shape (C, V).
    inside
        Where they lie.
    values
        As for `dual_regression`.

    Returns
    -------
    numpy.ndarray
        float32, shape (C, *space).

    Raises
    ------
    BadData
        The series is too short; the person is named.
    """
    try:
        series = inside.series(images[row])
        return inside.lay(dual_regression(maps, series, values).maps)
    except BadData as error:
        raise named(images, row, error) from error


def named(images: Images, row: int, error: BadData) -> BadData:
    """Say of whom an error is, where the cohort's table tells."""
    told: list[str] = []
    for column in ("participant_id", "session_id"):
        try:
            text = str(images.column(column)[row])
            told.append("" if text == "n/a" else text)
        except BadData:
            continue
    return BadData(f"{' '.join(filter(None, told)) or f'image {row}'}: {error}")


def array_in(state: Mapping[str, np.ndarray], key: str, dimensions: int, step: str) -> np.ndarray:
    """Take an array out of what a step had kept.

    Raises
    ------
    BadData
        It is not there, or has another number of dimensions.
    """
    found = state.get(key)
    if found is None or found.ndim != dimensions:
        raise BadData(f"{step}: {key} is missing, or is no array of {dimensions} dimensions")
    return found
