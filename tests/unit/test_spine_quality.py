"""What is measured of a region tells what was done to it; the midline of real necks is found."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from bidsapp.contracts.measure import FAIL, PASS, WARN
from bidsapp.modalities.spine.injections import Injection
from bidsapp.modalities.spine.measures import MEASURES
from bidsapp.modalities.spine.midline import Midline, find_midline
from bidsapp.modalities.spine.proposals import box_beside
from bidsapp.modalities.spine.quality import blur_mm, contrast, ghosting, judge_region
from bidsapp.modalities.spine.region import make_region
from bidsapp.modalities.spine.roi_mask import read_mask_on
from bidsapp.modalities.spine.roi_table import Roi
from bidsapp.modalities.spine.stack import Plane, Stack, read_stack
from tests.unit.spine_necks import box_about, foramen_mm, stack_of

DATA = Path(os.environ.get("NOCICAST_TEST_DATA", "../shared/data")) / "cervical"
real = pytest.mark.skipif(not DATA.is_dir(), reason=f"no {DATA}: real necks")


def judged(stack: Stack, side: str = "L", cord: np.ndarray | None = None, **how):
    index, box = box_about(stack, foramen_mm(side), **how)
    roi = Roi(Injection("C6", side), index, box, "x_roi.tsv")
    midline = find_midline(stack, index, cord)
    return judge_region(stack, roi, midline, make_region(stack, roi, midline))


def test_every_measure_is_measured_and_a_sound_region_passes(tmp_path: Path):
    quality = judged(stack_of(tmp_path))
    assert {measure.key for measure in MEASURES} | {"verdict", "reasons"} == set(quality)
    assert (quality["verdict"], quality["reasons"]) == (PASS, [])
    assert quality["pixel_mm"] == pytest.approx(0.8)
    assert quality["slice_mm"] == 4.0


@pytest.mark.parametrize(
    ("how", "key", "verdict"),
    [
        ({"sizes": (1.2, 1.2, 4.0), "shape": (80, 75, 9)}, "pixel", WARN),
        ({"sizes": (2.0, 2.0, 4.0), "shape": (60, 55, 9)}, "pixel", FAIL),
        ({"sizes": (0.8, 0.8, 7.5)}, "Thickness", WARN),
    ],
)
def test_coarse_series_are_told(tmp_path: Path, how, key, verdict):
    quality = judged(stack_of(tmp_path, **how))
    assert quality["verdict"] == verdict
    assert any(key in reason for reason in quality["reasons"])


def test_blur_and_loss_of_contrast_are_told(tmp_path: Path):
    stack = stack_of(tmp_path)
    seen = []
    for mm in (0.0, 2.0, 4.0, 6.0):
        sigma = [mm / 0.8, mm / 0.8, 0]
        seen.append(judged(replace(stack, data=gaussian_filter(stack.data, sigma)))["blur_mm"])
    assert seen == sorted(seen)
    flat = judged(replace(stack, data=stack.data * 0.05 + 300))
    assert flat["verdict"] == FAIL
    assert any("Contrast" in reason for reason in flat["reasons"])
    assert contrast(np.full((4, 4), 7.0)) == 0
    assert blur_mm(Plane(np.full((8, 8), 7.0, np.float32), np.eye(4))) == float("inf")


def test_a_box_half_beyond_the_midline_is_told(tmp_path: Path):
    stack = stack_of(tmp_path)
    index, (i0, i1, j0, j1) = box_about(stack, foramen_mm("L"), 10.0)
    roi = Roi(Injection("C6", "L"), index, (i0, i1 + 32, j0, j1), "x_roi.tsv")
    midline = find_midline(stack, index)
    quality = judge_region(stack, roi, midline, make_region(stack, roi, midline))
    assert quality["cut_share"] == pytest.approx(0.33, abs=0.04)
    assert quality["verdict"] == WARN


def neck_in_air(ghosts: float) -> Plane:
    """A neck with noise in the air, repeated faintly from front to back."""
    generator = np.random.default_rng(0)
    x, y = np.meshgrid(np.arange(300) - 150, np.arange(300) - 150, indexing="ij")
    neck = 100.0 * (x**2 + y**2 < 80**2)
    shifted = np.roll(neck, 110, axis=1) + np.roll(neck, -110, axis=1)
    values = neck + ghosts * shifted * (neck == 0) + np.abs(generator.normal(0, 1, neck.shape))
    return Plane(values.astype(np.float32), np.diag([0.5, 0.5, 4, 1]))


def test_ghosts_are_seen_where_there_is_air():
    assert ghosting(neck_in_air(0)) < 0.01
    assert ghosting(neck_in_air(0.1)) > 0.05
    inside = neck_in_air(0.1)
    assert ghosting(replace(inside, values=inside.values[100:200, 100:200])) is None


def test_an_image_without_symmetry_is_cut_in_its_centre_with_a_doubt(tmp_path: Path):
    stack = stack_of(tmp_path)
    noise = np.random.default_rng(0).normal(100, 30, stack.data.shape).astype(np.float32)
    slope = np.linspace(0, 4000, stack.data.shape[0], dtype=np.float32)[:, None, None]
    stack = replace(stack, data=noise + slope)
    midline = find_midline(stack, 4)
    assert (midline.how, midline.x) == ("centre", 59.5)
    assert any("centre of the field of view" in reason for reason in judged(stack)["reasons"])
    for way, words in (("symmetry", "the halves are too unlike"), ("cord", "no mask of the cord")):
        with pytest.raises(ValueError, match=words):
            find_midline(stack, 4, wanted=way)


def test_a_cord_far_from_the_axis_of_symmetry_is_told(tmp_path: Path):
    stack = stack_of(tmp_path, flips=(-1, 1, 1))
    cord = np.zeros(stack.data.shape, np.uint8)
    cord[60:64, 50:60, 3:6] = 1
    quality = judged(stack, cord=cord)
    midline = find_midline(stack, 4, cord)
    # LAS: voxel 61.5 of 120 from the right is pixel 57.5 from the left
    assert (midline.how, midline.x) == ("cord", 57.5)
    assert quality["midline_mm"] == pytest.approx(abs(midline.others["symmetry"]), abs=0.01)
    far = cord * 0
    far[60:64, 50:60, 8] = 1  # 16 mm above
    assert find_midline(stack, 4, far).how == "symmetry"
    assert find_midline(stack, 5, far).how == "cord"
    assert isinstance(midline, Midline)


MASKED = ("errsm11", "errsm18", "errsm21", "errsm23", "errsm24")


@real
@pytest.mark.parametrize("name", MASKED)
def test_cord_and_symmetry_agree_within_2_mm_in_real_necks(name: str):
    image = DATA / f"sub-{name}/anat/sub-{name}_acq-3D_T2w.nii.gz"
    stem = f"sub-{name}_acq-3D_label-cord_mask.nii.gz"
    stack = read_stack(image)
    cord = read_mask_on(DATA / f"derivatives/labels/sub-{name}/anat/{stem}", stack)
    # from the second thoracic vertebra to the skull, every 10 mm
    for index in range(70, 190, 10):
        midline = find_midline(stack, index, cord)
        assert midline.how == "cord"
        assert abs(midline.others["symmetry"]) < 2.0, index


# Boxes drawn by looking: foramen, disc's edge and facet of one side on one slice.
DRAWN = [
    ("errsm11_acq-3D", "C6", "L", 129, (38, 65, 2, 28)),
    ("errsm18_acq-3D", "C6", "L", 126, (50, 77, 2, 28)),
    ("errsm20_acq-3D", "C6", "R", 96, (48, 75, 27, 50)),
    ("errsm21_acq-3D", "C7", "L", 111, (42, 69, 0, 25)),
    ("errsm21_acq-3D", "C6", "R", 131, (41, 68, 26, 50)),
    ("errsm22_acq-3D", "C7", "L", 128, (54, 81, 1, 27)),
    ("errsm23_acq-3D", "C7", "L", 122, (50, 77, 3, 30)),
    ("errsm24_acq-3D", "C7", "R", 117, (40, 67, 29, 50)),
    ("tutms_acq-axial", "C6", "R", 8, (122, 162, 116, 156)),
]


@real
@pytest.mark.parametrize(("name", "level", "side", "index", "box"), DRAWN)
def test_regions_of_real_necks_are_cut_and_proposals_lie_on_them(name, level, side, index, box):
    who = name.partition("_")[0]
    stack = read_stack(DATA / f"sub-{who}/anat/sub-{name}_T2w.nii.gz")
    roi = Roi(Injection(level, side), index, box, "x_roi.tsv")
    midline = find_midline(stack, index)
    region = make_region(stack, roi, midline)
    assert midline.how == "symmetry"
    assert region.cut_share < 0.05
    # slices of 7.5 mm are thicker than they should be
    expected = WARN if name == "tutms_acq-axial" else PASS
    assert judge_region(stack, roi, midline, region)["verdict"] == expected
    if who not in MASKED:
        return
    stem = f"sub-{name}_label-cord_mask.nii.gz"
    cord = read_mask_on(DATA / f"derivatives/labels/sub-{who}/anat/{stem}", stack)
    proposed, drawn = np.zeros((2, *stack.plane(index).values.shape), bool)
    for mask, (x0, x1, y0, y1) in (
        (proposed, box_beside(stack, index, side, cord)),
        (drawn, stack.in_plane(box)),
    ):
        mask[x0 : x1 + 1, y0 : y1 + 1] = True
    assert (proposed & drawn).sum() / (proposed | drawn).sum() > 0.65
