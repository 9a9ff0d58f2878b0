"""nipype's SLURM plugin, asking the queue once for all jobs and cancelling them when stopped."""

import logging
import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nipype.pipeline.plugins.slurm import SLURMPlugin

from bidsapp.errors import UsageError

logger = logging.getLogger("nocicast")

# The scheduler is asked at most this often, in seconds, however many jobs there are.
_INTERVAL_S = 2.0
_TRIES = 3


def require_slurm() -> None:
    """Raise UsageError where jobs cannot be submitted from this machine."""
    absent = [name for name in ("sbatch", "squeue", "scancel") if shutil.which(name) is None]
    if absent:
        raise UsageError(
            f"--nipype-plugin SLURM needs {', '.join(absent)} on the PATH. Inside a container "
            "there is none: run the container from a job array instead, one participant a job."
        )


def sbatch_arguments(given: str, *, cpus: int, mem_gb: float) -> str:
    """Add what a node needs to the arguments of sbatch, where the user has not said it.

    Parameters
    ----------
    given
        The user's arguments.
    cpus, mem_gb
        Of the node; memory in GB (10^9 bytes).

    Returns
    -------
    str
        Only what is to be added, in megabytes as Slurm counts them (2^20 bytes).
    """
    said = {word.split("=")[0] for word in shlex.split(given)}
    short = {word[:2] for word in said if word.startswith("-") and not word.startswith("--")}
    added = []
    if not said & {"--cpus-per-task", "--ntasks", "--exclusive"} and not short & {"-c", "-n"}:
        added.append(f"--ntasks=1 --cpus-per-task={cpus}")
    if not said & {"--mem", "--mem-per-cpu", "--mem-per-gpu"}:
        added.append(f"--mem={max(1, round(mem_gb * 1e9 / 2**20))}M")
    return " ".join(added)


class PatientSlurm(SLURMPlugin):
    """Submit each node as a job.

    Differs from its parent in five ways. One call of squeue asks for all jobs, where the parent
    makes one for each job every two seconds. A queue that does not answer is waited for. Paths may
    hold blanks. A job that the cluster ends does not end the others. And when the run ends early,
    its jobs are cancelled.
    """

    def __init__(self, plugin_args: dict[str, Any] | None = None) -> None:
        super().__init__(plugin_args=plugin_args or {})
        self._queued: set[str] = set()
        self._asked = 0.0

    def run(self, graph: Any, config: Any, updatehash: bool = False) -> None:
        """Run a graph of nodes; where that ends with an error, no job is left behind."""
        try:
            super().run(graph, config, updatehash=updatehash)
        except Exception:
            self.stop()
            raise

    def _get_result(self, taskid: int) -> dict[str, Any] | None:
        # Of a job that left no result the parent makes a text, to which it then adds lines: an
        # error of its own, with which it would give up on all other jobs.
        result: dict[str, Any] | None = super()._get_result(taskid)
        if result is not None and isinstance(result["traceback"], str):
            result["traceback"] = result["traceback"].splitlines(keepends=True)
        return result

    def _is_pending(self, taskid: int) -> bool:
        if time.monotonic() - self._asked > _INTERVAL_S:
            self._ask()
        return str(taskid) in self._queued

    def _ask(self) -> None:
        """Note which jobs are in the queue; what is not known stays as it was."""
        command = ["squeue", "--noheader", "--format=%A", f"--user={os.getuid()}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            self._queued = set(done.stdout.split())
        else:
            logger.warning("squeue does not answer: %s", done.stderr.strip())
        self._asked = time.monotonic()

    def _submit_batchtask(self, scriptfile: str, node: Any) -> int:
        given = str(self._sbatch_args or "")
        own = sbatch_arguments(given, cpus=node.n_procs, mem_gb=node.mem_gb)
        words = shlex.split(f"{given} {own}")
        if not _names_output(words):
            words.append(f"--output={Path(scriptfile).parent / 'slurm-%j.out'}")
        job = f"nocicast.{node.name}"
        taskid = _sbatch([*words, f"--job-name={job}", scriptfile])
        self._pending[taskid] = node.output_dir()
        self._queued.add(str(taskid))
        return taskid

    def stop(self) -> None:
        """Cancel the jobs that have not ended."""
        if self._pending:
            command = ["scancel", *map(str, self._pending)]
            subprocess.run(command, capture_output=True, check=False)


def _names_output(words: Sequence[str]) -> bool:
    return any(word.split("=")[0] in ("-o", "--output") for word in words)


def _sbatch(arguments: Sequence[str]) -> int:
    """Submit a job, trying again where the scheduler is busy; gives the job's number.

    Raises
    ------
    RuntimeError
        Slurm does not take the job.
    """
    said = ""
    for trial in range(_TRIES):
        if trial:
            time.sleep(_INTERVAL_S)
        done = subprocess.run(
            ["sbatch", "--parsable", *arguments], capture_output=True, text=True, check=False
        )
        if done.returncode == 0:
            return int(done.stdout.strip().splitlines()[-1].split(";")[0])
        said = " ".join(done.stderr.split())
    raise RuntimeError(f"sbatch did not take the job: {said}")
