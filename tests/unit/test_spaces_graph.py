"""The ways that need neighbours, sizes and points alone agree with those of regular grids."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bidsapp.saliency.max_t import ClusterEnhancement
from bidsapp.spaces.graph import Graph, GraphClusters, HeatFlow
from bidsapp.spaces.slice import picture
from bidsapp.spaces.volume import Volume, volume
from tests.unit.spaces_table import volumes

quick = settings(max_examples=25, deadline=None)


@given(space=volumes(), seed=st.integers(0, 99))
@quick
def test_clusters_and_extrema_of_a_graph_are_those_of_its_grid(space: Volume, seed: int) -> None:
    rng = np.random.default_rng(seed)
    inside = rng.random(space.shape) < 0.7
    inside.flat[0] = True
    n = int(inside.sum())
    cells = np.flatnonzero(rng.random(n) < 0.6)
    sides = rng.integers(1, 3, len(cells)).astype(np.uint8)
    fast = space.clusters(inside)(cells, sides)
    slow = GraphClusters(space.neighbours(inside))(cells, sides)
    np.testing.assert_array_equal(fast[:, None] == fast, slow[:, None] == slow)
    values = rng.integers(-3, 4, n).astype(float)
    np.testing.assert_array_equal(
        space.extrema(inside, values), Graph.extrema(space, inside, values)
    )


@pytest.mark.parametrize("space", [picture((41, 31), (1.0, 1.5)), volume((21, 21, 21), np.eye(4))])
def test_heat_that_flows_is_a_gaussian_of_the_width_asked_for(space: Graph) -> None:
    """The variance of a point's image is that of the Gaussian, on a grid that is not square too."""
    inside = np.ones(space.shape, bool)
    point = np.zeros(space.shape)
    point[tuple(n // 2 for n in space.shape)] = 1
    sigma = 2.0
    heat = HeatFlow(space, inside, sigma * np.sqrt(8 * np.log(2)))(point.ravel()).astype(float)
    points = space.points() - space.points()[point.ravel() > 0]
    assert heat.sum() == pytest.approx(1, abs=1e-4)
    assert heat.min() >= 0
    for axis in range(len(space.shape)):
        assert (heat * points[:, axis] ** 2).sum() == pytest.approx(sigma**2, rel=0.03)
    fast = space.smoother(inside, sigma * np.sqrt(8 * np.log(2)))(point.ravel())
    assert np.corrcoef(heat, fast)[0, 1] > 0.99


def test_heat_stays_inside_the_mask_and_keeps_the_mean() -> None:
    space = picture((20, 20), (1.0, 1.0))
    inside = np.ones((20, 20), bool)
    inside[:, 9:11] = False
    values = np.zeros((20, 20))
    values[:, :9] = np.random.default_rng(0).random((20, 9))
    heat = HeatFlow(space, inside, 6.0)(values[inside])
    assert heat.sum() == pytest.approx(values.sum(), rel=1e-5)
    block = np.zeros((20, 20))
    block[inside] = heat
    assert not block[:, 11:].any()


def by_hand(t: np.ndarray, near: np.ndarray, sizes: np.ndarray, step: float) -> np.ndarray:
    """TFCE as it is printed: for every height, the cluster of each cell by walking over it."""
    enhanced = np.zeros(len(t))
    for sign in (1, -1):
        v = sign * t
        for number in range(1, int(np.floor(v.max(initial=0) / step + 1e-9)) + 1):
            height = number * step
            high = set(np.flatnonzero(v >= height * (1 - 1e-9)))
            left = set(high)
            while left:
                cluster, to_see = set(), [left.pop()]
                while to_see:
                    cell = to_see.pop()
                    cluster.add(cell)
                    new = {other for other in np.flatnonzero(near[cell]) if other in left}
                    left -= new
                    to_see += new
                extent = sum(sizes[cell] for cell in cluster)
                for cell in cluster:
                    enhanced[cell] += sign * extent**0.5 * height**2 * step
    return enhanced


class Ring:
    """Cells of unlike sizes on a ring with some chords: a space that is no grid."""

    shape = (14,)

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        near = np.zeros((14, 14), int)
        for i in range(14):
            near[i, (i + 1) % 14] = 1
        for a, b in rng.integers(0, 14, (4, 2)):
            near[a, b] = a != b
        self.near = np.maximum(near, near.T)
        self.large = rng.random(14) + 0.2

    def sizes(self, inside: np.ndarray | None = None) -> np.ndarray:
        return self.large if inside is None else self.large[inside]

    def clusters(self, inside: np.ndarray) -> GraphClusters:
        from scipy.sparse import csr_array

        return GraphClusters(csr_array(self.near[np.ix_(inside, inside)]))


@given(seed=st.integers(0, 9999))
@quick
def test_enhancement_on_a_graph_is_what_one_finds_by_hand(seed: int) -> None:
    space = Ring(seed)
    rng = np.random.default_rng(seed)
    inside = rng.random(14) < 0.8
    inside[0] = True
    t = rng.normal(0, 1.5, int(inside.sum()))
    ours = ClusterEnhancement(space, inside, step=0.25)(t)  # type: ignore[arg-type]
    near = space.near[np.ix_(inside, inside)]
    sizes = space.large[inside] / space.large[inside].mean()
    np.testing.assert_allclose(ours, by_hand(t, near, sizes, 0.25), rtol=1e-5, atol=1e-6)
