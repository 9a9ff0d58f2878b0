"""Synthetic necks: the injected foramen tells the groups apart, and how an image was made not."""

import nibabel as nib
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from bidsapp.modalities.spine.midline import find_midline
from bidsapp.modalities.spine.phantom import draw_necks, write_phantom
from bidsapp.modalities.spine.quality import judge_region
from bidsapp.modalities.spine.region import make_region
from bidsapp.modalities.spine.roi_table import read_roi_table
from bidsapp.modalities.spine.stack import read_stack

PEOPLE = 30


@pytest.fixture(scope="module")
def auc(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """AUC of two quality numbers, and of how bright the injected foramen is."""
    folder = tmp_path_factory.mktemp("necks") / "bids"
    necks = write_phantom(folder, PEOPLE, seed=1)
    numbers: dict[str, list[float]] = {"contrast": [], "blur_mm": [], "foramen": []}
    for number in range(1, PEOPLE + 1):
        stem = f"sub-{number:02d}_acq-axial"
        anat = f"sub-{number:02d}/anat"
        stack = read_stack(folder / anat / f"{stem}_T2w.nii.gz")
        (roi,) = read_roi_table(
            folder / "derivatives/rois" / anat / f"{stem}_desc-foramen_roi.tsv", stack
        )
        midline = find_midline(stack, roi.slice, None)
        quality = judge_region(stack, roi, midline, make_region(stack, roi, midline))
        truth = nib.Nifti1Image.load(
            folder / "derivatives/truth" / anat / f"{stem}_label-truth_mask.nii.gz"
        )
        scan = nib.Nifti1Image.load(folder / anat / f"{stem}_T2w.nii.gz").get_fdata()
        inside = np.asarray(truth.dataobj) > 0
        numbers["foramen"].append(float(scan[inside].mean() / scan[scan > 0].mean()))
        for key in ("contrast", "blur_mm"):
            numbers[key].append(float(quality[key]))
    helped = [neck.helped for neck in necks]
    return {key: float(roc_auc_score(helped, values)) for key, values in numbers.items()}


def test_the_foramen_tells_the_groups_apart(auc: dict[str, float]) -> None:
    assert auc["foramen"] > 0.85


def test_how_sharp_and_how_bright_an_image_is_tells_nothing(auc: dict[str, float]) -> None:
    for name in ("blur_mm", "contrast"):
        assert abs(auc[name] - 0.5) < 0.2, name  # two standard errors among 30


def test_how_an_image_was_made_tells_nothing_of_itself_nor_by_who_is_most_alike() -> None:
    """Over many phantoms: with pairs of both groups that are made alike, the second would be 0."""
    alone, alike = [], []
    for seed in range(60):
        necks = draw_necks(np.random.default_rng(seed), PEOPLE, 0.0)
        helped = np.array([neck.helped for neck in necks])
        made = np.array([(n.blur_mm, n.noise, np.log(n.gain)) for n in necks])
        made = (made - made.mean(axis=0)) / made.std(axis=0)
        alone.append([roc_auc_score(helped, column) for column in made.T])
        apart = ((made[:, None] - made) ** 2).sum(axis=-1) + 1e9 * np.eye(PEOPLE)
        alike.append((helped[apart.argmin(axis=1)] == helped).mean())
    np.testing.assert_allclose(np.mean(alone, axis=0), 0.5, atol=0.045)  # three standard errors
    by_chance = (PEOPLE / 2 - 1) / (PEOPLE - 1)
    assert np.mean(alike) == pytest.approx(by_chance, abs=0.05)
