"""The null of the voxelwise comparison: permuted pipelines are explained, and keep one number."""

import shutil
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from bidsapp.modalities.t1w.native.files import write_frame
from bidsapp.recipes import apply_values, dump_recipe
from bidsapp.representation.sample import read_mask
from bidsapp.saliency.fold_maps import FoldMapsTask, explain_fold
from bidsapp.saliency.group_test import compare_groups
from bidsapp.saliency.people import people_maps
from bidsapp.saliency.permuted_maps import (
    MapPermuted,
    comparable,
    maps_key,
    read_nulls,
    write_largest,
)
from bidsapp.saliency.stack import join
from bidsapp.training.fold_node import fold_inputs
from bidsapp.training.permuted_runs import PermutedRun
from tests.unit.synthetic_cohort import AFFINE, prepare_tasks, small_recipe, train_and_score

RECIPE = small_recipe(
    protocol={"folds": 2},
    training={"epochs": 1, "precision": "float32"},
    saliency={"method": "gradient_x_input", "smoothing_fwhm_mm": 4.0},
)


class Killed(MapPermuted):
    """Ends before the folds are put together."""

    def _finish(self, tasks: object) -> None:
        raise KeyError("killed")


def mask_in(folder: Path, shape: tuple[int, int, int] = (20, 24, 20)) -> Path:
    """All but an edge of two voxels."""
    inside = np.zeros(shape, np.uint8)
    inside[2:-2, 2:-2, 2:-2] = 1
    nib.save(nib.Nifti1Image(inside, AFFINE), folder / "mask.nii.gz")
    return folder / "mask.nii.gz"


@pytest.fixture
def run(tmp_path: Path) -> tuple[PermutedRun, Path, dict[str, object]]:
    """A permutation, the mask, and the inputs of its node."""
    mask = mask_in(tmp_path)
    tasks = prepare_tasks(tmp_path, RECIPE, n=16, mask=mask)
    run = PermutedRun(1, tmp_path, "key", tuple(tasks))
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(dump_recipe(RECIPE), encoding="utf-8")
    inputs: dict[str, object] = {
        "recipe": str(recipe),
        "folds": [fold_inputs(recipe, task) for task in tasks],
        "record": str(run.record_file),
        "key": run.key,
        "masks": {"base": str(mask)},
        "covariates": {"base": str(tmp_path / "cohort.tsv")},
        "maps_key": maps_key(run, {"base": mask}),
    }
    return run, mask, inputs


def test_a_permuted_pipeline_leaves_the_largest_of_its_own_maps(run, tmp_path: Path) -> None:
    one, mask, inputs = run
    node = tmp_path / "node"
    node.mkdir()
    with pytest.raises(KeyError, match="killed"):
        Killed(**inputs).run(cwd=str(node))
    stamps = {task.record_file: task.record_file.stat().st_mtime_ns for task in one.tasks}
    assert not read_nulls([one], {"base": mask})
    MapPermuted(**inputs).run(cwd=str(node))
    # what was trained and explained before it was killed is not done again, and nothing large stays
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    assert one.scored
    assert not [*tmp_path.rglob("*.safetensors"), *tmp_path.rglob("maps.npy")]
    null = read_nulls([one], {"base": mask})["base"]

    folders = []
    for task in prepare_tasks(tmp_path / "again", RECIPE, n=16, mask=mask):
        train_and_score(task)
        job = FoldMapsTask(task, task.folder / "maps", mask, checks=False)
        explain_fold(job)
        folders.append(job.folder)
    stack = join(folders, tmp_path / "joined")
    people = people_maps(stack, stack.space.cut(read_mask(mask)), fwhm_mm=4.0)
    test, _ = compare_groups(people, independent=True, permutations=1)
    assert test is not None
    assert null.t == pytest.approx([np.abs(test.t).max()], rel=1e-4)
    assert null.tfce == pytest.approx([np.abs(test.tfce).max()], rel=1e-3)


def test_maps_are_neither_copied_nor_open_when_they_are_removed(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over NFS a folder with a file that is still mapped cannot be removed."""
    one, _, inputs = run
    seen: list[tuple[bool, int]] = []
    remove = shutil.rmtree

    def removed(folder: Path, **how: object) -> None:
        files = list(tmp_path.rglob("maps.npy"))
        if Path(folder).name == "maps" and not seen:
            seen.append(("maps.npy" in Path("/proc/self/maps").read_text(), len(files)))
        remove(folder, **how)

    monkeypatch.setattr("bidsapp.saliency.permuted_maps.shutil.rmtree", removed)
    (node := tmp_path / "node").mkdir()
    MapPermuted(**inputs).run(cwd=str(node))
    assert seen == [(False, len(one.tasks))]


def test_what_other_settings_gave_is_no_null(run, tmp_path: Path) -> None:
    one, mask, _ = run
    write_largest(tmp_path, maps_key(one, {"base": mask}), {"base": (3.5, 70)})
    assert read_nulls([one], {"base": mask})["base"].t.tolist() == [3.5]
    recipe = apply_values(RECIPE, {"saliency.smoothing_fwhm_mm": 8.0})
    other = replace(one, tasks=tuple(replace(task, recipe=recipe) for task in one.tasks))
    assert read_nulls([other], {"base": mask}) == {}
    without = apply_values(RECIPE, {"saliency.tfce": False})
    third = replace(one, tasks=tuple(replace(task, recipe=without) for task in one.tasks))
    assert read_nulls([third], {"base": mask}) == {}


def test_variants_of_several_preparations_are_each_explained_on_their_own_grid(
    tmp_path: Path,
) -> None:
    """Of a third one, whose people have no space in common, there is no map."""
    recipe = small_recipe(
        protocol={"folds": 2},
        training={"epochs": 1, "precision": "float32"},
        variants={name: {"training.seed": k + 1} for k, name in enumerate(("other", "own"))},
    )
    (tmp_path / "recipe.yaml").write_text(dump_recipe(recipe), encoding="utf-8")
    shapes = {"base": (14, 16, 14), "other": (16, 14, 14), "own": (14, 16, 14)}
    masks, tasks = {}, []
    for name, shape in shapes.items():
        (folder := tmp_path / name).mkdir()
        masks[name] = mask_in(folder, shape)
        made = prepare_tasks(folder, recipe.with_variant(name), n=12, shape=shape, mask=masks[name])
        tasks += [replace(task, variant=name) for task in made]
    own = masks.pop("own")
    assert comparable({"own": write_frame(tmp_path / "box.nii.gz", (16, 16, 16), "RAS", 1)}) == {}
    assert comparable({**masks, "own": own}).keys() == {"base", "other", "own"}
    one = PermutedRun(1, tmp_path, "key", tuple(tasks))
    MapPermuted(
        recipe=str(tmp_path / "recipe.yaml"),
        folds=[fold_inputs(tmp_path / "recipe.yaml", task) for task in tasks],
        record=str(one.record_file),
        key=one.key,
        masks={name: str(mask) for name, mask in masks.items()},
        covariates={name: str(tmp_path / name / "cohort.tsv") for name in masks},
        maps_key=maps_key(one, masks),
    ).run(cwd=str(own.parent))
    nulls = read_nulls([one], masks)
    assert nulls.keys() == {"base", "other"}
    assert nulls["base"].t != nulls["other"].t
    assert all(task.scores_file.is_file() for task in tasks)
    assert not [*tmp_path.rglob("*.safetensors"), *tmp_path.rglob("maps.npy")]
    # with the mask of another preparation it is another null
    assert read_nulls([one], {**masks, "base": masks["other"]}) == {}
