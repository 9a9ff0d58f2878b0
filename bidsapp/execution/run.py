"""Run a workflow to its end, whatever becomes of single nodes."""

import gc
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from bidsapp.errors import MORE_MEMORY, UsageError, memory_trouble
from bidsapp.execution.failures import NO_HELPERS
from bidsapp.execution.resources import available_memory_gb
from bidsapp.execution.shared_memory import check_shared_memory
from bidsapp.options import RunOptions

logger = logging.getLogger("nocicast")


@dataclass(frozen=True)
class Running:
    """How workflows of this run are executed.

    Attributes
    ----------
    nprocs
        CPUs to use at once; a node may take several.
    mem_gb
        Memory to plan with.
    plugin, plugin_args
        A nipype plugin and its arguments; None takes the app's own for one machine.
    stop_on_first_crash
        Whether the first failing node ends the run.
    crash_dir
        Where crash files go.
    verbose
        0 shows nothing of nipype, 1 its messages, 2 its debugging.
    """

    nprocs: int
    mem_gb: float
    crash_dir: Path
    plugin: str | None = None
    plugin_args: Mapping[str, Any] = field(default_factory=dict)
    stop_on_first_crash: bool = False
    verbose: int = 0

    @classmethod
    def of(cls, options: RunOptions, crash_dir: Path) -> "Running":
        """Run as the options say; each node says how many of the CPUs it takes."""
        return cls(
            nprocs=options.nprocs,
            mem_gb=options.mem_gb,
            crash_dir=crash_dir,
            plugin=options.nipype_plugin,
            plugin_args=options.nipype_plugin_args,
            stop_on_first_crash=options.stop_on_first_crash,
            verbose=options.verbose,
        )


def configure(running: Running) -> None:
    """Set nipype up for this run: quick polling, no reports, crash files as text, no network."""
    os.environ.setdefault("NO_ET", "1")
    os.environ.setdefault("NIPYPE_NO_ET", "1")
    os.environ.setdefault("LOGNAME", "nocicast")  # Slurm jobs without one crash nipype
    from nipype import config
    from nipype import logging as nipype_logging

    check_plugin(running.plugin)

    local = running.plugin is None
    config.update_config(
        {
            "logging": {
                "workflow_level": ("ERROR", "INFO", "DEBUG")[min(running.verbose, 2)],
                "interface_level": ("ERROR", "INFO", "DEBUG")[min(running.verbose, 2)],
                "log_to_file": False,
            },
            "execution": {
                "crashfile_format": "txt",
                "create_report": False,
                "check_version": False,
                "stop_on_first_crash": running.stop_on_first_crash,
                "poll_sleep_duration": 0.05 if local else 2,
                "job_finished_timeout": 30,
                "remove_unnecessary_outputs": False,
                "keep_inputs": True,
            },
        }
    )
    _crash_folder(config, running)
    nipype_logging.update_logging(config)
    if running.verbose == 0:
        # what fails is told at the end, in our words, from the notes that nodes leave
        for name in ("nipype", "nipype.workflow", "nipype.interface", "nipype.utils"):
            logging.getLogger(name).setLevel(logging.CRITICAL)


def check_plugin(name: str | None) -> None:
    """Require what a plugin needs: that nipype has it, or locks for processes of our own.

    Raises
    ------
    UsageError
        nipype has no plugin of this name.
    CannotCreateOutput
        Processes on this machine cannot share locks.
    """
    if name is None:
        check_shared_memory()
        return
    from nipype.pipeline import plugins

    if not hasattr(plugins, f"{name}Plugin"):
        known = sorted(key.removesuffix("Plugin") for key in vars(plugins) if key[-6:] == "Plugin")
        raise UsageError(f"--nipype-plugin {name} is not known; nipype has {', '.join(known)}.")
    if name == "SLURM":
        from bidsapp.execution.slurm import require_slurm

        require_slurm()


def run_workflow(
    workflow: Any,
    running: Running,
    on_status: Callable[[Any, str], None] | None = None,
    preload: Sequence[str] = (),
) -> str:
    """Run a nipype workflow.

    Parameters
    ----------
    workflow
        nipype Workflow.
    running
        How.
    on_status
        Called with a node and ``start``, ``end`` or ``exception``.
    preload
        Modules that every worker will need: imported once, before workers are forked, where the
        first of them has not been yet.

    Returns
    -------
    str
        What kept the plugin from running, empty where nodes ran, whatever became of them.

    Raises
    ------
    UsageError
        There is no such plugin.
    """
    arguments: dict[str, Any] = dict(running.plugin_args)
    began = False

    def noted(node: Any, status: str) -> None:
        nonlocal began
        began = began or status != "start"
        if on_status is not None:
            on_status(node, status)

    arguments["status_callback"] = noted
    plugin: Any = running.plugin
    if plugin is None:
        from bidsapp.execution.multiproc import PatientMultiProc

        _warn_of_memory(max((node.mem_gb for node in _nodes(workflow)), default=0.0))
        arguments = {"n_procs": running.nprocs, "memory_gb": running.mem_gb} | arguments
        plugin = PatientMultiProc(plugin_args=arguments | {"preload": preload})
    elif plugin == "SLURM":
        from bidsapp.execution.slurm import PatientSlurm

        plugin = PatientSlurm(plugin_args=arguments)
    gc.collect()
    gc.freeze()  # nipype collects before every node, which costs .2 s where nothing is frozen
    try:
        workflow.run(plugin=plugin, plugin_args=arguments)
    except KeyboardInterrupt:
        if not isinstance(plugin, str):
            plugin.stop()
        raise
    except Exception as error:
        logger.debug("The workflow ended with: %s", error)
        if not began and running.plugin is None and _lost(error):
            return NO_HELPERS
        return "" if began else (str(error).strip().splitlines() or [type(error).__name__])[-1]
    finally:
        gc.unfreeze()
    return ""


def _nodes(workflow: Any) -> Iterator[Any]:
    for one in workflow._graph.nodes():
        if hasattr(one, "_graph"):
            yield from _nodes(one)
        else:
            yield one


@cache  # of the batches of a run, the first says it
def _warn_of_memory(needed_gb: float) -> None:
    """Warn where a step by itself takes more memory than there is: it may be killed, or crawl.

    Close to a limit the kernel takes the pages of the program itself, and reads them again from
    the disk, before it stops anything.
    """
    allowed = available_memory_gb()
    if needed_gb > allowed:
        print(
            f"A step may take {needed_gb:.1f} GB of memory and {allowed:.1f} GB can be used here: "
            f"it may be stopped, or take very long. {MORE_MEMORY}",
            file=sys.stderr,
        )


def _lost(error: BaseException) -> bool:
    """Whether an error is one of processes that cannot be started or reached."""
    kinds = (ConnectionError, EOFError, BlockingIOError, BrokenExecutor)
    return isinstance(error, kinds) or memory_trouble(error) is not None


def _crash_folder(config: Any, running: Running) -> None:
    """Set where nipype's crash files go, which nodes take along when they are made.

    nipype keeps the path among its settings, where it takes a percent sign for a reference to
    another setting; such a path is put there as it is read, past the setter. A job of a plugin
    passes all settings through the setter, so that its crash files go elsewhere.
    """
    folder = str(running.crash_dir)
    if "%" in folder and running.plugin is None:
        config._sections["execution"]["crashdump_dir"] = folder
        return
    if "%" in folder:
        folder = tempfile.gettempdir()
    config.set("execution", "crashdump_dir", "/tmp" if "%" in folder else folder)
