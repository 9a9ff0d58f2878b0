"""What the scan adds, as a user asks for it: inner networks, their files, the first sentence."""

import copy
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch

from bidsapp.api import open_model
from bidsapp.cli import main
from bidsapp.errors import BadData
from bidsapp.evaluation.validation import evaluate_validation
from bidsapp.networks.bundle import load_bundle
from bidsapp.networks.clinical_part import ClinicalPart
from bidsapp.reports.person_columns import tell_missing, with_columns
from bidsapp.reports.prediction import prediction_section
from tests.integration.group_studies import (
    brain,
    group_arguments,
    rerun,
    start,
    table_of,
    write_dataset,
    write_normalised,
)
from tests.integration.running import Ended

PEOPLE = 16
RECIPE = """\
name: added
summary: A compact network on three axial slices, beside clinical columns
outcome: {column: chronic, positive: ["yes"]}
representation: {kind: slab, plane: axial, slices: 3}
network: {name: resnet, depth: 10, stem_stride: 2, stem_pool: true, start: random}
training: {epochs: 1, batch_size: 8, precision: float32}
protocol: {kind: kfold, folds: 2, stratified: true}
evaluation:
  {tests: [permutation], baselines: [majority], permutations: 100, bootstrap: 0,
   clinical: [pain_now, sex], stacking_folds: 2}
"""


@pytest.fixture(scope="module")
def added(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """A run that asks what the scan adds."""
    root = tmp_path_factory.mktemp("added")
    rows = []
    for i in range(PEOPLE):
        write_normalised(root / "out", f"sub-{i:02d}", brain(i, bool(i % 2)))
        rows.append((f"sub-{i:02d}", "yes" if i % 2 else "no", 3 + i % 2 + i % 5, "FM"[i // 2 % 2]))
    write_dataset(root / "bids", rows, ("participant_id", "chronic", "pain_now", "sex"))
    (root / "small.yaml").write_text(RECIPE)
    return start(*group_arguments(root))


def run_of(added: Ended) -> Path:
    return added.output_dir / "group" / "added"


def test_the_cost_is_said_before_any_training(added: Ended) -> None:
    assert added.code == 0, added.stderr
    said = added.stdout
    cost = said.index("Added value: 4 networks more, 2 inner folds for each of the 2 of base")
    assert cost < said.index("2 networks; those that are trained already are kept")


def test_nobodys_logit_comes_from_a_network_that_saw_them(added: Ended) -> None:
    run = run_of(added)
    splits, inner, scores = (
        table_of(run / f"{name}.tsv") for name in ("splits", "crossfit_splits", "crossfit_scores")
    )
    for fold in ("0", "1"):
        here = splits[splits["fold"] == fold].set_index("participant_id")["role"]
        learned = set(here.index[here == "train"])
        mine = scores[scores["fold"] == fold]
        assert sorted(mine["participant_id"]) == sorted(learned)
        for number, rows in inner[inner["fold"] == fold].groupby("inner"):
            assert set(rows["participant_id"]) == learned  # nobody whom the fold tests
            tested = set(rows.loc[rows["role"] == "test", "participant_id"])
            assert set(mine.loc[mine["inner"] == number, "participant_id"]) == tested
            (record,) = run.parents[2].glob(
                f"**/inner-{number}/folds/base/repeat-0_fold-{fold}/fold.json"
            )
            trained = json.loads(record.read_text())["participants"]
            assert trained == {"train": len(learned) - len(tested), "test": len(tested)}


def test_the_answer_begins_with_what_the_scan_adds(added: Ended) -> None:
    run = run_of(added)
    findings = table_of(run / "tables" / "findings.tsv")
    (text,) = findings.loc[findings["kind"] == "added", "text"]
    assert text.startswith("Beyond pain now and sex the scan adds ")
    page = (run / "report.html").read_text()
    assert page.index("Beyond pain now and sex the scan adds ") < page.index("forecast chronic")
    assert "No net reclassification index is given" in page
    words = " ".join((run / "logs" / "CITATION.md").read_text().split())
    beyond, alone = "Beyond pain now and sex the scan adds ", ": pooled held-out AUC"
    assert words.index(beyond) < words.index(alone)
    models = table_of(run / "tables" / "added_value_scores.tsv")
    assert set(models["variant"]) == {"clinical", "clinical + base"}
    assert len(models) == 2 * PEOPLE


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_bits(added: Ended) -> None:
    run, root = run_of(added), added.output_dir.parent
    before = (run / "crossfit_scores.tsv").read_bytes()
    (lost,) = root.glob("**/inner-1/folds/base/repeat-0_fold-1")
    (kept,) = root.glob("**/inner-0/folds/base/repeat-0_fold-1/fold.json")
    written = kept.stat().st_mtime_ns
    assert not list(root.glob("**/inner-*/**/model.safetensors"))
    (lost / "scores.tsv").unlink()
    assert rerun(root) == 0
    assert (run / "crossfit_scores.tsv").read_bytes() == before
    assert kept.stat().st_mtime_ns == written


@pytest.mark.slow
def test_without_clinical_columns_nothing_of_it_is_left(
    added: Ended, capsys: pytest.CaptureFixture[str]
) -> None:
    run, root = run_of(added), added.output_dir.parent
    model = next(root.glob("**/folds/base/repeat-0_fold-0/model.safetensors"))
    weights = safetensors.torch.load_file(model)
    assert rerun(root, "--set", "evaluation.clinical=[]") == 0
    assert "Added value" not in capsys.readouterr().out
    assert not (run / "crossfit_scores.tsv").exists()
    assert safetensors.torch.load_file(model).keys() == weights.keys()


def test_too_many_inner_folds_are_refused_before_work(
    added: Ended, capsys: pytest.CaptureFixture[str]
) -> None:
    root = added.output_dir.parent
    assert rerun(root, "--run-label", "many", "--set", "evaluation.stacking_folds=4") == 64
    told = " ".join(capsys.readouterr().err.split())
    assert (
        "evaluation.stacking_folds: 4 inner folds, but repeat 0, fold 0 trains on 4 people" in told
    )
    assert "--set evaluation.stacking_folds=3" in told
    assert not (added.output_dir / "group" / "many").exists()


def test_the_plan_says_what_added_value_can_be_shown(
    added: Ended, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rerun(added.output_dir.parent, "--plan") == 0
    told = capsys.readouterr().out
    assert "Added value over a clinical model of AUC 0.70" in told
    assert "smallest gain shown with power 0.8: none" in told
    assert "Added value: 4 networks more" in told


def test_the_bundle_gives_the_combined_probability_that_was_evaluated(added: Ended) -> None:
    run = run_of(added)
    bundle = load_bundle(run / "model" / "base")
    part = bundle.about.clinical
    assert part is not None
    assert bundle.columns == part.names == ("pain_now", "sex")
    assert part.found.startswith("Beyond pain now and sex the scan adds ")
    cohort = table_of(run / "cohort.tsv").set_index("participant_id")
    network = table_of(run / "scores.tsv")
    models = table_of(run / "tables" / "added_value_scores.tsv")
    for place, stack in enumerate(("clinical", "clinical + base")):
        scored = models[models["variant"] == stack].set_index("participant_id")
        for fold in ("0", "1"):
            mine = network[network["fold"] == fold]
            people = list(mine["participant_id"])
            columns = {name: list(cohort.loc[people, name]) for name in part.names}
            images = mine["probability"].to_numpy(float)
            found = part.folds[0, int(fold)][place].probability(columns, len(people), images)
            evaluated = scored.loc[people, "probability"].to_numpy(float)
            np.testing.assert_allclose(found, evaluated, atol=2e-6)
    columns = {name: list(cohort[name]) for name in part.names}
    per_model = np.full((PEOPLE, 2), 0.6)
    alone, both = bundle.with_clinic(columns, per_model)
    one, _ = bundle.with_clinic(columns, per_model, [1])
    assert alone.shape == both.shape == (PEOPLE,)
    assert not np.allclose(alone, one)
    assert np.isnan(bundle.with_clinic({"sex": columns["sex"]}, per_model)[1]).all()
    model = open_model(run / "model" / "base")
    image = next((added.output_dir / "sub-03").rglob("*desc-preproc_T1w.nii.gz"))
    known = {"sub-03": {"pain_now": 7, "sex": "F"}}
    answer = model.predict({"sub-03": image}, "cpu", known).loc["sub-03"]
    assert 0 < answer["probability_with_clinic"] < 1
    plain = model.predict({"sub-03": image}, "cpu").loc["sub-03"]
    assert plain["probability"] == answer["probability"]
    assert "probability_with_clinic" not in plain


def test_a_clinical_part_that_cannot_be_is_refused(added: Ended) -> None:
    told = json.loads((run_of(added) / "model/base/configs/clinical.json").read_text())
    assert json.loads(json.dumps(ClinicalPart.of(told).plain())) == told
    for change, why in (
        (lambda t: t["folds"][0]["both"].update(logit=None), "a logit is missing"),
        (lambda t: t["folds"][0]["both"]["coefficients"].clear(), "coefficients are of"),
        (lambda t: t.update(columns=["sex", "pain_now"]), "columns are not sex, pain_now"),
        (lambda t: t["folds"][0].pop("clinical"), "cannot be read"),
        (lambda t: t["folds"][1]["clinical"].update(intercept=float("nan")), "not finite"),
    ):
        other = copy.deepcopy(told)
        change(other)
        with pytest.raises(BadData, match=why):
            ClinicalPart.of(other)


def test_a_person_is_told_what_the_scan_says_with_the_columns(
    added: Ended, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = load_bundle(run_of(added) / "model" / "base")
    columns = {"pain_now": ["7", ""], "sex": ["F", "M"]}
    tell_missing(bundle, ["sub-1", "sub-2"], columns)
    told = capsys.readouterr().err
    assert "pain_now: no value of sub-2; the model takes" in told
    found = with_columns(bundle, columns, 1, [0.2, 0.4], None)
    assert found["columns"] == {"pain_now": None, "sex": "M"}
    assert 0 < found["probability_clinical"] < 1
    assert found["probability_with_clinic"] != found["probability_clinical"]
    tell_missing(bundle, ["sub-1"], {"sex": ["F"]})
    assert "pain_now: no such column in the tables" in capsys.readouterr().err
    assert with_columns(bundle, {"sex": ["F"]}, 0, [0.2, 0.4], None) == {"columns": {"sex": "F"}}
    answer = {
        "outcome": "chronic",
        "positive": ["yes"],
        "probability": 0.3,
        "probability_sd": 0.1,
        "per_model": [0.2, 0.4],
        "model": bundle.identity,
    }
    page = prediction_section(answer | found)
    assert "With what is known beside the scan (pain_now missing, sex M)" in page
    assert "With what is known" not in prediction_section(answer)


def test_a_run_comes_with_its_reporting_guideline(added: Ended) -> None:
    run = run_of(added)
    table = table_of(run / "reporting" / "tripod_ai.tsv")
    assert len(table) == 52
    assert (table["status"] != "author").sum() >= 36
    for place in "; ".join(w for w in table["where"] if w != "n/a").split("; "):
        assert (run / place.partition(":")[0]).exists(), place
    assert (run / "reporting" / "tripod_ai.json").is_file()


@pytest.fixture(scope="module")
def elsewhere(added: Ended, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """People of another place, judged by the bundle with its clinical part."""
    root = tmp_path_factory.mktemp("elsewhere")
    rows = []
    for i in range(40):
        who, ill = f"sub-{200 + i}", i % 2 == 0
        write_normalised(root / "out", who, brain(2000 + i, ill))
        rows.append((who, "yes" if ill else "no", 3 + 2 * ill + i % 5, "FM"[i // 2 % 2]))
    write_dataset(root / "bids", rows, ("participant_id", "chronic", "pain_now", "sex"))
    bundle = run_of(added) / "model" / "base"
    words = (root / "bids", root / "out", "group", "--model", bundle, "--device", "cpu")
    ended = start(*words, "--nprocs", 1, "--run-label", "new")
    assert ended.code == 0, ended.said
    return root


def test_new_people_are_judged_by_columns_alone_and_with_the_scan(
    elsewhere: Path, added: Ended
) -> None:
    run = elsewhere / "out" / "group" / "new"
    scores = table_of(run / "scores.tsv").astype({"probability": float})
    both = "clinical + added-base"
    assert {"added-base", "clinical", both, f"{both}-intercept"} <= set(scores["variant"])
    # the very answers that a person's predictions file gives
    bundle = load_bundle(run_of(added) / "model" / "base")
    part = bundle.about.clinical
    assert part is not None
    first = scores[scores["participant_id"] == "sub-200"].set_index("variant")["probability"]
    per_model = table_of(run / "fold_models.tsv").astype({"probability": float})
    mine = per_model[per_model["participant_id"] == "sub-200"]["probability"].to_numpy()[None]
    places = [(m.repeat, m.fold) for m in bundle.models]
    alone, joined = part.answers({"pain_now": ["5"], "sex": ["F"]}, mine, places)
    assert first["clinical"] == pytest.approx(alone[0], abs=1e-4)
    assert first[both] == pytest.approx(joined[0], abs=1e-4)
    table = table_of(run / "tables" / "added_value.tsv").set_index("measure")
    metrics = table_of(run / "metrics.tsv")
    auc = metrics[(metrics["metric"] == "auc") & (metrics["scope"] == "pooled")]
    auc = auc.set_index("variant")["value"].astype(float)
    assert float(table.loc["auc", "gain"]) == pytest.approx(auc[both] - auc["clinical"], abs=1e-4)
    assert "widened" not in str(table.loc["auc", "ci_method"])  # nobody was trained on
    said = table_of(run / "tables" / "findings.tsv").set_index("kind")["text"]["combined"]
    assert said.startswith("From pain_now, sex alone the AUC is ")
    assert "Calibration in the large of both together" in said
    assert "Recalibrated, both together, by cross-validation here: intercept:" in said
    page = (run / "report.html").read_text()
    assert "Clinical columns and scan as it is, and recalibrated" in page
    rows = table_of(run / "tables" / "recalibration.tsv")["variant"]
    assert not rows.str.startswith("clinical").any()  # --recalibrate is of the scan's own


def test_a_recalibrated_bundle_answers_with_its_clinical_part_too(
    elsewhere: Path, added: Ended, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = run_of(added) / "model" / "base"
    shutil.copytree(elsewhere, tmp_path, dirs_exist_ok=True)
    place = (tmp_path / "bids", tmp_path / "out", "group", "--device", "cpu", "--nprocs", 1)
    wish = ("--model", bundle, "--run-label", "new", "--evaluate-only", "--recalibrate")
    assert main([str(word) for word in (*place, *wish, "intercept")]) == 0
    assert "gives no answer any more" not in capsys.readouterr().out
    new = tmp_path / "out/group/new/model/added-base-recalibrated"
    opened, old = load_bundle(new), load_bundle(bundle)
    assert set(opened.about.clinic_recalibration) == {"clinical", "combined"}
    (record,) = opened.about.history
    assert set(record["clinical_part"]) == {"columns alone", "columns and scan"}
    for told in record["clinical_part"].values():
        assert told["before"]["calibration_intercept"] != told["after"]["calibration_intercept"]
    columns, per_model = {"pain_now": ["5"], "sex": ["F"]}, np.array([[0.6, 0.4]])
    before, after = (one.with_clinic(columns, per_model) for one in (old, opened))
    for one, other, name in zip(before, after, ("clinical", "combined"), strict=True):
        change = opened.about.clinic_recalibration[name]
        assert other == pytest.approx(change.apply(one))
        assert other != pytest.approx(one)
    # on the very people it was fitted on its probabilities hold on the whole
    again = ("--model", new, "--run-label", "again")
    assert main([str(word) for word in (*place, *again)]) == 0
    metrics = table_of(tmp_path / "out/group/again/metrics.tsv")
    large = metrics[(metrics["metric"] == "calibration_intercept") & (metrics["scope"] == "pooled")]
    large = large.set_index("variant")["value"].astype(float)
    for name in ("clinical", "clinical + added-base-recalibrated"):
        assert large[name] == pytest.approx(0, abs=1e-3)
    # and that they are the very people is said, not passed over
    said = table_of(tmp_path / "out/group/again/tables/findings.tsv").set_index("kind")["text"]
    assert (
        "LEAK: 40 of these people are among those whom the model was recalibrated on"
        in (said["calibration"])
    )
    # recalibrated once more: what was done before stays in it
    twice = (
        "--model",
        new,
        "--run-label",
        "again",
        "--evaluate-only",
        "--recalibrate",
        "intercept",
    )
    assert main([str(word) for word in (*place, *twice)]) == 0
    carried = load_bundle(
        tmp_path / "out/group/again/model/added-base-recalibrated-recalibrated"
    ).about.clinic_recalibration
    for name, opening in opened.about.clinic_recalibration.items():
        assert carried[name].intercept == pytest.approx(opening.intercept, abs=2e-3)
    facts = tmp_path / "out/group/again/validation.json"  # of a bundle that tells no hashes
    facts.write_text(json.dumps(json.loads(facts.read_text()) | {"recalibrated_on_these": None}))
    evaluate_validation(facts.parent)
    said = table_of(facts.parent / "tables" / "findings.tsv").set_index("kind")["text"]
    assert "on people who are among these cannot be told" in said["calibration"]


@pytest.mark.slow
def test_where_a_clinical_column_is_missing_it_is_said_that_nothing_is_judged(
    elsewhere: Path, added: Ended
) -> None:
    table = elsewhere / "bids" / "participants.tsv"
    whole = table.read_text()
    table.write_text(whole.replace("pain_now", "ache", 1))
    bundle = run_of(added) / "model" / "base"
    words = (elsewhere / "bids", elsewhere / "out", "group", "--model", bundle, "--device", "cpu")
    ended = start(*words, "--nprocs", 1, "--run-label", "lacking")
    table.write_text(whole)
    assert ended.code == 0, ended.said
    assert "The clinical part of the model was not judged: the tables of these people" in ended.said
    scores = table_of(elsewhere / "out" / "group" / "lacking" / "scores.tsv")
    assert not scores["variant"].str.startswith("clinical").any()
    wish = ("--run-label", "lacking", "--evaluate-only", "--recalibrate", "intercept")
    ended = start(*words, "--nprocs", 1, *wish)
    assert ended.code == 0, ended.said
    assert "Its clinical part gives no answer any more" in ended.said
    made = elsewhere / "out/group/lacking/model/added-base-recalibrated"
    (record,) = load_bundle(made).about.history
    assert "no column pain_now" in record["clinical_part"]
    none = load_bundle(made).with_clinic({"pain_now": ["5"], "sex": ["F"]}, np.array([[0.6, 0.4]]))
    assert np.isnan(none).all()
