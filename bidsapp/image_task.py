"""One image of the participant level: its files, what shapes them, and what became of it."""

from dataclasses import dataclass

from bidsapp import __version__
from bidsapp.dataset import ImageChoice
from bidsapp.derivatives import OutputNames
from bidsapp.derivatives.sidecars import Provenance, file_sha256, read_quality
from bidsapp.errors import BadData, NociCastError
from bidsapp.execution.failures import Failure
from bidsapp.modalities.t1w.template_images import TemplateImages
from bidsapp.options import RunOptions
from bidsapp.progress import Outcome
from bidsapp.recipes import Recipe


@dataclass(frozen=True)
class Task:
    """One image to normalise."""

    choice: ImageChoice
    names: OutputNames
    provenance: Provenance

    @property
    def label(self) -> str:
        """``sub-01 ses-2``."""
        session = self.choice.session
        return f"sub-{self.choice.participant}" + (f" ses-{session}" if session else "")

    @property
    def workflow_name(self) -> str:
        """Name that nipype accepts, and that no other image of the dataset has."""
        return "".join(c if c.isalnum() else "_" for c in self.names.stem)


def image_task(
    choice: ImageChoice, options: RunOptions, recipe: Recipe, images: TemplateImages
) -> Task:
    """Say what the files of one image will be called, and what shapes them."""
    wanted = recipe.normalization
    names = OutputNames(
        options.output_dir, choice.entities, images.template.label, wanted.resolution
    )
    try:
        digest = file_sha256(choice.path)
    except OSError:
        digest = ""  # reading it will fail with a message of its own
    settings = {
        "template": images.template.label,
        "template_file": images.template.t1w.name,
        "resolution": wanted.resolution,
        "box": wanted.box,
        "intensity": wanted.intensity,
        "speed": wanted.speed,
        "seed": wanted.seed,
        "version": __version__,
    }
    provenance = Provenance(
        source=choice.relative_path,
        source_sha256=digest,
        selection=choice.reason,
        space=images.template.label,
        spatial_reference=images.template.reference,
        resolution=wanted.resolution,
        settings=settings,
    )
    return Task(choice, names, provenance)


def failed(task: Task, failure: Failure) -> Outcome:
    """Say of an image that it failed, and why."""
    return Outcome.failed(
        task.choice.participant,
        task.choice.session,
        failure.message,
        failure.exit_code,
        expected=failure.expected,
    )


def given_up(exit_code: int) -> Failure:
    """Say of an image why it was not finished; the code is that of the image that failed."""
    message = "Not finished: --stop-on-first-crash, and another image failed. Run again to resume."
    return Failure("", message, exit_code, expected=True)


def outcome_of(task: Task, *, cached: bool = False) -> Outcome:
    """Read what became of an image from the sidecar that was written."""
    quality = read_quality(task.names)
    choice = task.choice
    if not quality:
        raise NociCastError(f"{task.label}: the sidecar that was just written cannot be read.")
    return Outcome(
        participant=choice.participant,
        session=choice.session,
        status="cached" if cached else "done",
        verdict=quality["verdict"],
        reason=" ".join(quality["reasons"]),
        exit_code=BadData.exit_code if quality["verdict"] == "fail" else 0,
        measures=f"local NCC {quality['local_ncc']:.2f}",
        report=task.names.report.name,
    )
