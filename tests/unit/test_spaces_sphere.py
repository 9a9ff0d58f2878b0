"""Spheres: sizes that sum to what they should, the way to a mesh and back, left and right."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bidsapp.dataset.scans import voxel_hash
from bidsapp.errors import BadData
from bidsapp.saliency.max_t import ClusterEnhancement
from bidsapp.spaces.files import read_whole, whole_space
from bidsapp.spaces.gifti import packed, unpacked
from bidsapp.spaces.sphere import Sphere
from bidsapp.spaces.surface import Mesh, Sampling, grid_faces
from tests.unit.spaces_table import ellipsoid, spheres

POLE = np.pi / 2
CAP = (-POLE, np.pi / 8)
quick = settings(max_examples=25, deadline=None)


@given(space=spheres())
@quick
def test_solid_angles_sum_to_that_of_the_band(space: Sphere) -> None:
    angles = Sphere(space.shape, space.latitudes, weights="solid_angle").sizes()
    low, high = space.latitudes
    assert angles.sum() == pytest.approx(2 * np.pi * (np.sin(high) - np.sin(low)))


@given(shape=st.tuples(st.integers(3, 20), st.integers(1, 20)), radius=st.floats(0.5, 60))
@quick
def test_areas_of_a_ball_sum_to_its_own(shape: tuple[int, int], radius: float) -> None:
    whole = Sphere(shape, radius=radius)
    assert whole.sizes().sum() == pytest.approx(4 * np.pi * radius**2)
    cap = Sphere(shape, CAP, radius)
    assert cap.sizes().sum() == pytest.approx(2 * np.pi * radius**2 * (1 + np.sin(np.pi / 8)))


def area(mesh: Mesh) -> float:
    a, b, c = (mesh.vertices.astype(float)[mesh.faces[:, k]] for k in range(3))
    return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)


def test_areas_sum_to_that_of_the_mesh_behind() -> None:
    mesh = ellipsoid((30.0, 20.0, 25.0), 4)
    space = Sphere((64, 48), mesh=mesh)
    assert space.seen.all()
    assert space.sizes().sum() == pytest.approx(area(mesh), rel=0.01)
    # the plain mean over cells of what lies far out is not that of the surface
    height = np.abs(space.points()[:, 2])
    assert np.average(height, weights=space.sizes()) < 0.85 * height.mean()


def test_every_direction_hits_the_surface_where_it_is() -> None:
    radii = np.array([30.0, 20.0, 25.0])
    mesh = ellipsoid(tuple(radii), 5)
    space = Sphere((40, 30), mesh=mesh)
    exact = 1 / np.sqrt(np.square(space.directions / radii).sum(axis=-1))
    np.testing.assert_allclose(space.distance, exact, rtol=0.003)


def test_the_outermost_of_several_sheets_is_seen() -> None:
    inner, outer = ellipsoid((10.0, 10.0, 10.0), 2), ellipsoid((20.0, 20.0, 20.0), 2)
    both = Mesh(
        np.concatenate([inner.vertices, outer.vertices]),
        np.concatenate([inner.faces, outer.faces + len(inner.vertices)]),
    )
    space = Sphere((48, 32), mesh=both)
    assert (space.distance > 18).all()
    back = space.put_back(np.ones(space.shape, np.float32))
    assert not back[: len(inner.vertices)].any()  # what is hidden gets nothing
    assert back[len(inner.vertices) :].all()


@given(mirrored=st.booleans(), seed=st.integers(0, 9))
@quick
def test_smooth_maps_survive_the_way_over_a_mesh(mirrored: bool, seed: int) -> None:
    mesh = ellipsoid((30.0, 20.0, 25.0), 4)
    space = Sphere((72, 48), mesh=mesh, mirrored=mirrored)
    slope = np.random.default_rng(seed).standard_normal(3) / 30
    whole = np.sin(mesh.vertices @ slope).astype(np.float32)
    np.testing.assert_allclose(space.cut(whole).ravel(), np.sin(space.points() @ slope), atol=0.02)
    np.testing.assert_allclose(space.put_back(space.cut(whole)), whole, atol=0.06)


def test_a_left_knee_looks_like_its_right_one_and_comes_back_left() -> None:
    """A mark on the mesh's right is on the mirrored mesh's left, and the pictures are the same."""
    right = ellipsoid((30.0, 20.0, 25.0), 3)
    left = Mesh(right.vertices * np.float32([-1, 1, 1]), right.faces[:, ::-1])
    mark = (right.vertices[:, 0] > 20).astype(np.float32)
    plain = Sphere((36, 24), mesh=right)
    mirrored = Sphere((36, 24), mesh=left, mirrored=True)
    np.testing.assert_allclose(mirrored.cut(mark), plain.cut(mark), atol=1e-6)
    back = mirrored.put_back(plain.cut(mark))
    assert left.vertices[back > 0.5][:, 0].max() < -15


def test_longitude_runs_round_and_the_pole_is_crossed() -> None:
    space = Sphere((12, 5), CAP)
    number = np.arange(60).reshape(12, 5)
    near = space.neighbours().toarray()
    assert near[number[0, 2], number[11, 2]]
    assert near[number[0, 0], number[6, 0]]  # over the lower pole
    assert not near[number[0, 4], number[6, 4]]  # the upper border is no pole
    faces = space.neighbours(corners=False).toarray()
    assert faces[number[0, 2], number[11, 2]]
    assert not faces[number[0, 0], number[6, 0]]
    # one cluster lies on both sides of the seam
    inside = np.ones((12, 5), bool)
    t = np.zeros((12, 5))
    t[[0, 11], 2] = 3.0
    seam = ClusterEnhancement(space, inside)(t.ravel()).reshape(12, 5)
    t = np.roll(t, 4, axis=0)
    np.testing.assert_allclose(
        np.roll(seam, 4, axis=0).ravel(), ClusterEnhancement(space, inside)(t.ravel())
    )


def test_smoothing_has_its_width_on_the_surface_at_the_pole_as_at_the_equator() -> None:
    radius, fwhm = 40.0, 12.0
    space = Sphere((96, 60), CAP, radius)
    inside = np.ones(space.shape, bool)
    smooth = space.smoother(inside, fwhm)
    wanted = 2 * (fwhm / np.sqrt(8 * np.log(2))) ** 2  # of two axes
    sizes, points = space.sizes(), space.points()
    for place in ((5, 40), (40, 12), (70, 1)):
        start = np.zeros(space.shape)
        start[place] = 1
        heat = smooth(start.ravel()).astype(float) * sizes
        away = radius * np.arccos(np.clip(points @ points[start.ravel() > 0][0] / radius**2, -1, 1))
        assert (heat * away**2).sum() / heat.sum() == pytest.approx(wanted, rel=0.06)


def test_a_map_is_written_with_the_surface_that_it_lies_on(tmp_path: Path) -> None:
    space = Sphere((12, 8), CAP, 40.0, label="femur")
    block = np.random.default_rng(0).random((12, 8)).astype(np.float32)
    space.write(tmp_path / "group_statmap.shape.gii", block, {"Units": "1"})
    surface = nib.GiftiImage.load(tmp_path / "sphere-femur_mesh.surf.gii")
    points, faces = surface.agg_data(("pointset", "triangle"))
    np.testing.assert_allclose(points, space.points(), rtol=1e-5)
    assert faces.max() == len(points) - 1
    a, b, c = (points[faces[:, k]] for k in range(3))
    outward = (np.cross(b - a, c - a) * a).sum(axis=1)
    assert (outward > 0).all()
    whole = read_whole(tmp_path / "group_statmap.shape.gii")
    np.testing.assert_array_equal(whole.values, block)
    assert whole.told == space.to_dict()


def test_faces_of_mirrored_pictures_look_outward_too() -> None:
    space = Sphere((9, 6), mirrored=True)
    points, faces = space.points(), grid_faces((9, 6), flipped=True)
    a, b, c = (points[faces[:, k]] for k in range(3))
    assert ((np.cross(b - a, c - a) * a).sum(axis=1) > 0).all()


def test_directions_without_a_surface_hold_the_fill() -> None:
    whole = ellipsoid((20.0, 20.0, 20.0), 3)
    middle = whole.vertices[whole.faces].mean(axis=1)
    half = Mesh(whole.vertices, whole.faces[middle[:, 2] < 0])
    space = Sphere((24, 16), mesh=half, radius=20.0)
    assert 0.4 < space.seen.mean() < 0.6
    got = space.cut(np.ones(len(half.vertices), np.float32), fill=-7)
    assert (got[~space.seen] == -7).all()
    assert (got[space.seen] > 0.99).all()
    assert np.isfinite(space.sizes()).all()


def test_rays_beside_a_triangle_do_not_hit_it() -> None:
    mesh = Mesh(np.array([[1.0, 0, 0], [1, 1, 0], [1, 0, 1]]), np.array([[0, 1, 2]]))
    rays = np.array([[1.0, 0.2, 0.2], [1, -0.2, 0.2], [1, 0.9, 0.9], [-1, -0.2, -0.2]])
    rays /= np.linalg.norm(rays, axis=1)[:, None]
    assert Sampling.of(mesh, np.zeros(3), rays).seen.tolist() == [True, False, False, False]


def test_spheres_that_cannot_be_are_refused(tmp_path: Path) -> None:
    for wrong in (
        {"latitudes": (1.0, 0.5)},
        {"latitudes": (-3.0, 0.5)},
        {"radius": 0.0},
        {"radius": np.ones((3, 3))},
        {"radius": np.nan},
        {"weights": "volume"},
    ):
        with pytest.raises(BadData, match="sphere"):
            Sphere((8, 4), **wrong)
    with pytest.raises(BadData, match="3 longitudes"):
        Sphere((2, 4))
    (tmp_path / "a.shape.gii").write_text("no XML")
    with pytest.raises(BadData, match="cannot be read as GIFTI"):
        read_whole(tmp_path / "a.shape.gii")


@pytest.mark.parametrize("kind", ["float32", "int32", "uint8", "bool"])
def test_packed_arrays_come_back(kind: str) -> None:
    values = np.arange(24).reshape(2, 3, 4).astype(kind)
    again = unpacked(packed(values))
    assert again.dtype == values.dtype
    np.testing.assert_array_equal(again, values)
    with pytest.raises(ValueError, match="decompress"):
        unpacked(packed(values) | {"zlib": "AAAA"})


def test_whole_maps_tell_their_space_and_are_hashed(tmp_path: Path) -> None:
    sphere = Sphere((12, 6), radius=20.0, label="tibia")
    values = np.arange(72, dtype="f4").reshape(12, 6)
    path = tmp_path / "one.shape.gii"
    sphere.write(path, values, {})
    assert whole_space(path).same_whole(sphere)
    other = tmp_path / "two.shape.gii"
    sphere.write(other, values + 1, {})
    same = tmp_path / "three.shape.gii"
    sphere.write(same, values, {"Note": "a sidecar does not enter"})
    assert voxel_hash(path) == voxel_hash(same) != voxel_hash(other)
    path.write_text("no surface")
    with pytest.raises(BadData, match="cannot be read as GIFTI"):
        voxel_hash(path)
