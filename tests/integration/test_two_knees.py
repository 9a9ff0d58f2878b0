"""Both knees of a visit as a user runs them: a unit each, a person on one side of every split."""

import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from bidsapp.modalities.knee.phantom import make_knee_phantom
from bidsapp.training.columns import LEARNING
from tests.integration.group_studies import start
from tests.integration.running import Ended, run_app, tree, validation_errors

pytestmark = pytest.mark.slow

RECIPE = """
name: knees
summary: Synthetic knees
outcome: {column: chronic_pain, positive: ["1"]}
preparation: {modality: knee, pixels: 48, bones: [tibia]}
representation:
  {kind: sphere, channels: [tibia_thickness], zscore: none,
   fitted: {minmax: {fit: train_fold}}}
network:
  {name: resnet, depth: 10, dims: 2, outputs: 2, stem_stride: 2, stem_pool: true,
   shortcut: B, start: random}
training:
  {optimizer: adam, lr: {head: 1e-3, backbone: 1e-3}, epochs: 2, batch_size: 4, loss: cross_entropy}
protocol: {kind: kfold, folds: 2, stratified: true}
evaluation: {permutations: 9, bootstrap: 50, baselines: [majority, age_sex], subgroups: [knee_side]}
saliency: {method: gradient, covariates: [age], guided: true, on_surface: true, shuffled_folds: 0}
"""


def labels_of(bids: Path, who: str, side: str) -> Path:
    return next((bids / "derivatives").rglob(f"{who}_acq-DESS{side}_desc-knee_dseg.nii.gz"))


def lose_cartilage(path: Path) -> None:
    image = nib.Nifti1Image.load(path)
    data = np.asarray(image.dataobj)
    data = np.where((data == 4) | (data == 5), 0, data)
    nib.save(nib.Nifti1Image(data.astype(np.uint8), image.affine), path)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """Six people; of the third the left knee is bad, of the last there is no left knee."""
    folder = tmp_path_factory.mktemp("knees")
    bids = folder / "bids"
    make_knee_phantom(bids, 6, spacing=(1.8, 1.6, 1.6), echoes=False, both=True)
    lose_cartilage(labels_of(bids, "sub-03", "left"))
    for path in bids.rglob("sub-06_acq-DESSleft_*"):
        path.unlink()
    (folder / "knees.yaml").write_text(RECIPE)
    return run_app(bids, folder / "out", "--recipe", folder / "knees.yaml", "-w", folder / "work")


@pytest.fixture(scope="module")
def group(ran: Ended) -> Ended:
    given = ("--recipe", ran.bids_dir.parent / "knees.yaml", "-w", ran.bids_dir.parent / "work")
    return start(ran.bids_dir, ran.output_dir, "group", "--nprocs", 2, *given)


def anat(ran: Ended, who: str) -> Path:
    return ran.output_dir / who / "anat"


def test_one_bad_knee_of_two_is_told_and_leaves_the_other_unharmed(ran: Ended) -> None:
    assert ran.code == 65
    assert "sub-03 L: failed" in ran.said
    assert "10 of 11 prepared" in ran.said
    assert [path.name for path in anat(ran, "sub-03").glob("*_dseg.nii.gz")] == [
        "sub-03_acq-DESSright_desc-Rjoint_dseg.nii.gz"
    ]
    (table,) = (ran.output_dir / "logs").glob("participant-*.tsv")
    rows = pd.read_csv(table, sep="\t", keep_default_na=False)
    mine = rows[rows["participant_id"] == "sub-03"].set_index("part_id")
    assert dict(mine["status"]) == {"L": "failed", "R": "done"}


def test_each_knee_has_its_own_files_page_and_sources(ran: Ended) -> None:
    for part, side in (("L", "left"), ("R", "right")):
        (image,) = anat(ran, "sub-01").glob(f"*_desc-{part}joint_dseg.nii.gz")
        told = json.loads(image.with_name(image.name.replace(".nii.gz", ".json")).read_text())
        assert told["KneeSide"] == part
        assert told["Mirrored"] is (part == "L")
        assert all(f"acq-DESS{side}" in source for source in told["Sources"])
        page = (ran.output_dir / f"sub-01_{part}.html").read_text()
        assert f"{side} knee" in page
        assert f"sub-01_acq-DESS{side}_desc-{part}bones_surface.html" in page
    # the one knee of a visit is named as it always was
    assert (anat(ran, "sub-06") / "sub-06_acq-DESSright_desc-joint_dseg.nii.gz").is_file()
    assert (ran.output_dir / "sub-06.html").is_file()
    assert validation_errors(ran.output_dir) == (0, [])


def test_a_second_run_prepares_what_is_missing_and_nothing_else(ran: Ended, tmp_path: Path) -> None:
    copy = tmp_path / "study"
    shutil.copytree(ran.bids_dir, copy / "bids")
    shutil.copytree(ran.output_dir, copy / "out")
    for path in (copy / "out").rglob("sub-02*_desc-Ljoint_dseg.json"):
        path.unlink()
    before = tree(copy / "out" / "sub-02" / "anat")
    given = ("--recipe", ran.bids_dir.parent / "knees.yaml", "-w", copy / "work")
    again = run_app(copy / "bids", copy / "out", "--participant-label", "02", "04", *given)
    assert again.code == 0, again.said
    assert "1 image to prepare" in again.said
    assert "sub-02 L: " in again.said
    assert "4 of 4 prepared" in again.said
    after = tree(copy / "out" / "sub-02" / "anat")
    right = [name for name in before if "acq-DESSright" in name]
    assert right
    assert {name: after[name] for name in right} == {name: before[name] for name in right}
    assert [name for name in after if name.endswith("_desc-Ljoint_dseg.json")]


def test_every_knee_has_its_own_outcome_and_no_person_is_on_both_sides(group: Ended) -> None:
    assert group.code == 0, group.said
    run = group.output_dir / "group" / "knees"
    cohort = pd.read_csv(run / "cohort.tsv", sep="\t", keep_default_na=False)
    knees = pd.read_csv(group.bids_dir / "phenotype" / "knees.tsv", sep="\t")
    known = knees.set_index(["participant_id", "part_id"])["chronic_pain"].to_dict()
    assert len(cohort) == 10
    for row in cohort.itertuples():
        # of the last person's one knee, which has no part in its name, the sidecar tells the side
        side = "R" if row.participant_id == "sub-06" else row.part_id
        assert row.outcome == known[row.participant_id, side]
        assert row.knee_side == side
    assert cohort.groupby("participant_id")["outcome"].nunique().max() == 2
    splits = pd.read_csv(run / "splits.tsv", sep="\t", keep_default_na=False)
    for _, fold in splits.groupby("fold"):
        held_out = set(fold["participant_id"][fold["role"] == "test"])
        learned = set(fold["participant_id"][fold["role"].isin(LEARNING)])
        assert held_out
        assert learned
        assert not held_out & learned
    scores = pd.read_csv(run / "scores.tsv", sep="\t", keep_default_na=False)
    assert len(scores[["participant_id", "part_id"]].drop_duplicates()) == 10


def test_maps_and_pages_are_of_each_knee(group: Ended) -> None:
    run = group.output_dir / "group" / "knees"
    page = (run / "report.html").read_text()
    for name in ("sub-01_L.html", "sub-01_R.html", "sub-06.html"):
        assert f'href="../../{name}"' in page
    summary = json.loads((run / "saliency" / "base" / "surface" / "summary.json").read_text())
    assert not [note for note in summary["notes"] if "no map on the surface" in note]
    guided = pd.read_csv(run / "saliency" / "base" / "guided.tsv", sep="\t", keep_default_na=False)
    assert len(guided[["participant_id", "part_id"]].drop_duplicates()) == 10
    metrics = (run / "metrics.tsv").read_text()
    assert "knee_side=L" in metrics
    assert "knee_side=R" in metrics
    assert validation_errors(group.output_dir) == (0, [])


def test_a_model_is_applied_to_both_knees_of_new_people(group: Ended, tmp_path: Path) -> None:
    new = tmp_path / "new"
    make_knee_phantom(new, 4, seed=5, spacing=(1.8, 1.6, 1.6), echoes=False, both=True)
    model = group.output_dir / "group" / "knees" / "model" / "base"
    done = run_app(new, tmp_path / "out", "--model", model)
    assert done.code == 0, done.said
    found = pd.read_csv(tmp_path / "out" / "group" / "predictions.tsv", sep="\t")
    assert len(found[["participant_id", "part_id"]].drop_duplicates()) == 8
    assert found["probability"].nunique() == 8
    given = ("--model", model, "--outcome", "chronic_pain", "--positive", "1")
    judged = start(new, tmp_path / "out", "group", *given, "--run-label", "new")
    assert judged.code == 0, judged.said
    assert "In 8 forecasts of 4 new people (4 positive, 4 not)" in judged.said
    cohort = pd.read_csv(tmp_path / "out" / "group" / "new" / "cohort.tsv", sep="\t")
    assert len(cohort) == 8
    both = cohort.merge(found, on=["participant_id", "part_id"])
    scores = pd.read_csv(tmp_path / "out" / "group" / "new" / "scores.tsv", sep="\t")
    joined = both.merge(scores, on=["participant_id", "part_id"], suffixes=("", "_judged"))
    np.testing.assert_allclose(joined["probability"], joined["probability_judged"], atol=1e-5)
