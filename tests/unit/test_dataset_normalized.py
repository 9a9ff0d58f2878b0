"""Normalised images of this app and of other pipelines, and what is in them."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from bidsapp.dataset.own_output import find_own
from bidsapp.dataset.scans import voxel_hash
from bidsapp.errors import BadData, NoInput, UsageError
from bidsapp.modalities.t1w.elsewhere import find_derivatives
from tests.unit.cohort_trees import SPACE, build, heads, normalise, reasons, save, study


def test_the_hash_is_of_the_voxels(tmp_path: Path) -> None:
    first = voxel_hash(save(tmp_path / "a.nii.gz", 5))
    assert voxel_hash(save(tmp_path / "b.nii", 5, np.uint8)) == first
    assert voxel_hash(save(tmp_path / "c.nii", 6)) != first
    image = nib.Nifti1Image.load(tmp_path / "a.nii.gz")
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
    assert not any("has no" in note for note in cohort.notes)  # of what no network takes


def test_a_map_that_networks_take_and_a_dataset_lacks_is_named_and_no_other(
    tmp_path: Path,
) -> None:
    study(tmp_path / "bids", "participant_id chronic\n1 1\n2 0\n3 1\n4 0\n")
    prep = tmp_path / "prep"
    for place, who in enumerate(("sub-1", "sub-2")):
        fmriprep(prep, who, place)
    for place, who in enumerate(("sub-3", "sub-4"), 5):
        normalise(tmp_path / "out", who, place)
    cohort = build(tmp_path, derivatives={"prep": prep}, channels=("t1w", "log_jacobian"))
    assert reasons(cohort) == dict.fromkeys(("sub-1", "sub-2"), "no log-Jacobian")
    told = "prep has no log-Jacobian maps: the channel log_jacobian needs them."
    assert [note for note in cohort.notes if "has no" in note] == [told]


def test_another_output_of_this_app_brings_its_verdicts(tmp_path: Path) -> None:
    study(tmp_path / "bids", "participant_id chronic\n1 1\n2 0\n3 1\n4 0\n")
    other = tmp_path / "site-b"
    for who, verdict in (("sub-1", "pass"), ("sub-2", "warn"), ("sub-3", "fail")):
        normalise(other, who, int(who[-1]), verdict)
    rescued = normalise(other, "sub-4", 4, "warn")
    sidecar = rescued.with_name(rescued.name.replace(".nii.gz", ".json"))
    sidecar.write_text('{"Quality": {"verdict": "warn", "rescued": true}}')
    cohort = build(tmp_path, derivatives={"site-b": other})
    assert cohort.table["quality"].tolist() == ["pass", "warn"]
    assert reasons(cohort) == {"sub-3": "failed quality", "sub-4": "left and right not verified"}
    failed = cohort.exclusions.set_index("participant_id").loc["sub-3", "detail"]
    assert failed == "NCC 0.4 < 0.65"


def test_outputs_that_were_made_in_different_ways_are_not_mixed(tmp_path: Path) -> None:
    study(tmp_path / "bids", "participant_id chronic\n1 1\n2 0\n")
    for root, who, speed in (("out", "sub-1", "default"), ("other", "sub-2", "fast")):
        image = normalise(tmp_path / root, who, int(who[-1]))
        sidecar = image.with_name(image.name.replace(".nii.gz", ".json"))
        quality = {"Quality": {"verdict": "pass"}, "Settings": {"speed": speed}}
        sidecar.write_text(json.dumps(quality))
    with pytest.raises(BadData, match=r"normalised in 2 ways .*speed"):
        build(tmp_path, derivatives={"other": tmp_path / "other"})


@pytest.mark.parametrize(
    ("chains", "told"),
    [
        ({"chain": 2}, "Their settings are the same, and so are their steps (chain)."),
        ({}, "Their settings are the same; whether their steps are, such images do not record."),
    ],
)
def test_images_of_several_versions_are_told_and_used(
    tmp_path: Path, chains: dict[str, int], told: str
) -> None:
    study(tmp_path / "bids", "participant_id chronic\n1 1\n2 0\n3 1\n")
    for who, version in (("sub-1", "0.1.0"), ("sub-2", "0.2.0"), ("sub-3", "0.1.0")):
        image = normalise(tmp_path / "out", who, int(who[-1]))
        sidecar = image.with_name(image.name.replace(".nii.gz", ".json"))
        settings = {"speed": "fast", "version": version, **chains}
        sidecar.write_text(json.dumps({"Quality": {"verdict": "pass"}, "Settings": settings}))
    cohort = build(tmp_path)
    start = "The images were prepared by several versions: nocicast 0.1.0 (2), nocicast 0.2.0 (1). "
    assert [note for note in cohort.notes if "versions" in note] == [start + told]
    assert len(cohort.table) == 3


def test_who_has_other_spaces_alone_is_told_which_and_in_which_folder(tmp_path: Path) -> None:
    rows = "1 1\n2 0\n3 1\n4 0\n5 1\n6 1\n7 0\n"
    study(tmp_path / "bids", f"participant_id chronic\n{rows}")
    prep, more, other = tmp_path / "prep", tmp_path / "more", "MNI152NLin6Asym"
    for folder in (prep, more):
        fmriprep(folder, "sub-1", 1)
        fmriprep(folder, "sub-2", 2)
    # another space, in two folders; a name that is not read; a later visit; nothing at all
    fmriprep(prep, "sub-3", 3, space=other)
    fmriprep(prep, "sub-3", 3, space="MNIPediatricAsym")
    fmriprep(more, "sub-3", 3, space=other)
    save(prep / "sub-4" / "anat" / f"sub-4_space-{SPACE}_desc-sharp_T1w.nii.gz", 4)
    fmriprep(prep, "sub-5_ses-1", 5)
    fmriprep(prep, "sub-5_ses-2", 6, space=other)
    # who has an image of this app lacks nothing, whether or not its folder names the visit
    fmriprep(prep, "sub-6", 7, space=other)
    normalise(tmp_path / "out", "sub-6_ses-1", 8)
    cohort = build(tmp_path, derivatives={"prep": prep, "more": more})
    assert cohort.table["participant_id"].tolist() == ["sub-1", "sub-2", "sub-5", "sub-6"]
    assert set(reasons(cohort).values()) == {"no normalised image"}
    keys = cohort.exclusions["participant_id"] + cohort.exclusions["session_id"].fillna("")
    details = dict(zip(keys, cohort.exclusions["detail"], strict=True))
    assert list(details) == ["sub-3", "sub-4", "sub-5ses-2", "sub-7"]
    none = f"none with space-{SPACE}_res-2 in {tmp_path / 'out'}"
    advice = "choose it with --template, or run the participant level on this scan"
    assert details["sub-3"] == (
        f"-d prep={prep} has T1w in space {other}, MNIPediatricAsym and none in {SPACE}: {advice}; "
        f"-d more={more} has T1w in space {other} and none in {SPACE}: {advice}; {none}"
    )
    assert details["sub-4"] == (
        f"-d prep={prep} has no T1w in space {SPACE} under a name that is read: "
        f"sub-4_space-{SPACE}_desc-sharp_T1w.nii.gz; {none}"
    )
    assert f"-d prep={prep} has T1w in space {other} and" in details["sub-5ses-2"]
    assert details["sub-7"] == f"the dataset holds no T1w of this participant; {none}"


def test_derivatives_that_do_not_serve(tmp_path: Path) -> None:
    with pytest.raises(NoInput, match="-d prep="):
        find_derivatives("prep", tmp_path / "nowhere", heads(SPACE))
    fmriprep(tmp_path / "prep", "sub-1", 1, space="MNI152NLin6Asym")
    with pytest.raises(UsageError, match="spaces there: MNI152NLin6Asym"):
        find_derivatives("prep", tmp_path / "prep", heads(SPACE))
    search = find_derivatives("prep", tmp_path / "prep", heads("MNI152NLin6Asym"))
    assert list(search.images) == [("sub-1", "")]
    (tmp_path / "empty").mkdir()
    with pytest.raises(NoInput, match="no sub-<label> folder"):
        find_derivatives("prep", tmp_path / "empty", heads(SPACE))
    assert not find_own(tmp_path / "nowhere", heads(SPACE)).images
