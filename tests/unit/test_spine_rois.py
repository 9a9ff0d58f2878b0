"""Boxes around foramina: from a table, a mask or both; what is wrong is said with its remedy."""

import datetime
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from bidsapp.errors import BadData
from bidsapp.modalities.spine.injections import Injection, read_injection, read_label
from bidsapp.modalities.spine.midline import find_midline
from bidsapp.modalities.spine.region import make_region
from bidsapp.modalities.spine.roi_mask import read_roi_mask
from bidsapp.modalities.spine.roi_table import read_roi_table
from bidsapp.modalities.spine.rois import placed_rois, told_injection
from bidsapp.modalities.spine.stack import Stack
from tests.unit.spine_necks import MIDLINE, box_about, foramen_mm, stack_of

HEAD = "level\tside\tslice\ti0\ti1\tj0\tj1"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """120 × 110 × 9 voxels, LAS."""
    return stack_of(tmp_path_factory.mktemp("neck"), flips=(-1, 1, 1))


def table(tmp_path: Path, *rows: str, head: str = HEAD, **sidecar: object) -> Path:
    path = tmp_path / "sub-01_acq-axial_desc-foramen_roi.tsv"
    path.write_text("\n".join([head, *rows, ""]).replace(" ", "\t"))
    if sidecar:
        path.with_suffix(".json").write_text(json.dumps(sidecar))
    return path


def mask(
    tmp_path: Path, stack: Stack, boxes: dict[int, tuple[int, ...]], **sidecar: object
) -> Path:
    values = np.zeros(stack.data.shape, np.uint8)
    for label, (index, i0, i1, j0, j1) in boxes.items():
        values[i0 : i1 + 1, j0 : j1 + 1, index] = label
    path = tmp_path / "sub-01_acq-axial_label-foramen_mask.nii.gz"
    nib.save(nib.Nifti1Image(values, stack.affine), path)
    if sidecar:
        (tmp_path / "sub-01_acq-axial_label-foramen_mask.json").write_text(json.dumps(sidecar))
    return path


def test_a_table_is_read_as_people_write_it(tmp_path: Path, stack: Stack):
    path = table(
        tmp_path, "c6 left 4 70 99 40 69 JD 2024-03-01", "7 R 5.0 10 39 40 69 n/a n/a",
        head=f"{HEAD}\trater\tdate", BlindedToOutcome=True,
    )  # fmt: skip
    first, second = read_roi_table(path, stack)
    assert first.injection == Injection("C6", "L")
    assert (first.slice, first.box, first.rater) == (4, (70, 99, 40, 69), "JD")
    assert (first.date, first.blinded) == (datetime.date(2024, 3, 1), True)
    assert (second.injection.label, second.rater, second.date) == ("C7-R", "", None)


def test_a_table_that_counts_from_one_says_so_and_is_the_same_box(tmp_path: Path, stack: Stack):
    (zero,) = read_roi_table(table(tmp_path, "C6 L 4 70 99 40 69"), stack)
    (one,) = read_roi_table(table(tmp_path, "C6 L 5 71 100 41 70", IndexBase=1), stack)
    assert (zero.slice, zero.box) == (one.slice, one.box)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("C6 L 9 70 99 40 69", r"line 2 has slice 9, .* 0 to 8 there. It is one too many: if the "
         "table counts from 1"),
        ("C6 L 12 70 99 40 69", r"slice 12, and the image has 0 to 8 there. Draw"),
        ("C6 L 4 70 120 40 69", r"i1 120, and the image has 0 to 119 there. It is one too many"),
        ("C6 L 4 -3 99 40 69", r"i0 -3, and the image has 0 to 119"),
        ("C6 L 4 70 99 40 300", r"j1 300, and the image has 0 to 109"),
        ("C6 L 4 99 70 40 69", r"a box of -28 voxels from i0 to i1"),
        ("C6 L 4 70 72 40 69", r"a box of 3 voxels from i0 to i1; at least 6"),
        ("C6 middle 4 70 99 40 69", r"line 2: side 'middle' is neither L nor R"),
        ("C9 L 4 70 99 40 69", r"level 'C9' is not one of C4, C5, C6, C7, C8"),
        ("C5/6 L 4 70 99 40 69", r"level 'C5/6' names two vertebrae; .* C6"),
        ("C7/8 L 4 70 99 40 69", r"level 'C7/8' names two vertebrae; .* C8"),
        ("C6 L four 70 99 40 69", r"line 2 has 'four' in slice; a whole number"),
        ("C6 L 4.5 70 99 40 69", r"'4.5' in slice"),
        ("C6 L n/a 70 99 40 69", r"nothing in slice"),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_is_refused(tmp_path: Path, stack: Stack, row: str, message: str):
    with pytest.raises(BadData, match=message) as error:
        read_roi_table(table(tmp_path, row), stack)
    assert error.value.exit_code == 65
    assert str(error.value).startswith(str(tmp_path))


def test_an_unknown_status_or_date_is_refused(tmp_path: Path, stack: Stack):
    with pytest.raises(BadData, match="status 'maybe' is neither confirmed nor proposed"):
        read_roi_table(table(tmp_path, "C6 L 4 70 99 40 69 maybe", head=f"{HEAD}\tstatus"), stack)
    with pytest.raises(BadData, match=r"date '31\.3\.24' is not a date such as 2024-03-31"):
        read_roi_table(table(tmp_path, "C6 L 4 70 99 40 69 31.3.24", head=f"{HEAD}\tdate"), stack)


def test_a_missing_column_is_named(tmp_path: Path, stack: Stack):
    with pytest.raises(BadData, match="no column j1; found level, side"):
        read_roi_table(table(tmp_path, "C6 L 4 70 99 40", head=HEAD[:-3]), stack)


def test_two_rows_for_one_injection_are_refused(tmp_path: Path, stack: Stack):
    path = table(tmp_path, "C6 L 4 70 99 40 69", "C7 L 4 70 99 40 69", "C6 left 5 70 99 40 69")
    with pytest.raises(BadData, match=r"line 4 repeats line 2 \(C6-L\).*name each in rater"):
        read_roi_table(path, stack)


@pytest.mark.parametrize(
    ("sidecar", "message"),
    [
        ({"IndexBase": 2}, "IndexBase is 2; 0 or 1"),
        ({"IndexBase": True}, "IndexBase is True; 0 or 1"),
        ({"SliceAxis": 1}, "SliceAxis is 1, and the image's slices .* along axis 2"),
        ({"ImageShape": [120, 9, 110]}, r"ImageShape is \[120, 9, 110\], .*drawn on another"),
        ({"ImageAffine": np.eye(4).tolist()}, "ImageAffine is not that of the image"),
        ({"ImageAffine": "x"}, "ImageAffine is not that of the image"),
    ],
)
def test_a_sidecar_about_another_image_is_refused(tmp_path: Path, stack, sidecar, message):
    with pytest.raises(BadData, match=message):
        read_roi_table(table(tmp_path, "C6 L 4 70 99 40 69", **sidecar), stack)


def test_a_sidecar_that_fits_passes(tmp_path: Path, stack: Stack):
    told = {"IndexBase": 0, "SliceAxis": 2, "ImageShape": [120, 110, 9],
            "ImageAffine": stack.affine.round(4).tolist()}  # fmt: skip
    assert read_roi_table(table(tmp_path, "C6 L 4 70 99 40 69", **told), stack)
    (tmp_path / "sub-01_acq-axial_desc-foramen_roi.json").write_text("[1")
    with pytest.raises(BadData, match="is not JSON"):
        read_roi_table(tmp_path / "sub-01_acq-axial_desc-foramen_roi.tsv", stack)


def test_a_mask_gives_the_box_of_its_bounds_and_of_its_fullest_slice(tmp_path: Path, stack: Stack):
    path = mask(tmp_path, stack, {1: (4, 70, 99, 40, 69), 2: (5, 10, 30, 40, 60)},
                Labels={"1": "C6-L", "2": "C7R"})  # fmt: skip
    first, second = read_roi_mask(path, stack)
    assert (first.injection.label, first.slice, first.box) == ("C6-L", 4, (70, 99, 40, 69))
    assert (second.injection.label, second.slice, second.box) == ("C7-R", 5, (10, 30, 40, 60))


def test_a_mask_whose_labels_are_not_told_needs_the_only_injection(tmp_path: Path, stack: Stack):
    path = mask(tmp_path, stack, {1: (4, 70, 99, 40, 69)})
    (roi,) = read_roi_mask(path, stack, [Injection("C5", "L")])
    assert roi.injection.label == "C5-L"
    with pytest.raises(BadData, match=r'which injection label 1 is, is not said.*"1": "C6-L"'):
        read_roi_mask(path, stack)
    lookup = tmp_path / "sub-01_acq-axial_label-foramen_mask.tsv"
    lookup.write_text("index\tname\n1\tC8-L\n")
    assert read_roi_mask(path, stack)[0].injection.label == "C8-L"


def test_masks_that_do_not_fit_are_refused(tmp_path: Path, stack: Stack):
    path = tmp_path / "sub-01_label-foramen_mask.nii.gz"
    for data, affine, message in (
        (np.zeros((4, 5, 6)), stack.affine, "does not lie on the voxels"),
        (np.zeros((*stack.data.shape, 2)), stack.affine, "does not lie on the voxels"),
        (np.zeros((*stack.data.shape, 1)), stack.affine, "is empty: no voxel is marked"),
        (np.zeros(stack.data.shape), stack.affine + 1, "does not lie on the voxels"),
        (np.zeros(stack.data.shape), stack.affine, "is empty: no voxel is marked"),
        (np.full(stack.data.shape, 0.5), stack.affine, "holds fractions"),
    ):
        nib.save(nib.Nifti1Image(data.astype(np.float32), affine), path)
        with pytest.raises(BadData, match=message):
            read_roi_mask(path, stack)


def test_table_and_mask_agree_or_are_refused(tmp_path: Path, stack: Stack):
    path = mask(tmp_path, stack, {1: (4, 70, 99, 40, 69)}, Labels={"1": "C6-L"})
    same = table(tmp_path, "C6 L 4 70 99 40 69")
    assert len(placed_rois(stack, table=same, mask=path).rois) == 1
    by_one = table(tmp_path, "C6 L 5 71 100 41 70")
    with pytest.raises(
        BadData, match=r"contradict each other.*seems to count from 1; say IndexBase"
    ):
        placed_rois(stack, table=by_one, mask=path)
    other = table(tmp_path, "C6 L 4 60 99 40 69")
    with pytest.raises(BadData, match=r"contradict .* C6-L.*Remove the one that is wrong"):
        placed_rois(stack, table=other, mask=path)


def test_one_box_for_two_injections_is_refused(tmp_path: Path, stack: Stack):
    drawn = mask(tmp_path, stack, {1: (4, 70, 99, 40, 69)}, Labels={"1": "C5-L"})
    path = table(tmp_path, "C6 L 4 70 99 40 69")
    with pytest.raises(BadData, match=r"tsv and .*nii\.gz: C5-L and C6-L have the same box"):
        placed_rois(stack, table=path, mask=drawn)
    twice = table(tmp_path, "C6 L 4 70 99 40 69", "C7 L 4 70 99 40 69")
    with pytest.raises(BadData, match=r"C6-L and C7-L have the same box \(slice 4"):
        placed_rois(stack, table=twice)


def test_a_side_that_contradicts_participants_tsv_is_refused(tmp_path: Path, stack: Stack):
    path = table(tmp_path, "C6 R 4 10 39 40 69")
    with pytest.raises(BadData, match=r"has a box for C6-R, but participants.tsv .* tell of C6-L"):
        placed_rois(stack, table=path, told=[Injection("C6", "L")])


def test_injections_without_a_confirmed_box_wait(tmp_path: Path, stack: Stack):
    path = table(tmp_path, "C6 L 4 70 99 40 69 n/a", "C7 L 5 70 99 40 69 proposed",
                 head=f"{HEAD}\tstatus")  # fmt: skip
    told = [Injection("C6", "L"), Injection("C7", "L"), Injection("C5", "R")]
    placed = placed_rois(stack, table=path, told=told)
    assert [roi.injection.label for roi in placed.rois] == ["C6-L"]
    assert [one.label for one in placed.waiting] == ["C5-R", "C7-L"]
    assert [one.label for one in placed_rois(stack, told=told).waiting] == ["C5-R", "C6-L", "C7-L"]


def test_of_two_raters_one_has_to_be_named(tmp_path: Path, stack: Stack):
    path = table(tmp_path, "C6 L 4 70 99 40 69 AB", "C6 L 4 72 99 42 69 CD", head=f"{HEAD}\trater")
    with pytest.raises(BadData, match=r"by AB and CD. Say whose are used with --set"):
        placed_rois(stack, table=path)
    placed = placed_rois(stack, table=path, rater="CD")
    assert placed.rois[0].box == (72, 99, 42, 69)
    assert placed.others[0].rater == "AB"
    with pytest.raises(BadData, match=r"no row is by the rater 'EF' .* found AB, CD"):
        placed_rois(stack, table=path, rater="EF")


def test_boxes_drawn_after_the_outcome_need_a_blinded_reader(tmp_path: Path, stack: Stack):
    rows = {"head": f"{HEAD}\tdate"}
    late = "C6 L 4 70 99 40 69 2024-06-01"
    known = datetime.date(2024, 5, 1)
    with pytest.raises(BadData, match="drawn on 2024-06-01, after the outcome was known"):
        placed_rois(stack, table=table(tmp_path, late, **rows), outcome_date=known)
    early = table(tmp_path, "C6 L 4 70 99 40 69 2024-04-01", **rows)
    assert placed_rois(stack, table=early, outcome_date=known).rois
    blind = table(tmp_path, late, BlindedToOutcome=True, **rows)
    assert placed_rois(stack, table=blind, outcome_date=known).rois


def test_what_people_write_of_injections_is_understood():
    assert read_injection(" c7 ", "Left") == Injection("C7", "L")
    assert [read_label(text).label for text in ("C6-L", "c6_r", "C5L", "8-left")] == [
        "C6-L", "C6-R", "C5-L", "C8-L",
    ]  # fmt: skip
    for text in ("left", "C6", "C6-X", ""):
        with pytest.raises(ValueError, match=r"C6-L|not one of"):
            read_label(text)
    assert told_injection({}, "x") is None
    row = {"injection_level": "C6", "injection_side": "r"}
    assert told_injection(row, "x") == Injection("C6", "R")
    with pytest.raises(BadData, match="x has no injection_side beside injection_level"):
        told_injection({"injection_level": "C6"}, "x")
    with pytest.raises(BadData, match="x: side 'both' is neither"):
        told_injection({"injection_level": "C6", "injection_side": "both"}, "x")


def test_a_box_is_cut_at_the_midline_and_says_how_much(tmp_path: Path, stack: Stack):
    index, (i0, i1, j0, j1) = box_about(stack, foramen_mm("L"), 12.0)
    # LAS: i grows to the left, so that a smaller i0 reaches beyond the midline
    path = table(tmp_path, f"C6 L {index} {i0 - 20} {i1} {j0} {j1}")
    (roi,) = placed_rois(stack, table=path).rois
    midline = find_midline(stack, index)
    region = make_region(stack, roi, midline)
    assert midline.how == "symmetry"
    line = (stack.plane(index).affine @ [midline.x, 0, 0, 1])[0]
    assert line == pytest.approx(MIDLINE, abs=1)
    innermost = region.region.affine @ [region.region.values.shape[0] - 1, 0, 0, 1]
    assert line - 0.5 <= innermost[0] <= line  # pixels of half a millimetre
    assert region.cut_share == pytest.approx(0.19, abs=0.03)
