"""The map from template to participant: points, files, and the log-Jacobian."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from bidsapp.drawing.geometry import reference_image
from bidsapp.modalities.t1w.transform import SpatialMap
from tests.unit.spatial_maps import (
    GRID,
    SHAPE,
    Points,
    field_image,
    grid_points,
    inner_points,
    mapped,
    oblique_affine,
    still,
    through,
    waves,
    wavy_map,
)

# Bound of linear interpolation on a grid of 4 mm, 6 mm x (2 pi / 150 mm)^2 x (4 mm)^2 / 8 for each
# axis along which a component varies, carried through the affine.
_SAMPLING_MM = 0.1


def forward_file(spatial: SpatialMap, folder: Path) -> Path:
    spatial.write_forward(folder / "to.h5")
    return folder / "to.h5"


def inverse_file(spatial: SpatialMap, folder: Path) -> Path:
    spatial.write_inverse(folder / "from.h5", spatial.inverse_field()[0])
    return folder / "from.h5"


def test_the_field_acts_before_the_affine() -> None:
    points = inner_points()
    found = through(wavy_map().forward(), points)
    first = mapped(oblique_affine(), waves, points)
    affine = oblique_affine()
    last = points @ affine[:3, :3].T + affine[:3, 3]
    last = last + waves(last)
    np.testing.assert_allclose(found, first, atol=_SAMPLING_MM)
    assert np.abs(found - last).max() > 1  # the other order is something else


def test_outside_of_the_field_only_the_affine_acts() -> None:
    far = np.array([[200.0, 0, 0], [0, -300, 0]])
    affine = oblique_affine()
    np.testing.assert_allclose(
        through(wavy_map().forward(), far), far @ affine[:3, :3].T + affine[:3, 3], atol=1e-6
    )


def test_the_file_reads_back_as_the_transform_in_memory(tmp_path: Path) -> None:
    points, spatial = inner_points(), wavy_map()
    read = sitk.ReadTransform(str(forward_file(spatial, tmp_path)))
    # stored in steps of 2^-10 mm
    np.testing.assert_allclose(
        through(read, points), through(spatial.forward(), points), atol=0.002
    )


def test_the_inverse_file_leads_back(tmp_path: Path) -> None:
    points, spatial = inner_points(), wavy_map()
    forward = sitk.ReadTransform(str(forward_file(spatial, tmp_path)))
    back = sitk.ReadTransform(str(inverse_file(spatial, tmp_path)))
    for there, again in ((forward, back), (back, forward)):
        residual = np.linalg.norm(through(again, through(there, points)) - points, axis=1)
        assert np.median(residual) < 0.05
        assert residual.max() < 0.2


def test_ants_reads_the_files_and_finds_the_same_points(tmp_path: Path) -> None:
    ants = pytest.importorskip("ants", reason="antspyx is not installed")
    points, spatial, flip = inner_points(50), wavy_map(), np.array([-1, -1, 1])
    for path in (forward_file(spatial, tmp_path), inverse_file(spatial, tmp_path)):
        theirs = ants.read_transform(str(path))
        found = np.array([theirs.apply_to_point((p * flip).tolist()) for p in points]) * flip
        ours = through(sitk.ReadTransform(str(path)), points)
        np.testing.assert_allclose(found, ours, atol=1e-3)


def test_an_image_is_resampled_alike_by_ants(tmp_path: Path) -> None:
    ants = pytest.importorskip("ants", reason="antspyx is not installed")
    spatial = wavy_map()
    grid = reference_image(SHAPE, GRID)
    values = np.linalg.norm(grid_points(), axis=1).reshape(SHAPE).astype(np.float32)
    moving = sitk.GetImageFromArray(values.T)
    moving.CopyInformation(grid)
    ours = sitk.GetArrayFromImage(sitk.Resample(moving, grid, spatial.forward())).T
    sitk.WriteImage(moving, str(tmp_path / "moving.nii"))
    image = ants.image_read(str(tmp_path / "moving.nii"))
    theirs = ants.apply_transforms(image, image, [str(forward_file(spatial, tmp_path))]).numpy()
    # a voxel on the very edge of the grid may fall to either side of it
    assert np.mean(np.abs(theirs - ours) > 0.01) < 1e-4


def test_the_fields_in_the_files_are_compressed_single_precision(tmp_path: Path) -> None:
    path = forward_file(wavy_map(), tmp_path)
    raw = 3 * 8 * int(np.prod(SHAPE))
    with h5py.File(path) as file:
        stored = file["TransformGroup/2/TransformParameters"]
        assert stored.dtype == np.float32
        assert stored.compression == "gzip"
        affine = file["TransformGroup/1/TransformParameters"]
        assert affine.dtype == np.float64
    assert path.stat().st_size < 0.3 * raw


def test_equal_maps_give_equal_files(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one, other = (forward_file(wavy_map(), tmp_path / name) for name in "ab")
    assert one.read_bytes() == other.read_bytes()


def test_a_map_is_the_same_after_the_work_folder(tmp_path: Path) -> None:
    spatial = wavy_map()
    spatial.save(tmp_path / "affine.txt", tmp_path / "field.mha")
    back = SpatialMap.load(tmp_path / "affine.txt", tmp_path / "field.mha")
    np.testing.assert_array_equal(back.affine, spatial.affine)
    np.testing.assert_array_equal(
        sitk.GetArrayFromImage(back.field), sitk.GetArrayFromImage(spatial.field)
    )


def test_a_turned_map_follows_the_participant() -> None:
    turn, points = oblique_affine(1.0), inner_points(20)
    turned = wavy_map().rotated(turn)
    expected = through(wavy_map().forward(), points) @ turn[:3, :3].T + turn[:3, 3]
    np.testing.assert_allclose(through(turned.forward(), points), expected, atol=1e-9)


@given(st.tuples(*[st.floats(0.7, 1.4)] * 3))
@settings(max_examples=10, deadline=None)
def test_scaling_alone_gives_the_logarithm_of_the_volume_ratio(scales: tuple[float, ...]) -> None:
    spatial = SpatialMap(np.diag([*scales, 1.0]), field_image(still))
    found = spatial.log_jacobian(reference_image(SHAPE, GRID))
    np.testing.assert_allclose(found, np.log(np.prod(scales)), atol=1e-6)


def test_a_participant_larger_than_the_template_is_above_zero() -> None:
    larger = SpatialMap(np.diag([1.1, 1.1, 1.1, 1.0]), field_image(still))
    assert (larger.log_jacobian(reference_image(SHAPE, GRID)) > 0.28).all()


def growth(points: Points) -> Points:
    """A part about the origin that is 30 % longer in the participant, along each axis."""
    radius = np.linalg.norm(points, axis=1, keepdims=True)
    return 0.3 * points * np.exp(-((radius / 30) ** 2))


def test_a_part_that_is_larger_in_the_participant_is_above_zero() -> None:
    found = SpatialMap(np.eye(4), field_image(growth)).log_jacobian(reference_image(SHAPE, GRID))
    centre = tuple(np.round(np.linalg.inv(GRID) @ (0, 0, 0, 1))[:3].astype(int))
    assert found[centre] == pytest.approx(3 * np.log(1.3), abs=0.05)


def test_the_log_jacobian_agrees_with_finite_differences() -> None:
    found = wavy_map().log_jacobian(reference_image(SHAPE, GRID))
    points, step = grid_points(), 1e-3
    columns = []
    for axis in range(3):
        shift = np.zeros(3)
        shift[axis] = step
        ahead, behind = (mapped(oblique_affine(), waves, points + s * shift) for s in (1, -1))
        columns.append((ahead - behind) / (2 * step))
    expected = np.log(np.linalg.det(np.stack(columns, axis=2))).reshape(SHAPE)
    inside = (slice(2, -2),) * 3
    assert np.ptp(expected[inside]) > 0.3  # not nearly constant
    np.testing.assert_allclose(found[inside], expected[inside], atol=0.01)


def test_a_fold_has_a_bounded_logarithm() -> None:
    def fold(points: Points) -> Points:
        return -1.5 * points * np.exp(-((np.linalg.norm(points, axis=1, keepdims=True) / 30) ** 2))

    spatial = SpatialMap(np.eye(4), field_image(fold))
    assert (spatial.determinant() <= 0).any()
    found = spatial.log_jacobian(reference_image(SHAPE, GRID))
    assert np.isfinite(found).all()
    assert found.min() == pytest.approx(np.log(0.1), abs=1e-5)
    assert found.max() <= np.log(10) + 1e-5


def test_outside_of_the_field_the_log_jacobian_is_that_of_the_affine() -> None:
    wide = GRID.copy()
    wide[:3, 3] -= 40
    found = wavy_map().log_jacobian(reference_image(SHAPE, wide))
    assert found[0, 0, 0] == pytest.approx(
        np.log(np.linalg.det(oblique_affine()[:3, :3])), abs=1e-5
    )
