"""Normalised images of this app and of other pipelines, and what is in them."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from bidsapp.dataset.normalized import find_derivatives, find_own
from bidsapp.dataset.voxels import voxel_hash
from bidsapp.errors import NoInput, UsageError
from tests.unit.cohort_trees import SPACE, build, normalise, reasons, save, study


def test_the_hash_is_of_the_voxels(tmp_path: Path) -> None:
    first = voxel_hash(save(tmp_path / "a.nii.gz", 5))
    assert voxel_hash(save(tmp_path / "b.nii", 5, np.uint8)) == first
    assert voxel_hash(save(tmp_path / "c.nii", 6)) != first
    image = nib.load(tmp_path / "a.nii.gz")
    turned = np.asarray(image.dataobj).reshape(5, 4, 6)
    nib.save(nib.Nifti1Image(turned, np.diag([2, 2, 2, 1])), tmp_path / "d.nii.gz")
    assert voxel_hash(tmp_path / "d.nii.gz") != first
    big_endian = nib.Nifti1Image(np.asarray(image.dataobj).astype(">f8"), np.eye(4))
    nib.save(big_endian, tmp_path / "e.nii.gz")
    assert voxel_hash(tmp_path / "e.nii.gz") == first


def fmriprep(root: Path, who: str, seed: int, *, space: str = SPACE, mask: bool = True,
             res: str = "") -> None:  # fmt: skip
    stem = f"{who}_space-{space}{f'_res-{res}' if res else ''}_desc"
    folder = root.joinpath(*who.split("_"), "anat")
    save(folder / f"{stem}-preproc_T1w.nii.gz", seed)
    if mask:
        save(folder / f"{stem}-brain_mask.nii.gz", 1, np.uint8)


def test_derivatives_of_other_pipelines(tmp_path: Path) -> None:
    study(tmp_path / "bids", "participant_id chronic\n1 1\n2 0\n3 1\n4 0\n5 1\n")
    prep = tmp_path / "prep"
    fmriprep(prep, "sub-1", 1, res="1")
    fmriprep(prep, "sub-1", 2, res="2")
    fmriprep(prep, "sub-2", 3)
    fmriprep(prep, "sub-2", 4, res="1")
    fmriprep(prep, "sub-3", 5, mask=False)
    fmriprep(prep, "sub-4", 6, space="MNI152NLin6Asym")
    normalise(tmp_path / "out", "sub-4", 7)
    normalise(tmp_path / "out", "sub-1", 8, "fail")
    cohort = build(tmp_path, derivatives={"prep": prep})
    assert cohort.table["image"].tolist() == [
        f"bids:prep:sub-1/anat/sub-1_space-{SPACE}_res-2_desc-preproc_T1w.nii.gz",
        f"bids:prep:sub-2/anat/sub-2_space-{SPACE}_desc-preproc_T1w.nii.gz",
        f"sub-4/anat/sub-4_space-{SPACE}_res-2_desc-preproc_T1w.nii.gz",
    ]
    assert pd.isna(cohort.table["quality"][0])
    mask = cohort.files[0].mask
    assert mask is not None
    assert mask.name == f"sub-1_space-{SPACE}_res-2_desc-brain_mask.nii.gz"
    assert reasons(cohort) == {"sub-3": "no brain mask", "sub-5": "no normalised image"}
    assert any("mixed: 1 from" in note and "2 from prep" in note for note in cohort.notes)
    assert any("no log-Jacobian" in note for note in cohort.notes)


def test_derivatives_that_do_not_serve(tmp_path: Path) -> None:
    with pytest.raises(NoInput, match="-d prep="):
        find_derivatives("prep", tmp_path / "nowhere", SPACE, 2)
    fmriprep(tmp_path / "prep", "sub-1", 1, space="MNI152NLin6Asym")
    with pytest.raises(UsageError, match="spaces there: MNI152NLin6Asym"):
        find_derivatives("prep", tmp_path / "prep", SPACE, 2)
    search = find_derivatives("prep", tmp_path / "prep", "MNI152NLin6Asym", 2)
    assert list(search.images) == [("sub-1", "")]
    (tmp_path / "empty").mkdir()
    with pytest.raises(NoInput, match="no sub-<label> folder"):
        find_derivatives("prep", tmp_path / "empty", SPACE, 2)
    assert not find_own(tmp_path / "nowhere", SPACE, 2).images
