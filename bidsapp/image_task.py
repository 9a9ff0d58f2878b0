"""One image of the participant level: its files, what shapes them, and what became of it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bidsapp.contracts.job import Job, Shared
from bidsapp.contracts.modality import Modality, modality_named
from bidsapp.contracts.prepared import Provenance
from bidsapp.contracts.product import OutputNames
from bidsapp.contracts.scan import Scan
from bidsapp.derivatives.sidecars import as_finished, file_sha256, read_quality
from bidsapp.errors import BadData, NociCastError
from bidsapp.execution.failures import Failure
from bidsapp.progress import Outcome


@dataclass(frozen=True)
class Task:
    """One unit to prepare, and the run that it belongs to."""

    job: Job
    shared: Shared
    settings: Any

    @property
    def names(self) -> OutputNames:
        """Where its results go."""
        return self.job.names

    @property
    def provenance(self) -> Provenance:
        """What it is made of, and what shapes it."""
        return self.job.provenance

    @property
    def participant(self) -> str:
        """Label without its prefix."""
        return self.job.scan.participant

    @property
    def session(self) -> str | None:
        """Label without its prefix; None where there is none."""
        return self.job.scan.session

    @property
    def label(self) -> str:
        """``sub-01 ses-2``, and the part where a scan has several."""
        session = f" ses-{self.session}" if self.session else ""
        return f"sub-{self.participant}{session}" + (f" {self.job.part}" if self.job.part else "")

    @property
    def workflow_name(self) -> str:
        """Name that nipype accepts, and that no other unit of the dataset has."""
        stem = "_".join(filter(None, (self.names.stem, self.names.part)))
        return "".join(c if c.isalnum() else "_" for c in stem)


def tasks_of(
    scan: Scan, modality: Modality[Any], settings: Any, shared: Shared, output_dir: Path
) -> Iterator[Task]:
    """Say what the files of a scan's units will be called, and what shapes them."""
    main = scan.main
    sources = {file.address: _hash(file.path) for files in scan.files.values() for file in files}
    provenance = Provenance(sources, main.reason, shared.settings, shared.reference)
    products = modality.products_for(shared.settings)
    datatype = modality.sources[0].datatype
    for part in modality.parts(scan, settings):
        labels = dict(shared.labels)
        if part or any("{part}" in product.name for product in products):
            labels["part"] = "".join(filter(str.isalnum, part))  # a dash would end a label
        names = OutputNames(output_dir, _entities(scan), labels, products, datatype, main.picked)
        names = as_finished(names, provenance)
        yield Task(Job(modality.name, scan, part, names, provenance), shared, settings)


def _entities(scan: Scan) -> dict[str, str]:
    """Give the entities in which all files of the main source agree."""
    first, *others = next(iter(scan.files.values()))
    return {
        key: value
        for key, value in first.entities.items()
        if all(other.entities.get(key) == value for other in others)
    }


def first_tasks(
    scans: Iterable[Scan], modality: Modality[Any], settings: Any, work: Path, output_dir: Path
) -> list[Task]:
    """List what other modalities have to prepare before these scans, each once."""
    shared: dict[str, tuple[Any, Shared]] = {}
    found: dict[tuple[str, str], Task] = {}
    for asked in (one for scan in scans for one in modality.first(scan, settings)):
        other = modality_named(asked.modality)
        if asked.modality not in shared or shared[asked.modality][0] != asked.settings:
            shared[asked.modality] = asked.settings, other.shared(asked.settings, work)
        common = shared[asked.modality][1]
        for task in tasks_of(asked.scan, other, asked.settings, common, output_dir):
            found.setdefault((asked.modality, task.workflow_name), task)
    return list(found.values())


def _hash(path: Path) -> str:
    try:
        return file_sha256(path)
    except OSError:
        return ""  # reading it will fail with a message of its own


def failed(task: Task, failure: Failure) -> Outcome:
    """Say of an image that it failed, and why."""
    return Outcome.failed(
        task.participant,
        task.session,
        failure.message,
        failure.exit_code,
        expected=failure.expected,
        part=task.job.part,
    )


def given_up(exit_code: int) -> Failure:
    """Say of an image why it was not finished; the code is that of the image that failed."""
    message = "Not finished: --stop-on-first-crash, and another image failed. Run again to resume."
    return Failure("", message, exit_code, expected=True)


def outcome_of(task: Task, *, cached: bool = False) -> Outcome:
    """Read what became of an image from the sidecar that was written."""
    quality = read_quality(task.names)
    if not quality:
        raise NociCastError(f"{task.label}: the sidecar that was just written cannot be read.")
    return Outcome(
        participant=task.participant,
        session=task.session,
        status="cached" if cached else "done",
        verdict=quality["verdict"],
        reason=" ".join(quality["reasons"]),
        exit_code=BadData.exit_code if quality["verdict"] == "fail" else 0,
        measures=modality_named(task.job.modality).in_short(quality),
        report=task.names.report.name,
        part=task.job.part,
    )
