"""Synthetic necks: the injected foramen tells the groups apart, and how an image was made not."""

import nibabel as nib
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from bidsapp.modalities.spine.midline import find_midline
from bidsapp.modalities.spine.phantom import write_phantom
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
        truth = nib.load(folder / "derivatives/truth" / anat / f"{stem}_label-truth_mask.nii.gz")
        scan = nib.load(folder / anat / f"{stem}_T2w.nii.gz").get_fdata()
        inside = np.asarray(truth.dataobj) > 0
        numbers["foramen"].append(float(scan[inside].mean() / scan[scan > 0].mean()))
        for key in ("contrast", "blur_mm"):
            numbers[key].append(float(quality[key]))
    helped = [neck.helped for neck in necks]
    return {key: float(roc_auc_score(helped, values)) for key, values in numbers.items()}


def test_the_foramen_tells_the_groups_apart(auc: dict[str, float]) -> None:
    assert auc["foramen"] > 0.85


def test_how_sharp_and_how_bright_an_image_is_tells_nothing(auc: dict[str, float]) -> None:
    assert abs(auc["blur_mm"] - 0.5) < 0.1  # one image of each group is made alike
    assert abs(auc["contrast"] - 0.5) < 0.2  # two standard errors among 30
