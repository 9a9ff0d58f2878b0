"""The field that undoes a displacement field."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates

from bidsapp.modalities.t1w.inverse import inverse_displacements

SHAPE = (24, 30, 27)


@pytest.mark.parametrize("largest", [0.5, 3.0])
def test_there_and_back_ends_where_it_began(largest: float) -> None:
    noise = np.random.default_rng(5).normal(size=(*SHAPE, 3))
    noise[[0, -1]] = noise[:, [0, -1]] = noise[:, :, [0, -1]] = 0
    field = gaussian_filter(noise, (4, 4, 4, 0))
    field = (field * largest / np.abs(field).max()).astype(np.float32)
    undone, unsettled = inverse_displacements(field)
    at = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"))
    places = at + np.moveaxis(undone[..., ::-1], -1, 0)
    again = [
        map_coordinates(field[..., axis], places, order=1, mode="grid-constant")
        for axis in range(3)
    ]
    off = np.linalg.norm(undone + np.stack(again, axis=-1), axis=-1)
    assert np.abs(undone).max() > largest / 2
    assert off[6:-6, 6:-6, 6:-6].max() < 0.01  # voxels
    # counted as they are seen here, but for rounding at the very bound
    inner = off[1:-1, 1:-1, 1:-1]
    assert (inner > 0.0026).sum() <= unsettled <= (inner > 0.0024).sum()


def test_where_nothing_moves_nothing_moves_back() -> None:
    np.testing.assert_array_equal(inverse_displacements(np.zeros((5, 4, 6, 3), np.float32))[0], 0)


def test_a_fold_ends_with_finite_numbers() -> None:
    field = np.zeros((*SHAPE, 3), dtype=np.float32)
    field[8:16, 8:16, 8:16] = np.random.default_rng(2).normal(0, 6, (8, 8, 8, 3))
    undone, unsettled = inverse_displacements(field)
    assert np.isfinite(undone).all()
    assert 0 < unsettled < 8**3 * 8
