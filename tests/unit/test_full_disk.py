"""Where the disk is full the user is told so, and no half of a file stays."""

import errno
import os
from pathlib import Path

import pytest
import torch

import bidsapp.cli as cli
from bidsapp.derivatives.atomic import not_made
from bidsapp.errors import InputOutputError, disk_trouble
from bidsapp.execution.failures import find_failure
from bidsapp.networks.bundle_models import FoldModel
from bidsapp.networks.bundle_write import write_bundle
from bidsapp.networks.model_facts import ModelFacts
from bidsapp.representation.chain import Chain
from bidsapp.representation.cohort_array import build_cohort_array
from bidsapp.templates.embedded import lay_embedded
from bidsapp.training.checkpoint import Progress, save_checkpoint
from bidsapp.training.fold import train_fold
from tests.unit.full_disk import no_file_beyond
from tests.unit.synthetic_cohort import prepare_tasks, small_recipe, write_cohort


def test_an_array_for_which_there_is_no_room_is_refused_before_it_is_written(
    tmp_path: Path,
) -> None:
    rows, _ = write_cohort(tmp_path)
    folder = tmp_path / "arrays"
    wanted = small_recipe().representation
    with (
        no_file_beyond(200_000),
        pytest.raises(InputOutputError, match=r"Writing .*arrays/cohort-.*failed"),
    ):
        build_cohort_array(rows, wanted, folder)
    assert list(folder.iterdir()) == []
    build_cohort_array(rows, wanted, folder)


def test_an_array_gets_its_room_before_its_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import bidsapp.representation.cohort_array as module

    room = []
    fill = module._fill

    def measured(*arguments: object) -> None:
        about = next((tmp_path / "arrays").iterdir()).stat()
        room.append((about.st_blocks * 512, about.st_size))
        fill(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "_fill", measured)
    rows, _ = write_cohort(tmp_path)
    build_cohort_array(rows, small_recipe().representation, tmp_path / "arrays")
    [(reserved, size)] = room
    assert reserved >= size > 24 * 20 * 24 * 12 * 2


def test_a_checkpoint_for_which_there_is_no_room_says_so(tmp_path: Path) -> None:
    network = torch.nn.Linear(500, 500)
    optimizer = torch.optim.AdamW(network.parameters())
    path = tmp_path / "checkpoint.pt"
    with no_file_beyond(200_000), pytest.raises(InputOutputError, match=r"checkpoint\.pt: Writing"):
        save_checkpoint(path, "x", network, optimizer, Progress())
    assert list(tmp_path.iterdir()) == []


def test_a_model_for_which_there_is_no_room_says_so(tmp_path: Path) -> None:
    task = prepare_tasks(tmp_path, small_recipe(training={"epochs": 1}))[0]
    with no_file_beyond(2_000_000), pytest.raises(InputOutputError, match=r"model\.safetensors"):
        train_fold(task)
    assert [path.name for path in task.folder.iterdir()] == []


def test_a_bundle_for_which_there_is_no_room_says_so_and_the_old_one_stays(tmp_path: Path) -> None:
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(bytes(1_000_000))
    task = prepare_tasks(tmp_path / "cohort", small_recipe())[0]
    models = [FoldModel(0, 0, weights, Chain())]
    facts = ModelFacts("small", 24, 24, 12, {})
    folder = tmp_path / "model" / "base"

    def write() -> None:
        write_bundle(folder, task.recipe, task.images.space, models, facts)

    write()
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with no_file_beyond(500_000), pytest.raises(InputOutputError, match=r"Writing .*model/base"):
        write()
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert list(folder.parent.iterdir()) == [folder]


@pytest.mark.parametrize(("number", "code"), [(errno.ENOSPC, 74), (errno.EROFS, 73)])
def test_the_app_ends_with_one_line_whoever_met_the_full_disk(
    number: int,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def write(*_: object) -> int:
        try:
            raise OSError(number, os.strerror(number), "/out/x.tsv")
        except OSError:
            raise RuntimeError("unexpected pos 576 vs 534")  # noqa: B904

    monkeypatch.setattr(cli, "_list_recipes", write)
    assert cli.main(["--list-recipes"]) == code
    said = capsys.readouterr().err
    assert f"{os.strerror(number)}: /out/x.tsv" in said
    assert len(said.splitlines()) == 1


def test_what_is_no_trouble_of_the_disk_is_not_taken_for_it() -> None:
    assert disk_trouble(OSError(errno.ENOENT, "x")) is None
    assert disk_trouble(KeyError("x")) is None
    words = RuntimeError("Error while serializing: I/O error: No space left (os error 28)")
    assert isinstance(disk_trouble(words), InputOutputError)


def test_a_fold_that_left_no_note_on_a_full_disk_says_that_it_is_full(tmp_path: Path) -> None:
    with no_file_beyond(100_000):
        failure = find_failure(tmp_path / "training" / "fold")
    assert failure.exit_code == 74
    assert "work-dir" in failure.message
    assert str(tmp_path) in failure.message
    assert find_failure(tmp_path / "training" / "fold").exit_code == 75


def test_a_template_for_which_there_is_no_room_is_told_as_that(tmp_path: Path) -> None:
    with no_file_beyond(100_000), pytest.raises(InputOutputError, match="Make room"):
        lay_embedded(tmp_path)


def test_what_cannot_be_made_for_another_reason_keeps_its_own_advice(tmp_path: Path) -> None:
    for number in (errno.EACCES, errno.EROFS):
        told = not_made(OSError(number, os.strerror(number)), "choose another --work-dir")
        assert (told.exit_code, str(told)) == (73, "choose another --work-dir")
    assert not_made(OSError(errno.ENOSPC, "x"), "choose another --work-dir").exit_code == 74
