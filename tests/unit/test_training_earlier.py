"""An earlier run under the same label: what counts as a difference, and what becomes of it."""

import json
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bidsapp.dataset.tables import write_table
from bidsapp.derivatives.sidecars import file_sha256
from bidsapp.errors import BadData, NoInput, UsageError
from bidsapp.recipes import apply_values, dump_recipe, load_recipe
from bidsapp.recipes.analysis import Ensemble
from bidsapp.training.earlier_run import (
    changes,
    forget_results,
    read_text_table,
    require_run,
    same_scores,
    set_aside,
)
from bidsapp.training.splits import make_splits
from tests.unit.synthetic_cohort import small_recipe

RECIPE = small_recipe(
    variants={"coronal": {"representation.plane": "coronal"}, "long": {"training.epochs": 9}},
    run=["base", "coronal"],
)
COHORT = pd.DataFrame(
    {
        "participant_id": [f"sub-{i:02d}" for i in range(12)],
        "session_id": None,
        "group": [f"sub-{i:02d}" for i in range(12)],
        "outcome": [i % 2 for i in range(12)],
        "sha256": [f"{i:064x}" for i in range(12)],
    }
)
SPLITS = make_splits(COHORT, RECIPE.protocol)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run."""
    folder = tmp_path / "group" / "small"
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text(dump_recipe(RECIPE))
    for name, table in (("cohort", COHORT), ("splits", SPLITS)):
        table.to_csv(folder / f"{name}.tsv", sep="\t", index=False, na_rep="n/a")
    (folder / "scores.tsv").write_text("participant_id\n")
    return folder


def test_the_same_run_again_differs_in_nothing(run: Path) -> None:
    assert changes(run, RECIPE, COHORT, SPLITS) == []


def test_negative_values_that_were_named_or_recorded_make_no_other_run(run: Path) -> None:
    """What they change shows in the outcomes of the cohort, and there only."""
    recorded = apply_values(RECIPE, {"outcome.negative": ["0"]})
    assert changes(run, recorded, COHORT, SPLITS) == []
    (run / "recipe.yaml").write_text(dump_recipe(recorded))
    assert changes(run, RECIPE, COHORT, SPLITS) == []
    require_run(run, ["outcome.negative=null"])  # as --outcome says it, without --negative
    require_run(run, ["outcome.negative=['0']"])
    with pytest.raises(UsageError, match="computes with the settings of"):
        require_run(run, ["outcome.negative=['2']"])
    fewer = COHORT.assign(outcome=[1, *COHORT["outcome"][1:]])
    assert changes(run, recorded, fewer, SPLITS) == ["cohort: another outcome: sub-00"]


@pytest.mark.parametrize(
    "values",
    [
        {"evaluation.bootstrap": 500},
        {"run": ["base", "coronal", "long"]},
        {"variants": RECIPE.variants | {"new": {"training.epochs": 3}}},
        {"summary": "other words"},
    ],
)
def test_what_changes_no_score_that_is_there_is_no_difference(
    values: dict[str, Any], run: Path
) -> None:
    assert changes(run, apply_values(RECIPE, values), COHORT, SPLITS) == []


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"training.epochs": 5}, ["training.epochs: 2 → 5"]),
        ({"run": ["base"]}, ["variants: without coronal"]),
        (
            {"variants": {"coronal": {"representation.plane": "sagittal"}}},
            ["representation.plane: coronal → sagittal"],
        ),
        ({"outcome.positive": ["no"]}, ["outcome.positive: ['yes'] → ['no']"]),
    ],
)
def test_keys_of_the_recipe_are_named_with_both_values(
    values: dict[str, Any], says: list[str], run: Path
) -> None:
    assert changes(run, apply_values(RECIPE, values), COHORT, SPLITS) == says


def test_other_pretrained_weights_in_a_file_or_a_folder(run: Path, tmp_path: Path) -> None:
    recipe = apply_values(RECIPE, {"network.weights": "medicalnet", "run": ["base"]})
    (run / "recipe.yaml").write_text(dump_recipe(recipe))
    file = tmp_path / "weights" / "resnet_10_23dataset.pth"
    file.parent.mkdir()
    file.write_bytes(b"first")
    about = {"initial_weights": {"sha256": file_sha256(file)}}
    (run / "model" / "base" / "configs").mkdir(parents=True)
    (run / "model" / "base" / "configs" / "metadata.json").write_text(json.dumps(about))
    for given in (file, file.parent):
        assert changes(run, recipe, COHORT, SPLITS, given) == []
    file.write_bytes(b"second")
    for given in (file, file.parent):
        expected = ["--weights: base began with another file"]
        assert changes(run, recipe, COHORT, SPLITS, given) == expected


def test_people_are_named_with_what_became_of_them(run: Path) -> None:
    now = COHORT.copy()
    now.loc[3, "outcome"] = 0
    now.loc[4, "sha256"] = "f" * 64
    now.loc[5, "participant_id"] = "sub-99"
    assert changes(run, RECIPE, now, SPLITS) == [
        "cohort: no longer in it: sub-05",
        "cohort: new in it: sub-99",
        "cohort: another outcome: sub-03",
        "cohort: another image: sub-04",
    ]


def test_other_splits_of_the_same_people(run: Path) -> None:
    shuffled = SPLITS.sample(frac=1, random_state=0)
    assert changes(run, RECIPE, COHORT, shuffled) == []
    other = SPLITS.assign(fold=(SPLITS["fold"] + SPLITS["participant_id"].eq("sub-00")) % 4)
    assert changes(run, RECIPE, COHORT, other) == [
        "splits: other people are trained on and tested together"
    ]


def test_a_run_that_was_killed_has_nothing_to_lose(run: Path) -> None:
    (run / "scores.tsv").unlink()
    assert changes(run, apply_values(RECIPE, {"training.epochs": 5}), COHORT, SPLITS) == []


def test_a_recipe_of_another_version_counts_as_another(run: Path) -> None:
    (run / "recipe.yaml").write_text("name: small\nno_such_key: 1\n")
    assert changes(run, RECIPE, COHORT, SPLITS) == ["recipe.yaml: this version cannot read it"]


def test_what_is_set_aside_is_whole_and_never_replaced(run: Path) -> None:
    first = set_aside(run)
    run.mkdir()
    (run / "scores.tsv").write_bytes((first / "scores.tsv").read_bytes())
    stamp = (first / "scores.tsv").stat()
    os.utime(run / "scores.tsv", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    second = set_aside(run)
    assert not run.exists()
    assert {first, second} == set(run.parent.iterdir())
    assert first.name.startswith("small_20")
    assert sorted(path.name for path in first.iterdir()) == [
        *("cohort.tsv", "recipe.yaml", "scores.tsv", "splits.tsv"),
    ]


def test_models_and_maps_of_variants_without_these_scores_go(run: Path) -> None:
    for name in ("base", "coronal"):
        (run / "model" / name / "configs").mkdir(parents=True)
        (run / "saliency" / name).mkdir(parents=True)
    columns = ["participant_id", "session_id", "variant", "repeat", "fold", "outcome"]
    rows = [("sub-01", "n/a", name, 0, 0, 1) for name in ("base", "coronal")]
    before = pd.DataFrame(rows, columns=columns).assign(probability=["0.25", "0.5"])
    now = before.assign(probability=["0.25", "0.75"])
    kept = same_scores(before, now)
    assert kept == {"base"}
    assert same_scores(pd.DataFrame(), now) == set()
    forget_results(run, kept)
    left = sorted(str(path.relative_to(run)) for path in run.glob("*/*"))
    assert left == ["model/base", "saliency/base"]


def test_maps_of_an_ensemble_stay_with_those_of_its_variants(run: Path) -> None:
    place = run / "saliency" / "mean"
    place.mkdir(parents=True)
    joined = {"joined": {"variants": ["base", "coronal"], "rule": "mean"}}
    (place / "summary.json").write_text(json.dumps(joined))
    mean = {"mean": Ensemble(of=("base", "coronal"))}
    forget_results(run, {"base", "coronal"}, mean)
    assert place.is_dir()
    for kept, now in (
        ({"base"}, mean),
        ({"base", "coronal"}, {}),
        ({"base", "coronal"}, {"mean": Ensemble(of=("base", "coronal"), rule="vote")}),
    ):
        place.mkdir(exist_ok=True)
        (place / "summary.json").write_text(json.dumps(joined))
        forget_results(run, kept, now)
        assert not place.exists()


def test_evaluating_alone_needs_a_run_and_its_own_settings(run: Path) -> None:
    require_run(run, ["training.epochs=2"])
    with pytest.raises(UsageError, match=r"small/recipe.yaml, which are not training\.epochs=3"):
        require_run(run, ["training.epochs=3"])
    with pytest.raises(NoInput, match=r"group/age holds no scores.tsv; these do: small\."):
        require_run(run.with_name("age"))


def test_settings_of_the_variants_alone_are_theirs_when_evaluating_too(run: Path) -> None:
    given, variants = ["preparation.t2=false"], ("femur_thick",)
    recipe = load_recipe("morales2021", given, variants).with_values({"run": list(variants)})
    (run / "recipe.yaml").write_text(dump_recipe(recipe))
    (run / "scores.tsv").write_text("variant\nfemur_thick\n")
    require_run(run, given, variants)
    with pytest.raises(UsageError, match="leave out --evaluate-only"):
        require_run(run, ["preparation.pixels=64"], variants)


def test_a_setting_that_would_reach_the_variant_that_was_run_is_another(run: Path) -> None:
    recipe = RECIPE.with_values({"run": ["coronal"]})
    (run / "recipe.yaml").write_text(dump_recipe(recipe))
    plane = f"representation.plane={recipe.representation.plane}"
    with pytest.raises(UsageError, match="leave out --evaluate-only"):
        require_run(run, [plane], ["coronal"])


def test_scores_of_a_variant_that_the_recipe_lacks_are_refused_with_their_line(run: Path) -> None:
    (run / "scores.tsv").write_text("variant\nbase\ncoronal\n../coronal\n")
    with pytest.raises(BadData, match=r"scores.tsv: line 4: variant '\.\./coronal' is none of"):
        require_run(run)


def test_a_quotation_mark_in_a_value_does_not_swallow_rows(tmp_path: Path) -> None:
    texts = ['"Bob', "Ann", "5' 11\"", '"Eve']
    write_table(tmp_path / "cohort.tsv", pd.DataFrame({"name": texts, "outcome": [0, 1, 0, 1]}))
    table = read_text_table(tmp_path / "cohort.tsv")
    assert table["name"].tolist() == texts
    assert table["outcome"].tolist() == ["0", "1", "0", "1"]
