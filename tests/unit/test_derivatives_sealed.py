"""What a later run takes up again from the work folder is as it was written, or is made anew."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from bidsapp.derivatives.sealed import is_whole, read_record, seal, write_record
from bidsapp.errors import BadData
from bidsapp.modalities.t1w.template_images import prepare_mask, prepare_template
from bidsapp.networks.registry import build_network
from bidsapp.recipes import load_recipe
from bidsapp.representation.cohort_array import CohortArray, build_cohort_array
from bidsapp.saliency.fold_maps import FoldMapsTask, explain_fold, is_explained
from bidsapp.templates import resolve_template
from bidsapp.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from bidsapp.training.fold import is_trained
from bidsapp.training.optimizer import build_optimizer
from bidsapp.training.permuted_runs import PermutedRun
from tests.unit.synthetic_cohort import (
    AFFINE,
    prepare_tasks,
    small_recipe,
    train_and_score,
    write_cohort,
)


def flipped(path: Path, seed: int, times: int) -> Iterator[int]:
    """Flip one bit after another at random places, each alone; the place."""
    whole = path.read_bytes()
    for place in np.random.default_rng(seed).integers(0, 8 * len(whole), times).tolist():
        content = bytearray(whole)
        content[place // 8] ^= 1 << place % 8
        path.write_bytes(content)
        yield place
    path.write_bytes(whole)


def test_a_flipped_bit_in_a_record_or_its_file_is_noticed(tmp_path: Path) -> None:
    file, record = tmp_path / "deep" / "values.npy", tmp_path / "done.json"
    file.parent.mkdir()
    np.save(file, np.arange(50))
    content = {"key": "ä", "numbers": (1.5, np.float64(0.1), float("nan")), 3: {"a": None}}
    write_record(record, content, [file])
    found = read_record(record)
    assert found["numbers"] == [1.5, 0.1, None]
    assert found["3"] == {"a": None}
    for path in (file, record):
        for place in flipped(path, 1, 150):
            assert read_record(record) in ({}, found), (path, place)
    for place in flipped(file, 2, 20):
        assert read_record(record) == {}, place
        assert read_record(record, needed=[]) == found
    assert read_record(record) == found
    file.unlink()
    assert read_record(record) == {}
    assert read_record(record, needed=["other.npy"]) == {}


def test_a_record_that_another_version_wrote_or_nobody_is_none(tmp_path: Path) -> None:
    path = tmp_path / "done.json"
    assert read_record(path) == {}
    for text in ("", "[]", "null", "{", '{"fingerprint": "x"}', '{"seal": 1, "files": []}'):
        path.write_text(text)
        assert read_record(path) == {}
    (tmp_path / "file").write_text("x")
    assert not is_whole(tmp_path / "file")
    seal(tmp_path / "file")
    assert is_whole(tmp_path / "file")


@pytest.mark.parametrize("ending", [".npy", ".json"])
def test_a_damaged_array_of_the_cohort_is_noticed_and_made_anew(
    ending: str, tmp_path: Path
) -> None:
    rows, _ = write_cohort(tmp_path, n=4)
    section = small_recipe().representation
    array = build_cohort_array(rows, section, tmp_path / "arrays")
    whole = array.path.read_bytes()
    path = array.path.with_suffix(ending)
    for place in flipped(path, 3, 40):
        try:
            found = CohortArray.load(array.path)
        except BadData:
            continue
        assert found == array, place
    for _ in flipped(path, 4, 1):
        again = build_cohort_array(rows, section, tmp_path / "arrays")
        assert again == array
        assert again.path.read_bytes() == whole


def test_what_was_damaged_of_a_fold_is_trained_explained_and_counted_anew(tmp_path: Path) -> None:
    mask = tmp_path / "mask.nii.gz"
    nib.save(nib.Nifti1Image(np.ones((20, 24, 20), np.uint8), AFFINE), mask)
    task = prepare_tasks(tmp_path, small_recipe(training={"epochs": 1}), mask=mask, n=8)[0]
    train_and_score(task)
    run = PermutedRun(0, task.folder, "key", (task,))
    write_record(run.record_file, {"key": "key"}, [task.scores_file])
    job = FoldMapsTask(task, tmp_path / "maps", mask, "test", checks=False)
    explain_fold(job)
    assert (is_trained(task), task.is_scored, run.scored, is_explained(job)) == (True,) * 4

    def noticed(path: Path, holds: Callable[[], bool], times: int = 12) -> None:
        for place in flipped(path, 5, times):
            assert not holds(), (path, place)
        assert holds()

    noticed(task.model_file, lambda: is_trained(task))
    noticed(task.folder / "history.tsv", lambda: is_trained(task))
    noticed(task.scores_file, lambda: task.is_scored or run.scored)
    for name in ("maps.npy", "maps.tsv", "maps.json"):
        noticed(job.folder / name, lambda: is_explained(job))
    for record, holds in (
        (task.record_file, lambda: is_trained(task)),
        (job.record_file, lambda: is_explained(job)),
        (run.record_file, lambda: run.scored),
    ):
        before = json.loads(record.read_text())
        for place in flipped(record, 6, 60):
            try:
                same = json.loads(record.read_text()) == before
            except ValueError:
                same = False
            assert holds() is same, (record, place)
    task.model_file.unlink()  # a permutation keeps the scores alone
    assert task.is_scored


def test_a_damaged_checkpoint_begins_anew_or_changes_nothing(tmp_path: Path) -> None:
    task = prepare_tasks(tmp_path, small_recipe(), n=8)[0]
    path = tmp_path / "checkpoint.pt"

    def fresh() -> tuple[torch.nn.Module, torch.optim.Optimizer]:
        network = build_network(task.recipe.network, 1)
        return network, build_optimizer(network, task.recipe.training)

    saved, optimizer = fresh()
    save_checkpoint(path, "task", saved, optimizer, Progress(epoch=2, best_loss=0.25))
    expected = saved.state_dict()
    network, optimizer = fresh()
    for place in flipped(path, 7, 25):
        found = load_checkpoint(path, "task", network, optimizer)
        assert found in (Progress(), Progress(epoch=2, best_loss=0.25)), place
        if found.epoch:
            for name, value in network.state_dict().items():
                assert torch.equal(value, expected[name]), place


def test_a_damaged_template_in_the_work_folder_is_made_anew(tmp_path: Path) -> None:
    wanted = load_recipe("t1w", ["preparation.speed=fast"]).preparation
    template = resolve_template(wanted.plain()["template"], home=tmp_path / "templateflow")
    images = prepare_template(template, wanted, tmp_path / "template")
    made = [images["judged"], prepare_mask(images["judged"])]
    whole = [path.read_bytes() for path in made]
    for path in made:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    prepare_template(template, wanted, tmp_path / "template")
    prepare_mask(images["judged"])
    assert [path.read_bytes() for path in made] == whole
