"""The submission pack: the list is whole, and answers name files that are there."""

import hashlib
import os
import shutil
from collections import Counter
from pathlib import Path

import pytest

from bidsapp.evaluation.evaluate import evaluate
from bidsapp.evaluation.tsv import read_table
from bidsapp.reports.reporting import claim, probast
from bidsapp.reports.reporting.answers import ANSWERS
from bidsapp.reports.reporting.items import COUNT, ITEMS
from bidsapp.reports.reporting.pack import BOTH, RUN, write_pack
from tests.unit.added_value_runs import write_added_run

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
