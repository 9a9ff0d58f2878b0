"""Zero and unit of an image: whatever offset and unit its file has, what follows sees one image."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_dilation, binary_fill_holes, gaussian_filter

from bidsapp.errors import BadData
from bidsapp.modalities.t1w import steps
from bidsapp.modalities.t1w.intensity import Levelled, level, require_measured
from bidsapp.modalities.t1w.reading import Head, read_head
from tests.integration.heads import dlmuse, stripped, t1w
from tests.unit.intensity_kinds import KINDS

SHAPE = (48, 56, 48)
RADII = np.linalg.norm((np.indices(SHAPE).T - (np.array(SHAPE) - 1) / 2) / (24, 28, 24), axis=-1).T
BRAIN = RADII < 0.55


def head(noise: float = 8.0) -> np.ndarray:
    """Air with a scanner's noise, scalp, skull and a brain of three tissues; float64, from 0 up."""
    random = np.random.default_rng(0)
    tissue = gaussian_filter(random.normal(size=SHAPE), 2.5)
    tissue = np.digitize(tissue / tissue.std(), [-1, 0.3])
    drawn = np.where(BRAIN, np.array([150, 450, 700])[tissue], 0)
    drawn = np.where((RADII > 0.7) & (RADII < 0.85), 900, drawn)
    return np.hypot(drawn + random.normal(0, noise, SHAPE), random.normal(0, noise, SHAPE))


def brain() -> np.ndarray:
    """The same without skull, its background 0."""
    return np.where(BRAIN, head(), 0)


HEADS = {"head": head(), "brain": brain(), "bytes": np.round(head() / 4), "clean": head(0)}


def span(values: np.ndarray) -> float:
    return float(np.percentile(values, 99.5))


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("kind", [np.float32, np.float64, np.uint8, np.int16, np.uint16])
def test_a_usual_image_is_left_as_it_is_to_the_last_bit(name: str, kind: type) -> None:
    values = (HEADS[name] / (4 if kind == np.uint8 else 1)).astype(kind)
    found = level(values)
    assert found.data.dtype == np.float32
    np.testing.assert_array_equal(found.data, values.astype(np.float32))
    assert (found.offset, found.factor, found.notes, found.doubts) == (0, 1, [], [])
    assert found.outside is found.holes is None


@pytest.mark.parametrize("name", HEADS)
@given(gain=st.floats(-35, 35).map(lambda power: 10.0**power), offset=st.floats(-50, 50))
@settings(max_examples=40, deadline=None)
def test_offset_and_unit_change_nothing(name: str, gain: float, offset: float) -> None:
    """`offset` in spans of the tissue; below a fiftieth it is none, as far as one can tell."""
    base = HEADS[name]
    found = level((base + offset * span(base)) * gain)
    expected = base / span(base)
    scaled = found.data / span(found.data)
    np.testing.assert_allclose(scaled, expected, atol=0.021)
    assert 16 <= span(found.data) <= 2**20 * 1.03
    assert np.log2(found.factor) == round(np.log2(found.factor))
    again = level(found.data)
    np.testing.assert_array_equal(again.data, found.data)


def test_whole_numbers_with_an_offset_come_back_to_the_last_bit() -> None:
    values = np.round(head()).astype(np.int16)
    np.testing.assert_array_equal(level(values - np.int16(1024)).data, level(values).data)


@pytest.mark.parametrize("whole", [True, False])
def test_z_scores_start_where_the_image_starts(whole: bool) -> None:
    base = head()
    inside = np.ones(SHAPE, bool) if whole else BRAIN
    found = level((base - base[inside].mean()) / base[inside].std())
    np.testing.assert_allclose(found.data / span(found.data), base / span(base), atol=1e-3)


def test_a_brain_on_both_sides_of_its_background_keeps_its_dark_half() -> None:
    """Z-scored within the brain, its background left at 0."""
    base = brain()
    scores = np.where(BRAIN, (base - base[BRAIN].mean()) / base[BRAIN].std(), 0)
    found = level(scores.astype(np.float32))
    assert np.mean(found.data[BRAIN] > 0) > 0.99
    assert not found.data[~BRAIN].any()
    assert np.corrcoef(found.data[BRAIN], base[BRAIN])[0, 1] > 0.9999
    assert "taken as background" in found.notes[0]


@pytest.mark.parametrize("fill", [-32768, -2000, -1e30, 5000, 32767, np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["head", "brain"])
def test_what_fills_the_outside_of_the_field_of_view_is_background(name: str, fill: float) -> None:
    outside = RADII > 1.0
    base = HEADS[name]
    found = level(np.where(outside, fill, base).astype(np.float32))
    expected = np.where(outside, 0, base).astype(np.float32)
    np.testing.assert_array_equal(found.data, expected)
    assert found.outside is not None
    np.testing.assert_array_equal(found.outside, outside)
    assert len(found.notes) == 1
    assert "background" in found.notes[0]
    assert not found.doubts


@pytest.mark.parametrize("share", [0.74, 0.97])
def test_no_share_of_missing_air_is_damage(share: float) -> None:
    base = head()
    masked = np.where(RADII < 0.9, base, np.nan)
    wide = np.full([round(size * (0.5 / (1 - share)) ** (1 / 3)) + 8 for size in SHAPE], np.nan)
    wide[tuple(slice(4, 4 + size) for size in SHAPE)] = masked
    found = level(wide.astype(np.float32))
    assert np.isnan(wide).mean() > share
    inner = found.data[tuple(slice(4, 4 + size) for size in SHAPE)]
    np.testing.assert_array_equal(inner, np.where(RADII < 0.9, base, 0).astype(np.float32))


def test_a_hole_takes_the_value_nearest_to_it() -> None:
    base = head().astype(np.float32)
    broken = base.copy()
    broken[24, 28, 24] = np.inf
    found = level(broken)
    assert found.holes is not None
    assert found.outside is None
    assert list(np.argwhere(found.holes)[0]) == [24, 28, 24]
    beside = [base[23, 28, 24], base[25, 28, 24], base[24, 27, 24], base[24, 29, 24]]
    assert found.data[24, 28, 24] in [*beside, base[24, 28, 23], base[24, 28, 25]]
    found.data[24, 28, 24] = base[24, 28, 24]
    np.testing.assert_array_equal(found.data, base)


def as_head(found: Levelled) -> Head:
    return Head(
        found.data,
        np.diag([3.0, 3, 3, 1]),
        list(found.notes),
        outside=found.outside,
        holes=found.holes,
        doubts=list(found.doubts),
    )


def test_holes_in_the_brain_are_refused_and_elsewhere_are_not() -> None:
    broken = head().astype(np.float32)
    broken[5:9, 5:9, 5:9] = np.nan  # in the air, but not at the edge
    kept = steps.measured(as_head(level(broken)), BRAIN)
    np.testing.assert_array_equal(kept, BRAIN)
    broken[22:26, 26:30, 22:26] = np.nan
    with pytest.raises(BadData, match=r"64 of \d+ voxels of the brain are NaN or infinite"):
        steps.measured(as_head(level(broken)), BRAIN)


def test_a_brain_that_ends_where_numbers_end_is_a_doubt() -> None:
    cut = head().astype(np.float32)
    cut[:, :, :24] = np.nan
    found = as_head(level(cut))
    kept = steps.measured(found, BRAIN)
    assert not kept[:, :, :24].any()
    assert len(found.doubts) == 1
    assert "were not measured" in found.doubts[0]
    around = np.where(RADII < 0.9, head(), np.nan).astype(np.float32)
    whole = as_head(level(around))
    steps.measured(whole, BRAIN)
    assert whole.doubts == []


def test_require_measured_allows_a_thousandth() -> None:
    require_measured(10, 10_000)
    with pytest.raises(BadData, match="a name: 11 of 10000"):
        require_measured(11, 10_000, "a name: ")


def overflowed(slope: float = 1.0, intercept: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """What a head should be, and what is left of it after bright voxels passed 16 bits."""
    right = np.round(head() * 36)
    right[20:28, 26:30, 2:40] = 36_000  # a vessel
    wrapped = right.astype(np.int64).astype(np.int16)
    assert (wrapped < 0).any()
    return right * slope + intercept, wrapped * slope + intercept


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (0.01, 0.0), (2.5, -1000.0)])
def test_an_overflow_is_named_undone_and_doubted(slope: float, intercept: float) -> None:
    right, wrapped = overflowed(slope, intercept)
    found = level(wrapped.astype(np.float32), slope=slope, intercept=intercept)
    expected = level(right.astype(np.float32))
    np.testing.assert_allclose(
        found.data / found.factor, expected.data / expected.factor, rtol=1e-5, atol=0.05 * slope
    )
    assert len(found.doubts) == 1
    assert found.doubts[0] in found.notes
    assert "negative beside the brightest" in found.doubts[0]


@pytest.mark.parametrize(
    "values",
    [
        np.where(RADII > 1, -32768, head() * 30),
        head() * 60 - 32768,
        np.round((head() / 1000 - 0.5) * 60_000),
        np.where(RADII > 0.9, -30_000, head() * 30),
    ],
)
def test_what_is_negative_by_right_is_no_overflow(values: np.ndarray) -> None:
    found = level(np.clip(values, -32768, 32767).astype(np.int16))
    assert found.doubts == []


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (np.full(SHAPE, np.nan), "no finite number"),
        (np.full(SHAPE, 7.0), "constant: every voxel is 7"),
        (np.where(BRAIN, 3.0, np.nan), "constant"),
    ],
)
def test_an_image_of_nothing_is_refused(values: np.ndarray, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        level(values)


@pytest.mark.parametrize("skull", [True, False])
def test_a_real_head_reads_alike_in_all_of_them(
    skull: bool, real_data: Path, tmp_path: Path
) -> None:
    image, labels = nib.Nifti1Image.load(t1w(real_data, "IXI014")), dlmuse(real_data, "IXI014")
    inside = binary_fill_holes(
        binary_dilation(np.asarray(nib.Nifti1Image.load(labels).dataobj) > 0)
    )
    image = image if skull else stripped(image, labels)
    image.to_filename(tmp_path / "image.nii")
    base = read_head(tmp_path / "image.nii")
    assert base.notes == []
    values = np.asarray(image.dataobj, dtype=np.float64)
    for name, make in KINDS.items():
        make(values, inside, image.affine).to_filename(tmp_path / f"{name}.nii")
        found = read_head(tmp_path / f"{name}.nii")
        share = found.data / np.float32(span(found.data)) - base.data / np.float32(span(base.data))
        assert np.abs(share).max() < 2e-3, name
        np.testing.assert_array_equal(found.data == 0, base.data == 0, err_msg=name)


def test_without_any_air_a_zero_just_below_the_tissue_is_kept() -> None:
    """SPM and CAT12 leave NaN around the brain, whose darkest voxel is far above 0."""
    base = np.maximum(brain(), 90)
    found = level(np.where(BRAIN, base, np.nan).astype(np.float32))
    np.testing.assert_array_equal(found.data, np.where(BRAIN, base, 0).astype(np.float32))


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("stray", [-32768.0, -1e6, 1e6, 1e30, -1e300])
@pytest.mark.parametrize("offset", [0, -1024])
def test_a_few_stray_voxels_move_neither_zero_nor_unit(
    offset: int, stray: float, kind: type
) -> None:
    base = (np.round(head()) + offset).astype(kind)
    spoilt = base.copy()
    with np.errstate(over="ignore"):
        spoilt[4:6, 10, 10] = stray
    expected, found = level(base), level(spoilt)
    assert np.isfinite(found.data).all()
    assert found.offset == pytest.approx(expected.offset, abs=1)  # of 900
    assert found.factor == expected.factor == 1
    found.data[4:6, 10, 10] = expected.data[4:6, 10, 10]
    np.testing.assert_allclose(found.data, expected.data, atol=1)
