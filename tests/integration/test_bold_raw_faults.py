"""Raw series at fault, by the real command: each is named, and the others are prepared.

What files and headers say is told before any T1w image is prepared; what only voxels say, at the
series itself.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from bidsapp.cli import main
from bidsapp.modalities.bold.phantom import make_rest_phantom

Change = Callable[[Path, str], None]


def _series(root: Path, label: str) -> Path:
    return root / f"{label}/func/{label}_task-rest_bold.nii.gz"


def _voxels(change: Callable[[np.ndarray], np.ndarray]) -> Change:
    """Change the series, its header staying as it is."""

    def apply(root: Path, label: str) -> None:
        image = nib.Nifti1Image.load(_series(root, label))
        data = change(np.asarray(image.dataobj).copy())
        image.header.set_data_dtype(data.dtype)
        nib.Nifti1Image(data, None, image.header).to_filename(_series(root, label))

    return apply


def _told(header_tr: float | None = None, **values: Any) -> Change:
    """Change what the JSON says, and the header's time between volumes."""

    def apply(root: Path, label: str) -> None:
        path = _series(root, label)
        path.with_name(f"{label}_task-rest_bold.json").write_text(json.dumps(values))
        if header_tr is not None:
            image = nib.Nifti1Image.load(path)
            data = np.asarray(image.dataobj)
            image.header["pixdim"][4] = header_tr
            nib.Nifti1Image(data, None, image.header).to_filename(path)

    return apply


def _without_t1w(root: Path, label: str) -> None:
    shutil.rmtree(root / label / "anat")


def _two_runs(root: Path, label: str) -> None:
    path = _series(root, label)
    for run in (1, 2):
        shutil.copy(path, path.with_name(f"{label}_task-rest_run-{run}_bold.nii.gz"))
    path.unlink()


def _shaken(data: np.ndarray) -> np.ndarray:
    data[..., ::2] = np.roll(data[..., ::2], 2, axis=1)  # 8 mm to and fro
    return data


def _broken(data: np.ndarray) -> np.ndarray:
    data = data.astype(np.float32)
    data[20:30, 20:30, 20, 7] = np.nan
    return data


def _half(data: np.ndarray) -> np.ndarray:
    data[: data.shape[0] // 2] = 0
    return data


BEFORE_WORK: dict[str, tuple[Change, str]] = {
    "sub-11": (_without_t1w, "no T1w (t1w) (.nii.gz or .nii) in sub-11/anat"),
    "sub-12": (_voxels(lambda d: d[..., :3]), "holds 3 volumes; BOLD at rest needs at least 20"),
    "sub-13": (_voxels(lambda d: d[..., 0]), "is one volume"),
    "sub-14": (_told(RepetitionTime=2.0), "its JSON says that 2 s lie between volumes"),
    "sub-15": (_told(0.0, RepetitionTime=0), "RepetitionTime is 0 s in its JSON"),
    "sub-16": (_told(RepetitionTime=3000), "It looks like milliseconds: write 3."),
    "sub-17": (
        _told(SliceTiming=[0.0] * 37 + [3.5]),
        "runs from 0 to 3.5 s; 0 to the RepetitionTime of 3 s is expected",
    ),
    "sub-18": (_told(SliceTiming=[0.0] * 30), "has 30 times, the image has 38 slices along k"),
    "sub-19": (
        _told(SliceTiming=[75.0 * n for n in range(38)]),
        "They look like milliseconds: divide them by 1000.",
    ),
    "sub-20": (_two_runs, "--set preparation.runs=join joins runs"),
    "sub-21": (_voxels(lambda d: d[..., :24]), "24 volumes, and 22 confounds leave"),
}
OF_VOXELS: dict[str, tuple[Change, str]] = {
    "sub-02": (
        _voxels(lambda d: np.full_like(d, 700)),
        "sub-02_task-rest_bold.nii.gz does not change over time",
    ),
    "sub-03": (
        _voxels(_shaken),
        "sub-03/func/sub-03_task-rest_bold.nii.gz: 0 of 40 volumes are left after scrubbing",
    ),
    "sub-04": (
        _voxels(_broken), "sub-04_task-rest_bold.nii.gz: volumes 8 (counted from 1) hold NaN"
    ),
}  # fmt: skip
HALF = "sub-05"


def _people(root: Path) -> None:
    """A good person, and one for each fault."""
    make_rest_phantom(root, 5, volumes=40, stretch_mm=0)
    for label in BEFORE_WORK:
        shutil.copytree(root / "sub-02", root / label)
        for path in [*(root / label).rglob("sub-02*")]:
            path.rename(path.with_name(path.name.replace("sub-02", label)))
    for label, (change, _) in (BEFORE_WORK | OF_VOXELS).items():
        change(root, label)
    _voxels(_half)(root, HALF)
    rows = (root / "participants.tsv").read_text().splitlines()
    more = [rows[1].replace("sub-01", label) for label in BEFORE_WORK]
    (root / "participants.tsv").write_text("\n".join([*rows, *more]) + "\n")


@pytest.mark.slow
def test_every_fault_of_a_raw_series_has_its_message_and_the_others_are_prepared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, out = tmp_path / "bids", tmp_path / "out"
    _people(root)
    asked = ["participant", "--recipe", "teh2022", "--set", "preparation.resolution=4"]
    asked.append("preparation.band_pass_hz=[null,null]")  # of which 40 volumes would leave nothing
    more = ["-w", str(tmp_path / "work"), "--nprocs", "1", "--nipype-plugin", "Linear"]
    assert main([str(root), str(out), *asked, *more]) == 16  # the validator knows half of them
    assert not out.exists()
    capsys.readouterr()
    code = main([str(root), str(out), *asked, *more, "--skip-bids-validation"])
    said = "".join(capsys.readouterr())
    for label, (_, message) in (BEFORE_WORK | OF_VOXELS).items():
        assert message in said, label
    assert code == 1  # several: 65, and 18 for the missing T1w image
    done = {path.parts[-3] for path in out.glob("sub-*/func/*desc-denoised_bold.nii.gz")}
    assert done == {"sub-01", HALF}
    # what can be known of it before is told before its T1w image is prepared
    prepared = {path.name for path in out.glob("sub-*")}
    assert not prepared & set(BEFORE_WORK)
    (path,) = out.glob(f"{HALF}/func/*desc-denoised_bold.json")
    quality = json.loads(path.read_text())["Quality"]
    assert quality["verdict"] == "fail"
    assert any("Fit to the T1w image (Dice)" in reason for reason in quality["reasons"])
