"""Workflows as single jobs, and what Slurm is asked for them."""

from pathlib import Path

import pytest
from nipype.pipeline.engine import Workflow

from bidsapp.errors import UsageError
from bidsapp.execution.failures import find_failure
from bidsapp.execution.jobs import as_one_node
from bidsapp.execution.run import Running, check_plugin, configure, run_workflow
from bidsapp.execution.slurm import sbatch_arguments
from tests.unit.tiny_nodes import LOG, chain, lines


@pytest.mark.timeout(120)
def test_a_chain_is_one_node_and_tells_which_step_failed(tmp_path: Path) -> None:
    (tmp_path / LOG).touch()
    configure(Running(2, 1.0, tmp_path / "crash"))
    whole = Workflow(name="jobs", base_dir=str(tmp_path))
    for name, fate in (("good", ""), ("bad", "bad data")):
        single = chain(name, tmp_path, fate=fate)
        single.base_dir = str(tmp_path / "all")
        whole.add_nodes([as_one_node(single, tmp_path / "pickles", cpus=1, mem_gb=0.1)])
    ended = []
    said = run_workflow(
        whole,
        Running(2, 1.0, tmp_path / "crash"),
        lambda node, word: ended.append((node.name, word)),
    )
    assert said == ""
    assert ("good", "end") in ended
    assert ("bad", "exception") in ended
    finished = [line.split()[0] for line in lines(tmp_path / LOG) if " end " in line]
    assert sorted(finished) == ["bad0", "good0", "good1", "good2"]
    failure = find_failure(tmp_path / "all" / "bad")
    assert (failure.node, failure.exit_code, failure.expected) == ("bad1", 65, True)
    assert not find_failure(tmp_path / "all" / "good").node


@pytest.mark.parametrize(
    ("given", "added"),
    [
        ("", "--ntasks=1 --cpus-per-task=2 --mem=3815M"),
        ("--time=60 --partition=short", "--ntasks=1 --cpus-per-task=2 --mem=3815M"),
        ("--mem=8G", "--ntasks=1 --cpus-per-task=2"),
        ("--mem-per-cpu 8G -n1", ""),
        ("-c 4", "--mem=3815M"),
        ("--exclusive --mem 0", ""),
    ],
)
def test_slurm_is_asked_for_what_the_user_has_not_said(given: str, added: str) -> None:
    assert sbatch_arguments(given, cpus=2, mem_gb=4.0) == added


def test_slurm_without_its_commands_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match=r"sbatch, squeue, scancel.*job array"):
        check_plugin("SLURM")
