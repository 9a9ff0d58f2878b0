"""Axial series of the neck: what is read, what is averaged, what is refused in which words."""

from pathlib import Path

import numpy as np
import pytest

from bidsapp.errors import BadData
from bidsapp.modalities.spine.stack import read_stack
from tests.unit.spine_necks import grid, sampled, save, stack_of


def test_a_sagittal_series_is_refused_by_its_affine(tmp_path: Path):
    with pytest.raises(BadData, match=r"is a sagittal series .* 3\.3 mm .* left to right") as error:
        stack_of(tmp_path, order=(1, 2, 0), sizes=(3.3, 0.7, 0.7), shape=(15, 200, 200))
    assert "--bids-filter-file" in str(error.value)
    assert error.value.exit_code == 65
    with pytest.raises(BadData, match="is a coronal series"):
        stack_of(tmp_path, sizes=(0.7, 4.0, 0.7), shape=(200, 20, 200))


def test_a_volume_of_fine_voxels_is_no_sagittal_series(tmp_path: Path):
    stack = stack_of(tmp_path, order=(1, 2, 0), sizes=(0.8, 0.5, 0.5), shape=(64, 120, 60))
    assert (stack.slice_axis, stack.slices, stack.box_axes) == (1, 60, (0, 2))


@pytest.mark.parametrize("slices", [1, 3])
def test_a_localiser_is_refused(tmp_path: Path, slices: int):
    with pytest.raises(BadData, match=f"has {slices} slice.*localiser.*at least 4"):
        stack_of(tmp_path, shape=(120, 110, slices))


def test_narrow_constant_and_coloured_images_are_refused(tmp_path: Path):
    with pytest.raises(BadData, match="20 mm wide and 88 mm deep; at least 30 mm"):
        stack_of(tmp_path, shape=(25, 110, 9))
    shape, affine = grid()
    path = save(tmp_path / "x_T2w.nii", np.full(shape, 7, np.int16), affine)
    with pytest.raises(BadData, match="the same value everywhere"):
        read_stack(path)
    save(path, np.zeros((*shape, 2), np.int16), affine)
    with pytest.raises(BadData, match="must be one volume of slices"):
        read_stack(path)


def test_values_that_are_not_finite_count_as_zero_and_are_told(tmp_path: Path):
    shape, affine = grid()
    data = sampled(shape, affine)
    data[3, 4, 5] = np.nan
    stack = read_stack(save(tmp_path / "x_T2w.nii", data, affine))
    assert stack.data[3, 4, 5] == 0
    assert "1 voxels were NaN" in stack.notes[-1]


@pytest.mark.parametrize(("thickness", "weights"), [(3.0, (1, 1, 1)), (2.0, (0.5, 1, 0.5)),
                                                    (1.2, (0, 1, 0))])  # fmt: skip
def test_thin_slices_are_averaged_to_the_thickness(tmp_path: Path, thickness, weights):
    stack = stack_of(tmp_path, order=(1, 2, 0), flips=(-1, 1, 1), sizes=(1, 1, 1),
                     shape=(60, 62, 20))  # fmt: skip
    around = np.array(weights) / sum(weights)
    expected = np.tensordot(stack.data[:, 9:12, :], around, axes=(1, 0))  # (posterior, right)
    plane = stack.plane(10, thickness)
    np.testing.assert_allclose(plane.values, expected.T[:, ::-1], rtol=1e-5)
    assert np.linalg.norm(plane.affine[:3, 2]) == pytest.approx(sum(weights))
    # a pixel of the plane lies where the voxel of the file lies
    for x, y in ((0, 0), (59, 61), (7, 20)):
        voxel = np.array([61 - y, 10, x, 1])
        np.testing.assert_allclose(plane.affine @ [x, y, 0, 1], stack.affine @ voxel, atol=1e-4)


def test_slices_thick_enough_are_taken_as_they_are(tmp_path: Path):
    stack = stack_of(tmp_path, flips=(-1, 1, 1))
    np.testing.assert_array_equal(stack.plane(5, 3.0).values, stack.data[::-1, :, 5])


def test_a_box_of_the_file_is_the_same_voxels_in_the_plane(tmp_path: Path):
    stack = stack_of(tmp_path, order=(1, 2, 0), flips=(-1, 1, -1), shape=(70, 62, 10))
    box = (5, 20, 30, 44)
    x0, x1, y0, y1 = stack.in_plane(box)
    plane = stack.plane(4)
    direct = stack.data[5:21, 4, 30:45]
    np.testing.assert_array_equal(plane.values[x0 : x1 + 1, y0 : y1 + 1], direct.T[::-1, ::-1])
