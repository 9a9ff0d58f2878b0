"""Maps from the command line: every held-out person's, the group's, their checks, resumed."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bidsapp.execution.work import OWN
from bidsapp.saliency.verdict import NEEDED
from tests.integration.group_studies import copy_study, first_run, rerun, table_of
from tests.integration.running import Ended, described, tree

FEW = ("--set", "saliency.permutations=20")


@pytest.fixture(scope="module")
def mapped(once) -> tuple[Path, int]:  # type: ignore[no-untyped-def]
    """A run of two variants and their mean whose networks were explained afterwards."""
    first: Ended = once("group_first", first_run)[1]

    def work(folder: Path) -> int:
        copy_study(first.output_dir.parent, folder / "study")
        return rerun(folder / "study", "--variants", "mean", *FEW, maps=True)

    folder, code = once("group_mapped", work)
    return folder / "study", code


@pytest.fixture
def maps(mapped: tuple[Path, int]) -> Path:
    """Folder of the maps of that run."""
    study, code = mapped
    assert code == 0
    return study / "out" / "group" / "small" / "saliency"


@pytest.fixture
def again(mapped: tuple[Path, int], tmp_path: Path) -> Iterator[Path]:
    """A copy of the study with its maps."""
    yield copy_study(mapped[0], tmp_path / "again")
    shutil.rmtree(tmp_path / "again")


def test_every_held_out_person_has_a_map_on_the_full_grid(maps: Path) -> None:
    for variant, axis, slices in (("base", 2, slice(36, 42)), ("sagittal", 0, slice(34, 44))):
        files = sorted((maps / variant).glob("sub-*/anat/*_statmap.nii.gz"))
        assert [path.parts[-3] for path in files] == [f"sub-{i:02d}" for i in range(16)]
        scores = table_of(maps.parent / "scores.tsv")
        scores = scores[scores["variant"] == variant].set_index("participant_id")
        for path in files[:3]:
            image = nib.Nifti1Image.load(path)
            assert image.shape == (79, 95, 79)
            voxels = np.moveaxis(np.asarray(image.dataobj), axis, 0)
            assert voxels[slices].any()
            assert not np.delete(voxels, slices, axis=0).any()
            said = json.loads(path.with_name(path.name.replace(".nii.gz", ".json")).read_text())
            assert said["Fold"] == [int(scores["fold"][path.parts[-3]])]
            assert said["Target"] == "logit of the positive class"
            assert said["Units"] == "logit per standard deviation of the image"


def test_the_checks_their_verdict_and_the_names_agree(maps: Path) -> None:
    for variant in ("base", "sagittal"):
        table = pd.read_csv(maps / variant / "sanity.tsv", sep="\t")
        assert {*NEEDED, "folds", "deletion"} <= set(table["check"])
        assert "not run" not in set(table.loc[table["check"].isin(NEEDED), "result"])
        summary = json.loads((maps / variant / "summary.json").read_text())
        found = {check: set(table.loc[table["check"] == check, "result"]) for check in NEEDED}
        verdict = "pass" if all(one - {"info"} == {"pass"} for one in found.values()) else None
        verdict = "fail" if "fail" in set(table["result"]) else verdict or "not decisive"
        assert summary["sanity"]["verdict"] == verdict
        assert set(summary["sanity"]["checks"]) == set(NEEDED)
        assert summary["tables"]["sanity"] == "sanity.tsv"
        model = maps.parent / "model" / variant / "configs" / "metadata.json"
        checks = json.loads(model.read_text())["saliency_checks"]
        assert checks == {"method": "gradient", **summary["sanity"]}
        for path in (maps / variant).rglob("*_statmap.nii.gz"):
            assert ("Suspect_" in path.name) == (verdict == "fail"), path
            assert ("Undecided_" in path.name) == (verdict == "not decisive"), path


def test_every_table_of_the_run_says_what_its_columns_are(maps: Path) -> None:
    tables = [*maps.parent.rglob("*.tsv")]
    assert {"regions", "peaks", "sanity", "scores", "findings"} <= {path.stem for path in tables}
    for path in tables:
        described(path)


def test_planes_are_joined_for_the_ensemble(maps: Path) -> None:
    summary = json.loads((maps / "mean" / "summary.json").read_text())
    joined = np.asarray(nib.Nifti1Image.load(maps / "mean" / summary["default"]).dataobj)
    assert joined[:, :, 36:42].any()
    assert joined[34:44, :, :30].any()
    assert not joined[:34, :, :36].any()
    assert any(text.startswith("sagittal: ") for text in summary["sanity"]["sentences"])


@pytest.mark.slow
def test_a_second_run_explains_nothing_and_leaves_the_same(again: Path) -> None:
    work = again / "out" / "work" / OWN / "group" / "small" / "maps"
    stamps = {path: path.stat().st_mtime_ns for path in work.rglob("repeat-*_test/maps.npy")}
    assert len(stamps) == 4
    before = tree(again / "out" / "group" / "small" / "saliency")
    assert rerun(again, "--variants", "mean", *FEW, maps=True) == 0
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    assert tree(again / "out" / "group" / "small" / "saliency") == before


@pytest.mark.slow
def test_another_method_is_another_map_of_the_same_networks(again: Path) -> None:
    weights = [*(again / "out" / "work").rglob("folds/base/*/model.safetensors")]
    stamps = {path: path.stat().st_mtime_ns for path in weights}
    method = ("--set", "saliency.method=grad_cam", "saliency.shuffled_folds=0")
    assert rerun(again, "--variants", "base", *FEW, *method, maps=True) == 0
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    place = again / "out" / "group" / "small" / "saliency" / "base"
    names = {path.name for path in place.rglob("*_statmap.nii.gz")}
    assert names
    assert all("_desc-gradCam" in name for name in names)
    table = pd.read_csv(place / "sanity.tsv", sep="\t", keep_default_na=False)
    labels = table[table["check"] == "labels"]
    assert list(labels["result"]) == ["not run"]
    assert json.loads((place / "summary.json").read_text())["sanity"]["verdict"] != "pass"


@pytest.mark.slow
def test_the_mode_of_the_paper_shows_its_best_fold_twice(again: Path) -> None:
    paper = ("saliency.absolute=true", "saliency.scale=minmax", "saliency.target=probability")
    assert rerun(again, "--variants", "paper", *FEW, *paper, maps=True) == 0
    place = again / "out" / "group" / "small" / "saliency" / "paper"
    held_out, training = (
        json.loads((folder / "summary.json").read_text()) for folder in (place, place / "training")
    )
    assert any("LEAK" in note for note in held_out["notes"])
    assert held_out["n"]["all"] == 8
    assert training["n"]["all"] == 8
    for folder, summary in ((place, held_out), (place / "training", training)):
        values = np.asarray(nib.Nifti1Image.load(folder / summary["default"]).dataobj)
        assert values.min() >= 0
    drawn = np.asarray(Image.open(place / "best_fold.png").convert("RGB"))
    assert drawn.std() > 5
    sidecar = place / "training" / training["default"].replace(".nii.gz", ".json")
    assert json.loads(sidecar.read_text())["HeldOut"] is False
    stamp = "LEAK: representation.zscore: dataset"
    for path in place.rglob("*_statmap.json"):
        assert json.loads(path.read_text())["Leak"].startswith(stamp), path
    for path in place.rglob("*.tsv"):
        assert table_of(path)["leak"].str.startswith(stamp).all(), path
    every = (*paper, "saliency.folds=all")
    assert rerun(again, "--variants", "paper", *FEW, *every, maps=True) == 0
    assert not (place / "training").exists()
    assert not (place / "best_fold.png").exists()
    for path in place.rglob("*_statmap.json"):
        assert json.loads(path.read_text())["Settings"]["folds"] == "all", path


@pytest.mark.slow
def test_permuted_pipelines_are_mapped_and_the_group_maps_written_anew(again: Path) -> None:
    few = (*FEW, "--set", "saliency.shuffled_folds=0")
    assert rerun(again, "--variants", "base", *few, "--permutations", 19, maps=True) == 0
    place = again / "out" / "group" / "small" / "saliency" / "base"
    test = json.loads((place / "summary.json").read_text())["test"]
    assert test["p_from"] == "whole pipeline"
    assert test["permutations"] == 19
    assert 1 / 20 - 1e-6 <= test["smallest_p_fwe"] <= 1
    work = again / "out" / "work" / OWN / "group" / "small" / "permuted"
    assert len([*work.glob("*/maps_null.json")]) == 19
    assert not [*work.rglob("maps.npy")]
    before = tree(place)
    assert rerun(again, "--variants", "base", *few, "--permutations", 19, maps=True) == 0
    assert tree(place) == before


def test_maps_of_another_method_do_not_pass_for_those_of_the_recipe(
    again: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tree(again / "out" / "group" / "small")
    assert rerun(again, "--variants", "mean", "--set", "saliency.method=grad_cam") == 64
    said = capsys.readouterr().err
    assert "maps made with saliency.method gradient, and base now asks for grad_cam" in said
    assert "Leave out --no-saliency" in said
    assert tree(again / "out" / "group" / "small") == before


def test_a_run_without_maps_leaves_the_verdict_on_earlier_ones_in_the_bundle(again: Path) -> None:
    metadata = again / "out" / "group" / "small" / "model" / "base" / "configs" / "metadata.json"
    before = json.loads(metadata.read_text())["saliency_checks"]
    maps = tree(again / "out" / "group" / "small" / "saliency")
    assert rerun(again, "--variants", "mean") == 0
    assert tree(again / "out" / "group" / "small" / "saliency") == maps
    assert json.loads(metadata.read_text())["saliency_checks"] == before


@pytest.mark.slow
def test_what_cannot_be_mapped_is_named_and_the_run_is_kept(
    again: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = again / "out" / "work" / OWN / "group" / "small" / "maps" / "base"
    shutil.rmtree(place)
    (place / "repeat-0_fold-0_test" / "maps.npy").mkdir(parents=True)  # where a file should be
    code = rerun(again, "--variants", "base", *FEW, maps=True)
    assert code == 74
    assert "variant base: no maps: " in capsys.readouterr().err
    run = again / "out" / "group" / "small"
    assert not (run / "saliency" / "base").exists()
    assert (run / "metrics.tsv").is_file()
    assert (run / "model" / "base").is_dir()


@pytest.mark.slow
def test_maps_on_own_voxels_that_cannot_be_made_show_in_the_exit_code(
    again: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rerun(again, "--variants", "base", *FEW, "--native-maps", maps=True) == 66
    assert "_to-T1w_mode-image_xfm.h5 is not there" in capsys.readouterr().err
    place = again / "out" / "group" / "small" / "saliency" / "base"
    assert (place / "summary.json").is_file()
    assert len([*place.glob("sub-*/anat/*_statmap.nii.gz")]) == 16


def test_without_saliency_nothing_is_mapped(once: Callable) -> None:  # type: ignore[type-arg]
    first: Ended = once("group_first", first_run)[1]
    assert not (first.output_dir / "group" / "small" / "saliency").exists()
