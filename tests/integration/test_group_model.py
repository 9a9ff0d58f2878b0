"""A bundle applied to new people: nocicast NEW OUT participant --model BUNDLE."""

import hashlib
import json
import shutil
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from bidsapp.cli import main
from bidsapp.contracts.modality import modality_named
from bidsapp.dataset.sources import select_scans
from bidsapp.derivatives.sidecars import report_mark
from bidsapp.execution.work import make_own_folder
from bidsapp.image_task import tasks_of
from bidsapp.networks.bundle import Bundle, load_bundle
from bidsapp.networks.bundle_files import MANIFEST
from bidsapp.networks.bundle_images import TrainingImage
from bidsapp.networks.bundle_write import add_saliency_checks, write_bundle
from bidsapp.networks.model_facts import ModelFacts
from bidsapp.options import RunOptions
from bidsapp.recipes import apply_values
from bidsapp.representation.sample import CohortRow, read_sample
from bidsapp.saliency.missing_maps import note_unfinished
from tests.integration.group_studies import (
    affine_of,
    brain,
    copy_study,
    first_run,
    save,
    table_of,
    write_dataset,
    write_normalised,
)
from tests.integration.running import Ended, as_expected, described, telling

PAGE = "<html><body><h1>sub</h1><!-- prediction:begin --><!-- prediction:end --></body></html>"


@pytest.fixture(scope="module")
def bundle(once) -> Path:  # type: ignore[no-untyped-def]
    """A bundle of two folds."""
    ended: Ended = once("group_first", first_run)[1]
    assert ended.code == 0, ended.said
    return ended.output_dir / "group" / "small" / "model" / "base"


@dataclass(frozen=True)
class New:
    """People whom no model has seen, whose images are normalised already."""

    bids: Path
    out: Path

    def normalise(
        self, model: Path, who: str, positive: bool, seed: int | None = None, **quality: object
    ) -> None:
        """Leave what the participant level leaves when it normalises as a bundle says."""
        recipe = load_bundle(model).recipe
        wanted = recipe.preparation
        options = RunOptions(self.bids, self.out, "participant", self.out / "work")
        modality = modality_named(wanted.modality)
        shared = modality.shared(wanted, make_own_folder(options.work_dir))
        scans = select_scans(options, modality.sources).scans
        scan = next(s for s in scans if s.participant == who.removeprefix("sub-"))
        (task,) = tasks_of(scan, modality, wanted, shared, options.output_dir)
        voxels = brain(seed or int(who[4:]), positive, wanted.plain()["resolution"])
        content = {"verdict": "pass", "reasons": [], "local_ncc": 0.8} | quality
        write_normalised(self.out, who, voxels, **content)
        names = task.names
        for name in names.data_files:
            if not (names.folder / name).exists():
                (names.folder / name).write_text("data")
            sidecar = names.folder / (name.removesuffix(".nii.gz").removesuffix(".h5") + ".json")
            if not sidecar.exists():
                key = task.provenance.key_without(("resolution", "intensity"))
                sidecar.write_text(json.dumps({"RegistrationKey": key}))
        marker = names.folder / names["preproc"].replace(".nii.gz", ".json")
        about = json.loads(marker.read_text()) | {"RunKey": task.provenance.key}
        marker.write_text(json.dumps(about))
        names.report.write_text(PAGE + report_mark(names, task.provenance))

    def apply(self, model: Path, *arguments: object) -> int:
        """Run the participant level with a model."""
        fixed = ("--skip-bids-validation", "--device", "cpu", "--nprocs", 1, "--model", model)
        given = (self.bids, self.out, "participant", *fixed, *arguments)
        try:
            return main([str(argument) for argument in given])
        except SystemExit as stop:
            return int(stop.code or 0)

    def answer(self, who: str, label: str = "smallbase") -> dict:
        """The predictions file of a person."""
        path = self.out / who / "anat" / f"{who}_desc-{label}_predictions.json"
        return json.loads(path.read_text())

    def files(self) -> list[str]:
        """Participants with a predictions file."""
        return sorted(path.parts[-3] for path in self.out.glob("sub-*/anat/*_predictions.json"))


@pytest.fixture
def new(tmp_path: Path) -> Iterator[New]:
    """Five people with a T1w each."""
    people = [f"sub-{i}" for i in range(51, 56)]
    write_dataset(tmp_path / "new", [(who,) for who in people], ["participant_id"])
    for i, who in enumerate(people):
        image = np.full((4, 4, 4), i + 1, np.int16)
        save(tmp_path / "new" / who / "anat" / f"{who}_T1w.nii.gz", image, np.eye(4))
    (tmp_path / "out").mkdir()
    yield New(tmp_path / "new", tmp_path / "out")
    shutil.rmtree(tmp_path)


def by_hand(model: Bundle, image: Path) -> list[float]:
    """What each network of a bundle says of an image: cut, z-score, sigmoid."""
    sample, _ = read_sample(CohortRow("sub", "", {"t1w": image}), model.recipe.representation)
    found = []
    for one in model.models:
        mean, sd = (one.fitted.state()[name] for name in ("0.mean", "0.sd"))
        x = (sample.astype(np.float16).astype(np.float64) - mean) / sd
        with torch.no_grad():
            logit = model.network(one)(torch.from_numpy(x[None].astype(np.float32)))
        found.append(1 / (1 + np.exp(-float(logit))))
    return found


def test_everybody_who_can_be_judged_gets_a_prediction(
    bundle: Path, new: New, capsys: pytest.CaptureFixture[str]
) -> None:
    new.normalise(bundle, "sub-51", True)
    new.normalise(bundle, "sub-52", False, verdict="warn", reasons=["cut at the top"])
    new.normalise(bundle, "sub-53", True, verdict="fail", reasons=["NCC 0.40 < 0.65"])
    new.normalise(bundle, "sub-54", False, verdict="warn", rescued=True)
    label = ("--participant-label", "51", "52", "53", "54")
    assert new.apply(bundle, *label) == 65  # one image failed its quality gate
    said = capsys.readouterr()
    assert "small-base: 2 predicted" in said.out
    assert "sub-53: no prediction: quality: fail" in said.err
    assert "sub-54: no prediction: quality: left and right not verified" in said.err
    assert new.files() == ["sub-51", "sub-52"]

    model = load_bundle(bundle)
    for who, quality in (("sub-51", "pass"), ("sub-52", "warn")):
        answer = new.answer(who)
        image = next((new.out / who).rglob("*_desc-preproc_T1w.nii.gz"))
        assert answer["outcome"] == "chronic"
        assert answer["positive"] == ["yes"]
        assert answer["per_model"] == pytest.approx(by_hand(model, image), abs=1e-4)
        assert answer["probability"] == pytest.approx(statistics.fmean(answer["per_model"]))
        assert answer["probability_sd"] == pytest.approx(statistics.stdev(answer["per_model"]))
        assert answer["model"].pop("held_out").startswith("AUC 1.00 (95 % CI ")
        assert answer["model"].pop("leaks") == []
        assert answer["model"] == {
            "name": "small-base",
            "version": "1.0.0",
            "sha256": model.sha256,
            "weights_sha256": model.weights_sha256,
        }
        assert answer["calibrated"] is None  # fewer than ten people of a class were held out
        assert answer["quality"]["verdict"] == quality
        assert answer["Sources"] == [f"bids::{who}/anat/{image.name}"]
    assert new.answer("sub-51")["probability"] > 0.9
    assert new.answer("sub-52")["probability"] < 0.5

    table = table_of(new.out / "group" / "predictions.tsv")
    assert list(table) == [
        *("participant_id", "session_id", "model", "sha256", "outcome", "positive"),
        *("probability", "probability_sd", "probability_clinical", "probability_with_clinic"),
        *("calibrated", "calibrated_low", "calibrated_high"),
        *("verdict", "in_training", "leak", "no_answer"),
    ]
    described(new.out / "group" / "predictions.tsv")
    as_expected("model", new.out / "sub-51", new.out / "group")
    assert set(table["outcome"]) == {"chronic"}
    assert set(table["positive"]) == {"yes"}
    assert set(table["in_training"]) == {"false"}
    assert table["participant_id"].tolist() == ["sub-51", "sub-52"]
    assert set(table["session_id"]) == {"n/a"}
    assert table["verdict"].tolist() == ["pass", "warn"]
    probability = new.answer("sub-51")["probability"]
    assert float(table["probability"][0]) == pytest.approx(probability, rel=1e-5)


def test_the_report_shows_one_prediction_however_often_it_is_made(bundle: Path, new: New) -> None:
    new.normalise(bundle, "sub-51", True)
    assert new.apply(bundle, "--participant-label", "51") == 0
    page = (new.out / "sub-51.html").read_text()
    assert page.count('id="prediction"') == 1
    assert f"<b>{new.answer('sub-51')['probability']:.2f}</b>" in page
    assert "AUC 1.00 (95 % CI" in page
    assert "small-base" in page
    assert page.startswith("<html><body><h1>sub</h1>")
    assert new.apply(bundle, "--participant-label", "51") == 0
    assert (new.out / "sub-51.html").read_text() == page


def test_who_fails_in_a_later_run_loses_the_earlier_prediction(bundle: Path, new: New) -> None:
    for who in ("sub-51", "sub-52"):
        new.normalise(bundle, who, True)
    assert new.apply(bundle, "--participant-label", "51", "52") == 0
    assert new.files() == ["sub-51", "sub-52"]
    new.normalise(bundle, "sub-51", True, verdict="fail", reasons=["NCC 0.40 < 0.65"])
    assert new.apply(bundle, "--participant-label", "51", "52") == 65
    assert new.files() == ["sub-52"]
    table = table_of(new.out / "group" / "predictions.tsv")
    assert table["participant_id"].tolist() == ["sub-52"]


def test_people_come_one_by_one_and_end_in_one_table(bundle: Path, new: New) -> None:
    for who in ("sub-52", "sub-51"):
        new.normalise(bundle, who, True)
        assert new.apply(bundle, "--participant-label", who) == 0
    table = table_of(new.out / "group" / "predictions.tsv")
    assert table["participant_id"].tolist() == ["sub-51", "sub-52"]


def test_who_was_trained_on_is_predicted_by_the_models_that_never_saw_them(
    bundle: Path, new: New, capsys: pytest.CaptureFixture[str]
) -> None:
    new.normalise(bundle, "sub-51", True, seed=3)  # the image of sub-03 of the training cohort
    new.normalise(bundle, "sub-52", True)
    assert new.apply(bundle, "--participant-label", "51", "52") == 0
    assert "1 of these 2 are in the cohort that small-base was trained on (sub-51)" in (
        capsys.readouterr().err
    )
    scores = table_of(bundle.parents[1] / "scores.tsv").set_index(["variant", "participant_id"])
    held_out = scores.loc[("base", "sub-03")]
    answer = new.answer("sub-51")
    assert answer["in_training"] is True
    assert answer["models_used"] == [f"repeat-0_fold-{held_out['fold']}"]
    assert answer["per_model"] == pytest.approx([float(held_out["probability"])], abs=1e-6)
    assert answer["probability"] == answer["per_model"][0]
    assert answer["probability_sd"] is None
    assert new.answer("sub-52")["in_training"] is False
    assert len(new.answer("sub-52")["models_used"]) == 2
    table = table_of(new.out / "group" / "predictions.tsv")
    assert table["in_training"].tolist() == ["true", "false"]
    page = (new.out / "sub-51.html").read_text()
    assert "in the cohort that the model was trained on" in page


def test_a_bundle_lists_its_cohort_by_hashes_and_by_nothing_else(bundle: Path) -> None:
    text = (bundle / "configs" / "training_images.json").read_text()
    assert "sub-" not in text
    assert str(bundle.parents[2]) not in text
    cohort = table_of(bundle.parents[1] / "cohort.tsv")
    images = load_bundle(bundle).images
    assert images is not None
    assert [image.voxels for image in images] == sorted(cohort["sha256"])
    tests = table_of(bundle.parents[1] / "splits.tsv").query("role == 'test'")
    fold = tests.set_index("participant_id")["fold"].astype(int)
    person = cohort.set_index("sha256")["participant_id"]
    assert {image.unseen_by for image in images} == {(0,), (1,)}
    assert all(image.unseen_by == (fold[person[image.voxels]],) for image in images)


def test_whom_every_model_was_trained_on_gets_no_prediction(
    bundle: Path, new: New, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, source = load_bundle(bundle), hashlib.sha256(b"the T1w file").hexdigest()
    images = (TrainingImage("0" * 64, source, ()),)
    everybody = tmp_path / "everybody"
    facts = ModelFacts("all", 16, 16, 8, {})
    write_bundle(everybody, model.recipe, model.space, model.models, facts, images)
    new.normalise(everybody, "sub-51", True)
    # normalised on another machine: other voxels, of the same T1w file
    sidecar = next((new.out / "sub-51").rglob("*_desc-preproc_T1w.json"))
    sidecar.write_text(json.dumps(json.loads(sidecar.read_text()) | {"SourceSHA256": source}))
    assert new.apply(everybody, "--participant-label", "51") == 0
    said = capsys.readouterr()
    assert "sub-51: no prediction: every model of the bundle was trained on this image" in said.err
    assert "all: 0 predicted" in said.out
    assert new.files() == []


def test_a_bundle_of_one_millimetre_is_given_images_of_one_millimetre(
    bundle: Path, new: New, capsys: pytest.CaptureFixture[str]
) -> None:
    model = load_bundle(bundle)
    recipe = apply_values(model.recipe, {"preparation.resolution": 1})
    voxels = brain(51, True, 1)
    save(new.out / "one.nii.gz", voxels, affine_of(1))
    row = CohortRow("sub-51", "", {"t1w": new.out / "one.nii.gz"})
    window = read_sample(row, recipe.representation)[1]
    fine = new.out.parent / "fine"
    write_bundle(fine, recipe, window, model.models, ModelFacts("fine", 16, 16, 8, {}))
    new.normalise(bundle, "sub-51", True)  # at 2 mm, which must not be taken
    new.normalise(fine, "sub-51", True)
    assert new.apply(fine, "--participant-label", "51") == 0
    said = capsys.readouterr().out
    assert "1 of 1 normalised (1 were there already)" in said
    assert "at 1 mm; to normalise for it: none; there already: 1 of 1" in said
    answer = new.answer("sub-51", "fine")
    source = new.out / "sub-51" / "anat" / answer["Sources"][0].rpartition("/")[2]
    assert "_res-1_" in source.name
    assert nib.Nifti1Image.load(source).shape == (157, 189, 156)
    assert answer["per_model"] == pytest.approx(by_hand(load_bundle(fine), source), abs=1e-4)


def change(bundle: Path, name: str, edit: dict) -> None:
    """Change a JSON file of a bundle, and its hash in the manifest too."""
    path = bundle / "configs" / name
    content = json.loads(path.read_text())
    for key, value in edit.items():
        content[key] |= value
    path.write_text(json.dumps(content))
    manifest = json.loads((bundle / MANIFEST).read_text())
    manifest["files"][f"configs/{name}"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (bundle / MANIFEST).write_text(json.dumps(manifest))


def test_a_bundle_for_another_window_is_refused(
    bundle: Path, new: New, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy_study(bundle, tmp_path / "moved")
    window = json.loads((bundle / "configs" / "models.json").read_text())["window"]
    moved = [window["start"][0], window["start"][1], window["start"][2] + 4]
    change(tmp_path / "moved", "models.json", {"window": {"start": moved}})
    new.normalise(bundle, "sub-51", True)
    assert new.apply(tmp_path / "moved", "--participant-label", "51") == 65
    said = capsys.readouterr().err
    assert "model small-base reads" in said
    assert "prepare it with the bundle's recipe" in said
    assert new.files() == []


def of_other_weights(bundle: Path, target: Path) -> Path:
    """Write a bundle of the same name with other weights, as another study's run does."""
    import safetensors.torch

    model = load_bundle(bundle)
    tensors = safetensors.torch.load_file(model.models[1].weights)
    changed = target.parent / "changed.safetensors"
    safetensors.torch.save_file({name: value * 2 for name, value in tensors.items()}, changed)
    models = (model.models[0], replace(model.models[1], weights=changed))
    return write_bundle(
        target, model.recipe, model.space, models, ModelFacts("small-base", 16, 16, 8, {})
    )


def test_another_model_of_the_same_name_is_refused_before_any_work(
    bundle: Path, new: New, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = of_other_weights(bundle, tmp_path / "other")
    new.normalise(bundle, "sub-51", True)
    only = ("--participant-label", "51", "--no-saliency")
    assert new.apply(bundle, *only) == 0
    path = new.out / "sub-51" / "anat" / "sub-51_desc-smallbase_predictions.json"
    written = json.loads(path.read_text())
    older = {key: value for key, value in written["model"].items() if key != "weights_sha256"}
    for recorded, word in ((written["model"], "weights_sha256"), (older, "sha256")):
        path.write_text(json.dumps(written | {"model": recorded}))
        before = path.read_bytes()
        capsys.readouterr()
        # nobody of this run has a prediction: the name in the table would still be shared
        assert new.apply(other, "--participant-label", "52") == 64
        said = capsys.readouterr().err
        assert f"{path} was made by another model of this name: small-base for chronic = yes" in (
            said
        )
        assert f" {recorded[word][:12]}" in said
        assert f" {load_bundle(other).weights_sha256[:12]}" in said
        assert "Choose another output folder, or delete those predictions" in said
        assert path.read_bytes() == before
        assert not (new.out / "sub-52").exists()
        assert new.apply(bundle, *only) == 0
    path.unlink()
    assert new.apply(other, *only) == 0
    assert new.answer("sub-51")["per_model"] != written["per_model"]


def test_a_verdict_that_a_bundle_got_since_makes_it_no_other_model(
    bundle: Path, new: New, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = tmp_path / "study"
    early = copy_study(bundle, study / "model" / "base")
    note_unfinished(study)
    new.normalise(early, "sub-51", True)
    only = ("--participant-label", "51")

    def maps() -> list[str]:
        return [path.name for path in new.out.rglob("*_desc-smallbase*_statmap.nii.gz")]

    assert new.apply(early, *only) == 0
    said = f"small-base: the run that made it ({study}) has not finished its maps"
    assert said in capsys.readouterr().err
    (unchecked,) = maps()
    assert unchecked in (new.out / "sub-51.html").read_text()

    method = load_bundle(early).recipe.saliency.method
    add_saliency_checks(early, {"method": method, "verdict": "fail", "sentences": []})
    assert new.apply(early, *only, "--no-saliency") == 0
    assert maps() == []  # its name and sidecar would deny the verdict
    assert new.apply(early, *only) == 0
    (suspect,) = maps()
    assert suspect == unchecked.replace("_statmap", "Suspect_statmap")
    assert new.apply(early, *only, "--no-saliency") == 0
    assert maps() == [suspect]
    assert suspect in (new.out / "sub-51.html").read_text()
    assert "has not finished its maps" not in capsys.readouterr().err


def cut_short(folder: Path) -> None:
    path = next((folder / "models").glob("*.safetensors"))
    part = path.read_bytes()[:1000]
    path.unlink()  # it is a link to the bundle that other tests read
    path.write_bytes(part)


def lose_a_model(folder: Path) -> None:
    next((folder / "models").glob("*.safetensors")).unlink()


def change_the_recipe(folder: Path) -> None:
    path = folder / "recipe.yaml"
    path.write_text(path.read_text().replace("resolution: 2", "resolution: 1"))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (cut_short, "repeat-0_fold-"),
        (lose_a_model, "is missing"),
        (change_the_recipe, "recipe.yaml is not what was written"),
    ],
)
def test_a_damaged_bundle_is_refused_before_any_work(
    damage, says: str, bundle: Path, new: New, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:  # type: ignore[no-untyped-def]
    copy_study(bundle, tmp_path / "damaged")
    damage(tmp_path / "damaged")
    assert new.apply(tmp_path / "damaged") == 65
    said = capsys.readouterr().err
    assert "is damaged" in said
    assert says in said
    assert "copy it again" in said
    assert not list(new.out.iterdir())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--set", "training.epochs=3"), "training.epochs=3"),
        (("--resolution", "1"), "preparation.resolution=1"),
        (("--random-seed", "3"), "preparation.seed=3"),
        (("--recipe", "t1w"), "leave out --recipe t1w"),
    ],
)
def test_a_model_says_itself_how_images_are_normalised(
    arguments: tuple[str, ...],
    says: str,
    bundle: Path,
    new: New,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert new.apply(bundle, *arguments) == 64
    said = capsys.readouterr().err
    assert "--model says itself how" in said or "--model brings the recipe" in said
    assert says in said
    assert not list(new.out.iterdir())


def test_a_folder_that_is_no_bundle(
    new: New, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert new.apply(tmp_path / "nowhere") == 66
    assert new.apply(new.bids) == 66
    said = capsys.readouterr().err
    assert "there is no such folder" in said
    assert "it is no NociCast model bundle" in said


def test_no_result_of_a_model_or_its_bundle_tells_where_files_lie(
    bundle: Path, new: New, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(new.bids.parent / "home" / "alicia"))
    for name in ("LOGNAME", "USER"):
        monkeypatch.setenv(name, "alicia")
    new.normalise(bundle, "sub-51", True)
    assert new.apply(bundle, "--participant-label", "51") == 0
    assert new.files() == ["sub-51"]
    assert list(new.out.rglob("*_statmap.json"))
    where = (str(new.bids.parent), new.bids.parent.name, str(bundle.parents[4]), "alicia")
    assert telling(new.out, *where) == []
    assert telling(bundle, *where) == []
