"""The comparison of two output folders notices what a user would call another result."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.compare_outputs import differences


@pytest.fixture
def twins(tmp_path: Path) -> tuple[Path, Path]:
    folders = (tmp_path / "before", tmp_path / "after")
    for k, folder in enumerate(folders):
        (folder / "sub-01").mkdir(parents=True)
        (folder / "work").mkdir()
        (folder / "work" / "own").write_text(str(k))
        voxels = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
        voxels[0, 0, 0] = np.nan
        nib.save(nib.Nifti1Image(voxels, np.eye(4)), folder / "sub-01" / "a.nii.gz")
        told = {"Quality": {"NCC": 0.8}, "CpuSeconds": k, "Source": f"{folder}/x", "Nothing": None}
        (folder / "sub-01" / "a.json").write_text(json.dumps(told))
        (folder / "scores.tsv").write_text(
            f"participant_id\tprobability\tseconds\nsub-01\t.5\t{k}\n"
        )
        (folder / "report.html").write_text(
            f"<p>made 2026-01-0{k + 1} 10:00 in {folder}</p>\n<tr><td>{k + 1.5} s</td>"
            f'<td class="bar-cell"><span class="length" style="width: {k}%"></span></td></tr>'
            f'<td class="numeric" data-sort="{k + 0.52}">{k + 0.5} s</td>'
        )
    return folders


def test_times_places_and_work_files_do_not_count(twins: tuple[Path, Path]) -> None:
    assert list(differences(*twins)) == []


def test_a_voxel_a_cell_a_value_a_word_and_a_missing_file_count(twins: tuple[Path, Path]) -> None:
    _, after = twins
    path = after / "sub-01" / "a.nii.gz"
    image = nib.Nifti1Image.load(path)
    voxels = np.asarray(image.dataobj).copy()
    voxels[1, 1, 1] += 1e-6 + abs(voxels[1, 1, 1]) * 1e-6
    nib.save(nib.Nifti1Image(voxels, image.affine), path)
    told = json.loads((after / "sub-01" / "a.json").read_text())
    told["Quality"]["NCC"] = 0.8000001
    (after / "sub-01" / "a.json").write_text(json.dumps(told))
    (after / "scores.tsv").write_text("participant_id\tprobability\tseconds\nsub-01\t.51\t0\n")
    (after / "report.html").write_text("<p>other</p>")
    (after / "new.txt").write_text("")
    said = {line.split(":")[0] for line in differences(*twins)}
    assert said == {"sub-01/a.nii.gz", "sub-01/a.json", "scores.tsv", "report.html", "new.txt"}
