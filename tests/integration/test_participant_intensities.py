"""One head in every unit and with every offset: one normalised image, one verdict."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import binary_dilation, binary_fill_holes, distance_transform_edt

from tests.integration.heads import DESCRIPTION, dlmuse, stripped, t1w
from tests.integration.running import TIMEOUT, Ended, find, run_app, voxels
from tests.unit.intensity_kinds import KINDS

PREPROC = "_res-2_desc-preproc_T1w.nii.gz"
MASK = "_res-2_desc-brain_mask.nii.gz"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(TIMEOUT)]


def brain_of(real_data: Path) -> np.ndarray:
    labels = np.asarray(nib.Nifti1Image.load(dlmuse(real_data, "IXI014")).dataobj)
    return binary_fill_holes(labels > 0)


def vessels(brain: np.ndarray) -> np.ndarray:
    """Some 3 % of the brain in patches of its surface, 4 mm deep."""
    rim = brain & (distance_transform_edt(brain) <= 2)
    return rim & ((np.indices(brain.shape) // 8).sum(axis=0) % 8 == 0)


@pytest.fixture(scope="module")
def run(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """A head and its brain alone in all kinds, with bright vessels, and in air without a number."""
    root = tmp_path_factory.mktemp("intensities")
    dataset = root / "dataset"
    image = nib.Nifti1Image.load(t1w(real_data, "IXI014"))
    brain = brain_of(real_data)
    images = {}
    for skull, base in (("head", image), ("brain", stripped(image, dlmuse(real_data, "IXI014")))):
        values = np.asarray(base.dataobj, dtype=np.float64)
        images[f"{skull}base"] = nib.Nifti1Image(values.astype(np.float32), image.affine)
        for name, make in KINDS.items():
            images[f"{skull}{name}"] = make(values, brain, image.affine)
    values = np.asarray(image.dataobj, dtype=np.float32)
    head = binary_fill_holes(binary_dilation(values > 0.06 * values.max(), iterations=3))
    for name, fill in (("nan", np.nan), ("fill", -2000), ("inf", np.inf)):
        air = np.where(head, values, np.float32(fill))
        images[f"air{name}"] = nib.Nifti1Image(air, image.affine)
    white = np.percentile(values[brain], 90)
    bright = vessels(brain)
    assert 0.02 < bright.sum() / brain.sum() < 0.04
    for times in (2, 4, 10):
        given = np.where(bright, times * white, values).astype(np.float32)
        images[f"vessels{times}"] = nib.Nifti1Image(given, image.affine)
    for label, each in images.items():
        path = dataset / f"sub-{label}" / "anat" / f"sub-{label}_T1w.nii.gz"
        path.parent.mkdir(parents=True)
        each.to_filename(path)
    (dataset / "dataset_description.json").write_text(DESCRIPTION)
    return run_app(dataset, root / "out", "--skip-bids-validation", "--speed", "fast")


def alike(run: Ended, one: str, other: str) -> float:
    """Correlation of two normalised images inside the brain, where both are."""
    masks = [voxels(run.output_dir, label, MASK) > 0 for label in (one, other)]
    both = masks[0] & masks[1]
    overlap = 2 * both.sum() / (masks[0].sum() + masks[1].sum())
    assert overlap > 0.995, (other, overlap)
    images = [voxels(run.output_dir, label, PREPROC)[both] for label in (one, other)]
    return float(np.corrcoef(*images)[0, 1])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("skull", ["head", "brain"])
def test_the_same_image_and_verdict_in_every_unit(skull: str, kind: str, run: Ended) -> None:
    """As far as the registration repeats itself when the last bit of a voxel differs (.98)."""
    base, found = (run.sidecar(f"{skull}{name}") for name in ("base", kind))
    assert found["Quality"]["verdict"] == base["Quality"]["verdict"] == "pass"
    assert found["Quality"]["ncc"] == pytest.approx(base["Quality"]["ncc"], abs=0.02)
    assert found["Quality"]["local_ncc"] == pytest.approx(base["Quality"]["local_ncc"], abs=0.03)
    volume = base["Quality"]["brain_volume_ml"]
    assert found["Quality"]["brain_volume_ml"] == pytest.approx(volume, rel=0.002)
    assert alike(run, f"{skull}base", f"{skull}{kind}") > 0.97


@pytest.mark.parametrize("air", ["nan", "fill", "inf"])
def test_air_without_a_number_is_air(air: str, run: Ended) -> None:
    sidecar = run.sidecar(f"air{air}")
    assert sidecar["Quality"]["verdict"] == "pass"
    assert "taken as background" in " ".join(sidecar["Notes"])
    assert alike(run, "headbase", f"air{air}") > 0.97


@pytest.mark.parametrize("times", [2, 4, 10])
def test_bright_vessels_neither_fail_nor_misplace_a_head(times: int, run: Ended) -> None:
    quality = run.sidecar(f"vessels{times}")["Quality"]
    assert quality["verdict"] in ("pass", "warn")
    assert 0.01 < quality["bright_share"] < 0.05
    assert "brighter than any tissue" in " ".join(run.sidecar(f"vessels{times}")["Notes"])
    assert run.sidecar("headbase")["Quality"]["bright_share"] == 0
    one, other = (
        nib.Nifti1Image.load(
            find(run.output_dir, label, "_desc-logjacobian_statmap.nii.gz")
        ).get_fdata()
        for label in ("headbase", f"vessels{times}")
    )
    inside = voxels(run.output_dir, "headbase", MASK) > 0
    assert np.corrcoef(one[inside], other[inside])[0, 1] > 0.8
