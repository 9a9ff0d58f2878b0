"""Workflows end, whatever becomes of their nodes; and what became of them is told."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from nipype.pipeline.engine import Workflow

from bidsapp.errors import UsageError
from bidsapp.execution import multiproc
from bidsapp.execution.failures import find_failure, forget_failures
from bidsapp.execution.run import Running, configure, run_workflow
from bidsapp.options import RunOptions
from tests.unit.tiny_nodes import LOG, chain, lines, tiny


class Bench:
    """A folder in which workflows run, and what they left there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / LOG
        self.log.touch()
        self.ended: list[str] = []

    def run(self, *parts: Any, nprocs: int = 2, **settings: Any) -> bool:
        running = Running(nprocs, 1.0, self.folder / "crash", **settings)
        configure(running)
        whole = Workflow(name="all", base_dir=str(self.folder))
        whole.add_nodes(list(parts))

        def on_status(node: Any, status: str) -> None:
            if status == "end":
                self.ended.append(node.name)

        before = len(self.ended)
        assert run_workflow(whole, running, on_status) == ""
        return len(self.ended) - before == len(whole.list_node_names())

    def chain(self, name: str, **inputs: Any) -> Any:
        return chain(name, self.folder, **inputs)

    @property
    def begun(self) -> list[str]:
        return [line.split()[0] for line in lines(self.log) if " begin " in line]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.mark.timeout(120)
def test_a_node_that_is_killed_once_is_run_again(bench: Bench) -> None:
    assert bench.run(bench.chain("a", fate="killed once"), bench.chain("b"))
    assert sorted(bench.ended) == ["a0", "a1", "a2", "b0", "b1", "b2"]
    assert Counter(bench.begun)["a1"] == 2


@pytest.mark.timeout(120)
def test_a_node_that_is_killed_twice_is_told_and_the_others_finish(bench: Bench) -> None:
    assert not bench.run(bench.chain("a", fate="killed"), bench.chain("b"), bench.chain("c"))
    assert {"b2", "c2"} <= set(bench.ended)
    assert "a2" not in bench.begun
    assert Counter(bench.begun)["a1"] == 2
    failure = find_failure(bench.folder / "all" / "a")
    assert (failure.exit_code, failure.expected) == (75, True)
    assert "killed, out of memory, or past" in failure.message


@pytest.mark.timeout(120)
def test_a_process_that_the_kernel_stopped_for_want_of_memory_is_told_as_that(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel's own count stands for it here; tests/faults/test_memory.py lets it kill."""
    monkeypatch.setattr(multiproc, "memory_kills", iter([4, 6]).__next__)
    assert not bench.run(bench.chain("a", fate="killed"), bench.chain("b"))
    assert "b2" in bench.ended
    failure = find_failure(bench.folder / "all" / "a")
    assert (failure.node, failure.exit_code, failure.expected) == ("a1", 75, True)
    assert failure.message.startswith("Out of memory: the kernel stopped the process")
    assert "run again to resume" in failure.message


@pytest.mark.parametrize(("needed", "told"), [(9e9, True), (0.001, False)])
def test_a_step_that_needs_more_memory_than_there_is_is_told_before_it_begins(
    bench: Bench, needed: float, told: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = bench.chain("a", steps=1)
    whole.get_node("a0")._mem_gb = needed
    assert bench.run(whole)
    assert ("GB can be used here: it may be stopped" in capsys.readouterr().err) is told


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("fate", "code", "expected", "says"),
    [
        ("bad data", 65, True, "The image is of a cat."),
        ("memory", 75, True, "--mem"),
        ("defect", 1, False, "KeyError: 'no such thing'"),
    ],
)
def test_a_node_that_fails_leaves_its_reason(
    fate: str, code: int, expected: bool, says: str, bench: Bench
) -> None:
    assert not bench.run(bench.chain("a", fate=fate), bench.chain("b"))
    assert "b2" in bench.ended
    assert Counter(bench.begun)["a1"] == 1
    failure = find_failure(bench.folder / "all" / "a")
    assert (failure.node, failure.exit_code, failure.expected) == ("a1", code, expected)
    assert says in failure.message
    assert ("Traceback" in failure.message) is not expected


@pytest.mark.timeout(120)
def test_what_was_done_is_not_done_again(bench: Bench) -> None:
    assert not bench.run(bench.chain("a", fate="bad data"), bench.chain("b"))
    assert bench.run(bench.chain("a"), bench.chain("b"))
    begun = Counter(bench.begun)
    assert (begun["a0"], begun["a1"], begun["a2"]) == (1, 2, 1)
    assert all(begun[name] == 1 for name in ("b0", "b1", "b2"))


@pytest.mark.timeout(120)
def test_chains_are_finished_one_after_the_other(bench: Bench) -> None:
    assert bench.run(*[bench.chain(name) for name in "abcd"], nprocs=1)
    assert bench.begun == [f"{name}{step}" for name in "abcd" for step in range(3)]


def overlapping(bench: Bench) -> int:
    """The most nodes that were at work at once."""
    events = sorted(
        (float(when), 1 if what == "begin" else -1)
        for _, what, when in (line.split() for line in lines(bench.log))
    )
    most = now = 0
    for _, change in events:
        now += change
        most = max(most, now)
    return most


@pytest.mark.timeout(120)
def test_nodes_share_the_cpus_by_what_each_takes(bench: Bench) -> None:
    nodes = [tiny(name, bench.folder, n_procs=2, seconds=1.5) for name in "abc"]
    assert bench.run(*nodes, nprocs=4)
    assert overlapping(bench) == 2


@pytest.mark.timeout(120)
def test_a_node_that_wants_more_than_there_is_runs_alone(bench: Bench) -> None:
    nodes = [tiny(name, bench.folder, n_procs=8, seconds=0.3) for name in "ab"]
    assert bench.run(*nodes, nprocs=2)
    assert overlapping(bench) == 1


@pytest.mark.timeout(120)
def test_the_first_crash_can_end_the_run(bench: Bench) -> None:
    parts = bench.chain("a", fate="defect"), bench.chain("b")
    assert not bench.run(*parts, nprocs=1, stop_on_first_crash=True)
    assert "b2" not in bench.ended


@pytest.mark.timeout(120)
def test_another_plugin_can_run_them(bench: Bench) -> None:
    assert bench.run(bench.chain("a"), plugin="Linear")
    assert bench.begun == ["a0", "a1", "a2"]


def test_notes_of_an_earlier_run_are_forgotten(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    note = {"message": "No brain.", "exit_code": 65, "expected": True}
    (tmp_path / "a" / "failure.json").write_text(json.dumps(note))
    forget_failures(tmp_path)
    assert find_failure(tmp_path).exit_code == 75
    forget_failures(tmp_path / "nowhere")


def test_notes_that_are_damaged_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / "failure.json").write_text("{")
    note = {"message": "No brain.", "exit_code": 65, "expected": True}
    (tmp_path / "b" / "failure.json").write_text(json.dumps(note))
    assert find_failure(tmp_path).message == "No brain."


def test_threads_of_a_node_are_not_taken_off_twice(tmp_path: Path) -> None:
    options = RunOptions(tmp_path, tmp_path, "participant", tmp_path, nprocs=8, omp_nthreads=4)
    assert Running.of(options, tmp_path).nprocs == 8


def test_a_plugin_that_does_not_exist_is_refused_with_those_that_do(bench: Bench) -> None:
    with pytest.raises(UsageError, match=r"--nipype-plugin Nonsense is not known.*SLURM"):
        bench.run(bench.chain("a"), plugin="Nonsense")


@pytest.mark.parametrize("name", ["logs", "100 % sure", "%s %(x)s [1] #ä"])
def test_crash_files_go_where_they_are_asked_whatever_the_folder_is_called(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    running = Running(1, 1.0, tmp_path / name / "crash")
    configure(running)
    whole = Workflow(name="all", base_dir=str(tmp_path / name))
    (tmp_path / name).mkdir()
    whole.add_nodes([chain("a", tmp_path / name, fate="defect")])
    assert run_workflow(whole, running) == ""
    [file] = (tmp_path / name / "crash").glob("crash-*.txt")
    assert "no such thing" in file.read_text()
    assert {path.name for path in tmp_path.iterdir()} == {"here", name}
    assert not list((tmp_path / "here").iterdir())
