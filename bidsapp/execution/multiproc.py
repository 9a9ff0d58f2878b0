"""nipype's MultiProc, finishing what it began first and surviving a worker that is killed."""

import logging
import multiprocessing
import os
import threading
import time
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from nipype.pipeline.plugins.multiproc import MultiProcPlugin, run_node

from bidsapp.execution.failures import note_want_of_memory
from bidsapp.execution.resources import available_memory_gb, memory_kills

# Imported once in the server from which workers are forked, so that each starts at once and
# shares these pages; none of them, nor what a caller names, starts threads or opens a device on
# import.
_PRELOADED = [
    "bidsapp.execution.linear_algebra",
    "nipype.pipeline.engine",
    "nibabel",
    "scipy.ndimage",
    "SimpleITK",
    "torch",
]
# Added to a worker's badness, in thousandths of the memory there is: where this is short, the
# kernel stops a worker, whose work can be done again, before the process that can say so.
_OOM_SCORE = 500


def _begin_worker(folder: str, level: int, main: int) -> None:
    """Make a fresh worker like the process that started it: folder, and how much nipype tells.

    It ends with that process: a worker that was forked by the server is nobody's child, and
    would otherwise train on to the end of its fold when the app is killed.
    """
    threading.Thread(target=_end_with, args=(main,), daemon=True).start()
    with suppress(OSError, ValueError):  # no Linux, or more than that already
        score = Path("/proc/self/oom_score_adj")
        score.write_text(str(max(_OOM_SCORE, int(score.read_text()))))
    os.chdir(folder)
    os.environ["NIPYPE_NO_ET"] = "1"
    from nipype import logging as nipype_logging

    for name in ("nipype.workflow", "nipype.interface", "nipype.utils"):
        nipype_logging.getLogger(name).setLevel(level)


def _end_with(process: int) -> None:
    import psutil

    main = psutil.Process(process)
    while True:
        time.sleep(1)
        # a killed process whose parent has not looked yet is a zombie
        if not main.is_running() or main.status() == psutil.STATUS_ZOMBIE:
            os._exit(1)


class PatientMultiProc(MultiProcPlugin):
    """Run nodes in worker processes.

    Differs from its parent in two ways. Of the nodes that could run, those furthest along their
    chain go first, so that participants are finished one after the other and little is left
    lying about. And where a worker is killed (by the kernel, for want of memory) its node, and
    those that were lost with the pool, are tried once more, each in a process of its own; nipype
    by itself would wait for ever.
    """

    pool: ProcessPoolExecutor

    def __init__(self, plugin_args: dict[str, Any] | None = None) -> None:
        arguments: dict[str, Any] = {"mp_context": "forkserver", "raise_insufficient": False}
        arguments |= plugin_args or {}
        preloaded = [*_PRELOADED, *arguments.pop("preload", ())]
        if arguments["mp_context"] == "forkserver":
            multiprocessing.get_context("forkserver").set_forkserver_preload(preloaded)
        super().__init__(plugin_args=arguments)
        self.pool.shutdown(wait=False)  # no worker has begun: they begin with the first node
        self.pool = self._new_pool(self.processors)
        self._depth: list[int] = []
        self._spare: list[ProcessPoolExecutor] = []
        self._stopped = False
        self._memory_kills = memory_kills()

    def _generate_dependency_list(self, graph: Any) -> None:
        super()._generate_dependency_list(graph)
        depth: dict[Any, int] = {}
        for node in self.procs:
            before = [depth[other] for other in graph.predecessors(node)]
            depth[node] = max(before, default=-1) + 1
        self._depth = [depth[node] for node in self.procs]

    def _sort_jobs(self, jobids: Any, scheduler: str = "tsort") -> list[int]:
        known = len(self._depth)
        return sorted(jobids, key=lambda job: (-self._depth[job] if job < known else 0, job))

    def _submit_job(self, node: Any, updatehash: bool = False) -> int:
        self._taskid += 1
        task = self._taskid
        try:
            future = self.pool.submit(run_node, node, updatehash, task)
        except Exception:
            self.pool = self._new_pool(self.processors)
            future = self.pool.submit(run_node, node, updatehash, task)
        future.add_done_callback(lambda done: self._collect(done, node, updatehash, task))
        self._task_obj[task] = future
        return task

    def _new_pool(self, workers: int) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            max_workers=workers,
            initializer=_begin_worker,
            initargs=(self._cwd, logging.getLogger("nipype.workflow").level, os.getpid()),
            mp_context=multiprocessing.get_context(self.plugin_args["mp_context"]),
        )

    def _collect(self, done: Future, node: Any, updatehash: bool, task: int) -> None:
        """Note a result; where its process was lost, run the node again by itself."""
        try:
            self._taskresult[task] = done.result()
            return
        except Exception as error:
            lost = str(error)
        if self._stopped:
            return
        again = None if getattr(done, "second_try", False) else self._alone(node, updatehash, task)
        if again is None:
            if memory_kills() > self._memory_kills:
                with suppress(OSError):  # in a callback; without the note less is said
                    note_want_of_memory(Path(node.output_dir()), available_memory_gb())
            self._taskresult[task] = {
                "result": None,
                "traceback": [f"The process that ran this node was lost: {lost}"],
                "taskid": task,
            }
            return
        again.second_try = True  # type: ignore[attr-defined]
        again.add_done_callback(lambda done: self._collect(done, node, updatehash, task))

    def _alone(self, node: Any, updatehash: bool, task: int) -> Future | None:
        """Run a node in a process of its own; None where none can be started."""
        try:
            pool = self._new_pool(1)
            self._spare.append(pool)
            return pool.submit(run_node, node, updatehash, task)
        except Exception as error:  # in a callback, where nobody would hear of it
            logging.getLogger("nocicast").debug("No process can be started: %s", error)
            return None

    def _clear_task(self, taskid: int) -> None:
        super()._clear_task(taskid)
        self._taskresult.pop(taskid, None)

    def stop(self) -> None:
        """End the workers at once, whatever they are at: each step can be repeated or resumed."""
        self._stopped = True
        for pool in (self.pool, *self._spare):
            workers = list((pool._processes or {}).values())
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in workers:
                worker.kill()

    def _postrun_check(self) -> None:
        super()._postrun_check()
        for pool in self._spare:
            pool.shutdown()
