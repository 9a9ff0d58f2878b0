"""Turns on GPUs, with lock files that stand for them; no GPU is needed for who may go when."""

import itertools
import multiprocessing
import time
from pathlib import Path

from bidsapp.execution.gpus import gpu_turn, one_of


def _take_turns(folder: Path, diary: Path) -> None:
    for _ in range(3):
        with one_of(["one", "other"], folder) as taken:
            began = time.monotonic()
            time.sleep(0.05)
            with diary.open("a") as file:
                file.write(f"{taken} {began} {time.monotonic()}\n")


def test_never_two_on_one_and_both_are_used(tmp_path: Path) -> None:
    diary = tmp_path / "diary"
    context = multiprocessing.get_context("fork")
    people = [context.Process(target=_take_turns, args=(tmp_path, diary)) for _ in range(5)]
    for person in people:
        person.start()
    for person in people:
        person.join(60)
        assert person.exitcode == 0
    turns = [tuple(map(float, line.split())) for line in diary.read_text().splitlines()]
    assert len(turns) == 15
    for which in (0, 1):
        mine = sorted((began, ended) for taken, began, ended in turns if taken == which)
        assert mine
        assert all(ended <= after for (_, ended), (after, _) in itertools.pairwise(mine))


def test_what_is_held_by_a_process_that_failed_is_free_again(tmp_path: Path) -> None:
    try:
        with one_of(["only"], tmp_path):
            raise RuntimeError("training broke off")
    except RuntimeError:
        pass
    with one_of(["only"], tmp_path) as taken:
        assert taken == 0


def test_a_cpu_is_not_waited_for(tmp_path: Path) -> None:
    with gpu_turn("cpu") as first, gpu_turn("cpu") as second:
        assert (first, second) == ("cpu", "cpu")
