"""External validation: nocicast NEW OUT group --model BUNDLE."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bidsapp.cli import main
from bidsapp.evaluation.abstention import fit_limits
from bidsapp.evaluation.recalibration_record import limits_of_validation
from bidsapp.evaluation.validation import evaluate_validation
from bidsapp.networks.bundle import load_bundle
from bidsapp.networks.bundle_about import COHORT, PRINTS, Carried, write_carried
from bidsapp.networks.bundle_files import MANIFEST
from bidsapp.networks.bundle_update import write_recalibrated
from bidsapp.networks.bundle_write import seal
from bidsapp.networks.familiarity import Familiar, Look
from bidsapp.networks.image_looks import block_sums
from bidsapp.networks.predict import predict
from bidsapp.representation.sample import CohortRow, read_sample
from tests.benchmarks import elsewhere
from tests.integration.group_studies import (
    SPACE,
    affine_of,
    brain,
    first_run,
    save,
    table_of,
    tell_settings,
    write_dataset,
    write_normalised,
)
from tests.integration.running import Ended, as_expected, described

TRAINED = 3  # sub-03 of the training cohort: whose image is slipped in
LABEL = "elsewhere"


@pytest.fixture(scope="module")
def bundle(once) -> Path:  # type: ignore[no-untyped-def]
    """A bundle of two folds, of 16 people."""
    ended: Ended = once("group_first", first_run)[1]
    assert ended.code == 0, ended.said
    return ended.output_dir / "group" / "small" / "model" / "base"


def new_people(root: Path, count: int = 36) -> None:
    """People of another site: one in four positive, brighter images; two were trained on."""
    rows = []
    for i in range(count):
        who, positive = f"sub-{100 + i}", i % 4 == 0
        write_normalised(root / "out", who, brain(1000 + i, positive) * np.float32(1.3))
        rows.append((who, "ill" if positive else "well", 50 + i % 20, "FM"[i % 2]))
    known = brain(TRAINED, bool(TRAINED % 2))
    write_normalised(root / "out", "sub-900", known)
    noise = np.random.default_rng(0).normal(0, 0.01, known.shape).astype(np.float32)
    write_normalised(root / "out", "sub-901", np.abs(known * np.float32(0.8) + noise))
    rows += [("sub-900", "ill", 29, "M"), ("sub-901", "ill", 29, "M"), ("sub-902", "ill", 1, "F")]
    write_dataset(root / "bids", rows, ("participant_id", "state", "age", "sex"))


def validate(root: Path, bundle: Path, *arguments: object) -> int:
    """Validate in this process, as a user does."""
    words = [
        *(root / "bids", root / "out", "group", "--model", bundle, "--device", "cpu"),
        *("--nprocs", 1, "--run-label", LABEL, *arguments),
    ]
    try:
        return main([str(word) for word in words])
    except SystemExit as stop:
        return int(stop.code or 0)


OUTCOME = ("--outcome", "state", "--positive", "ill")


@pytest.fixture(scope="module")
def validated(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a validation."""
    root = tmp_path_factory.mktemp("validation")
    new_people(root)
    code = validate(root, bundle, *OUTCOME, "--recalibrate", "intercept")
    assert code == 65  # 9 positive people: too few to recalibrate; that is said, not passed over
    assert validate(root, bundle, *OUTCOME) == 0
    return root / "out" / "group" / LABEL


def test_people_of_the_training_cohort_are_left_out_under_any_name(validated: Path) -> None:
    out = table_of(validated / "exclusions.tsv").set_index("participant_id")["reason"]
    assert out["sub-900"] == "in the training cohort"
    assert out["sub-901"] == "near-duplicate of a training scan"
    assert out["sub-902"] == "no normalised image"
    assert len(table_of(validated / "cohort.tsv")) == 36


def test_every_number_of_the_validation_is_there(validated: Path) -> None:
    metrics = table_of(validated / "metrics.tsv")
    assert (metrics["variant"] == "small-base").all()  # recalibrations had too few people
    pooled = metrics[metrics["scope"] == "pooled"].set_index("metric")
    for name in (
        *("auc", "brier", "calibration_intercept", "observed_expected"),
        *("net_benefit", "sensitivity", "specificity", "sensitivity@fitted"),
    ):
        assert pooled.loc[name, "value"] != "n/a", name
    assert pooled.loc["auc", "ci_method"] in ("DeLong, logit", "Newcombe")
    assert not any("@retrained" in name for name in pooled.index)  # nobody trained on is here
    scores = table_of(validated / "scores.tsv").astype({"outcome": int, "probability": float})
    expected = scores["outcome"].sum() / scores["probability"].sum()
    assert float(pooled.loc["observed_expected", "value"]) == pytest.approx(expected, rel=1e-4)


def test_the_new_people_stand_beside_the_aggregates_of_training(
    validated: Path, bundle: Path
) -> None:
    told = json.loads((bundle / COHORT).read_text())
    ages = pd.Series([20 + 3 * i % 50 for i in range(16)], dtype=float)
    (age,) = [one for one in told["columns"] if one["column"] == "age"]
    assert age["mean"] == pytest.approx(ages.mean())
    assert age["low"] == pytest.approx(ages.nsmallest(5).mean())
    table = table_of(validated / "tables" / "case_mix.tsv").set_index("column")
    new = np.array([50 + i % 20 for i in range(36)], float)
    spread = np.sqrt((new.var(ddof=1) + ages.var(ddof=1)) / 2)
    assert float(table.loc["age", "standardised_difference"]) == pytest.approx(
        (new.mean() - ages.mean()) / spread, rel=1e-4
    )
    use = table_of(validated / "tables" / "intended_use.tsv").set_index("aspect")
    assert use.loc["age", "verdict"] == "outside"
    assert use.loc["outcome", "verdict"] == "outside"  # state = ill, not chronic = yes


def test_the_report_says_what_was_found_and_the_text_can_be_pasted(validated: Path) -> None:
    page = (validated / "report.html").read_text()
    said = table_of(validated / "tables" / "findings.tsv").set_index("kind")["text"]
    assert "nobody of them was seen by the model" in said["result"]
    assert "9 of the rarer outcome are few" in said["small"]
    for word in ("Case mix", "Recalibration", "training cohort beside these people", "calibration"):
        assert word.lower() in page.lower()
    words = (validated / "logs" / "CITATION.md").read_text()
    assert "External validation" in words
    assert "DeLong" in words
    columns = json.loads((validated / "tables" / "case_mix.json").read_text())
    assert set(table_of(validated / "tables" / "case_mix.tsv").columns) == set(columns)


def test_a_bundle_says_with_what_speed_the_images_of_its_training_were_made(bundle: Path) -> None:
    opened = load_bundle(bundle)
    assert (
        opened.recipe.preparation.plain()["speed"] == "fast"
    )  # the recipe of the run said default
    assert opened.metadata["images_made_by"] == ["nocicast 0.1.0"]


def test_new_people_who_were_prepared_otherwise_are_told_of(
    validated: Path, bundle: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(validated.parents[2] / "bids", tmp_path / "bids")
    shutil.copytree(validated.parents[1], tmp_path / "out", ignore=shutil.ignore_patterns("group"))
    tell_settings(tmp_path / "out", speed="default")
    few = ("--participant-label", *range(100, 112))
    assert validate(tmp_path, bundle, *OUTCOME, *few) == 0
    said = capfd.readouterr().err
    assert "preparation.speed: the model's images were made with fast, these with default" in said
    assert "participant --model" in said
    folder = tmp_path / "out" / "group" / LABEL
    use = table_of(folder / "tables" / "intended_use.tsv").set_index("aspect")
    assert tuple(use.loc["preparation: speed", ["model", "verdict"]]) == ("fast", "outside")
    assert use.loc["preparation", "verdict"] == "as meant"
    assert "preparation: speed" in (folder / "report.html").read_text()
    # what an image shows is another thing: it is refused
    tell_settings(tmp_path / "out", speed="fast", intensity="none")
    assert validate(tmp_path, bundle, *OUTCOME, *few) == 65
    assert "preparation.intensity is minmax, and images were made with none (" in (
        capfd.readouterr().err
    )


def test_what_follows_from_the_scores_is_made_anew_and_stays_the_same(
    validated: Path, bundle: Path
) -> None:
    before = {
        path: path.read_bytes() for path in validated.rglob("*.tsv") if path.name != "history.tsv"
    }
    root = validated.parents[2]
    assert validate(root, bundle, "--evaluate-only") == 0
    assert {path: path.read_bytes() for path in before} == before


def test_the_files_of_a_validation_are_those_that_are_listed(validated: Path) -> None:
    as_expected("validation", validated)


def test_only_the_model_that_was_validated_is_evaluated_again(
    validated: Path, bundle: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    other = bundle.parent / "sagittal"
    assert validate(validated.parents[2], other, "--evaluate-only") == 64
    assert (
        "holds the validation of small-base 1.0.0, not of small-sagittal" in capfd.readouterr().err
    )


def test_people_of_one_class_are_refused_with_a_message(
    validated: Path, bundle: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    root = validated.parents[2]
    ill = ("--participant-label", *(str(100 + i) for i in range(0, 36, 4)))
    assert validate(root, bundle, *OUTCOME, "--run-label", "one", *ill) == 65
    assert not (validated.parent / "one").exists()
    assert "9 positive and 0 negative scans" in capfd.readouterr().err


def test_a_bundle_without_aggregates_still_validates_and_says_what_is_missing(
    validated: Path, bundle: Path, tmp_path: Path
) -> None:
    """Earlier versions wrote neither aggregates nor prints."""
    older = tmp_path / "older" / "base"
    shutil.copytree(bundle, older)
    for name in (COHORT, PRINTS):
        (older / name).unlink()
    new = tmp_path / "sealed" / "base"
    shutil.copytree(older, new)
    (new / MANIFEST).unlink()
    seal(new, older)
    assert not load_bundle(older).about.cohort
    assert validate(validated.parents[2], older, *OUTCOME, "--run-label", "older") == 0
    folder = validated.parent / "older"
    said = table_of(folder / "tables" / "findings.tsv").set_index("kind")["text"]
    assert "no aggregates" in said["skipped"]
    out = table_of(folder / "exclusions.tsv").set_index("participant_id")["reason"]
    assert out["sub-900"] == "in the training cohort"  # by hash, as before
    assert "sub-901" not in out.index


def calibrated_elsewhere(folder: Path, target: Path, people: int, seed: int) -> Path:
    """The same validation with people whose probabilities are off by 1.5 in the logit."""
    shutil.copytree(folder, target)
    rng = np.random.default_rng(seed)
    logit = rng.normal(0, 1.2, people)
    outcome = (rng.random(people) < 1 / (1 + np.exp(-(logit - 1.5)))).astype(int)
    names = [f"sub-{i:04d}" for i in range(people)]
    cohort = table_of(folder / "cohort.tsv").iloc[[0] * people].reset_index(drop=True)
    cohort = cohort.assign(participant_id=names, group=names, outcome=outcome)
    scores = table_of(folder / "scores.tsv").iloc[[0] * people].reset_index(drop=True)
    probability = 1 / (1 + np.exp(-logit))
    scores = scores.assign(participant_id=names, outcome=outcome, probability=probability)
    cohort.to_csv(target / "cohort.tsv", sep="\t", index=False)
    scores.to_csv(target / "scores.tsv", sep="\t", index=False)
    models = scores.drop(columns=["variant", "outcome"])
    pd.concat([models, models.assign(fold=1)]).to_csv(
        target / "fold_models.tsv", sep="\t", index=False
    )
    (target / "measures.tsv").unlink()
    return target


def test_probabilities_that_are_too_high_are_found_and_mended_by_an_intercept(
    validated: Path, bundle: Path, tmp_path: Path
) -> None:
    folder = calibrated_elsewhere(validated, tmp_path / "off", 300, seed=1)
    evaluate_validation(folder)
    metrics = table_of(folder / "metrics.tsv")
    pooled = metrics[metrics["scope"] == "pooled"].set_index(["variant", "metric"])

    def ends(variant: str, metric: str) -> tuple[float, float]:
        row = pooled.loc[(variant, metric)]
        return float(row["ci_low"]), float(row["ci_high"])

    low, high = ends("small-base", "calibration_intercept")
    assert low < -1.5 < high < 0
    for kind in ("intercept", "slope"):
        low, high = ends(f"small-base-{kind}", "calibration_intercept")
        assert low < 0 < high
    assert float(pooled.loc[("small-base-intercept", "brier"), "value"]) < float(
        pooled.loc[("small-base", "brier"), "value"]
    )
    said = table_of(folder / "tables" / "findings.tsv").set_index("kind")["text"]
    assert "too high on the whole" in said["calibration"]


@pytest.fixture(scope="module")
def recalibrated(validated: Path, bundle: Path) -> Path:
    """The bundle with intercept and slope of 300 people, from their scores alone."""
    folder = calibrated_elsewhere(validated, validated.parent / "off", 300, seed=1)
    root = validated.parents[2]
    wish = ("--evaluate-only", "--recalibrate", "slope", "--run-label", "off")
    for _ in range(2):  # the second takes the place of the first
        assert validate(root, bundle, *wish) == 0
    return folder / "model" / "small-base-recalibrated"


def test_a_recalibrated_bundle_says_on_whom_and_how_well(recalibrated: Path, bundle: Path) -> None:
    new, old = load_bundle(recalibrated), load_bundle(bundle)
    assert new.weights_sha256 == old.weights_sha256
    assert new.sha256 != old.sha256
    assert (new.name, new.version) == ("small-base-recalibrated", "1.1.0")
    (record,) = new.about.history
    assert record["people"] == 300
    assert record["from_sha256"] == old.sha256
    assert record["outcome"] == "state = ill"
    assert record["judged"] == "10-fold cross-validation among these people"
    assert record["before"]["calibration_intercept"] != record["after"]["calibration_intercept"]
    told = new.about.recalibration
    assert told is not None
    assert told.kind == "slope"
    assert told.intercept == pytest.approx(-1.5, abs=0.4)  # what the people were made with
    assert "## Recalibrated" in (recalibrated / "docs" / "README.md").read_text()
    assert new.about.calibrated is not None  # what probabilities are worth among the new people
    assert new.about.calibrated.people == 300
    assert float(new.about.calibrated.of(0.5).value[0]) == pytest.approx(told.apply(0.5), abs=0.02)
    assert old.about.recalibration is None  # the bundle that was validated stays as it was


def test_a_recalibrated_bundle_answers_with_its_recalibration(
    recalibrated: Path, validated: Path
) -> None:
    root = validated.parents[2]
    assert validate(root, recalibrated, *OUTCOME, "--run-label", "again") == 0
    folder = validated.parent / "again"
    keys = ["participant_id", "session_id"]
    each = table_of(folder / "fold_models.tsv").astype({"probability": float})
    mean = each.groupby(keys)["probability"].mean()
    scores = table_of(folder / "scores.tsv").set_index(keys)["probability"].astype(float)
    told = load_bundle(recalibrated).about.recalibration
    assert told is not None
    assert scores.loc[mean.index].to_numpy() == pytest.approx(told.apply(mean.to_numpy()), abs=1e-5)
    # it was recalibrated on a copy of the first person: that is told, and what it spoils
    told_of = table_of(folder / "tables" / "findings.tsv").set_index("kind")["text"]
    assert "LEAK: one of these people is among those whom the model was" in told_of["calibration"]
    assert "LEAK" not in table_of(validated / "tables" / "findings.tsv")["text"].str.cat()
    worth = table_of(folder / "answers.tsv").set_index(keys).loc[mean.index]
    described(folder / "answers.tsv")
    ends = worth[["calibrated_low", "calibrated_high"]].astype(float).to_numpy()
    likely = worth["calibrated"].astype(float).to_numpy()
    assert (ends[:, 0] < likely).all()
    assert (likely < ends[:, 1]).all()
    page = (folder / "report.html").read_text()
    told_half = f"one of 0.5 is worth {float(told.apply(0.5)):.0%} ("
    assert "by a regression on 300 whom no model had seen" in page
    assert told_half in page
    # what is known of training is of the models before: the same is expected of these people
    before, after = (table_of(one / "tables" / "drop.tsv") for one in (validated, folder))
    assert after.to_dict() == before.to_dict()
    # the cohorts are compared by aggregates: the validation whose folder it lies in trained nobody
    assert "from the bundle's means" in table_of(folder / "tables" / "membership.tsv")["note"][0]
    metrics = table_of(folder / "metrics.tsv").set_index(["variant", "metric"])
    name = load_bundle(recalibrated).name
    cut = metrics.loc[(name, "sensitivity@fitted"), "value"]
    old = table_of(validated / "metrics.tsv").set_index(["variant", "metric"])
    fitted = old.loc[("small-base", "sensitivity@fitted"), "value"]
    assert cut == fitted or cut.iloc[0] == fitted.iloc[0]


def with_limits(bundle: Path, validated: Path, target: Path) -> Path:
    """The bundle with looks of 16 of the new people, and limits from 20 others of them."""
    opened, root = load_bundle(bundle), validated.parents[2]
    scores = table_of(validated / "scores.tsv")
    space = "space-MNI152NLin2009aSym_res-2"
    images = []
    for who in scores["participant_id"]:
        image = root / "out" / who / "anat" / f"{who}_{space}_desc-preproc_T1w.nii.gz"
        row = CohortRow(who, "", {"t1w": image})
        images.append(read_sample(row, opened.recipe.representation, None)[0])
    found = predict(opened, np.stack(images), "cpu")
    blocks = np.stack([block_sums(image) for image in images])
    seen, held = slice(16), slice(16, None)
    looks = {
        "features": tuple(Look.of(one[seen]) for one in found.features),
        "intensities": (Look.of(blocks[seen]),) * len(opened.models),
    }
    bare = Familiar(looks, (), None)
    features = [one[held] for one in found.features]
    distances = bare.distances(features, np.stack(images[held]), [{}] * len(images[held]))
    outcome = scores["outcome"].astype(int).to_numpy()
    limits = fit_limits(
        distances, outcome[held], found.mean[held], scores["participant_id"].to_numpy()[held], 0.5
    )
    new = target / "sealed" / "base"
    shutil.copytree(bundle, new)
    (new / MANIFEST).unlink()
    write_carried(new, Carried(familiar=replace(bare, limits=limits)), anonymous=False)
    seal(new, target / "base")
    return target / "base"


def test_a_recalibrated_bundle_does_not_answer_about_who_is_unlike_its_new_people(
    recalibrated: Path, validated: Path, bundle: Path, tmp_path: Path
) -> None:
    """All 300 lie far from the training people; the limits of the place tell who is unlike them."""
    folder = validated.parent / "off"
    told = load_bundle(recalibrated).about.recalibration
    assert told is not None
    scores = table_of(folder / "scores.tsv")
    own = scores[scores["variant"] == "small-base"]
    rng = np.random.default_rng(0)
    apart = np.exp(rng.normal(2, 0.1, len(own)))
    apart[:3] = 30.0
    rows = own[["participant_id", "session_id"]].assign(intensities=apart)
    rows.to_csv(folder / "answers.tsv", sep="\t", index=False)
    try:
        limits = limits_of_validation(folder, "slope", told)
    finally:
        (folder / "answers.tsv").unlink()
    assert limits is not None
    assert limits.refitted
    assert limits.people == 300
    assert limits.threshold == pytest.approx(float(told.undo(0.5)))
    assert told.apply(limits.threshold) == pytest.approx(0.5)
    raw = told.undo(told.apply(own["probability"].astype(float).to_numpy()))
    reasons = np.array(limits.reasons({"intensities": apart}, raw))
    assert (reasons[:3] == "unlike").all()
    assert (reasons == "unlike").mean() <= 0.05
    source = load_bundle(with_limits(bundle, validated, tmp_path / "limits"))
    before = source.about.familiar
    new = write_recalibrated(source, tmp_path / "new", "new", told, {}, limits=limits)
    after = load_bundle(new).about.familiar
    assert before is not None
    assert after is not None
    assert after.limits == limits
    again = load_bundle(source.folder).about.familiar
    assert again is not None
    assert again.limits == before.limits  # the bundle that was validated stays as it was
    assert "those of the people it was recalibrated on" in (new / "docs" / "README.md").read_text()


def test_about_damaged_heads_and_another_contrast_there_is_no_answer(
    validated: Path, bundle: Path, tmp_path: Path
) -> None:
    model = with_limits(bundle, validated, tmp_path / "limits")
    rows = []
    for i in range(6):
        who, positive = f"sub-{200 + i}", i % 2 == 0
        voxels = brain(2000 + i, positive) * np.float32(1.3)
        if i == 4:
            voxels = np.float32(1.5) - voxels  # another contrast
        if i == 5:
            voxels[:, :, : voxels.shape[2] // 2] = 0  # half of the head is lost
        write_normalised(tmp_path / "out", who, voxels)
        rows.append((who, "ill" if positive else "well"))
    write_dataset(tmp_path / "bids", rows, ("participant_id", "state"))
    assert validate(tmp_path, model, *OUTCOME) == 0
    folder = tmp_path / "out" / "group" / LABEL
    answers = table_of(folder / "answers.tsv").set_index("participant_id")
    described(folder / "answers.tsv")
    unlikeness = answers["unlikeness"].astype(float)
    assert answers["no_answer"][-2:].eq("unlike").all()
    assert unlikeness[-2:].min() > 2 * unlikeness[:-2].max()  # whole heads lie near the limit
    kept = table_of(folder / "tables" / "answers.tsv").set_index("part")
    away = int(kept.loc["unlike", "people"])
    assert away == answers["no_answer"].eq("unlike").sum()
    said = table_of(folder / "tables" / "findings.tsv").set_index("kind")["text"]
    assert f"{away} are unlike the training people" in said["abstain"]
    page = (folder / "report.html").read_text()
    assert "When not to answer" in page
    assert "Accuracy against coverage" in page


@pytest.mark.slow
def test_a_model_is_judged_on_images_of_other_software(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """New people who were normalised elsewhere need no participant level of this app."""
    rows = []
    affine = affine_of(2)
    mask = np.zeros((79, 95, 79), np.uint8)
    mask[10:-10, 10:-10, 10:-10] = 1
    for i in range(12):
        who, positive = f"sub-{200 + i}", i % 3 == 0
        stem = tmp_path / "prep" / who / "anat" / f"{who}_space-{SPACE}_desc"
        save(stem.with_name(f"{stem.name}-preproc_T1w.nii.gz"), brain(2000 + i, positive), affine)
        save(stem.with_name(f"{stem.name}-brain_mask.nii.gz"), mask, affine)
        rows.append((who, "ill" if positive else "well", 50 + i, "FM"[i % 2]))
    description = {"Name": "prep", "BIDSVersion": "1.9.0", "DatasetType": "derivative"}
    (tmp_path / "prep/dataset_description.json").write_text(json.dumps(description))
    write_dataset(tmp_path / "bids", rows, ("participant_id", "state", "age", "sex"))
    asked = ("--outcome", "state", "--positive", "ill", "-d", f"prep={tmp_path / 'prep'}")
    assert validate(tmp_path, bundle, *asked) == 0, capsys.readouterr().err
    folder = tmp_path / "out/group" / LABEL
    assert table_of(folder / "cohort.tsv")["image"].str.startswith("bids:prep:").all()
    scores = table_of(folder / "scores.tsv")
    assert scores["participant_id"].nunique() == 12


@pytest.mark.slow
def test_two_hundred_phantoms_of_another_place_find_calibration_wrong_and_it_is_mended(
    tmp_path: Path,
) -> None:
    """Another prevalence and contrast; a training person under two other names is left out."""
    folder = elsewhere.judged(tmp_path)
    out = table_of(folder / "exclusions.tsv").set_index("participant_id")["reason"]
    assert list(out[list(elsewhere.SLIPPED)]) == [
        "in the training cohort",
        "near-duplicate of a training scan",
    ]
    assert len(table_of(folder / "cohort.tsv")) == elsewhere.NEW
    _, low, high = elsewhere.interval_of(folder, "elsewhere-base", "calibration_intercept")
    assert not low <= 0 <= high
    for kind in ("intercept", "slope"):
        name = f"elsewhere-base-{kind}"
        _, low, high = elsewhere.interval_of(folder, name, "calibration_intercept")
        assert low <= 0 <= high
    trained = load_bundle(tmp_path / "here" / "out" / "group" / "elsewhere" / "model" / "base")
    assert trained.about.calibrated is not None
    assert trained.about.calibrated.people == elsewhere.TRAINING
    new = load_bundle(folder / "model" / "elsewhere-base-recalibrated")
    assert new.about.history[0]["people"] == elsewhere.NEW
    answers = table_of(folder / "answers.tsv")
    assert answers["no_answer"].eq("unlike").all()  # another contrast is another scanner
    assert new.about.familiar is not None
    limits = new.about.familiar.limits
    assert limits is not None
    assert limits.refitted
    assert limits.people == elsewhere.NEW
    signals = [name for name in limits.centre if name in answers]
    apart = {name: answers[name].astype(float).to_numpy() for name in signals}
    assert (limits.unlikeness(apart) > 1).mean() <= limits.unlike_share  # of its own people few are
