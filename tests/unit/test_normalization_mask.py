"""The brain mask on a real head, on deepbet's own grid and on the coarser one of `fast`."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from bidsapp.execution.compute import resolve_device
from bidsapp.modalities.t1w.brainmask import extract_brain
from bidsapp.modalities.t1w.reading import read_head
from bidsapp.modalities.t1w.speeds import speed_named


@pytest.fixture(scope="module")
def masks(real_data: Path) -> dict[str, np.ndarray]:
    """Mask of one head at each speed."""
    head = read_head(real_data / "ixi2mm_dev48" / "sub-IXI014" / "anat" / "sub-IXI014_T1w.nii.gz")
    device = resolve_device("cpu")
    return {
        name: extract_brain(head, device, grid=speed_named(name).mask_grid)
        for name in ("fast", "default")
    }


def test_the_coarser_grid_gives_nearly_the_same_mask(masks: dict[str, np.ndarray]) -> None:
    fast, default = masks["fast"], masks["default"]
    dice = 2 * np.count_nonzero(fast & default) / (fast.sum() + default.sum())
    assert 0.98 < dice < 1


@pytest.mark.parametrize("speed", ["fast", "default"])
def test_the_mask_holds_the_labelled_brain(
    masks: dict[str, np.ndarray], real_data: Path, speed: str
) -> None:
    name = "sub-IXI014_desc-DLMUSE_dseg.nii.gz"
    folder = real_data / "ixi2mm_dev48" / "derivatives" / "dlmuse" / "sub-IXI014" / "anat"
    labels = np.asarray(nib.as_closest_canonical(nib.load(folder / name)).dataobj)
    assert masks[speed][labels > 0].mean() > 0.97
