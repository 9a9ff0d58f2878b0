"""Nodes that do next to nothing, fail, or kill the process that runs them."""

import os
import signal
import time
from pathlib import Path
from typing import Any

from nipype.interfaces.base import BaseInterfaceInputSpec, TraitedSpec, traits
from nipype.pipeline.engine import Node, Workflow

from bidsapp.errors import BadData
from bidsapp.execution.failures import Step

LOG = "log.txt"


class _Inputs(BaseInterfaceInputSpec):
    # a folder, as nipype hashes the contents of a file that a text names
    notes = traits.Str(mandatory=True, desc="folder of the log that each run adds a line to")
    name = traits.Str(mandatory=True)
    fate = traits.Str("", usedefault=True, desc="what is to become of it")
    after = traits.Str(desc="done, of the node before")
    seconds = traits.Float(0.0, usedefault=True)


class _Outputs(TraitedSpec):
    done = traits.Str()


class Tiny(Step):
    """Note when it begins and ends; on the way, meet its fate."""

    input_spec = _Inputs
    output_spec = _Outputs

    def _work(self, folder: Path) -> None:
        given = self.inputs
        log = Path(given.notes, LOG)
        _append(log, f"{given.name} begin {time.monotonic()}")
        runs = sum(line.startswith(f"{given.name} begin") for line in lines(log))
        if given.fate == "killed" or (given.fate == "killed once" and runs == 1):
            os.kill(os.getpid(), signal.SIGKILL)
        elif given.fate == "bad data":
            raise BadData("The image is of a cat.\nAnd of a dog.")
        elif given.fate == "defect":
            raise KeyError("no such thing")
        elif given.fate == "memory":
            raise MemoryError
        time.sleep(given.seconds)
        _append(log, f"{given.name} end {time.monotonic()}")
        self._results["done"] = given.name


def _append(log: Path, line: str) -> None:
    with log.open("a") as stream:
        stream.write(line + "\n")


def lines(log: Path) -> list[str]:
    """What the nodes have noted."""
    return log.read_text().splitlines()


def tiny(name: str, notes: Path, *, n_procs: int = 1, **inputs: Any) -> Node:
    """Make a node."""
    interface = Tiny(notes=str(notes), name=name, **inputs)
    return Node(interface, name=name, n_procs=n_procs, mem_gb=0.01)


def chain(name: str, notes: Path, steps: int = 3, **inputs: Any) -> Workflow:
    """Make a chain of nodes, as one participant has; `inputs` are those of the second."""
    workflow = Workflow(name=name)
    before = None
    for number in range(steps):
        node = tiny(f"{name}{number}", notes, **(inputs if number == 1 else {}))
        if before is None:
            workflow.add_nodes([node])
        else:
            workflow.connect(before, "done", node, "after")
        before = node
    return workflow
