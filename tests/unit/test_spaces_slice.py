"""A slice is the same picture however its image is stored, and its maps come back un-mirrored."""

from itertools import permutations, product
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bidsapp.errors import BadData
from bidsapp.spaces.slice import Slice, picture, resize
from bidsapp.spaces.volume import volume
from tests.unit.spaces_table import slices, volumes

quick = settings(max_examples=40, deadline=None)


@given(slices(resized=False))
@quick
def test_without_resizing_the_way_there_and_back_loses_nothing(space: Slice) -> None:
    image = np.random.default_rng(1).standard_normal(space.grid_shape)
    back = space.put_back(space.cut(image), fill=np.nan)
    from_box = np.isfinite(back)
    np.testing.assert_array_equal(back[from_box], image[from_box])
    outside = [n for axis, n in enumerate(space.grid_shape) if axis != space.axis]
    held = [
        min(s + e, n) - max(s, 0)
        for s, e, n in zip(space.start, space.extent, outside, strict=True)
    ]
    assert from_box.sum() == np.prod(held)
    block = np.random.default_rng(2).standard_normal(space.shape)
    whole = space.put_back(np.ones(space.shape))
    reached = space.cut(whole) > 0
    np.testing.assert_array_equal(space.cut(space.put_back(block))[reached], block[reached])


@given(slices())
@quick
def test_every_cell_has_its_value_where_its_point_says(space: Slice) -> None:
    """The image holds its own coordinates, so a cell must hold those of its point."""
    voxels = np.moveaxis(np.indices(space.grid_shape), 0, -1)
    affine = np.array(space.grid_affine)
    mm = voxels @ affine[:3, :3].T + affine[:3, 3]
    inverse = np.linalg.inv(affine)
    points = space.points()
    at = points @ inverse[:3, :3].T + inverse[:3, 3]
    np.testing.assert_allclose(at[:, space.axis], space.index, atol=1e-9)
    # well inside of box and image the interpolation of a ramp is exact where cells are smaller
    others = [axis for axis in range(3) if axis != space.axis]
    places = range(2)
    sure = np.ones(len(at), bool)
    cells = space.shape[::-1] if space._turned else space.shape
    for axis, place in zip(others, places, strict=True):
        wide = max(1.0, space.extent[place] / cells[place])
        low = max(space.start[place], 0) + wide - 1
        high = min(space.start[place] + space.extent[place], space.grid_shape[axis]) - wide
        sure &= (at[:, axis] >= low - 1e-9) & (at[:, axis] <= high + 1e-9)
    exact = all(e <= n for e, n in zip(space.extent, cells, strict=True))
    for world in range(3):
        got = space.cut(mm[..., world]).ravel()
        off = 1e-6 if exact else 0.51 * max(space.spacing)
        np.testing.assert_allclose(got[sure], points[sure, world], atol=off)


def stored_in_every_way() -> list[nib.Nifti1Image]:
    """One image with an axis for each direction of the person, stored in all 48 orders."""
    data = np.zeros((9, 7, 5), np.float32)
    data[7, 3, 2] = 1  # to the right
    data[4, 6, 2] = 2  # in front
    image = nib.Nifti1Image(data, np.diag([2.0, 2.0, 4.0, 1.0]))
    found = []
    for order in permutations(range(3)):
        for signs in product((1, -1), repeat=3):
            turn = np.array([[axis, sign] for axis, sign in zip(order, signs, strict=True)])
            found.append(image.as_reoriented(turn))
    return found


def across(image: nib.Nifti1Image, mirrored: bool, shape: tuple[int, int] = (9, 7)) -> Slice:
    """The middle axial slice of an image, all of it."""
    codes = nib.aff2axcodes(image.affine)
    axis = next(place for place, code in enumerate(codes) if code in "SI")
    extent = tuple(n for place, n in enumerate(image.shape) if place != axis)
    rows = tuple(tuple(float(x) for x in row) for row in image.affine)
    return Slice(image.shape, rows, axis, 2, (0, 0), extent, shape, mirrored)  # type: ignore


@pytest.mark.parametrize("mirrored", [False, True])
def test_left_and_right_are_those_of_the_person_in_every_order_of_voxels(mirrored: bool) -> None:
    for image in stored_in_every_way():
        space = across(image, mirrored)
        got = space.cut(image.get_fdata(dtype=np.float32))
        assert got[1 if mirrored else 7, 3] == 1
        assert got[4, 6] == 2
        back = space.put_back(got)
        np.testing.assert_array_equal(back, image.get_fdata(dtype=np.float32))


def test_a_map_is_written_on_the_grid_of_the_person_s_own_image(tmp_path: Path) -> None:
    image = stored_in_every_way()[17]
    space = across(image, mirrored=True)
    block = np.zeros(space.shape, np.float32)
    block[1, 3] = 5  # found on the left of a mirrored picture: on the right of the person
    space.write(tmp_path / "sub-1_statmap.nii.gz", block, {})
    written = nib.Nifti1Image.load(tmp_path / "sub-1_statmap.nii.gz")
    np.testing.assert_array_equal(written.affine, image.affine)
    assert int(written.header["sform_code"]) == 1
    place = np.argwhere(written.get_fdata() == 5)[0]
    wanted = np.argwhere(image.get_fdata() == 1)[0]
    np.testing.assert_array_equal(place, wanted)


@given(slices())
@quick
def test_the_cells_cover_the_box(space: Slice) -> None:
    edges = np.linalg.norm(np.array(space.grid_affine)[:3, :3], axis=0)
    area = np.prod([e for axis, e in enumerate(edges) if axis != space.axis])
    assert space.sizes().sum() == pytest.approx(area * np.prod(space.extent))


@given(volumes())
@quick
def test_the_voxels_cover_the_window(space) -> None:
    voxel = np.linalg.det(np.array(space.grid_affine)[:3, :3])
    assert space.sizes().sum() == pytest.approx(voxel * np.prod(space.shape))


@given(n=st.integers(1, 12), new=st.integers(1, 12), level=st.sampled_from([1.0, -7.5]))
@quick
def test_resizing_keeps_constants_and_the_mean_of_a_ramp(n: int, new: int, level: float) -> None:
    even = resize(np.full((n, n), level), (new, new))
    np.testing.assert_allclose(even, level)
    ramp = resize(np.tile(np.arange(n, dtype=float), (2, 1)), (2, new))[0]
    assert ramp.mean() == pytest.approx((n - 1) / 2)
    assert (np.diff(ramp) >= -1e-12).all()


def test_resizing_to_fewer_cells_skips_no_voxel() -> None:
    """A bright line one voxel thick is seen in a picture of a quarter of the cells."""
    for place in range(1, 15):
        line = np.zeros((16, 16))
        line[:, place] = 1
        assert resize(line, (4, 4)).sum() > 0.5


def test_pictures_of_a_group_have_their_middle_at_0() -> None:
    space = picture((10, 6), (0.5, 0.5), "foramen")
    np.testing.assert_allclose(space.points().mean(axis=0), 0, atol=1e-12)
    image = np.random.default_rng(0).standard_normal((10, 6, 1)).astype(np.float32)
    np.testing.assert_array_equal(space.cut(image), image[..., 0])
    np.testing.assert_array_equal(space.put_back(image[..., 0]), image)
    assert space.label == "foramen"


def test_slices_that_cannot_be_are_refused() -> None:
    eye = tuple(tuple(float(x) for x in row) for row in np.eye(4))
    with pytest.raises(BadData, match="slice 5 across voxel axis 2 is not in an image"):
        Slice((4, 4, 5), eye, 2, 5, (0, 0), (4, 4), (4, 4))
    with pytest.raises(BadData, match="no left and right"):
        Slice((4, 4, 5), eye, 0, 1, (0, 0), (4, 5), (4, 5), mirrored=True)
    with pytest.raises(BadData, match="box of 1 voxel or more"):
        Slice((4, 4, 5), eye, 2, 1, (0, 0), (0, 4), (4, 4))
    flat = tuple(tuple(float(x) for x in row) for row in np.diag([1, 1, 0, 1]))
    with pytest.raises(BadData, match="can be inverted"):
        Slice((4, 4, 5), flat, 2, 1, (0, 0), (4, 4), (4, 4))


def test_a_volume_and_a_slice_have_no_whole_in_common() -> None:
    space = picture((4, 4), (1.0, 1.0))
    other = volume((4, 4, 1), np.array(space.grid_affine))
    assert not space.same_whole(other)
    assert not other.same_whole(space)
