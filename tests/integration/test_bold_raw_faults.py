"""Raw series whose voxels are at fault: the command names each, and goes on with the others."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from bidsapp.cli import main
from bidsapp.modalities.bold.phantom import make_rest_phantom


def _change(root: Path, number: int, data: np.ndarray) -> None:
    path = root / f"bids/sub-0{number}/func/sub-0{number}_task-rest_bold.nii.gz"
    header = nib.load(path).header
    header.set_data_dtype(data.dtype)
    nib.Nifti1Image(data, None, header).to_filename(path)


@pytest.mark.slow
def test_faults_of_voxels_end_with_a_message_each(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_rest_phantom(tmp_path / "bids", 4, volumes=40, stretch_mm=0)
    image = nib.load(tmp_path / "bids/sub-02/func/sub-02_task-rest_bold.nii.gz")
    series = np.asarray(image.dataobj).copy()
    _change(tmp_path, 1, np.full(series.shape, 700, np.int16))
    series[..., ::2] = np.roll(series[..., ::2], 2, axis=1)  # 8 mm to and fro
    _change(tmp_path, 2, series)
    broken = series.astype(np.float32)
    broken[20:30, 20:30, 20, 7] = np.nan
    _change(tmp_path, 3, broken)
    (tmp_path / "bids/sub-04/anat/sub-04_T1w.nii.gz").unlink()
    asked = ["participant", "--recipe", "teh2022", "--set", "preparation.resolution=4"]
    more = ["-w", str(tmp_path / "work"), "--nprocs", "1", "--nipype-plugin", "Linear"]
    code = main([str(tmp_path / "bids"), str(tmp_path / "out"), *asked, *more])
    said = "".join(capsys.readouterr())
    for message in (
        "sub-01_task-rest_bold.nii.gz does not change over time",
        "sub-02/func/sub-02_task-rest_bold.nii.gz: 0 of 40 volumes are left after scrubbing",
        "sub-03_task-rest_bold.nii.gz: volumes 8 (counted from 1) hold NaN",
        "no T1w (t1w) (.nii.gz or .nii) in sub-04/anat",
    ):
        assert message in said
    assert code == 1  # 65, and 18 for the missing T1w image
    assert not list((tmp_path / "out").glob("sub-*/func/*_bold.nii.gz"))
