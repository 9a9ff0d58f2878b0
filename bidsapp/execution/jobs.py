"""Nodes as jobs: each by itself, or a whole workflow as one so that a cluster gets one job."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nipype.interfaces.base import BaseInterfaceInputSpec, File, TraitedSpec, traits

from bidsapp.execution.failures import Step


class _WholeInput(BaseInterfaceInputSpec):
    workflow = File(exists=True, mandatory=True, desc="pickled workflow")


class _WholeOutput(TraitedSpec):
    name = traits.Str(desc="of the workflow")


class WholeWorkflow(Step):
    """Run a workflow in this process; why a node of it failed is noted beside that node."""

    input_spec = _WholeInput
    output_spec = _WholeOutput

    def _work(self, folder: Path) -> None:
        from nipype.utils.filemanip import loadpkl

        workflow = loadpkl(self.inputs.workflow)
        workflow.run(plugin="Linear")
        self._results["name"] = workflow.name


def as_one_node(workflow: Any, folder: Path, *, cpus: int, mem_gb: float) -> Any:
    """Put a workflow into one node of the same name.

    Parameters
    ----------
    workflow
        nipype Workflow with its ``base_dir`` set; it may not be part of another.
    folder
        Where its pickle goes.
    cpus, mem_gb
        What the node asks for.

    Returns
    -------
    nipype Node
    """
    from nipype.pipeline.engine import Node
    from nipype.utils.filemanip import savepkl

    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{workflow.name}.pklz"
    savepkl(str(file), workflow)
    return Node(
        WholeWorkflow(workflow=str(file)),
        name=workflow.name,
        n_procs=cpus,
        mem_gb=mem_gb,
        overwrite=True,
    )


def side_by_side(
    name: str,
    base_dir: Path,
    steps: Mapping[str, Step],
    mem_gb: float,
    after: Mapping[str, str] | None = None,
) -> Any:
    """Make every step a node of its own, so that a plugin may place it; few wait for others.

    The nodes always run: what is done already, a step knows by itself.

    Parameters
    ----------
    name, base_dir
        Of the workflow.
    steps
        Name of the node to its step; as many CPUs are asked for as its input `threads` says.
    mem_gb
        What each node asks for.
    after
        Name of a node to that of the one whose output `record` it waits for, as its input `after`.

    Returns
    -------
    nipype Workflow
    """
    from nipype.pipeline.engine import Node, Workflow

    workflow = Workflow(name=name, base_dir=str(base_dir))
    nodes = {
        label: Node(step, name=label, n_procs=step.inputs.threads, mem_gb=mem_gb, overwrite=True)
        for label, step in steps.items()
    }
    workflow.add_nodes(list(nodes.values()))
    for label, before in (after or {}).items():
        workflow.connect(nodes[before], "record", nodes[label], "after")
    return workflow
