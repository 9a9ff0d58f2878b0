"""Left is left: the injected side comes out of every storage order, flip and turn of the header."""

from itertools import permutations, product
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bidsapp.errors import BadData
from bidsapp.modalities.spine.injections import Injection
from bidsapp.modalities.spine.midline import find_midline
from bidsapp.modalities.spine.region import make_region
from bidsapp.modalities.spine.roi_table import Roi
from bidsapp.modalities.spine.stack import Stack, read_stack
from tests.unit.spine_necks import box_about, foramen_mm, grid, sampled, stack_of

STORED = {
    "RAS": ((0, 1, 2), (1, 1, 1), (0, 0, 0)),
    "LAS": ((0, 1, 2), (-1, 1, 1), (0, 0, 0)),
    "PSR": ((1, 2, 0), (-1, 1, 1), (0, 0, 0)),
    "LPI": ((0, 1, 2), (-1, -1, -1), (0, 0, 0)),
    "oblique": ((0, 1, 2), (-1, 1, 1), (22, -8, 12)),
    "flipped with a matching affine": ((0, 1, 2), (-1, -1, 1), (0, 0, 0)),
}


def region_of(stack: Stack, side: str, level: str = "C6"):
    index, box = box_about(stack, foramen_mm(side))
    roi = Roi(Injection(level, side), index, box, "x_roi.tsv")
    return roi, make_region(stack, roi, find_midline(stack, index))


def peak(values: np.ndarray) -> np.ndarray:
    """Middle of what is brightest, as (x, y, 0, 1): the upper percent is cut to one value."""
    return np.array([*np.argwhere(values > 0.97 * values.max()).mean(axis=0), 0, 1])


def farther_out(picture: np.ndarray) -> float:
    """How much brighter it is 9 mm outside the marker than 9 mm inside it, in 0 to 255."""
    x, y = np.rint(peak(picture)[:2]).astype(int)
    step = 29  # of 100 pixels over 31 mm
    outer, inner = (picture[x + d - 2 : x + d + 3, y - 2 : y + 3].mean() for d in (step, -step))
    return float(outer - inner)


@pytest.mark.parametrize("side", ["L", "R"])
@pytest.mark.parametrize("stored", STORED)
def test_a_marker_in_a_foramen_comes_out_on_its_side(tmp_path: Path, stored: str, side: str):
    order, flips, degrees = STORED[stored]
    stack = stack_of(tmp_path, side, order=order, flips=flips, degrees=degrees)
    _, region = region_of(stack, side)
    picture = region.picture
    assert picture.shape == (100, 100)
    assert (picture.min(), picture.max()) == (0, 255)
    # the marker lies where the affine of the picture says, and the fainter spot farther out
    place = region.space.affine @ peak(picture)
    assert np.linalg.norm(place[:2] - foramen_mm(side)[:2]) < 1.0
    assert farther_out(picture) > 20
    # the other side's box is refused for this side
    other = "R" if side == "L" else "L"
    index, box = box_about(stack, foramen_mm(other))
    wrong = Roi(Injection("C6", side), index, box, "x_roi.tsv")
    with pytest.raises(
        BadData, match=f"lies on the patient's {'left' if side == 'R' else 'right'}"
    ):
        make_region(stack, wrong, find_midline(stack, index))


@pytest.mark.parametrize("stored", STORED)
def test_pictures_of_left_and_right_are_alike_and_of_every_order_the_same(
    tmp_path: Path, stored: str
):
    order, flips, degrees = STORED[stored]
    plain = region_of(stack_of(tmp_path, "R"), "R")[1].picture.astype(float)
    for side in "LR":
        stack = stack_of(tmp_path, side, order=order, flips=flips, degrees=degrees)
        found = region_of(stack, side)[1].picture.astype(float)
        alike, turned = (
            np.corrcoef(one.ravel(), plain.ravel())[0, 1] for one in (found, found[::-1])
        )
        assert alike > 0.8
        assert turned < alike - 0.15


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    order=st.sampled_from(list(permutations(range(3)))),
    flips=st.sampled_from(list(product((-1, 1), repeat=3))),
    tilt=st.floats(-30, 30),
    roll=st.floats(-20, 20),
    yaw=st.floats(-25, 25),
    side=st.sampled_from("LR"),
)
@example(order=(2, 1, 0), flips=(-1, 1, -1), tilt=30.0, roll=20.0, yaw=25.0, side="L")
def test_no_order_flip_or_turn_moves_a_marker_to_the_other_side(
    tmp_path: Path, order, flips, tilt, roll, yaw, side
):
    stack = stack_of(
        tmp_path, side, order=order, flips=flips, degrees=(tilt, roll, yaw), shape=(110, 100, 9)
    )
    assert stack.slices == 9
    _, region = region_of(stack, side)
    picture = region.picture
    marker = (region.space.affine @ peak(picture))[:3]
    assert np.linalg.norm(marker - foramen_mm(side)) < 3.0  # slices are 4 mm thick
    assert farther_out(picture) > 10
    # home again: the marker of the picture is the marker of the slice
    home = region.space.put_back(picture.astype(float))[..., 0]
    assert np.linalg.norm((region.slice.affine @ peak(home))[:3] - marker) < 0.5


def test_a_header_without_orientation_is_refused(tmp_path: Path):
    shape, affine = grid()
    image = nib.Nifti1Image(sampled(shape, affine), None)
    path = tmp_path / "neck_T2w.nii"
    nib.save(image, path)
    with pytest.raises(BadData, match="left and right are not known"):
        read_stack(path)


def test_forms_that_contradict_each_other_about_the_side_are_refused(tmp_path: Path):
    shape, affine = grid()
    image = nib.Nifti1Image(sampled(shape, affine), affine)
    image.set_sform(affine @ np.diag([-1, 1, 1, 1]), code=1)
    image.set_qform(affine, code=1)
    path = tmp_path / "neck_T2w.nii"
    nib.save(image, path)
    with pytest.raises(BadData, match=r"left and right are not known.*contradict"):
        read_stack(path)


def test_an_image_turned_halfway_between_two_axes_is_refused(tmp_path: Path):
    with pytest.raises(BadData, match="turned by 44° away from left–right"):
        stack_of(tmp_path, degrees=(0, 0, 44))
