"""Meshes as a space: what a point stands for, who its neighbours are, and what is no mesh."""

import numpy as np
import pytest

from bidsapp.errors import BadData
from bidsapp.spaces.mesh import MeshSpace
from bidsapp.spaces.surface import Mesh
from tests.unit.spaces_table import ellipsoid


def test_sizes_add_up_to_the_surface() -> None:
    ball = MeshSpace(ellipsoid((10.0, 10.0, 10.0), 4))
    assert ball.sizes().sum() == pytest.approx(4 * np.pi * 100, rel=0.01)
    upper = ball.points()[:, 2] > 0
    assert ball.sizes()[upper].sum() == pytest.approx(2 * np.pi * 100, rel=0.06)


def test_neighbours_share_an_edge() -> None:
    #  0 - 1 - 2
    #    \\ | /
    #      3      4 is of no triangle
    points = np.array([[0, 1, 0], [1, 1, 0], [2, 1, 0], [1, 0, 0], [9, 9, 9]], np.float32)
    space = MeshSpace(Mesh(points, np.array([[0, 3, 1], [1, 3, 2]], np.int32)))
    wanted = np.zeros((5, 5), int)
    for a, b in ((0, 1), (0, 3), (1, 3), (1, 2), (2, 3)):
        wanted[a, b] = wanted[b, a] = 1
    np.testing.assert_array_equal(space.neighbours().toarray(), wanted)
    np.testing.assert_allclose(space.sizes()[:4], [1 / 6, 1 / 3, 1 / 6, 1 / 3])
    assert space.spacing[0] == pytest.approx((3 * 1 + 2 * np.sqrt(2)) / 5)
    assert space.facts() == {"Points": 5, "Triangles": 2}
    assert space.holds((5,), None)
    assert not space.holds((5,), np.eye(4))
    assert not space.holds((4,), None)


@pytest.mark.parametrize(
    ("points", "faces"),
    [
        (np.zeros((3, 3)), np.zeros((0, 3), int)),
        (np.zeros((3, 3)), np.array([[0, 1, 3]])),
        (np.zeros((3, 3)), np.array([[0, 1, -1]])),
        (np.zeros((3, 2)), np.array([[0, 1, 2]])),
        (np.zeros((4, 3)), np.array([[0, 1, 2, 3]])),
    ],
    ids=["no triangle", "a point that is not there", "a negative one", "flat", "squares"],
)
def test_what_is_no_mesh_is_refused(points: np.ndarray, faces: np.ndarray) -> None:
    with pytest.raises(BadData, match="a mesh needs"):
        MeshSpace(Mesh(points, faces))


def test_only_the_same_mesh_is_the_same_whole() -> None:
    one, other = ellipsoid((10.0, 10.0, 10.0), 1), ellipsoid((10.0, 10.0, 11.0), 1)
    turned = Mesh(one.vertices, one.faces[:, ::-1])
    assert MeshSpace(one).same_whole(MeshSpace(one, "named"))
    assert not MeshSpace(one).same_whole(MeshSpace(other))
    assert not MeshSpace(one).same_whole(MeshSpace(turned))
