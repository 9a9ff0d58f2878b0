"""Reports of participants made anew from derivatives, sidecars and the source images."""

import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

from bidsapp.derivatives import atomic_path
from bidsapp.derivatives.finished import FinishedImage, finished_images
from bidsapp.derivatives.shown import BIDS_DIR, OUTPUT_DIR
from bidsapp.derivatives.sidecars import Provenance, registration_key, report_mark
from bidsapp.errors import NociCastError, NoInput, joint_code
from bidsapp.execution.work import make_own_folder
from bidsapp.modalities.t1w.page import ParticipantReport, write_participant_report
from bidsapp.options import RunOptions

_COHORT = re.compile(r"tpl-([A-Za-z0-9]+)_cohort-0*(\d+)")
_COMMAND = re.compile(r'<pre class="command"><code>(.*?)</code></pre>', re.S)


@dataclass(frozen=True)
class Remade:
    """What became of one report; `error` is None where it was written."""

    image: FinishedImage
    error: NociCastError | None = None


def make_again(options: RunOptions) -> int:
    """Make the reports that the options select and the overview anew; gives the exit code."""
    from bidsapp.reports.cohort_pages import after_run

    images = images_of_reports(options.output_dir, options.participant_label, options.session_label)
    codes = set()
    for made in remake(images, options.bids_dir, options.work_dir):
        if made.error:
            codes.add(made.error.exit_code)
            print(f"{made.image.label}: {made.error}", file=sys.stderr)
    kinds = {(image.names.space, image.names.resolution): image for image in images}
    brains = {kind: template_brain(image, options.work_dir) for kind, image in kinds.items()}
    after_run(options.output_dir, brains, [image.names for image in images])
    print(f"Reports of {len(images)} images: {options.output_dir}/sub-*.html and quality.html")
    return joint_code(codes)


def images_of_reports(
    output_dir: Path, participants: Sequence[str] = (), sessions: Sequence[str] = ()
) -> list[FinishedImage]:
    """Pick the image that each report is about.

    Where a participant and session was normalised in several ways, that is the one whose
    transforms are there, and of those the one that was made last.

    Parameters
    ----------
    output_dir
        The derivatives dataset.
    participants, sessions
        Labels without prefix; empty keeps all.

    Raises
    ------
    NoInput
        There is none.
    """
    chosen: dict[Path, FinishedImage] = {}
    for image in sorted(finished_images(output_dir), key=_made_last):
        entities = image.names.entities
        if participants and entities["subject"] not in participants:
            continue
        if sessions and entities.get("session") not in sessions:
            continue
        chosen[image.names.report] = image
    if not chosen:
        raise NoInput(
            f"{output_dir} holds no normalised image that was asked for; run the participant "
            "level first."
        )
    return [chosen[page] for page in sorted(chosen)]


def _made_last(image: FinishedImage) -> tuple[bool, float]:
    names = image.names
    own = provenance_of(image).registration_key == registration_key(names)
    return own, (names.folder / names.preproc).stat().st_mtime


def provenance_of(image: FinishedImage) -> Provenance:
    """Give what the sidecar holds of where an image came from."""
    sidecar = image.sidecar
    return Provenance(
        source=image.source,
        source_sha256=str(sidecar.get("SourceSHA256", "")),
        selection=str(sidecar.get("Selection", "")),
        space=image.names.space,
        spatial_reference=str(sidecar.get("SpatialReference", "")),
        resolution=image.names.resolution,
        settings=image.settings,
    )


def remake(images: Sequence[FinishedImage], bids_dir: Path, work_dir: Path) -> Iterator[Remade]:
    """Write the reports of images anew, and tell of each.

    Parameters
    ----------
    images
        From `images_of_reports`.
    bids_dir
        The dataset that they were made from: the native image is shown.
    work_dir
        Where templates lie, or are laid.
    """
    for image in images:
        try:
            _remake(image, bids_dir, template_brain(image, work_dir))
        except NociCastError as error:
            yield Remade(image, error)
        else:
            yield Remade(image)


def template_brain(image: FinishedImage, work_dir: Path) -> Path:
    """Give the template's brain on the grid of a normalised image."""
    from bidsapp.modalities.t1w.template_images import prepare_template
    from bidsapp.recipes.images import Normalization
    from bidsapp.templates import resolve_template

    settings = image.settings
    cohort = _COHORT.search(str(settings.get("template_file", "")))
    name = image.names.space
    if cohort:
        name = f"{cohort.group(1)}:cohort-{cohort.group(2)}"
    own = make_own_folder(work_dir)
    template = resolve_template(name, home=own / "templateflow")
    wanted = Normalization.model_validate(
        {
            "template": cohort.group(1) if cohort else name,
            "resolution": image.names.resolution,
            "box": settings.get("box", "spm12"),
            "speed": settings.get("speed", "default"),
        }
    )
    return prepare_template(template, wanted, own / "template").output


def _remake(image: FinishedImage, bids_dir: Path, template: Path) -> None:
    names, sidecar = image.names, image.sidecar
    source = bids_dir / image.source
    files = [source, *(names.folder / name for name in names.data_files)]
    missing = [str(path) for path in files if not path.is_file()]
    if missing:
        raise NoInput(f"{', '.join(missing)} is missing; the report is left as it is.")
    seconds = dict(sidecar.get("CPUSeconds") or {})
    seconds.pop("total", None)
    report = ParticipantReport(
        title=image.label,
        source=image.source,
        chosen_because=str(sidecar.get("Selection", "")),
        template=names.space,
        resolution=names.resolution,
        quality=image.quality,
        notes=[str(note) for note in sidecar.get("Notes") or ()],
        seconds=seconds,
        settings=image.settings,
        versions=dict(sidecar.get("GeneratedWith") or {}),
        command=_command(image),
        head=source,
        head_mask=names.folder / names.native_mask,
        t1w=names.folder / names.preproc,
        mask=names.folder / names.brain_mask,
        template_brain=template,
        log_jacobian=names.folder / names.log_jacobian,
    )
    with atomic_path(names.report) as page:
        write_participant_report(report, page)
        with page.open("a", encoding="utf-8") as stream:
            stream.write(report_mark(provenance_of(image)))


def _command(image: FinishedImage) -> str:
    """Keep the command that the old page tells, or say one that does the same."""
    try:
        found = _COMMAND.search(image.names.report.read_text(encoding="utf-8"))
    except OSError:
        found = None
    if found:
        return unescape(found.group(1))
    settings: dict[str, Any] = image.settings
    words = ["nocicast", BIDS_DIR, OUTPUT_DIR, "participant", "--participant-label"]
    words += [image.names.entities["subject"], "--template", image.names.space]
    words += ["--resolution", str(image.names.resolution)]
    words += ["--speed", str(settings.get("speed", "default"))]
    words += ["--random-seed", str(settings.get("seed", 0))]
    return shlex.join(words)
