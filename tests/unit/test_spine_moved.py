"""Boxes that lie otherwise: a moved picture is that of a moved box; raters are compared in mm."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from bidsapp.contracts.placement import MOVED, RATER
from bidsapp.derivatives.sidecars import file_sha256
from bidsapp.errors import BadData
from bidsapp.modalities.spine.files import write_region_files
from bidsapp.modalities.spine.injections import Injection
from bidsapp.modalities.spine.midline import Midline, find_midline
from bidsapp.modalities.spine.moved import compared_boxes, placements
from bidsapp.modalities.spine.region import Region, make_region
from bidsapp.modalities.spine.roi_table import Roi
from bidsapp.modalities.spine.stack import Stack, read_stack
from tests.unit.spine_necks import box_about, foramen_mm, grid, sampled, save

WAYS = {"outwards": (1, 0), "inwards": (-1, 0), "to the front": (0, 1), "to the back": (0, -1),
        "outwards and to the front": (1, 1), "inwards and to the back": (-1, -1)}  # fmt: skip
SETTINGS = {"pixel_mm": 0.5, "thickness_mm": 3.0, "size": 100, "percentiles": [1.0, 99.0]}


def roi_of(side: str, index: int, box: tuple[int, ...], rater: str = "AB") -> Roi:
    i0, i1, j0, j1 = box
    return Roi(Injection("C6", side), index, (i0, i1, j0, j1), "roi.tsv", rater)


def prepared(
    folder: Path, stack: Stack, roi: Roi, midline: Midline, others: tuple[Roi, ...] = ()
) -> tuple[Path, Region]:
    """Picture, slice and sidecar as the participant level leaves them."""
    region = make_region(stack, roi, midline)
    stem = "sub-01_{}desc-C6L{}_T2w.nii.gz"
    picture = folder / stem.format("space-foramen_", "preproc")
    slice_file, region_file = (folder / stem.format("", one) for one in ("slice", "region"))
    write_region_files(region, slice_file, region_file, picture)
    told = {
        "Space": region.space.to_dict(), "Level": "C6", "Side": roi.injection.side,
        "BoxSource": roi.source, "Settings": SETTINGS, "Quality": {"cut_share": region.cut_share},
        "Midline": {"How": midline.how, "FromLeftEdgeMM": region.midline_mm},
        "Sources": ["bids:raw:neck_T2w.nii"], "SourceSHA256": file_sha256(folder / "neck_T2w.nii"),
        "OtherRaters": compared_boxes(stack, roi, others),
    }  # fmt: skip
    picture.with_name(picture.name.replace(".nii.gz", ".json")).write_text(json.dumps(told))
    return picture, region


def neck(folder: Path, side: str, sizes: tuple[float, float, float]) -> Stack:
    shape, affine = grid(flips=(-1, 1, 1), sizes=sizes, shape=(192, 176, 9))
    return read_stack(save(folder / "neck_T2w.nii", sampled(shape, affine, side), affine))


@pytest.mark.parametrize("side", ["L", "R"])
@pytest.mark.parametrize("reach", [12.0, 26.0])  # the larger box reaches beyond the midline
def test_a_moved_picture_is_that_of_a_box_drawn_so(tmp_path: Path, side: str, reach: float) -> None:
    stack = neck(tmp_path, side, (0.5, 0.5, 4.0))  # a pixel of the slice is one of the file
    index, box = box_about(stack, foramen_mm(side), reach)
    midline = find_midline(stack, index)
    picture, _ = prepared(tmp_path, stack, roi_of(side, index, box), midline)
    found = {one.name: one for one in placements(picture, 5, tmp_path, tmp_path)}
    assert len(found) == 8
    assert {one.kind for one in found.values()} == {MOVED}
    for way, (across, along) in WAYS.items():
        one = found[f"5 pixels {way}"]
        assert one.facts["apart_mm"] == pytest.approx(2.5 * np.hypot(across, along))
        # the file's first axis grows to the left
        left = (across if side == "L" else -across) * 5
        i0, i1, j0, j1 = box
        drawn = roi_of(side, index, (i0 + left, i1 + left, j0 + 5 * along, j1 + 5 * along))
        expected = make_region(stack, drawn, midline).picture
        got = np.rint(nib.Nifti1Image.load(one.file).get_fdata()[..., 0] * 255)
        np.testing.assert_array_equal(got, expected)
        assert nib.Nifti1Image.load(one.file).shape == nib.Nifti1Image.load(picture).shape


def test_nothing_is_moved_by_no_pixels_and_no_box_beyond_the_slice(tmp_path: Path) -> None:
    stack = neck(tmp_path, "R", (0.5, 0.5, 4.0))
    index, box = box_about(stack, foramen_mm("R"), 12.0)
    picture, _ = prepared(tmp_path, stack, roi_of("R", index, box), find_midline(stack, index))
    assert placements(picture, 0, tmp_path, tmp_path) == []
    assert all("outwards" not in one.name for one in placements(picture, 200, tmp_path, tmp_path))


def test_another_raters_picture_is_what_their_box_gives_on_their_slice(tmp_path: Path) -> None:
    stack = neck(tmp_path, "L", (0.8, 0.7, 4.0))
    index, box = box_about(stack, foramen_mm("L"), 12.0)
    midline = find_midline(stack, index)
    i0, i1, j0, j1 = box
    other = roi_of("L", index + 1, (i0 + 3, i1 + 5, j0 - 2, j1), "CD")
    picture, _ = prepared(tmp_path, stack, roi_of("L", index, box), midline, (other,))
    (one,) = placements(picture, 0, tmp_path, tmp_path)
    assert (one.name, one.kind) == ("rater CD", RATER)
    got = np.rint(nib.Nifti1Image.load(one.file).get_fdata()[..., 0] * 255)
    np.testing.assert_array_equal(got, make_region(stack, other, midline).picture)
    assert one.facts["slices_apart"] == 1
    assert one.facts["apart_mm"] == pytest.approx(np.sqrt((4 * 0.8) ** 2 + 0.7**2 + 4**2), abs=0.01)
    save(tmp_path / "neck_T2w.nii", stack.data + 1, stack.affine)
    with pytest.raises(BadData, match=r"neck_T2w.nii was changed since"):
        placements(picture, 0, tmp_path, tmp_path)


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0)])
def test_boxes_are_compared_in_mm_whatever_the_order_of_voxels(tmp_path: Path, order) -> None:
    shape, affine = grid(order=order, sizes=(0.5, 1.0, 4.0))
    stack = read_stack(save(tmp_path / "neck.nii", sampled(shape, affine), affine))
    across, along = (stack.box_axes.index(axis) for axis in stack.axes[:2])
    own, other = np.zeros((2, 2, 2), int)
    own[across], own[along] = (10, 29), (20, 29)  # 10 mm wide, 10 mm deep
    other[across], other[along] = (20, 39), (20, 34)  # moved by 5 mm, 10 mm wide, 15 mm deep
    (told,) = compared_boxes(
        stack, roi_of("L", 4, tuple(own.ravel())), [roi_of("L", 4, tuple(other.ravel()), "CD")]
    )
    assert (told["OwnWidthMM"], told["OwnDepthMM"]) == (10, 10)
    assert (told["WidthMM"], told["DepthMM"]) == (10, 15)
    assert told["Overlap"] == pytest.approx(5 * 10 / (100 + 150 - 50), abs=1e-4)
    assert told["ApartMM"] == pytest.approx(np.hypot(5, 2.5), abs=0.01)
    assert (told["Rater"], told["SlicesApart"]) == ("CD", 0)
    (same,) = compared_boxes(stack, roi_of("L", 4, tuple(own.ravel())),
                             [roi_of("L", 4, tuple(own.ravel()), "CD")])  # fmt: skip
    assert (same["Overlap"], same["ApartMM"]) == (1, 0)
