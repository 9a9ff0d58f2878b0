"""The bias field: found where it was put in, as ITK's own filter finds it, and never invented."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from bidsapp.modalities.t1w import files
from bidsapp.modalities.t1w.bias import ITERATIONS, TOLERANCE, correct_bias
from bidsapp.modalities.t1w.interfaces import CorrectBias
from bidsapp.modalities.t1w.n4 import (
    BINS,
    FIRST_POINTS,
    FWHM,
    NOISE,
    fit_log_bias,
    log_bias_on,
)
from bidsapp.modalities.t1w.steps import NO_BIAS_FIELD

SHAPE = (22, 26, 20)


@pytest.fixture(scope="module")
def brain() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Three tissues in a ball, its mask, and the logarithm of the field put on it."""
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, size) for size in SHAPE), indexing="ij")
    radius = np.sqrt(x**2 + y**2 + z**2)
    ripples = np.sin(9 * x) + np.sin(11 * y) + np.sin(7 * z)
    tissue = np.where(ripples > 0.4, 900.0, np.where(ripples > -0.6, 600.0, 250.0))
    noise = np.random.default_rng(3).normal(0, 15, SHAPE)
    log_field = 0.35 * x - 0.2 * y * z
    return (tissue + noise) * np.exp(log_field), radius < 0.95, log_field


def _images(values: np.ndarray, mask: np.ndarray) -> tuple[sitk.Image, sitk.Image]:
    image = sitk.GetImageFromArray(values.astype(np.float32))
    inside = sitk.GetImageFromArray(mask.astype(np.uint8))
    for one in (image, inside):
        one.SetSpacing((6.0, 5.0, 4.0))
        one.SetOrigin((-10.0, 3.0, 7.0))
    return image, inside


@pytest.mark.parametrize("iterations", [(30, 30, 30, 30), (3, 4)])
def test_the_field_is_that_of_itk(
    brain: tuple[np.ndarray, np.ndarray, np.ndarray], iterations: tuple[int, ...]
) -> None:
    values, mask, _ = brain
    image, inside = _images(values, mask)
    filter_ = sitk.N4BiasFieldCorrectionImageFilter()
    filter_.SetMaximumNumberOfIterations(iterations)
    filter_.SetConvergenceThreshold(1e-3)
    filter_.Execute(image, inside)
    finer = sitk.Image([30, 37, 41], sitk.sitkFloat32)  # ITK lays the spline from end to end
    theirs = sitk.GetArrayFromImage(filter_.GetLogBiasFieldAsImage(finer))
    points = fit_log_bias(values.astype(np.float32), mask, iterations, 1e-3)
    ours = log_bias_on(points, theirs.shape)
    assert theirs.std() > 0.02
    np.testing.assert_allclose(ours, theirs, atol=2e-3)


def test_the_constants_that_the_methods_text_names_are_the_defaults_of_itk() -> None:
    filter_ = sitk.N4BiasFieldCorrectionImageFilter()
    assert filter_.GetNumberOfHistogramBins() == BINS
    assert filter_.GetBiasFieldFullWidthAtHalfMaximum() == FWHM
    assert filter_.GetWienerFilterNoise() == NOISE
    assert tuple(filter_.GetNumberOfControlPoints()) == (FIRST_POINTS,) * 3
    assert tuple(filter_.GetMaximumNumberOfIterations()) == ITERATIONS
    assert filter_.GetConvergenceThreshold() == pytest.approx(TOLERANCE)


def test_a_field_is_taken_off(brain: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    values, mask, log_field = brain
    corrected = sitk.GetArrayFromImage(correct_bias(*_images(values, mask), 8.0)[0])
    left = (np.log(corrected) - np.log(values) + log_field)[mask]
    assert left.std() < 0.25 * log_field[mask].std()


@pytest.mark.parametrize("mask", [np.zeros(SHAPE, dtype=bool), np.ones(SHAPE, dtype=bool)])
def test_nothing_is_made_of_a_flat_or_empty_brain(mask: np.ndarray) -> None:
    flat = np.full(SHAPE, 40.0)
    image, inside = _images(flat, mask)
    image[0, 0, 0] = -3.0 if not mask.any() else 40.0
    found, fitted = correct_bias(image, inside, 8.0)
    assert not fitted
    corrected = sitk.GetArrayFromImage(found)
    np.testing.assert_array_equal(corrected, np.maximum(sitk.GetArrayFromImage(image), 0))


@pytest.mark.parametrize("planes", [1, 2, 3])
def test_a_brain_of_few_thick_slices_has_a_field_too(
    brain: tuple[np.ndarray, np.ndarray, np.ndarray], planes: int
) -> None:
    values, mask, log_field = (one[:, :, 9 : 9 + planes] for one in brain)
    image, inside = _images(values, mask)
    for one in (image, inside):
        one.SetSpacing((20.0, 5.0, 4.0))
    found, fitted = correct_bias(image, inside, 8.0)
    assert fitted
    corrected = sitk.GetArrayFromImage(found)
    left = (np.log(corrected) - np.log(values) + log_field)[mask]
    assert left.std() < 0.5 * log_field[mask].std()


def test_a_head_without_a_bias_field_is_told(tmp_path: Path) -> None:
    mask = np.zeros((24, 24, 24), dtype=bool)
    mask[6:18, 6:18, 6:18] = True
    varied = np.random.default_rng(1).uniform(200, 900, mask.shape).astype(np.float32)
    for values, told in ((np.full(mask.shape, 40.0, np.float32), [NO_BIAS_FIELD]), (varied, [])):
        paths = {
            name: files.write_array(tmp_path / f"{name}.nii", data, np.diag([2.0, 2, 2, 1]))
            for name, data in (("head", values), ("mask", mask))
        }
        (tmp_path / "node").mkdir(exist_ok=True)
        done = CorrectBias(**paths, speed="fast", nthreads=1).run(cwd=str(tmp_path / "node"))
        assert done.outputs.record["notes"] == told
