"""The last node of a unit: its files, sidecars and page into the output folder, all or none."""

import shutil
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

from nipype.interfaces.base import BaseInterfaceInputSpec, TraitedSpec, traits

from bidsapp.contracts.job import Job
from bidsapp.contracts.modality import job_of
from bidsapp.contracts.prepared import UnitPage
from bidsapp.errors import TemporaryFailure
from bidsapp.execution.failures import Step
from bidsapp.options import RunOptions


class WriteInputs(BaseInterfaceInputSpec):
    """What every such node is told; a modality adds what else its own needs."""

    job = traits.Dict(mandatory=True, desc="bidsapp.contracts.job.Job.plain()")
    command = traits.Str("", usedefault=True, desc="the command line, for the page")
    device = traits.Str("cpu", usedefault=True, desc="auto, cpu, cuda or cuda:<index>")
    nthreads = traits.Int(1, usedefault=True, desc="threads that this step may use")


class _WriteOutputs(TraitedSpec):
    verdict = traits.Str(desc="pass, warn or fail")


@dataclass(frozen=True)
class Done:
    """What the steps of one unit made, judged and ready to be written.

    Attributes
    ----------
    quality
        What was measured, with ``verdict`` and ``reasons``.
    data
        Writes every product into a folder, under the names of the job; gives facts for sidecars.
    page
        Writes the page into a file.
    records
        What the steps tell: ``notes`` and CPU ``seconds`` of each.
    computed
        On which ``device`` and at which ``precision``, where a device was used.
    """

    quality: Mapping[str, Any]
    data: Callable[[Path], Mapping[str, Any]]
    page: Callable[[UnitPage, Path], None]
    records: Sequence[Mapping[str, Any]] = ()
    computed: Mapping[str, str] = field(default_factory=dict)


class WriteUnit(Step):
    """Take what is left to do for one unit, and put all that belongs to it in place together.

    A modality defines `_done`.
    """

    input_spec = WriteInputs
    output_spec = _WriteOutputs
    software: ClassVar[tuple[str, ...]]
    """Installed packages whose versions shape the result."""

    @classmethod
    def of(cls, job: Job, options: RunOptions, **more: Any) -> Self:
        """Make the interface for one unit; `more` are inputs of the modality's own."""
        return cls(
            job=job.plain(),
            command=options.command,
            device=options.device,
            nthreads=options.omp_nthreads,
            **more,
        )

    @abstractmethod
    def _done(self, job: Job) -> Done:
        """Do the steps; the threads are limited already."""

    def _work(self, folder: Path) -> None:
        from bidsapp.derivatives.unit import write_unit
        from bidsapp.drawing.thumbnails import thumbnail
        from bidsapp.execution.compute import threads

        given, job = self.inputs, job_of(self.inputs.job)
        about = job.names, job.provenance
        with threads(given.nthreads):
            done = self._done(job)
            require_same_sources(job, folder)

            def page(staging: Path, facts: Mapping[str, Any], path: Path) -> None:
                done.page(UnitPage(*about, done.quality, facts, staging, given.command), path)

            write_unit(
                *about,
                done.quality,
                data=done.data,
                page=page,
                records=done.records,
                software=self.software,
                facts={**done.computed, "threads": given.nthreads},
            )
            thumbnail(job.names, job.provenance.key)
        self._results["verdict"] = done.quality["verdict"]


def require_same_sources(job: Job, folder: Path) -> None:
    """Refuse what was made of files that are others by now: its sidecar would name the wrong ones.

    Parameters
    ----------
    job
        With the hashes that the files had before the first step.
    folder
        Of the node that writes; the steps beside it are removed where a file has changed.

    Raises
    ------
    TemporaryFailure
        A file was removed or written anew while it was being prepared.
    """
    from bidsapp.derivatives.sidecars import file_sha256

    for file in (file for some in job.scan.files.values() for file in some):
        before = job.provenance.sources.get(file.address)
        if not before:
            continue
        try:
            same = file_sha256(file.path) == before
        except OSError:
            same = False
        if not same:
            for step in folder.parent.iterdir():
                if step != folder:
                    shutil.rmtree(step, ignore_errors=True)
            raise TemporaryFailure(
                f"{file.relative_path} was removed or written anew while it was being prepared. "
                "Run again when nothing else writes to the dataset."
            )


def write_node(interface: WriteUnit, memory_gb: float) -> Any:
    """Make the node ``write`` of an interface; it always runs.

    It is only part of a workflow where its files are not in the output folder.
    """
    from nipype.pipeline.engine import Node

    threads = interface.inputs.nthreads
    return Node(interface, name="write", n_procs=threads, mem_gb=memory_gb, overwrite=True)


def one_node(name: str, interface: WriteUnit, memory_gb: float) -> Any:
    """Make a workflow of a modality whose steps are all done by the node that writes."""
    from nipype.pipeline.engine import Workflow

    workflow = Workflow(name=name)
    workflow.add_nodes([write_node(interface, memory_gb)])
    return workflow
