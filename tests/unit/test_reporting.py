"""The submission pack: the list is whole, and answers name files that are there."""

import hashlib
import os
import shutil
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from bidsapp.evaluation.evaluate import evaluate
from bidsapp.evaluation.tsv import read_table
from bidsapp.reports.reporting import claim, probast
from bidsapp.reports.reporting.answers import ANSWERS
from bidsapp.reports.reporting.items import COUNT, ITEMS
from bidsapp.reports.reporting.pack import BOTH, RUN, write_pack
from tests.unit.added_value_runs import write_added_run
from tests.unit.evaluation_runs import write_run

# sub-items of the published list by item; where there is one only, it bears no letter
PUBLISHED = {3: 3, 5: 2, 6: 3, 8: 3, 9: 3, 12: 7, 18: 6, 20: 3, 23: 2, 27: 3}
RECIPE = """\
name: small
summary: Noise {}
mode: {}
outcome: {{column: chronic, positive: ["yes"]}}
representation: {{kind: slab, plane: axial, slices: 3, zscore: {}}}
network: {{name: resnet, depth: 10, start: random}}
protocol: {{kind: kfold, folds: 4}}
evaluation: {{bootstrap: 0, permutations: 50, clinical: [pain, age, sex], subgroups: [sex]}}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_added_run(tmp_path_factory.mktemp("pack") / "run", n=40)
    (folder / "recipe.yaml").write_text(RECIPE.format("| and more", "strict", "train_fold"))
    evaluate(folder)
    write_pack(folder)
    return folder


def test_the_list_is_the_published_one() -> None:
    numbers = [item.number for item in ITEMS]
    wanted = [
        f"{item}{letter}"
        for item in range(1, 28)
        for letter in ("abcdefg"[: PUBLISHED[item]] if item in PUBLISHED else [""])
    ]
    assert numbers == wanted
    assert len(numbers) == COUNT == 52
    assert set(ANSWERS) <= set(numbers)
    for item in ITEMS:
        assert item.asks.endswith("?")
        assert item.number in ANSWERS or item.author, item.number


def test_at_least_forty_items_are_answered_or_marked_and_files_are_there(run: Path) -> None:
    table = read_table(run / "reporting" / "tripod_ai.tsv", ("item", "status", "where"))
    status = Counter(table["status"])
    assert sum(status.values()) == 52
    assert status[RUN] + status[BOTH] >= 36  # the other 16 are for the authors, and marked
    for row in table.to_dict("records"):
        places = [] if row["where"] == "n/a" else row["where"].split("; ")
        assert bool(row["answer"] != "n/a") == (row["status"] != "author"), row
        assert row["status"] == RUN or row["author"] != "n/a"
        for place in places:
            assert (run / place.partition(":")[0]).exists(), place


def test_answers_are_those_of_the_run(run: Path) -> None:
    table = read_table(run / "reporting" / "tripod_ai.tsv", ("item",)).set_index("item")
    answer = table["answer"]
    assert "40 participants" in answer["21"]
    assert "30 people trained on" in answer["21"]
    assert "10 tested in each" in answer["21"]
    assert "pain, age, sex" in answer["9a"]
    assert "Beyond pain, age and sex the scan adds" in answer["25"]
    assert "AUC" in answer["23a"]
    assert "sex=" in answer["14"]
    assert "4-fold cross-validation" in answer["12a"]
    text = (run / "reporting" / "tripod_ai.md").read_text()
    assert "Noise \\| and more" in text
    assert len([line for line in text.splitlines() if line.startswith("| ")]) == 53
    assert "LEAK" not in text


def test_columns_that_the_cohort_lacks_are_not_called_predictors(run: Path, tmp_path: Path) -> None:
    """A recipe of a paper names columns that another cohort need not have."""
    folder = shutil.copytree(run, tmp_path / "lacking")
    recipe = RECIPE.format("", "strict", "train_fold")
    asked = recipe.replace("clinical: [pain, age, sex]", "predictors: [pain, nowhere]")
    (folder / "recipe.yaml").write_text(asked)
    write_pack(folder)
    answer = read_table(folder / "reporting" / "tripod_ai.tsv", ("item",)).set_index("item")
    told = "Clinical columns: pain. Asked for, and not in this cohort: nowhere."
    assert told in answer.loc["9a", "answer"]
    assert "subgroup: sex=F, sex=M" in answer.loc["14", "answer"]
    assert "baselines without a network" in answer.loc["12e", "answer"]


def test_a_leak_is_stamped_on_the_pack(run: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(run, tmp_path / "leak")
    (folder / "recipe.yaml").write_text(RECIPE.format("", "paper", "dataset"))
    for guideline in write_pack(folder).glob("*.md"):
        assert "**LEAK: representation.zscore: dataset**" in guideline.read_text()
    table = read_table(folder / "reporting" / "tripod_ai.tsv", ("leak",))
    assert set(table["leak"]) == {"LEAK: representation.zscore: dataset"}


def test_claim_and_probast_have_as_many_items_as_were_published(run: Path) -> None:
    assert [item.number for item in claim.ITEMS] == [str(k) for k in range(1, claim.COUNT + 1)]
    assert set(claim.ANSWERS) <= {item.number for item in claim.ITEMS}
    for item in claim.ITEMS:
        assert item.asks.endswith("?")
        assert item.number in claim.ANSWERS or item.author, item.number
    numbers = [one.number for one in probast.QUESTIONS if one.number != "AI"]
    per_domain = {"1": 2, "2": 3, "3": 6, "4": 9}  # Wolff et al. 2019
    wanted = [f"{d}.{k}" for d, count in per_domain.items() for k in range(1, count + 1)]
    assert numbers == wanted
    assert len(numbers) == probast.COUNT
    table = read_table(run / "reporting" / "claim.tsv", ("item", "status", "where"))
    assert len(table) == 44
    assert (table["status"] != "author").sum() >= 28
    bias = read_table(run / "reporting" / "probast.tsv", ("question", "judged", "why", "where"))
    assert set(bias["judged"]) <= set(probast.ANSWERS)
    for row in [*table.to_dict("records"), *bias.to_dict("records")]:
        for place in [] if row["where"] == "n/a" else row["where"].split("; "):
            assert (run / place.partition(":")[0]).exists(), place


def test_the_pack_judges_the_run_and_not_every_run_alike(run: Path, tmp_path: Path) -> None:
    bias = read_table(run / "reporting" / "probast.tsv", ("asks",)).set_index("asks")
    leak = "Did nothing of those tested reach training (leakage)?"
    assert bias.loc[leak, "judged"] == "probably yes"
    assert bias.loc["Are there enough people with the outcome?", "judged"] == "probably no"
    assert "4 need " in bias.loc["Are there enough people with the outcome?", "why"]
    paper = tmp_path / "paper"
    shutil.copytree(run, paper)
    (paper / "recipe.yaml").write_text(RECIPE.format("more", "paper", "dataset"))
    write_pack(paper)
    bias = read_table(paper / "reporting" / "probast.tsv", ("asks",)).set_index("asks")
    assert bias.loc[leak, "judged"] == "probably no"
    assert "representation.zscore: dataset" in bias.loc[leak, "why"]
    tripod = read_table(paper / "reporting" / "tripod_ai.tsv", ("item",)).set_index("item")
    assert "nothing is chosen on held-out people" not in tripod.loc["12c", "answer"]


def _answers(folder: Path, name: str = "tripod_ai") -> pd.DataFrame:
    key = "question" if name == "probast" else "item"
    return read_table(folder / "reporting" / f"{name}.tsv", (key,)).set_index(key)


def test_answers_claim_no_more_than_the_files_that_they_name(run: Path) -> None:
    table = _answers(run)
    answer, where, author = table["answer"], table["where"], table["author"]
    assert answer["6b"] == "Of the people in the dataset, nobody was left out."
    assert "bear" not in answer["10"]
    assert "By this run's intervals: AUC 0.85 is found with power .8." in answer["10"]
    assert "40 people bear" in _answers(run, "probast").loc["4.1", "why"]
    assert "reporting/probast.tsv: question 4.1" in where["10"]
    assert "figures/decision_curve.tsv" in where["12e"]
    assert "methods text says why" not in answer["12e"]
    assert "chosen on the training people of each fold" in answer["15"]
    assert "recipe.yaml: evaluation.threshold" in where["15"]
    assert answer["9b"] == answer["9a"]
    for item in ("9b", "12e", "20b", "27a"):
        assert author[item] != "n/a", item
    assert "report.html" not in where["27c"]
    assert "missing values" not in answer["27a"]
    assert "filled by the training fold's median" in answer["11"]
    claim_table = _answers(run, "claim")
    assert [claim_table.loc[c, "answer"] for c in ("8", "21", "28", "33")] == [
        answer[t] for t in ("6b", "10", "12e", "27c")
    ]
    metrics = read_table(run / "metrics.tsv", ("metric",))
    pooled = metrics[(metrics["scope"] == "pooled") & (metrics["variant"] == "base")]
    value = pooled.set_index("metric")["value"].astype(float)
    assert f"PPV {value['precision']:.2f}" in claim_table.loc["38", "answer"]
    assert f"NPV {value['negative_predictive_value']:.2f}" in claim_table.loc["38", "answer"]
    assert "By group: sex=F, base: AUC " in answer["23a"]
    assert "(fewer than 10 of a class (13 positive, 7 negative))" in answer["23a"]
    assert claim_table.loc["38", "answer"].startswith("base, from a probability of 0.5: ")


def test_a_measure_that_is_not_defined_says_why(run: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(run, tmp_path / "separated")
    metrics = pd.read_csv(folder / "metrics.tsv", sep="\t", dtype=str, keep_default_na=False)
    slope = metrics["metric"] == "calibration_slope"
    metrics.loc[slope, ["value", "note"]] = ["n/a", "a threshold separates the classes"]
    metrics.to_csv(folder / "metrics.tsv", sep="\t", index=False)
    plan = pd.read_csv(folder / "tables" / "planning.tsv", sep="\t", dtype=str)
    least = plan["quantity"] == "smallest_detectable_auc@retrained"
    note = "no AUC is found with power .8 in a sample this small"
    plan.loc[least, ["value", "note"]] = ["n/a", note]
    plan.to_csv(folder / "tables" / "planning.tsv", sep="\t", index=False)
    write_pack(folder)
    answer = _answers(folder)["answer"]
    told = "calibration slope not defined (a threshold separates the classes)"
    assert told in answer["23a"]
    assert f"By this run's intervals: {note}." in answer["10"]


def test_without_columns_nothing_is_filled_and_few_people_are_few(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "plain", n=40, variants=("base", "copy", "other"))
    scores = pd.read_csv(folder / "scores.tsv", sep="\t", keep_default_na=False)
    first = scores.loc[scores["variant"] == "base", "probability"].to_numpy()
    scores.loc[scores["variant"] == "copy", "probability"] = first
    scores.to_csv(folder / "scores.tsv", sep="\t", index=False)
    recipe = RECIPE.format("", "strict", "train_fold").partition("evaluation:")[0]
    extra = "variants: {copy: {saliency: {method: grad_cam}}, other: {training: {epochs: 3}}}\n"
    (folder / "recipe.yaml").write_text(f"{recipe}{extra}")
    write_pack(folder)
    assert "so no value of a predictor was filled" in _answers(folder).loc["11", "answer"]
    bias = _answers(folder, "probast")
    assert bias.loc["4.1", "judged"] == "probably no"
    assert "20 people of the rarer class" in bias.loc["4.1", "why"]
    assert "median" not in bias.loc["4.4", "why"]
    robust = _answers(folder, "claim").loc["30", "answer"]
    assert robust.startswith("Variants beside base: other.")
    assert "copy those of base" in robust


def test_the_files_of_a_bundle_are_named_for_what_they_hold(run: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(run, tmp_path / "bundle")
    model = folder / "model" / "base"
    for name in ("docs/README.md", "configs/training_images.json", "configs/training_cohort.json"):
        (model / name).parent.mkdir(parents=True, exist_ok=True)
        (model / name).write_text("{}")
    write_pack(folder)
    table = _answers(folder)
    card = "model/base/docs/README.md: Limits"
    assert table.loc["27a", "where"] == table.loc["27c", "where"] == card
    cohort = "model/base/configs/training_cohort.json: held_out.threshold_fitted"
    assert cohort in table.loc["15", "where"]
    anonymous = _answers(folder, "claim").loc["11"]
    assert "hashes of training images and aggregates of five" in anonymous["answer"]
    assert "prints" not in anonymous["answer"]
    assert "README" not in anonymous["where"]


def test_a_frozen_model_is_named_by_its_hash_and_day(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "frozen"
    shutil.copytree(run, folder)
    place = folder / "model" / "base" / "configs"
    place.mkdir(parents=True)
    (place / "manifest.json").write_text('{"files": {}}')
    os.utime(place / "manifest.json", (1.8e9, 1.8e9))
    write_pack(folder)
    models = read_table(folder / "reporting" / "frozen_models.tsv", ("model", "manifest_sha256"))
    digest = hashlib.sha256(b'{"files": {}}').hexdigest()
    assert models["manifest_sha256"].tolist() == [digest]
    assert models["frozen_utc"].tolist() == ["2027-01-15 08:00:00"]
    tripod = read_table(folder / "reporting" / "tripod_ai.tsv", ("item",)).set_index("item")
    assert digest in tripod.loc["18d", "answer"]
