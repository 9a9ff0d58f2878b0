"""Prints of scans: a cohort's images known again later, without the images.

A print is the signs of what is a scan's own (`near_duplicates`) along many random directions.
How many signs two prints share tells how alike the scans are; neither image nor name can be made
of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Self

import numpy as np

from bidsapp.errors import BadData

BITS = 1024
"""Directions of a print: the correlation is known to about .05 (π / 2 / √BITS at 0)."""
_SEED = 20240229


@dataclass(frozen=True)
class Prints:
    """Prints of the scans of a cohort, and what is taken off an image before it is compared.

    Attributes
    ----------
    mean, centre
        float32, (n,) on the coarse grid of the brain: the cohort's mean intensities, and the mean
        of what changes fast in them.
    signs
        uint8, (scans, BITS / 8), in an order that tells nothing of the cohort's.
    limit
        From which correlation on two scans are taken for one.
    """

    mean: np.ndarray
    centre: np.ndarray
    signs: np.ndarray
    limit: float

    def most_alike(self, signs: np.ndarray) -> list[float]:
        """Give the largest correlation of each of some scans with those of the cohort."""
        found = []
        for one in signs:
            differ = np.bitwise_count(self.signs ^ one).sum(axis=1)
            found.append(float(np.cos(np.pi * differ.min() / BITS)))
        return found

    def arrays(self) -> dict[str, np.ndarray]:
        """Give it as named arrays, the scans in the order of their signs."""
        order = np.lexsort(self.signs.T[::-1])
        return {
            "mean": self.mean.astype(np.float32),
            "centre": self.centre.astype(np.float32),
            "signs": np.ascontiguousarray(self.signs[order]),
            "limit": np.array([self.limit], np.float64),
        }

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Read what `arrays` gave.

        Raises
        ------
        BadData
            An array is missing, or has another shape or values that cannot be.
        """
        try:
            mean, centre, signs = (np.asarray(arrays[k]) for k in ("mean", "centre", "signs"))
            limit = float(arrays["limit"][0])
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise BadData(f"prints of scans cannot be used: {error!r}") from error
        shaped = mean.ndim == 1 and mean.shape == centre.shape
        if not shaped or signs.dtype != np.uint8 or signs.shape[1:] != (BITS // 8,):
            raise BadData("prints of scans cannot be used: their arrays do not belong together")
        if not (np.isfinite(mean).all() and np.isfinite(centre).all() and 0 < limit <= 1):
            raise BadData("prints of scans cannot be used: numbers that cannot be")
        return cls(mean, centre, signs, limit)


def signs_of(own: np.ndarray) -> np.ndarray:
    """Give the print of each scan: uint8, (scans, BITS / 8).

    Parameters
    ----------
    own
        (scans, n) float32, what is each scan's own.
    """
    return np.packbits(own @ _directions(own.shape[1]).T > 0, axis=1)


@cache
def _directions(size: int) -> np.ndarray:
    """Random directions of ±1, the same on every machine: (BITS, size) float32."""
    raw = np.random.PCG64(_SEED).random_raw(-(-BITS * size // 64)).astype("<u8")
    bits = np.unpackbits(raw.view(np.uint8), bitorder="little")[: BITS * size]
    return (bits.reshape(BITS, size).astype(np.float32)) * 2 - 1
