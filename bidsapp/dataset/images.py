"""Which image of a participant and session is used: exactly one, or a refusal that says why."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from shlex import quote

from bidsapp.dataset.ambiguity import choosing_filter
from bidsapp.dataset.description import (
    check_dataset,
    keep_participants,
    list_sessions,
    require_labels,
    shortened,
)
from bidsapp.dataset.filters import check_bids_filters, describe, example_filter
from bidsapp.dataset.query import Found, Inputs, Query, find_images, make_query
from bidsapp.dataset.scans import unreadable_folders
from bidsapp.errors import BadData, NociCastError, NoInput, NothingSelected, UsageError
from bidsapp.intake.regular import require_regular
from bidsapp.options import RunOptions


@dataclass(frozen=True)
class ImageChoice:
    """The image of one participant and session.

    Attributes
    ----------
    participant, session
        Labels without their prefix; session is None where the file has none.
    path, relative_path
        Where the file is, and its POSIX path inside the dataset (for BIDS URIs).
    entities
        Entities of the file name, zero-padding kept; with datatype, suffix and extension.
    reason
        One phrase: how this image was chosen.
    """

    participant: str
    session: str | None
    path: Path
    relative_path: str
    entities: dict[str, str]
    reason: str


@dataclass(frozen=True)
class Refusal:
    """Why a participant, or one session of it, is not worked on; `error` has the exit code."""

    participant: str
    session: str | None
    reason: str
    error: type[NociCastError]

    @property
    def exit_code(self) -> int:
        """Exit code that this refusal asks for."""
        return self.error.exit_code


@dataclass(frozen=True)
class Selection:
    """Images to work on, and refusals; each sorted by participant and session."""

    choices: tuple[ImageChoice, ...]
    refusals: tuple[Refusal, ...]


def select_images(options: RunOptions, inputs: Inputs) -> Selection:
    """Pick one image per participant and session.

    The recipe's inputs, the filter file and the labels must leave exactly one image; where
    several are left that participant and session is refused with the filter that would choose.
    Phase, real and imaginary parts are left out unless a filter names ``part``.

    Parameters
    ----------
    options
        Uses ``bids_dir``, ``participant_label``, ``session_label``, ``bids_filters`` and
        ``bids_database_dir``.
    inputs
        The recipe's ``datatype``, ``suffix`` and, if it has any, ``entities``.

    Returns
    -------
    Selection
        With at least one choice. Files are found, not opened.

    Raises
    ------
    NoInput, InvalidDataset
        ``bids_dir`` is not there, or is not a raw BIDS dataset.
    NothingSelected
        No image is left, or none of the labels exists.
    UsageError
        Some labels do not exist, a filter means nothing, the database does not fit, or every
        participant has several images.
    """
    check_dataset(options.bids_dir)
    check_bids_filters(options.bids_filters, also=inputs.suffix.lower())
    query = make_query(inputs, options.bids_filters)
    participants = keep_participants(options.bids_dir, options.participant_label)
    if options.session_label:
        sessions = list_sessions(options.bids_dir, participants)
        require_labels("--session-label", options.session_label, sessions, str(options.bids_dir))

    unreadable = unreadable_folders(options.bids_dir, participants, query.datatype)
    found = find_images(options, query, participants, unreadable)
    choices: list[ImageChoice] = []
    refusals: list[Refusal] = []
    for participant in participants:
        lost = {ses: why for (label, ses), why in unreadable.items() if label == participant}
        for decided in _decide(options, query, participant, found.get(participant, []), lost):
            if isinstance(decided, ImageChoice):
                choices.append(decided)
            else:
                refusals.append(decided)
    if not choices:
        raise _nothing_left(query, refusals)
    return Selection(tuple(choices), tuple(refusals))


def _decide(
    options: RunOptions,
    query: Query,
    participant: str,
    found: Sequence[Found],
    lost: Mapping[str, str],
) -> list[ImageChoice | Refusal]:
    """One choice or refusal per session that has images left; a refusal where none has.

    `lost` says of sessions why they cannot be read; of the participant, where it is named "".
    """
    asked = [s for s in lost if not s or not options.session_label or s in options.session_label]
    unread = [Refusal(participant, s or None, lost[s], NoInput) for s in asked]
    if "" in lost or (unread and not found):
        return [*unread]
    left: dict[str, list[Found]] = defaultdict(list)
    for image in found:
        if image.passes and (not options.session_label or image.session in options.session_label):
            left[image.session or ""].append(image)
    decided: list[ImageChoice | Refusal] = []
    for session in sorted(left):
        among = [image for image in found if (image.session or "") == session]
        decided.append(_decide_session(options.bids_dir, query, left[session], len(among)))
    missing: list[str | None] = [s for s in dict.fromkeys(options.session_label) if s not in left]
    if not options.session_label and not left:
        missing = [None]
    elif not options.session_label and "session" not in query.filters:
        # a filter on something else that empties a session is hardly meant to
        missing = [s for s in sorted({i.session or "" for i in found}) if s and s not in left]
    missing = [s for s in missing if s not in lost]
    decided += [_nothing_for(options, query, participant, s, found) for s in missing]
    return [*decided, *unread]


def _decide_session(
    bids_dir: Path, query: Query, left: Sequence[Found], among: int
) -> ImageChoice | Refusal:
    image = left[0]
    who = (image.participant, image.session)
    if len(left) > 1:
        return Refusal(*who, _ambiguous(query, left), UsageError)
    path = bids_dir / image.relative_path
    name = PurePosixPath(image.relative_path).name
    prefix = f"sub-{image.participant}_" + (f"ses-{image.session}_" if image.session else "")
    if not name.startswith(prefix):
        reason = f"{image.relative_path}: the name must start with {prefix}, as its folder says"
        return Refusal(*who, reason, BadData)
    try:
        require_regular(path)
    except FileNotFoundError:
        return Refusal(*who, _absent(path, image.relative_path), NoInput)
    except OSError as error:
        return Refusal(*who, f"{image.relative_path}: {error.strerror or error}", NoInput)
    if among == 1:
        reason = f"the only {query.kind}"
    elif query.filters:
        reason = f"chosen by the filter {describe(query.filters)} among {among}"
    else:
        reason = f"the only magnitude image among {among}"
    return ImageChoice(*who, path, image.relative_path, image.entities, reason)


def _ambiguous(query: Query, left: Sequence[Found]) -> str:
    names = [PurePosixPath(image.relative_path).name for image in left]
    text = f"{len(left)} {query.kind} images where one is needed: {shortened(names)}"
    index, chosen = choosing_filter([image.entities for image in left])
    if not chosen:
        return f"{text}; no entity tells them apart, so remove or rename one"
    example = example_filter(query.name, {**query.filters, **chosen})
    return f"{text}; to take {names[index]}, give --bids-filter-file a file with {example}"


def _absent(path: Path, relative: str) -> str:
    if path.is_symlink():
        return (
            f"{relative} is a link to a file that is not here; fetch it with "
            f"`datalad get {quote(relative)}` (or git-annex get)"
        )
    return f"{relative} is in the --bids-database-dir but not in the dataset; rebuild the database"


def _nothing_for(
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
    if here:
        names = shortened([PurePosixPath(image.relative_path).name for image in here])
        by = describe(query.filters) or "part: only magnitude images are used"
        reason = f"the filter ({by}) left none of the {query.kind} images of {where}: {names}"
    elif session and found:
        others = sorted({image.session or "no session" for image in found})
        reason = f"no {query.kind} in {where}; there is one in {shortened(others)}"
    else:
        reason = f"no {query.kind} (.nii or .nii.gz) in {where}[/ses-*]/{query.datatype}"
        reason = reason.replace("[/ses-*]", "") if session else reason
    return Refusal(participant, session, reason, NothingSelected)


def _nothing_left(query: Query, refusals: Sequence[Refusal]) -> NociCastError:
    """Sum up refusals where nobody is left: their own error where all agree."""
    kinds = {refusal.error for refusal in refusals}
    error = kinds.pop() if len(kinds) == 1 else NothingSelected
    lines = [
        f"  sub-{r.participant}{f' ses-{r.session}' if r.session else ''}: {r.reason}"
        for r in refusals[:3]
    ]
    more = f"\n  and {len(refusals) - 3} more" if len(refusals) > 3 else ""
    return error(f"No {query.kind} image is left to work on:\n" + "\n".join(lines) + more)
