"""Scaling of T1w intensities by the brain they are of."""

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidsapp.errors import BadData
from bidsapp.recipes.images import Representation
from bidsapp.representation.sample import CohortRow, read_sample, robust_scaling


def head(seed: int = 0) -> np.ndarray:
    """A ball of random intensities in an empty box."""
    grid = np.indices((12, 12, 12)) - 5.5
    brain = (grid**2).sum(axis=0) < 25
    return np.where(brain, np.random.default_rng(seed).uniform(0.1, 1, (12, 12, 12)), 0)


def test_every_brain_has_the_same_middle_and_width_and_the_background_stays_0():
    image = head()
    scaled = robust_scaling(image)
    inside = scaled[image != 0]
    assert np.median(inside) == pytest.approx(0, abs=1e-6)
    assert np.subtract(*np.percentile(inside, [75, 25])) == pytest.approx(1.3489795, rel=1e-5)
    assert (scaled[image == 0] == 0).all()
    assert np.corrcoef(inside, image[image != 0])[0, 1] == pytest.approx(1)


@given(st.floats(0.05, 20), st.integers(0, 1000))
def test_a_gain_changes_nothing(gain, seed):
    image = head(seed)
    np.testing.assert_allclose(robust_scaling(image * gain), robust_scaling(image), atol=1e-5)


def test_one_bright_voxel_moves_min_max_and_not_this():
    image = head()
    vessel = image.copy()
    vessel[6, 6, 6] = 5
    there = np.ones(image.shape, bool)
    there[6, 6, 6] = False
    moved = np.abs(robust_scaling(vessel) - robust_scaling(image))[there]
    by_range = np.abs(vessel / vessel.max() - image / image.max())[there]
    assert moved.max() < 0.02
    assert by_range.max() > 0.5


def test_only_channels_without_a_unit_are_scaled(tmp_path):
    affine = np.diag([2.0, 2, 2, 1])
    images = {"t1w": tmp_path / "t1w.nii.gz", "log_jacobian": tmp_path / "jacobian.nii.gz"}
    nib.save(nib.Nifti1Image(head().astype(np.float32), affine), images["t1w"])
    nib.save(nib.Nifti1Image(head(1).astype(np.float32), affine), images["log_jacobian"])
    spec = Representation(kind="volume", channels=("t1w", "log_jacobian"), scaling="robust")
    sample, _ = read_sample(CohortRow("sub-1", "", images), spec, np.ones((12, 12, 12), bool))
    np.testing.assert_allclose(sample[0], robust_scaling(head().astype(np.float32)), atol=1e-5)
    np.testing.assert_allclose(sample[1], head(1).astype(np.float32))


@pytest.mark.parametrize("value", [0, 0.5])
def test_an_image_without_contrast_is_refused_by_name(tmp_path, value):
    path = tmp_path / "flat.nii.gz"
    nib.save(nib.Nifti1Image(np.full((4, 4, 4), value, np.float32), np.eye(4)), path)
    spec = Representation(kind="volume", scaling="robust")
    with pytest.raises(BadData, match=r"flat.nii.gz cannot be scaled: "):
        read_sample(CohortRow("sub-1", "", {"t1w": path}), spec)
