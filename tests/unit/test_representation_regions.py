"""Regions: volumes add up to the brain, intensities are relative, hemispheres are kept apart."""

import json

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from bidsapp.dataset.cohort import Cohort
from bidsapp.dataset.own_output import find_own
from bidsapp.errors import BadData
from bidsapp.representation.measures import cohort_measures
from bidsapp.representation.regions import cells, regional_values
from bidsapp.representation.sample import CohortRow
from tests.integration.group_studies import affine_of, brain, write_normalised
from tests.unit.cohort_trees import heads

SHAPE = (40, 48, 40)
AFFINE = np.array([[2, 0, 0, -40], [0, 2, 0, -48], [0, 0, 2, -40], [0, 0, 0, 1.0]])


@pytest.fixture
def mask():
    """A ball of 36 mm."""
    at = np.indices(SHAPE).reshape(3, -1).T @ AFFINE[:3, :3].T + AFFINE[:3, 3]
    return (np.linalg.norm(at, axis=1) < 36).reshape(SHAPE)


def row_of(folder, name, **images):
    paths = {}
    for channel, voxels in images.items():
        paths[channel] = folder / f"{name}_{channel}.nii"
        nib.save(nib.Nifti1Image(voxels.astype(np.float32), AFFINE), paths[channel])
    return CohortRow(name, "", paths)


def test_volumes_are_of_the_participants_own_brain(mask, tmp_path):
    image = np.where(mask, 0.5, 0)
    growth = np.full(SHAPE, np.log(1.2))
    growth[20:] = np.log(0.8)  # x of 0 and more: the right is smaller than the template's
    row = row_of(tmp_path, "sub-1", t1w=image, log_jacobian=growth)
    table = regional_values([row], mask, AFFINE)
    volumes = table.filter(like="volume").iloc[0]
    cell, names = cells(mask, AFFINE, 24.0)
    sides = np.array([float(name.split("_")[0]) for name in names])
    count = np.bincount(cell[cell >= 0], minlength=len(names))
    expected = np.where(sides < 0, 1.2, 0.8) * count * 8 / 1000
    np.testing.assert_allclose(volumes, expected, rtol=1e-4)
    assert count.sum() > 0.75 * mask.sum()  # a ball has more of a rim than a brain
    assert table.filter(like="intensity").to_numpy() == pytest.approx(1)


def test_intensities_do_not_hang_on_the_scale_of_the_image(mask, tmp_path):
    image = np.where(mask, np.random.default_rng(0).random(SHAPE), 0)
    rows = [row_of(tmp_path, f"sub-{i}", t1w=image * scale) for i, scale in enumerate((1, 3))]
    table = regional_values(rows, mask, AFFINE)
    assert not table.filter(like="volume").columns.any()
    np.testing.assert_allclose(table.iloc[0], table.iloc[1], atol=2e-5)
    assert table.iloc[0].std() > 0.005


def test_no_region_holds_both_hemispheres(mask):
    cell, names = cells(mask, AFFINE, 24.0)
    left, right = set(cell[:20][mask[:20]]) - {-1}, set(cell[20:][mask[20:]]) - {-1}
    assert left.isdisjoint(right)
    assert left | right == set(range(len(names)))
    assert cell[~mask].max() == -1


def test_an_image_on_another_grid_is_refused(mask, tmp_path):
    row = row_of(tmp_path, "sub-1", t1w=np.ones((10, 10, 10)))
    with pytest.raises(BadData, match="shape"):
        regional_values([row], mask, AFFINE)


@pytest.mark.parametrize("series", [False, True])
def test_an_image_that_lies_elsewhere_is_refused(series, mask, tmp_path):
    aside = AFFINE.copy()
    aside[0, 3] += 4
    voxels = np.ones((*SHAPE, 12) if series else SHAPE, np.float32)
    path = tmp_path / "aside.nii"
    nib.save(nib.Nifti1Image(voxels, aside), path)
    row = CohortRow("sub-1", "", {"bold" if series else "t1w": path})
    with pytest.raises(BadData, match=r"aside\.nii lies elsewhere than the template's brain mask"):
        regional_values([row], mask, AFFINE)


def test_the_measures_of_a_cohort_are_its_quality_numbers_and_regions(tmp_path):
    for i in range(3):
        numbers = {"ncc": 0.8 + i / 100, "local_ncc": 0.79, "brain_volume_ml": 1400.0}
        write_normalised(tmp_path, f"sub-{i}", brain(i, False), **numbers)
    sidecar = next(tmp_path.glob("sub-1/anat/*preproc_T1w.json"))
    content = json.loads(sidecar.read_text())
    del content["Quality"]["local_ncc"]
    sidecar.write_text(json.dumps(content))
    files = tuple(find_own(tmp_path, heads("MNI152NLin2009aSym")).images.values())
    rows = pd.DataFrame([file.key for file in files], columns=["participant_id", "session_id"])
    inside = np.zeros((79, 95, 79), np.uint8)
    inside[10:70, 10:85, 10:70] = 1
    nib.save(nib.Nifti1Image(inside, affine_of(2)), tmp_path / "mask.nii")
    cohort = Cohort(rows, pd.DataFrame(), files, ())
    table = cohort_measures(cohort, tmp_path / "mask.nii", ["regions"])
    assert table["quality_ncc"].tolist() == pytest.approx([0.80, 0.81, 0.82])
    assert table["quality_local_ncc"].isna().tolist() == [False, True, False]
    assert not table.columns.str.contains("brain_volume").any()  # the illness may change it
    assert table.filter(like="region_volume").shape[1] > 50
    assert not cohort_measures(cohort, tmp_path / "mask.nii").columns.str.contains("reg").any()
