"""Boxes proposed from cord and vertebrae: on the injected side, at its level, and only proposed."""

import json
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from bidsapp.errors import BadData
from bidsapp.modalities.spine.injections import Injection
from bidsapp.modalities.spine.midline import find_midline
from bidsapp.modalities.spine.proposals import (
    CORD_MM,
    DEPTH,
    boxes_beside,
    cord_at,
    propose,
    read_vertebrae,
)
from bidsapp.modalities.spine.region import make_region
from bidsapp.modalities.spine.roi_table import PROPOSED
from bidsapp.modalities.spine.stack import Stack
from tests.unit.spine_necks import CORD_Y, FORAMEN_Y, LEVEL_Z, MIDLINE, foramen_mm, stack_of
from tests.unit.test_spine_sides import STORED

SHAPE = (90, 90, 13)
CORD_WIDE = 12.0


def places(stack: Stack) -> np.ndarray:
    voxels = np.stack(np.meshgrid(*map(np.arange, stack.data.shape), indexing="ij"), axis=-1)
    return voxels @ stack.affine[:3, :3].T + stack.affine[:3, 3]


def cord_of(stack: Stack) -> np.ndarray:
    x, y = places(stack)[..., 0] - MIDLINE, places(stack)[..., 1] - CORD_Y
    return (x / (CORD_WIDE / 2)) ** 2 + (y / 4) ** 2 <= 1


def vertebrae_of(stack: Stack) -> np.ndarray:
    """C4 to T1 as 4 to 8, 14 mm high each; C5 ends and C6 begins at the foramen."""
    number = 6 + np.floor((LEVEL_Z - places(stack)[..., 2]) / 14).astype(int)
    return np.where(cord_of(stack) & (number >= 4) & (number <= 8), number, 0)


def write(path: Path, values: np.ndarray, stack: Stack, **sidecar: object) -> Path:
    nib.save(nib.Nifti1Image(values.astype(np.uint8), stack.affine), path)
    if sidecar:
        path.with_name(path.name.replace(".nii.gz", ".json")).write_text(json.dumps(sidecar))
    return path


@pytest.mark.parametrize("side", ["L", "R"])
@pytest.mark.parametrize("stored", STORED)
def test_a_box_is_proposed_around_the_injected_foramen(tmp_path: Path, stored: str, side: str):
    order, flips, degrees = STORED[stored]
    stack = stack_of(tmp_path, side, order=order, flips=flips, degrees=degrees, shape=SHAPE)
    labels = write(tmp_path / "x_dseg.nii.gz", vertebrae_of(stack), stack)
    (roi,) = propose(stack, [Injection("C6", side)], cord_of(stack), read_vertebrae(labels, stack))
    assert (roi.status, roi.injection.label) == (PROPOSED, f"C6-{side}")
    region = make_region(stack, roi, find_midline(stack, roi.slice, cord_of(stack)))
    assert region.cut_share < 0.1
    at = np.linalg.inv(stack.affine) @ [*foramen_mm(side), 1]
    assert abs(at[stack.slice_axis] - roi.slice) * stack.spacing < 8
    if stored != "oblique":  # there the foramen of a slice is not where that of the level is
        (i0, i1, j0, j1), (i, j) = roi.box, (at[axis] for axis in stack.box_axes)
        assert i0 + 3 < i < i1 - 3
        assert j0 + 3 < j < j1 - 3
    plane = stack.plane(roi.slice)
    x0, x1, y0, y1 = stack.in_plane(roi.box)
    assert (y1 - y0) * plane.sizes[1] == pytest.approx(DEPTH * CORD_WIDE, abs=3)
    assert (x1 - x0) * plane.sizes[0] == pytest.approx(DEPTH * CORD_WIDE, abs=3)


def channel(stack: Stack, narrow: int) -> Stack:
    """A bright channel on either side, 12 mm deep, and on one slice 4 mm."""
    x, y = np.abs(places(stack)[..., 0] - MIDLINE), np.abs(places(stack)[..., 1] - FORAMEN_Y)
    depth = np.full(stack.data.shape, 12.0)
    depth[:, :, narrow] = 4.0
    bright = (x > 6) & (x < 30) & (y < depth / 2)
    return replace(stack, data=np.where(bright, 200, 20).astype(np.float32))


def test_of_the_slices_near_the_level_the_one_with_the_narrowest_foramen_is_taken(tmp_path: Path):
    plain = stack_of(tmp_path, shape=(90, 90, 30), sizes=(0.8, 0.8, 2.0))
    cord, vertebrae = cord_of(plain), {5: 18.0, 6: 11.0, 7: 4.0}
    between = 14.5
    for narrow in (13, 16):
        (roi,) = propose(channel(plain, narrow), [Injection("C6", "L")], cord, vertebrae)
        assert roi.slice == narrow
    # a pedicle closes it on one slice, and on others nothing is seen: no narrow foramen
    closed = channel(plain, 16)
    closed.data[:, :, 13] = 20
    (roi,) = propose(closed, [Injection("C6", "L")], cord, vertebrae)
    assert roi.slice == 16
    dark = replace(plain, data=closed.data * (places(plain)[..., 0] > MIDLINE - 9))
    (roi,) = propose(dark, [Injection("C6", "L")], cord, vertebrae)
    assert abs(roi.slice - between) < 1
    # a narrow slice that is another level's is none of this one
    (roi,) = propose(channel(plain, 7), [Injection("C6", "L")], cord, vertebrae)
    assert abs(roi.slice - between) <= 2
    (roi,) = propose(channel(plain, 7), [Injection("C7", "L")], cord, vertebrae)
    assert roi.slice == 7
    # without its vertebrae or without the cord nothing is proposed, and nothing is guessed
    assert propose(plain, [Injection("C8", "L")], cord, vertebrae) == []
    assert propose(plain, [Injection("C6", "L")], cord & False, vertebrae) == []


def test_the_cord_is_measured_in_mm_and_what_no_cord_is_wide_is_not_believed(tmp_path: Path):
    stack = stack_of(tmp_path, order=(1, 2, 0), flips=(-1, 1, -1), shape=SHAPE)
    found = cord_at(stack, 6, cord_of(stack))
    assert found is not None
    middle = stack.plane(6).affine @ [*found.middle, 0, 1]
    np.testing.assert_allclose(middle[:2], (MIDLINE, CORD_Y), atol=0.5)
    assert found.width_mm == pytest.approx(CORD_WIDE, abs=1)
    wide = cord_at(stack, 6, np.ones(stack.data.shape, bool))
    assert wide is not None
    assert wide.width_mm == CORD_MM[1]
    mask = cord_of(stack)
    mask[:, :7] = False  # slices 0 to 6 have no cord
    beside = boxes_beside(stack, [0, 12], mask)
    assert beside["L"][0] is None
    assert beside["R"][0] is None
    left, right = beside["L"][1], beside["R"][1]
    assert left is not None
    assert right is not None
    assert left[1] <= found.middle[0] <= right[0]
    assert stack.in_plane(stack.in_file(left)) == left


def test_which_label_is_which_vertebra_is_read_or_refused(tmp_path: Path):
    stack = stack_of(tmp_path, shape=SHAPE)
    values = vertebrae_of(stack)
    plain = read_vertebrae(write(tmp_path / "a_dseg.nii.gz", values, stack), stack)
    named = np.where(values == 8, 21, np.where(values > 0, values + 10, 0))
    told = {"15": "C5", "16": "c6", "17": "vertebra_C7", "21": "T1", "14": "C4"}
    path = write(tmp_path / "b_dseg.nii.gz", named, stack, Labels=told)
    found = read_vertebrae(path, stack)
    assert found == plain
    assert {5, 6} <= set(found)
    assert found[5] > found[6]
    with pytest.raises(BadData, match=r"c_dseg.*no label is one of the vertebrae C1 to T1"):
        read_vertebrae(write(tmp_path / "c_dseg.nii.gz", named * 0 + 30, stack), stack)
    other = replace(stack, affine=stack.affine + np.eye(4))
    with pytest.raises(BadData, match="does not lie on the voxels"):
        read_vertebrae(path, other)
