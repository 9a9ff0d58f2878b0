"""What an image looks like in a few hundred numbers: sums of its blocks, and their texture."""

import numpy as np

TEXTURE = 2
"""Which definition of texture this is; 1 had the variance of all channels together."""
_BLOCK = 8
_SCALES = (1, 2)
_FAINT = 1e-3


def block_sums(image: np.ndarray) -> np.ndarray:
    """Sum an image, (C, …), over blocks of 8 voxels along each axis, channel by channel: (d,)."""
    return _summed(np.asarray(image, np.float32), _BLOCK).ravel()


def block_texture(image: np.ndarray) -> np.ndarray:
    """Tell how rough an image, (C, …), is in blocks of 8 voxels, at two scales: (d,).

    The logarithm of the mean squared difference of neighbours, in parts of the variance of its
    channel over the whole image: of voxels, and of means over two voxels along each axis. Noise and
    ghosts raise it, blur lowers it, and a slope or another scale of intensities leaves it as it is.
    Sums of blocks see none of these, as noise is averaged out in them.
    """
    values = np.asarray(image, np.float32)
    whole = [max(float(channel.var()), 1e-12) for channel in values]
    of_channel = np.reshape(whole, [-1] + [1] * (values.ndim - 1))
    parts = []
    for scale in _SCALES:
        finer = _means(values, scale)
        rough = np.zeros_like(finer)
        for axis in range(1, finer.ndim):
            step = np.diff(finer, axis=axis) ** 2
            pad = [(0, 0)] * finer.ndim
            pad[axis] = (0, 1)
            rough += np.pad(step, pad)
        share = _means(rough, _BLOCK // scale) / of_channel
        parts.append(np.log(share + _FAINT).ravel())
    return np.concatenate(parts)


def _means(values: np.ndarray, size: int) -> np.ndarray:
    """Average over blocks of `size` along each axis; those at the end may be smaller."""
    return _summed(values, size) / _summed(np.ones_like(values), size)


def _summed(values: np.ndarray, size: int) -> np.ndarray:
    found = values
    for axis in range(1, found.ndim):
        found = np.add.reduceat(found, np.arange(0, found.shape[axis], size), axis)
    return found
