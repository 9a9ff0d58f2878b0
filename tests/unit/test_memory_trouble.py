"""Where memory is wanting the user is told so, whatever a library made of it."""

import errno
import os
import subprocess
import sys
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import pytest
from nipype.pipeline.engine import Workflow

import bidsapp.cli as cli
from bidsapp.errors import TemporaryFailure, memory_trouble
from bidsapp.execution import multiproc
from bidsapp.execution.failures import NO_HELPERS, find_failure
from bidsapp.execution.run import Running, configure, run_workflow
from tests.unit.tiny_nodes import chain

SAID = [
    MemoryError(),
    MemoryError("Unable to allocate output buffer."),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("Exception thrown in SimpleITK Resample: Failed to allocate memory for image."),
    RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("std::bad_alloc"),
    ImportError("libtorch_cpu.so: failed to map segment from shared object"),
]


@pytest.mark.parametrize("error", SAID, ids=str)
def test_a_want_of_memory_is_known_in_the_words_of_each_library(error: Exception) -> None:
    wrapped = ValueError("it did not work")
    wrapped.__cause__ = error
    for one in (error, wrapped):
        trouble = memory_trouble(one)
        assert isinstance(trouble, TemporaryFailure)
        assert str(trouble).startswith("Not enough memory")
        assert "--nprocs" in str(trouble)


def test_numpys_own_error_is_one() -> None:
    with pytest.raises(MemoryError) as caught:
        np.empty((1 << 50,), np.float64)
    assert "PiB" in str(memory_trouble(caught.value))


@pytest.mark.parametrize(
    "error",
    [
        ValueError("shapes differ"),
        OSError(errno.EACCES, "Permission denied"),
        ImportError("x.so: failed to map segment from shared object: Operation not permitted"),
    ],
)
def test_other_errors_are_not(error: Exception) -> None:
    assert memory_trouble(error) is None


def test_the_program_ends_with_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def full(_: object) -> int:
        raise MemoryError("Unable to allocate 33.1 MiB")

    monkeypatch.setattr(cli, "_run", full)
    assert cli.main([str(tmp_path), str(tmp_path / "out"), "participant"]) == 75
    assert capsys.readouterr().err.startswith("nocicast: Not enough memory (Unable to allocate 33")


@pytest.mark.parametrize(
    "error",
    [ConnectionRefusedError(111, "Connection refused"), EOFError("unexpected EOF"),
     BrokenProcessPool("died"), OSError(errno.ENOMEM, "Cannot allocate memory"),
     BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")],
    ids=str,
)  # fmt: skip
def test_processes_that_cannot_be_started_are_told_as_that(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server they are forked from dies, and each request to it ends in another error."""

    class Pool(multiproc.ProcessPoolExecutor):
        def submit(self, *_: object, **__: object) -> None:  # type: ignore[override]
            raise error

    monkeypatch.setattr(multiproc, "ProcessPoolExecutor", Pool)
    running = Running(nprocs=1, mem_gb=1, crash_dir=tmp_path / "crashes")
    configure(running)
    whole = Workflow(name="all", base_dir=str(tmp_path))
    whole.add_nodes([chain("a", tmp_path)])
    said = run_workflow(whole, running)
    assert said == NO_HELPERS
    failure = find_failure(tmp_path / "nowhere", said)
    assert (failure.exit_code, failure.expected) == (75, True)
    assert "too little memory" in failure.message


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]), -1))
from bidsapp.cli import main
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize("megabytes", [400, 1000])
def test_with_little_memory_the_run_says_so_and_ends_with_75(
    megabytes: int, tmp_path: Path, real_data: Path
) -> None:
    """In the process itself, and in its helpers (who may cry out on their own, too)."""
    dataset = tmp_path / "bids"
    anat = dataset / "sub-01" / "anat"
    anat.mkdir(parents=True)
    (dataset / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.10.0"}')
    head = next((real_data / "ixi2mm_dev48").glob("sub-*/anat/*_T1w.nii.gz"))
    (anat / "sub-01_T1w.nii.gz").symlink_to(head)
    arguments = [dataset, tmp_path / "out", "participant", "--nprocs", 1, "--skip-bids-validation"]
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(megabytes << 20), *map(str, arguments)],
        capture_output=True, text=True, check=False, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 75, done.stderr
    assert "memory" in done.stderr
    assert "bidsapp/cli.py" not in done.stderr  # no traceback of the run itself
