"""Voxels keep their place between nibabel and SimpleITK, and through turns and crops."""

import itertools

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from bidsapp.drawing.geometry import (
    bounding_box,
    centre_of_mass,
    cropped_affine,
    from_itk,
    to_itk,
)
from bidsapp.modalities.t1w.orientation import tilts, turns

angles = st.floats(-180, 180)
sizes = st.floats(0.3, 6)


@st.composite
def affines(draw: st.DrawFn) -> np.ndarray:
    """Any rotation, anisotropic voxels, any origin, and either handedness."""
    affine = np.eye(4)
    turn = Rotation.from_euler("xyz", [draw(angles) for _ in range(3)], degrees=True).as_matrix()
    voxel = np.diag([draw(sizes) for _ in range(3)])
    voxel[0, 0] *= draw(st.sampled_from([-1, 1]))
    affine[:3, :3] = turn @ voxel
    affine[:3, 3] = [draw(st.floats(-300, 300)) for _ in range(3)]
    return affine


def numbered(shape: tuple[int, int, int]) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


@given(affines())
def test_an_image_comes_back_from_itk_as_it_went(affine: np.ndarray) -> None:
    data = numbered((3, 4, 5))
    back, found = from_itk(to_itk(data, affine))
    np.testing.assert_array_equal(back, data)
    np.testing.assert_allclose(found, affine, atol=1e-9)


@given(affines(), st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 4)))
def test_itk_puts_each_voxel_where_nibabel_does(
    affine: np.ndarray, index: tuple[int, int, int]
) -> None:
    data = numbered((3, 4, 5))
    image = to_itk(data, affine)
    lps = np.array(image.TransformIndexToPhysicalPoint(index))
    ras = (affine @ np.array([*index, 1.0]))[:3]
    np.testing.assert_allclose(lps * (-1, -1, 1), ras, atol=1e-9)
    assert image[index] == data[index]


def test_the_file_that_nibabel_writes_is_the_image_that_itk_reads(tmp_path) -> None:  # type: ignore[no-untyped-def]
    import nibabel as nib

    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", [20, -35, 70], degrees=True).as_matrix() * (1, 2, 3)
    affine[:3, 3] = (-20, 31, 7)
    data = numbered((3, 4, 5))
    nib.Nifti1Image(data, affine).to_filename(tmp_path / "image.nii")
    read, ours = sitk.ReadImage(str(tmp_path / "image.nii")), to_itk(data, affine)
    np.testing.assert_allclose(read.GetDirection(), ours.GetDirection(), atol=1e-5)
    np.testing.assert_allclose(read.GetOrigin(), ours.GetOrigin(), atol=1e-4)
    np.testing.assert_allclose(read.GetSpacing(), ours.GetSpacing(), atol=1e-5)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read).T, data)


def test_a_mask_of_bool_becomes_bytes() -> None:
    assert to_itk(np.ones((2, 2, 2), bool), np.eye(4)).GetPixelID() == sitk.sitkUInt8


@given(affines(), st.data())
@settings(max_examples=50)
def test_cropping_moves_no_voxel(affine: np.ndarray, data: st.DataObject) -> None:
    shape = (7, 8, 9)
    box = []
    for size in shape:
        low = data.draw(st.integers(0, size - 1))
        box.append(slice(low, data.draw(st.integers(low + 1, size))))
    cut = cropped_affine(affine, (box[0], box[1], box[2]))
    first = np.array([part.start for part in box] + [1.0])
    np.testing.assert_allclose(cut @ (0, 0, 0, 1), affine @ first, atol=1e-8)
    np.testing.assert_array_equal(cut[:3, :3], affine[:3, :3])


def test_the_box_has_its_margin_and_stops_at_the_edges() -> None:
    mask = np.zeros((20, 30, 40), bool)
    mask[1:5, 10:12, 39] = True
    assert bounding_box(mask, np.array([3, 4, 5])) == (slice(0, 8), slice(6, 16), slice(34, 40))


def test_the_centre_of_mass_is_in_millimetres() -> None:
    mask = np.zeros((10, 10, 10), bool)
    mask[2:5, 3, 4] = True
    affine = np.diag([2.0, 3.0, 4.0, 1.0])
    affine[:3, 3] = (-10, 0, 10)
    np.testing.assert_allclose(centre_of_mass(mask, affine), (2 * 3 - 10, 9, 26))


def test_the_turns_are_the_24_rotations_of_a_cube() -> None:
    matrices = {tuple(turn.index_matrix((2, 2, 2))[:3, :3].ravel()) for turn in turns()}
    assert len(turns()) == len(matrices) == 24
    assert all(np.linalg.det(np.reshape(matrix, (3, 3))) > 0 for matrix in matrices)
    data = numbered((2, 3, 4))
    np.testing.assert_array_equal(turns()[0].apply(data), data)


@pytest.mark.parametrize("number", range(24))
def test_a_turn_is_undone_and_tells_where_each_voxel_came_from(number: int) -> None:
    turn, data = turns()[number], numbered((2, 3, 4))
    turned = turn.apply(data)
    np.testing.assert_array_equal(turn.undo(turned), data)
    matrix = turn.index_matrix(data.shape)
    for index in itertools.product(*map(range, turned.shape)):
        before = (matrix @ (*index, 1))[:3].astype(int)
        assert turned[index] == data[tuple(before)]


def test_the_tilts_are_rotations_that_begin_with_none() -> None:
    found = tilts()
    np.testing.assert_array_equal(found[0], np.eye(3))
    for matrix in found:
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(matrix) == pytest.approx(1)
