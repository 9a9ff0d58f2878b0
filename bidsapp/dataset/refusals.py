"""Why a participant, a session or a part of it is not worked on, and what to do."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from bidsapp.dataset.bidsignore import NAME as BIDSIGNORE
from bidsapp.dataset.description import shortened
from bidsapp.dataset.filters import describe
from bidsapp.dataset.query import Found, Query
from bidsapp.errors import BadData, NociCastError, NoInput, NothingSelected
from bidsapp.intake.pointers import pointer_at
from bidsapp.intake.regular import require_regular
from bidsapp.options import RunOptions


@dataclass(frozen=True)
class Refusal:
    """Why a participant, a session, or a part of it is not worked on; `error` has the exit code."""

    participant: str
    session: str | None
    reason: str
    error: type[NociCastError]
    part: str = ""

    @property
    def exit_code(self) -> int:
        """Exit code that this refusal asks for."""
        return self.error.exit_code


def unusable(bids_dir: Path, image: Found) -> Refusal | None:
    """Refuse a file that has another participant's name, or no content."""
    who = (image.participant, image.session)
    path = bids_dir / image.relative_path
    prefix = f"sub-{image.participant}_" + (f"ses-{image.session}_" if image.session else "")
    if not image.name.startswith(prefix):
        reason = f"{image.relative_path}: the name must start with {prefix}, as its folder says"
        return Refusal(*who, reason, BadData)
    pointer = pointer_at(path)
    if pointer is not None:
        return Refusal(*who, f"{image.relative_path} {pointer.advice}", NoInput)
    try:
        require_regular(path)
    except FileNotFoundError:
        reason = "is in the --bids-database-dir but not in the dataset; rebuild the database"
        return Refusal(*who, f"{image.relative_path} {reason}", NoInput)
    except OSError as error:
        return Refusal(*who, f"{image.relative_path}: {error.strerror or error}", NoInput)
    return None


def nothing_for(
    options: RunOptions, query: Query, participant: str, session: str | None, found: Sequence[Found]
) -> Refusal:
    """Say what is missing: the folder, the file, or only its passing of the filters."""
    folder = options.bids_dir / f"sub-{participant}"
    here = [image for image in found if session is None or image.session == session]
    where = f"sub-{participant}" + (f"/ses-{session}" if session else "")
    if not folder.exists() or not any(folder.iterdir()):
        state = "is empty" if folder.exists() else "is a link to a folder that is not here"
        folder_name = quote(f"sub-{participant}")
        reason = f"sub-{participant} {state}; fetch it with `datalad get {folder_name}`"
        return Refusal(participant, session, reason, NoInput)
    ignored = shortened([image.name for image in here if image.ignored])
    kept = [image.name for image in here if not image.ignored]
    if here and not kept:
        reason = (
            f"{BIDSIGNORE} lists every {query.kind} of {where}: {ignored}; take a line out of "
            f"{BIDSIGNORE} to use one"
        )
    elif here:
        by = describe(query.filters) or "part: only magnitude images are used"
        listed = f"; {BIDSIGNORE} lists {ignored}" if len(kept) < len(here) else ""
        reason = (
            f"the filter ({by}) left none of the {query.kind} images of {where}: "
            f"{shortened(kept)}{listed}"
        )
    elif session and found:
        others = sorted({image.session or "no session" for image in found})
        reason = f"no {query.kind} in {where}; there is one in {shortened(others)}"
    else:
        reason = f"no {query.kind} (.nii or .nii.gz) in {where}[/ses-*]/{query.datatype}"
        reason = reason.replace("[/ses-*]", "") if session else reason
    return Refusal(participant, session, reason, NothingSelected)


def nothing_left(kind: str, refusals: Sequence[Refusal]) -> NociCastError:
    """Sum up refusals where nobody is left: their own error where all agree."""
    kinds = {refusal.error for refusal in refusals}
    error = kinds.pop() if len(kinds) == 1 else NothingSelected
    lines = [
        f"  sub-{r.participant}{f' ses-{r.session}' if r.session else ''}"
        f"{f' {r.part}' if r.part else ''}: {r.reason}"
        for r in refusals[:3]
    ]
    more = f"\n  and {len(refusals) - 3} more" if len(refusals) > 3 else ""
    return error(f"No {kind} image is left to work on:\n" + "\n".join(lines) + more)
