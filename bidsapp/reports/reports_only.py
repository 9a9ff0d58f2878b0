"""Reports of participants made anew from derivatives, sidecars and the source images."""

import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import unescape
from pathlib import Path

from bidsapp.contracts.job import Shared
from bidsapp.contracts.modality import modality_named
from bidsapp.contracts.prepared import Prepared
from bidsapp.derivatives import atomic_path
from bidsapp.derivatives.finished import finished_images
from bidsapp.derivatives.shown import BIDS_DIR, OUTPUT_DIR
from bidsapp.derivatives.sidecars import page_key, report_mark, shared_key
from bidsapp.errors import NociCastError, NoInput, joint_code
from bidsapp.execution.work import make_own_folder
from bidsapp.options import RunOptions

_COMMAND = re.compile(r'<pre class="command"><code>(.*?)</code></pre>', re.S)


@dataclass(frozen=True)
class Remade:
    """What became of one report; `error` is None where it was written."""

    image: Prepared
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
    kinds = {frozenset(image.names.labels.items()): image for image in images}
    outlines = {kind: shared_of(image, options.work_dir).outline for kind, image in kinds.items()}
    after_run(options.output_dir, outlines, [image.names for image in images])
    print(f"Reports of {len(images)} images: {options.output_dir}/sub-*.html and quality.html")
    return joint_code(codes)


def images_of_reports(
    output_dir: Path, participants: Sequence[str] = (), sessions: Sequence[str] = ()
) -> list[Prepared]:
    """Pick the image that each report is about.

    Where a participant and session was prepared in several ways, that is the one whose
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
    chosen: dict[Path, Prepared] = {}
    for image in sorted(finished_images(output_dir), key=_made_last):
        entities = image.names.entities
        if participants and entities["subject"] not in participants:
            continue
        if sessions and entities.get("session") not in sessions:
            continue
        chosen[image.names.report] = image
    if not chosen:
        raise NoInput(
            f"{output_dir} holds no prepared image that was asked for; run the participant "
            "level first."
        )
    return [chosen[page] for page in sorted(chosen)]


def _made_last(image: Prepared) -> tuple[bool, float]:
    names = image.names
    own = page_key(names, image.provenance) == shared_key(names)
    return own, names.path(names.main.key).stat().st_mtime


def shared_of(image: Prepared, work_dir: Path) -> Shared:
    """Find or make again what an image was prepared with."""
    return modality_named(image.modality).shared_of(image, make_own_folder(work_dir))


def remake(images: Sequence[Prepared], bids_dir: Path, work_dir: Path) -> Iterator[Remade]:
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
            _remake(image, bids_dir, shared_of(image, work_dir))
        except NociCastError as error:
            yield Remade(image, error)
        else:
            yield Remade(image)


def _remake(image: Prepared, bids_dir: Path, shared: Shared) -> None:
    names = image.names
    files = [bids_dir / image.source, *(names.folder / name for name in names.data_files)]
    missing = [str(path) for path in files if not path.is_file()]
    if missing:
        raise NoInput(f"{', '.join(missing)} is missing; the report is left as it is.")
    modality = modality_named(image.modality)
    with atomic_path(names.report) as page:
        modality.write_page(image, shared, bids_dir, _command(image), page)
        with page.open("a", encoding="utf-8") as stream:
            stream.write(report_mark(names, image.provenance))


def _command(image: Prepared) -> str:
    """Keep the command that the old page tells, or say one that does the same."""
    try:
        found = _COMMAND.search(image.names.report.read_text(encoding="utf-8"))
    except OSError:
        found = None
    if found:
        return unescape(found.group(1))
    words = ["nocicast", BIDS_DIR, OUTPUT_DIR, "participant", "--participant-label"]
    words += [
        image.names.entities["subject"],
    ]
    settings = modality_named(image.modality).settings_of(image)
    words += [f"--set=preparation.{key}={value}" for key, value in settings.plain().items()]
    return shlex.join(words)
