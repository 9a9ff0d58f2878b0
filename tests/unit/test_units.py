"""Parts of scans (injections, knees): one row each, and one person who is never divided."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bidsapp.contracts.product import Channel, Product
from bidsapp.contracts.unit import Unit, unit_columns, units_in, with_part
from bidsapp.dataset.cohort import build_cohort
from bidsapp.dataset.normalized import Wanted
from bidsapp.errors import BadData
from bidsapp.evaluation.evaluate import evaluate
from bidsapp.evaluation.sample import from_scores, pool
from bidsapp.evaluation.state import read_state
from bidsapp.modalities.t1w.modality import T1w
from bidsapp.recipes import dump_recipe, load_recipe
from bidsapp.recipes.analysis import Saliency
from bidsapp.representation.cohort_array import CohortArray, build_cohort_array
from bidsapp.representation.sample import cohort_rows
from bidsapp.saliency.fold_maps import FoldMapsTask, explain_fold
from bidsapp.saliency.group_maps import write_group
from bidsapp.saliency.participant_maps import MapPlace, write_people
from bidsapp.saliency.stack import MapStack, read_stack
from bidsapp.training.splits import make_splits
from bidsapp.training.splits_file import splits_problems
from tests.compare_outputs import differences
from tests.unit.cohort_trees import CHRONIC, SPACE, heads, normalise, save, study
from tests.unit.evaluation_runs import write_run
from tests.unit.group_pages import FAST, reported
from tests.unit.saliency_stacks import make_stack, rows_of, write_mask
from tests.unit.synthetic_cohort import prepare_tasks, small_recipe, train_and_score, write_cohort

FILES = ("cohort.tsv", "scores.tsv")
PARTS = {"ses-1": "C5-L", "ses-2": "C6-R"}


def read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)


def into_parts(folder: Path) -> None:
    """Make of the sessions of a run's state files parts of one scan."""
    for name in FILES:
        table = read(folder / name)
        table.insert(2, "part_id", table["session_id"].map(PARTS))
        table.assign(session_id="n/a").to_csv(folder / name, sep="\t", index=False)


def test_a_unit_is_read_from_any_row_and_says_who_it_is() -> None:
    assert Unit.of({"participant_id": "sub-1", "session_id": "n/a"}) == Unit("sub-1")
    row = {"participant_id": "sub-1", "session_id": "ses-2", "part_id": "C6-L", "outcome": "1"}
    assert Unit.of(row).label == "sub-1 ses-2 C6-L"
    assert Unit.of({"participant_id": "sub-1", "session_id": np.nan, "part_id": None}).label == (
        "sub-1"
    )
    table = pd.DataFrame([row, row | {"part_id": "R"}])
    assert units_in(table) == [Unit("sub-1", "ses-2", "C6-L"), Unit("sub-1", "ses-2", "R")]
    assert unit_columns(table) == ["participant_id", "session_id", "part_id"]
    assert unit_columns(table.drop(columns="part_id")) == ["participant_id", "session_id"]
    assert with_part(["participant_id", "session_id", "fold"], table) == [
        "participant_id", "session_id", "part_id", "fold",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run with two sessions a person, evaluated, and the same with parts in their place."""
    folders = []
    for name in ("sessions", "parts"):
        run = tmp_path_factory.mktemp(name) / "group" / "run"
        ages = {
            "age": [20 + 7 * i % 41 for i in range(24)],
            "sex": ["FM"[i // 2 % 2] for i in range(24)],
        }
        write_run(run, n=24, folds=4, sessions=2, variants=("axial", "coronal"), covariates=ages)
        if name == "parts":
            into_parts(run)
        chosen = load_recipe("attias2025", [*FAST, "evaluation.subgroups=[sex]"])
        (run / "recipe.yaml").write_text(
            dump_recipe(chosen.with_values({"run": ["axial", "coronal"]}))
        )
        evaluate(run)
        folders.append(run)
    return folders[0], folders[1]


def test_every_number_of_parts_is_that_of_as_many_sessions(both: tuple[Path, Path]) -> None:
    """Metrics, intervals, tests, baselines and comparisons draw people in both."""
    with_column = ("cohort.tsv", "scores.tsv", "*_scores.tsv", "*findings.tsv")
    found = [
        line
        for line in differences(*both, ignore=with_column)
        if not line.startswith("tables/columns") and "_scores" not in line
    ]
    assert found == []
    said = [(folder / "tables" / "findings.tsv").read_text() for folder in both]
    assert "n = 48 parts of 24 people" in said[1]
    assert said[1].replace("n = 48 parts", "n = 48 scans") == said[0]
    for name in ("tables/baseline_scores.tsv",):
        one, other = (read(folder / name) for folder in both)
        assert list(other.columns[1:4]) == ["participant_id", "session_id", "part_id"]
        keep = [column for column in one if column not in ("session_id",)]
        pd.testing.assert_frame_equal(one[keep], other[keep])


def test_the_page_names_the_part_of_each_row(both: tuple[Path, Path]) -> None:
    pages = [reported(folder) for folder in both]
    assert "C6-R" in pages[1]
    assert ">Part<" in pages[1]
    assert ">Part<" not in pages[0]


def test_state_files_that_disagree_about_parts_are_refused_by_line(
    both: tuple[Path, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(both[1], folder)
    scores = read(folder / "scores.tsv")
    scores.drop(columns="part_id").to_csv(folder / "scores.tsv", sep="\t", index=False)
    with pytest.raises(BadData, match=r"scores.tsv: line 1: column \['part_id'\] is missing"):
        read_state(folder)
    twice = scores.copy()
    twice.loc[0, "part_id"] = twice.loc[1, "part_id"]
    twice.to_csv(folder / "scores.tsv", sep="\t", index=False)
    with pytest.raises(BadData, match=r"line 3 repeats line 2 \(participant_id, session_id, part"):
        read_state(folder)
    scores.drop(index=0).to_csv(folder / "scores.tsv", sep="\t", index=False)
    with pytest.raises(BadData, match=r"sub-0000, session n/a, part C5-L, which splits\.tsv"):
        read_state(folder)
    scores.assign(part_id="T1-L").to_csv(folder / "scores.tsv", sep="\t", index=False)
    with pytest.raises(BadData, match=r"'sub-0000 n/a T1-L' is not in cohort\.tsv"):
        read_state(folder)


@pytest.mark.parametrize("copies", [4])
def test_parts_that_say_the_same_make_no_interval_narrower(tmp_path: Path, copies: int) -> None:
    """As many people are drawn, so copies of each person's row change no interval."""
    tables = []
    for count in (1, copies):
        run = tmp_path / f"{count}"
        write_run(run, n=32, folds=4, variants=("axial",))
        for name in FILES:
            table = read(run / name)
            parts = [table.assign(part_id=f"p{k}") for k in range(count)]
            pd.concat(parts).to_csv(run / name, sep="\t", index=False)
        (run / "recipe.yaml").write_text(
            dump_recipe(load_recipe("attias2025", FAST).with_values({"run": ["axial"]}))
        )
        evaluate(run)
        metrics = read(run / "metrics.tsv")
        own = (metrics["scope"] == "pooled") & (metrics["variant"] == "axial")
        tables.append(metrics[own].set_index("metric"))
    widths = [
        float(table.loc["sensitivity", "ci_high"]) - float(table.loc["sensitivity", "ci_low"])
        for table in tables
    ]
    assert widths[1] == pytest.approx(widths[0], rel=0.15)  # two methods: Wilson, drawing people
    one, many = (table.loc[["auc", "brier"]] for table in tables)
    for column in ("value", "ci_low", "ci_high"):
        np.testing.assert_allclose(
            many[column].astype(float), one[column].astype(float), atol=1e-4, err_msg=column
        )


@given(
    parts=st.lists(st.integers(1, 4), min_size=12, max_size=24),
    seed=st.integers(0, 99),
)
@settings(max_examples=25, deadline=None)
def test_all_parts_of_a_person_are_on_one_side_of_every_split(parts: list[int], seed: int) -> None:
    rows = [
        (f"sub-{who:02d}", "n/a", f"p{k}", (who + seed) % 2)
        for who, count in enumerate(parts)
        for k in range(count)
    ]
    cohort = pd.DataFrame(rows, columns=["participant_id", "session_id", "part_id", "outcome"])
    recipe = small_recipe(protocol={"kind": "kfold", "folds": 3, "seed": seed})
    splits = make_splits(cohort, recipe.protocol)
    roles = splits.groupby(["repeat", "fold", "participant_id"]).size()
    assert (roles == 1).all()
    assert not splits_problems(splits, cohort)


def test_scores_are_pooled_by_part_and_drawn_by_person() -> None:
    rows = pd.DataFrame(
        {
            "participant_id": ["sub-1", "sub-1", "sub-2", "sub-2"] * 2,
            "session_id": "n/a",
            "part_id": ["L", "R"] * 4,
            "repeat": [0] * 4 + [1] * 4,
            "fold": 0,
            "outcome": [1, 0, 0, 1] * 2,
            "probability": [0.9, 0.2, 0.4, 0.6, 0.7, 0.4, 0.2, 0.8],
        }
    )
    pooled = pool(rows)
    assert pooled["part_id"].tolist() == ["L", "R", "L", "R"]
    np.testing.assert_allclose(pooled["probability"], [0.8, 0.3, 0.3, 0.7])
    sample = from_scores(rows)
    assert sample.n == 4
    assert sample.clustered


def with_parts(folder: Path) -> pd.DataFrame:
    """Four images a pair of people: each has a left and a right."""
    rows, table = write_cohort(folder, n=16)
    whose = [(f"sub-{i // 4 * 2 + i % 2:02d}", "LR"[i % 4 // 2]) for i in range(len(rows))]
    own = [
        replace(row, participant_id=who, part_id=part)
        for row, (who, part) in zip(rows, whose, strict=True)
    ]
    table["participant_id"] = [who for who, _ in whose]
    table.insert(2, "part_id", [part for _, part in whose])
    table.to_csv(folder / "cohort.tsv", sep="\t", index=False)
    return own, table  # type: ignore[return-value]


def test_parts_go_through_training_scores_and_maps(tmp_path: Path) -> None:
    recipe = small_recipe(
        training={"epochs": 1, "batch_size": 4}, protocol={"kind": "kfold", "folds": 2}
    )
    tasks = prepare_tasks(tmp_path, recipe, n=16)
    rows, table = with_parts(tmp_path)
    make_splits(table, recipe.protocol).to_csv(tmp_path / "splits.tsv", sep="\t", index=False)
    array = build_cohort_array(rows, recipe.representation, tmp_path / "arrays")
    task = replace(tasks[0], array=array.path)
    assert CohortArray.load(array.path).units == units_in(table)
    assert task.table["part_id"].tolist() == table["part_id"].tolist()
    train_and_score(task)
    scores = read(task.scores_file)
    assert scores.columns[:4].tolist() == ["participant_id", "session_id", "part_id", "variant"]
    held_out = task.table[task.table["role"] == "test"]
    assert units_in(scores) == units_in(held_out)
    assert held_out.groupby("participant_id").size().eq(2).all()

    mask = write_mask(
        tmp_path / "mask.nii.gz",
        np.ones((20, 24, 20), bool),
        np.array(array.space.to_dict()["grid_affine"]),
    )
    job = FoldMapsTask(task, tmp_path / "maps", mask, checks=False)
    explain_fold(job)
    stack = read_stack(job.folder)
    assert units_in(stack.rows) == units_in(held_out)
    images = {unit: f"{unit.participant}_{unit.part}.nii.gz" for unit in units_in(table)}
    place = MapPlace(tmp_path / "saliency", tmp_path, "T", 2, images)
    written = write_people(stack, place, {"verdict": "pass", "sentences": []}, Saliency())
    assert len(set(written)) == len(held_out)
    assert {path.name.partition("_label-")[2][:1] for path in written} == {"L", "R"}


def test_an_array_without_parts_has_the_name_it_always_had(tmp_path: Path) -> None:
    rows, _ = write_cohort(tmp_path, n=4)
    recipe = small_recipe()
    one = build_cohort_array(rows, recipe.representation, tmp_path / "arrays")
    assert one.parts == ()
    assert '"parts"' not in one.path.with_suffix(".json").read_text()
    other = build_cohort_array(
        [replace(row, part_id="L") for row in rows], recipe.representation, tmp_path / "arrays"
    )
    assert other.key != one.key


def test_group_maps_of_parts_are_those_of_as_many_sessions(tmp_path: Path) -> None:
    rows = rows_of(n=12, folds=3)
    two = pd.concat([rows.assign(session_id=f"ses-{k}") for k in (1, 2)], ignore_index=True)
    stack = make_stack(two)
    parts = two.assign(part_id=two["session_id"].map(PARTS), session_id="")
    mask = write_mask(tmp_path / "mask.nii.gz")
    for name, own in (("sessions", two), ("parts", parts)):
        one = MapStack(own, stack.values, stack.channels, stack.space, stack.about)
        one.write(tmp_path / name / "stack")
        write_group(
            read_stack(tmp_path / name / "stack"),
            tmp_path / name / "group",
            template_label="MNI152NLin2009aSym",
            mask=mask,
            settings=Saliency(permutations=20),
        )
    assert list(differences(tmp_path / "sessions" / "group", tmp_path / "parts" / "group")) == []


class Knees(T1w):
    """Heads that stand for knees: two parts of each scan."""

    products = (
        Product(
            "preproc",
            "space-{space}_res-{res}_label-{part}_desc-preproc_T1w.nii.gz",
            lambda made: {},
            main=True,
            channel=Channel("t1w", "knee", "a knee", "1", (0, 1)),
        ),
    )


def prepare_knee(out: Path, who: str, part: str, seed: int, verdict: str = "pass") -> None:
    stem = f"{who}_space-{SPACE}_res-2_label-{part}_desc-preproc_T1w"
    save(out / who / "anat" / f"{stem}.nii.gz", seed)
    told = {"Quality": {"verdict": verdict, "reasons": ["blurred"]}, "SourceSHA256": f"of {who}"}
    (out / who / "anat" / f"{stem}.json").write_text(json.dumps(told))


def test_every_prepared_part_is_a_row_of_the_cohort(tmp_path: Path) -> None:
    """Two knees of one scan have one source, and one of them may be left out."""
    rows = "\n".join(f"sub-0{i} {i % 2} {50 + i}" for i in range(1, 5))
    study(tmp_path / "bids", f"participant_id chronic age\n{rows}\n")
    for i in range(1, 5):
        for k, part in enumerate("LR"):
            bad = (i, part) == (2, "R")
            prepare_knee(tmp_path / "out", f"sub-0{i}", part, 10 * i + k, "fail" if bad else "pass")
    wanted = Wanted(Knees(), {"space": SPACE, "res": "2"})
    cohort = build_cohort(
        tmp_path / "bids", tmp_path / "out", CHRONIC, wanted=wanted, channels=["t1w"]
    )
    assert list(cohort.table.columns[:4]) == ["participant_id", "session_id", "part_id", "group"]
    assert [unit.label for unit in units_in(cohort.table)] == [
        "sub-01 L", "sub-01 R", "sub-02 L", "sub-03 L", "sub-03 R", "sub-04 L", "sub-04 R",
    ]  # fmt: skip
    assert cohort.table["outcome"].tolist() == [1, 1, 0, 1, 1, 0, 0]
    assert cohort.table["age"].tolist() == ["51", "51", "52", "53", "53", "54", "54"]
    out = cohort.exclusions.iloc[0]
    assert Unit.of(out) == Unit("sub-02", "", "R")
    assert out["reason"] == "failed quality"
    assert [row.part_id for row in cohort_rows(cohort)] == ["L", "R", "L", "L", "R", "L", "R"]
    assert cohort.table["image"].nunique() == 7


def test_a_cohort_without_parts_has_no_column_of_them(tmp_path: Path) -> None:
    study(tmp_path / "bids", "participant_id chronic\nsub-01 1\nsub-02 0\n")
    for i in (1, 2):
        normalise(tmp_path / "out", f"sub-0{i}", i)
    cohort = build_cohort(tmp_path / "bids", tmp_path / "out", CHRONIC, wanted=heads())
    assert "part_id" not in cohort.table
    assert "part_id" not in cohort.exclusions
