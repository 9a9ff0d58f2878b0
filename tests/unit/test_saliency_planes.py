"""Planes joined into one map."""

import numpy as np
import pytest

from bidsapp.errors import BadData
from bidsapp.representation.window import slab
from bidsapp.saliency.localisation import top_share_inside
from bidsapp.saliency.planes import PlaneMap, combine_planes

from .saliency_stacks import AFFINE, SHAPE, brain, planted


def plane(name: str, values: np.ndarray) -> PlaneMap:
    window = slab(SHAPE, AFFINE, name, 12)
    block = np.ones(window.shape, np.float32)
    covered = (window.put_back(block) > 0) & brain()
    return PlaneMap(name, np.where(covered, values, 0).astype(np.float32), covered)


def test_a_voxel_is_the_mean_of_the_planes_that_see_it() -> None:
    maps = [plane(name, np.full(SHAPE, k)) for k, name in enumerate(("axial", "coronal"), 1)]
    found = combine_planes(maps, scale=False)
    both = maps[0].covered & maps[1].covered
    assert (found.values[both] == 1.5).all()
    assert (found.values[maps[0].covered & ~maps[1].covered] == 1).all()
    assert (found.coverage == maps[0].covered.astype(int) + maps[1].covered).all()
    assert not found.values[found.coverage == 0].any()


def test_one_networks_large_gradients_do_not_drown_the_others() -> None:
    rng = np.random.default_rng(0)
    signal = [plane(n, 6 * planted() + rng.standard_normal(SHAPE)) for n in ("axial", "coronal")]
    loud = plane("sagittal", 1000 * rng.standard_normal(SHAPE))
    found = combine_planes([*signal, loud])
    plain = combine_planes([*signal, loud], scale=False)
    seen = found.coverage > 0
    assert top_share_inside(found.values, planted(), seen) > 0.5
    assert top_share_inside(plain.values, planted(), seen) < 0.2
    assert found.scales["sagittal"] == pytest.approx(1000, rel=0.05)


def test_a_map_of_zero_stays_zero() -> None:
    found = combine_planes([plane("axial", np.zeros(SHAPE))])
    assert not found.values.any()


def test_what_cannot_be_joined_is_refused_by_name() -> None:
    good = plane("axial", np.ones(SHAPE))
    small = PlaneMap("coronal", np.ones((4, 4, 4)), np.ones((4, 4, 4), bool))
    with pytest.raises(BadData, match="variant coronal"):
        combine_planes([good, small])
    with pytest.raises(BadData, match="variant sagittal"):
        combine_planes([good, plane("sagittal", np.full(SHAPE, np.nan))])
    with pytest.raises(BadData, match="no map"):
        combine_planes([])
