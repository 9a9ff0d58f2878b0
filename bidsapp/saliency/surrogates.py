"""Random maps that are as smooth as a given one, to compare it with."""

from collections.abc import Iterator

import numpy as np

from bidsapp.spaces.grid import bounding_box


class Surrogates:
    """Maps with the spectrum of a given map and phases drawn at random.

    Phase randomisation keeps a map's power at every spatial frequency, and so its smoothness, and
    moves what it shows to anywhere (Theiler et al. 1992, doi:10.1016/0167-2789(92)90102-S). The
    phases are drawn once: the k-th surrogates of many people's maps move alike, as one pattern
    that is laid over all of them would.

    Parameters
    ----------
    inside
        (x, y, z) bool, the voxels of a map.
    count
        How many surrogates a map gets.
    seed
        Of the phases.
    """

    def __init__(self, inside: np.ndarray, count: int, seed: int) -> None:
        self.count = count
        self._seed = seed
        self._mask = np.asarray(inside, bool)[bounding_box(inside)]

    def of(self, values: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the surrogates of one map, (voxels of the mask,) float32 in C order each."""
        from scipy.fft import irfftn, rfftn

        block = np.zeros(self._mask.shape, np.float32)
        block[self._mask] = values - np.mean(values)
        power = np.abs(rfftn(block))
        for number in range(self.count):
            # the phases of noise are those of a real map
            noise = np.random.default_rng([self._seed, number]).standard_normal(
                block.shape, np.float32
            )
            spectrum = rfftn(noise)
            spectrum *= power / np.maximum(np.abs(spectrum), np.finfo(np.float32).tiny)
            yield irfftn(spectrum, s=block.shape)[self._mask].astype(np.float32)
