"""A study of knees as a user runs it: two levels, maps on a bone, weighted averages, a page."""

import json
import shutil
from pathlib import Path

import nibabel as nib
import pandas as pd
import pytest

from bidsapp.modalities.knee.phantom import make_knee_phantom
from bidsapp.training.columns import LEARNING
from tests.integration.group_studies import start
from tests.integration.running import Ended, run_app, validation_errors

pytestmark = pytest.mark.slow

RECIPE = """
name: knees
summary: Synthetic knees
outcome: {column: chronic_pain, positive: ["1"]}
preparation: {modality: knee, pixels: 48, bones: [tibia]}
representation:
  {kind: sphere, channels: [tibia_thickness, tibia_shape], zscore: none,
   fitted: {minmax: {fit: train_fold}}}
network:
  {name: resnet, depth: 10, dims: 2, outputs: 2, stem_stride: 2, stem_pool: true,
   shortcut: B, start: {variant: grade}}
training:
  {optimizer: adam, lr: {head: 1e-3, backbone: 1e-3}, epochs: 2, batch_size: 4, loss: cross_entropy}
protocol: {kind: kfold, folds: 2, stratified: true}
evaluation: {permutations: 20, bootstrap: 50, baselines: [majority]}
saliency:
  {method: grad_cam, stage: 2, covariates: [age], guided: true, on_surface: true, shuffled_folds: 0}
variants:
  grade: {outcome: {expression: kl_grade >= 2}, network.start: random}
  thick: {representation.channels: [tibia_thickness], network.start: random}
run: [base]
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    folder = tmp_path_factory.mktemp("knees")
    make_knee_phantom(folder / "bids", 12, spacing=(1.5, 1.3, 1.3), echoes=False)
    (folder / "knees.yaml").write_text(RECIPE)
    given = ("--recipe", folder / "knees.yaml", "-w", folder / "work")
    first = run_app(folder / "bids", folder / "out", *given)
    assert first.code == 0, first.said
    # one knee's surface is lost between the levels
    next((folder / "out" / "sub-05" / "anat").glob("*_desc-tibia_mesh.surf.gii")).unlink()
    return start(folder / "bids", folder / "out", "group", "--nprocs", 2, *given)


def test_maps_lie_on_one_bone_and_the_page_shows_it(ran: Ended) -> None:
    assert ran.code == 0, ran.said
    run = ran.output_dir / "group" / "knees"
    summary = json.loads((run / "saliency" / "base" / "surface" / "summary.json").read_text())
    notes = " ".join(summary["notes"])
    assert "nearest to the mean of age" in notes
    assert "no map on the surface of sub-05" in notes
    assert (run / "saliency" / "base" / "surface" / summary["default"]).is_file()
    regions = pd.read_csv(run / "saliency" / "base" / "regions.tsv", sep="\t")
    assert set(regions["region"]) == {"medial tibia", "lateral tibia"}
    page = (run / "report.html").read_text()
    assert "from the lateral side" in page
    assert "sub-05" in notes
    assert (run / "figures" / "surface_base.svg").is_file()
    assert 'href="figures/surface_base.html"' in page
    assert "niivue" in (run / "figures" / "surface_base.html").read_text().lower()


def test_the_first_stage_learns_from_nobody_whom_the_second_holds_out(ran: Ended) -> None:
    splits = pd.read_csv(ran.output_dir / "group" / "knees" / "splits.tsv", sep="\t")
    (own,) = (ran.output_dir.parent / "work").glob("**/stages/grade/splits.tsv")
    first = pd.read_csv(own, sep="\t")
    for fold in (0, 1):
        held_out, learned = (
            set(table["participant_id"][(table["fold"] == fold) & table["role"].isin(roles)])
            for table, roles in ((splits, ["test"]), (first, LEARNING))
        )
        assert held_out
        assert learned
        assert not held_out & learned


def test_averages_by_held_out_maps_stand_beside_their_controls(ran: Ended) -> None:
    place = ran.output_dir / "group" / "knees" / "saliency" / "base"
    table = pd.read_csv(place / "guided.tsv", sep="\t")
    assert len(table) == 12
    ways = ("mean", "medial_tibia", "lateral_tibia", "guided", "others", "random", "shuffled")
    for name in ways:
        values = table[f"tibia_thickness_{name}"]
        assert values.between(0.5, 4).all()
    assert (place / "guided_added.tsv").is_file()
    told = json.loads((place / "guided.json").read_text())
    assert (
        "untrained" in told["tibia_thickness_random"]["Description"]
        or "never trained" in (told["tibia_thickness_random"]["Description"])
    )


def test_maps_of_those_whom_every_variant_told_right(ran: Ended) -> None:
    given = ("--recipe", ran.bids_dir.parent / "knees.yaml", "-w", ran.bids_dir.parent / "work")
    asked = ("--set", "mode=paper", "--set", "saliency.told_right_by=all_variants")
    several = ("--variants", "base", "thick", "--run-label", "agreed", "--nprocs", 2)
    ended = start(ran.bids_dir, ran.output_dir, "group", *several, *asked, *given)
    assert ended.code == 0, ended.said
    run = ran.output_dir / "group" / "agreed"
    scores = pd.read_csv(run / "scores.tsv", sep="\t")
    right = (scores["probability"] >= 0.5) == (scores["outcome"] == 1)
    together = scores.assign(right=right).groupby("participant_id")[["right", "outcome"]].min()
    agreed = together[together["right"]]
    assert 0 < len(agreed) < 12
    for variant in ("base", "thick"):
        assert len(list((run / "saliency" / variant).glob("sub-*"))) == 12  # everybody's own
        for folder in (run / "saliency" / variant, run / "saliency" / variant / "surface"):
            summary = json.loads((folder / "summary.json").read_text())
            lost = folder.name == "surface" and "sub-05" in agreed.index
            assert summary["n"]["all"] == len(agreed) - lost
            assert summary["n"]["positives"] == summary["n"].get("true_positives")
            assert "saliency.told_right_by: all_variants" in summary["leaks"]
    page = (run / "report.html").read_text()
    assert "saliency.told_right_by: all_variants" in page


def test_what_the_group_writes_is_valid_bids(ran: Ended) -> None:
    assert validation_errors(ran.output_dir) == (0, [])
    names = [path.name for path in Path(ran.output_dir).rglob("*_statmap.*")]
    assert not [name for name in names if "__" in name]


def test_a_model_is_applied_where_label_maps_lie_in_another_folder(
    ran: Ended, tmp_path: Path
) -> None:
    new = tmp_path / "new"
    shutil.copytree(ran.bids_dir, new, ignore=shutil.ignore_patterns("derivatives", "sub-*"))
    shutil.copytree(ran.bids_dir / "sub-01", new / "sub-01")
    (labels,) = (ran.bids_dir / "derivatives").iterdir()
    model = ran.output_dir / "group" / "knees" / "model" / "base"
    given = ("--model", model, "--skip-bids-validation")
    ended = run_app(new, tmp_path / "out", *given, "-d", f"labels={labels}")
    assert ended.code == 0, ended.said
    predicted = pd.read_csv(tmp_path / "out" / "group" / "predictions.tsv", sep="\t")
    assert set(predicted["participant_id"]) == {"sub-01"}
    # what moved the answer is told on the person's own bone, and the page names it
    (saliency,) = (tmp_path / "out" / "sub-01" / "anat").glob("*GradCam*_statmap.shape.gii")
    (bone,) = saliency.parent.glob("*_desc-tibia_mesh.surf.gii")
    assert len(nib.GiftiImage.load(saliency).agg_data()) == len(
        nib.GiftiImage.load(bone).agg_data("pointset")
    )
    assert saliency.name in (tmp_path / "out" / "sub-01.html").read_text()
    assert validation_errors(tmp_path / "out") == (0, [])
    # without the folder there is nothing to prepare from, and that is said
    assert run_app(new, tmp_path / "other", *given).code != 0
