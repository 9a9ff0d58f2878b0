"""The deformable registration: its gradient is that of its measure, and it lays things in place."""

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from scipy.ndimage import gaussian_filter, uniform_filter

from bidsapp.modalities.t1w.deformable import Steps, _Correlation, deform

SHAPE = (26, 22, 24)
STEPS = Steps((20, 12, 6), radius=2, step=1.0, field=0.7)


def _texture(seed: int, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=shape)
    return (gaussian_filter(noise, 1.5) * 900 + 500).astype(np.float32)


def _image(values: np.ndarray, spacing: float = 2.0) -> sitk.Image:
    image = sitk.GetImageFromArray(values)
    image.SetSpacing((spacing,) * 3)
    image.SetOrigin((-20.0, 11.0, 3.0))
    return image


def test_the_slope_is_the_derivative_of_the_squared_correlations() -> None:
    target, moved = _texture(1)[:11, :12, :10], _texture(2)[:11, :12, :10].astype(np.float64)

    def measure(values: np.ndarray) -> float:
        def mean(one: np.ndarray) -> np.ndarray:
            return uniform_filter(one, 5, mode="constant")

        f, m = target.astype(np.float64), values
        noise = [(1e-3 * (one.max() - one.min())) ** 2 for one in (f, moved)]
        a = mean(f * f) - mean(f) ** 2 + noise[0]
        b = mean(m * m) - mean(m) ** 2 + noise[1]
        c = mean(f * m) - mean(f) * mean(m)
        return float((c * np.abs(c) / (a * b)).sum())

    slope = _Correlation(torch.from_numpy(target), 2).slope(torch.from_numpy(moved).float())
    for place in [(5, 6, 5), (0, 3, 2), (8, 11, 9), (4, 4, 7)]:
        step = np.zeros_like(moved)
        step[place] = 0.5
        numeric = measure(moved + step) - measure(moved - step)
        # the sum over a window of means is the window's sum over its size
        assert 2 * float(slope[place]) / 125 == pytest.approx(numeric, rel=0.02, abs=1e-6)


def test_what_was_bent_is_laid_back() -> None:
    fixed = _image(_texture(3))
    bend = gaussian_filter(np.random.default_rng(4).normal(size=(*SHAPE, 3)), (5, 5, 5, 0))
    known = sitk.GetImageFromArray(bend * 4.0 / np.abs(bend).max(), isVector=True)
    known.CopyInformation(fixed)
    moving = sitk.Resample(fixed, fixed, sitk.DisplacementFieldTransform(known))
    found = sitk.Cast(deform(fixed, moving, np.eye(4), STEPS), sitk.sitkVectorFloat64)
    back = sitk.Resample(moving, fixed, sitk.DisplacementFieldTransform(found))
    inner = (slice(4, -4),) * 3
    before, after = (
        np.corrcoef(*(sitk.GetArrayFromImage(one)[inner].ravel() for one in (fixed, other)))[0, 1]
        for other in (moving, back)
    )
    assert before < 0.95
    assert after > 0.98


@pytest.mark.parametrize("nothing", [0.0, 40.0])
def test_an_image_that_shows_nothing_moves_nothing(nothing: float) -> None:
    flat = _image(np.full(SHAPE, nothing, dtype=np.float32))
    for fixed, moving in ((_image(_texture(5)), flat), (flat, _image(_texture(6)))):
        field = sitk.GetArrayFromImage(deform(fixed, moving, np.eye(4), STEPS))
        assert np.isfinite(field).all()


def test_no_overlap_gives_a_field_of_finite_numbers() -> None:
    away = np.eye(4)
    away[:3, 3] = 500.0
    field = sitk.GetArrayFromImage(deform(_image(_texture(7)), _image(_texture(8)), away, STEPS))
    np.testing.assert_array_equal(field, 0)


def test_a_finer_moving_image_is_found_too() -> None:
    fine = _image(_texture(9, (50, 46, 48)), spacing=1.0)
    coarse = _image(np.zeros(SHAPE, dtype=np.float32))
    fixed = sitk.Resample(fine, coarse, sitk.Transform(), sitk.sitkLinear)
    field = sitk.GetArrayFromImage(deform(fixed, fine, np.eye(4), STEPS))
    assert np.abs(field[4:-4, 4:-4, 4:-4]).mean() < 0.4  # mm; nothing had moved


def test_a_level_far_above_what_an_image_varies_by_changes_nothing() -> None:
    """Local variances of float32 values are differences of squares, which a level drowns."""
    values, bend = _texture(3), gaussian_filter(
        np.random.default_rng(4).normal(size=(*SHAPE, 3)), (5, 5, 5, 0)
    )  # fmt: skip
    values -= values.min()
    known = sitk.GetImageFromArray(bend * 4.0 / np.abs(bend).max(), isVector=True)
    known.CopyInformation(_image(values))
    moved = sitk.DisplacementFieldTransform(known)
    moving = sitk.GetArrayFromImage(sitk.Resample(_image(values), _image(values), moved))
    fields = []
    for level in (0.0, 1e4 * values.std()):
        fixed, other = (_image((one + level).astype(np.float32)) for one in (values, moving))
        fields.append(sitk.GetArrayFromImage(deform(fixed, other, np.eye(4), STEPS)))
    assert np.abs(fields[0]).max() > 1  # mm
    assert np.linalg.norm(fields[1] - fields[0], axis=-1).max() < 0.05
