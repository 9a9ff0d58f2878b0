"""Which image of a participant and session is used: exactly one (of each part), or a refusal."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bidsapp.contracts.parts import ToldParts
from bidsapp.dataset.ambiguity import advise
from bidsapp.dataset.bidsignore import NAME as BIDSIGNORE
from bidsapp.dataset.description import (
    check_dataset,
    keep_participants,
    list_sessions,
    require_labels,
    shortened,
)
from bidsapp.dataset.filters import check_bids_filters, describe, passes
from bidsapp.dataset.query import (
    MAGNITUDE,
    Found,
    Inputs,
    Query,
    find_images,
    make_query,
    query_name,
)
from bidsapp.dataset.refusals import Refusal, nothing_for, nothing_left, unusable
from bidsapp.dataset.scans import unreadable_folders
from bidsapp.dataset.told_parts import divided
from bidsapp.errors import NociCastError, NoInput, UsageError
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
    more
        Further files, where all are taken that are left: path, path inside the dataset, entities.
    part
        Which part of the person it is of, where the visit has an image of each; else empty.
    picked
        Whether the visit has others of the kind, which another filter can pick.
    """

    participant: str
    session: str | None
    path: Path
    relative_path: str
    entities: dict[str, str]
    reason: str
    more: tuple[tuple[Path, str, dict[str, str]], ...] = ()
    part: str = ""
    picked: bool = False

    @property
    def all_files(self) -> tuple[tuple[Path, str, dict[str, str]], ...]:
        """Path, path inside the dataset and entities of every file, in the order of the names."""
        return ((self.path, self.relative_path, self.entities), *self.more)


@dataclass(frozen=True)
class Selection:
    """Images to work on, and refusals; each sorted by participant and session.

    `ignored` are images of the kind that the dataset's ``.bidsignore`` lists: paths inside it.
    """

    choices: tuple[ImageChoice, ...]
    refusals: tuple[Refusal, ...]
    ignored: tuple[str, ...] = ()


def select_images(
    options: RunOptions,
    inputs: Inputs,
    *,
    many: bool = False,
    told: ToldParts | None = None,
    also: Sequence[str] = (),
) -> Selection:
    """Pick one image per participant and session, or one for each part where they tell parts.

    The recipe's inputs, the filter file and the labels must leave exactly one image; where
    several are left that participant and session is refused with a filter that would choose, one
    for everybody. What ``.bidsignore`` lists is no candidate.
    Phase, real and imaginary parts are left out unless a filter names ``part``.

    Parameters
    ----------
    options
        Uses ``bids_dir``, ``participant_label``, ``session_label``, ``bids_filters`` and
        ``bids_database_dir``.
    inputs
        ``datatype``, ``suffix`` and, where it has them, ``name`` (of its filters) and
        ``entities``.
    many
        Whether all images that are left of a session are taken, and not only one.
    told
        How images of different parts of one session are told apart; None where it has one image.
    also
        Names of queries that filters may have beside that of these images: other sources.

    Returns
    -------
    Selection
        With at least one choice. Of files no more is read than tells that their content is here.

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
    check_bids_filters(options.bids_filters, also=(query_name(inputs), *also))
    query = make_query(inputs, options.bids_filters, many=many)
    participants = keep_participants(options.bids_dir, options.participant_label)
    if options.session_label:
        sessions = list_sessions(options.bids_dir, participants)
        require_labels("--session-label", options.session_label, sessions, str(options.bids_dir))

    unreadable = unreadable_folders(options.bids_dir, participants, query.datatype)
    found = find_images(options, query, participants, unreadable)
    left = {person: _left(options, found.get(person, []), told) for person in participants}
    several = [images for one in left.values() for images in one.groups.values()]
    advice = advise(several, query.name, options.bids_filters.get(query.name, {}))
    choices: list[ImageChoice] = []
    refusals: list[Refusal] = []
    for participant in participants:
        here = found.get(participant, [])
        lost = {ses: why for (label, ses), why in unreadable.items() if label == participant}
        mine = left[participant]
        decisions = _decide(options, query, participant, here, mine, advice, lost, told)
        for decided in decisions:
            if isinstance(decided, ImageChoice):
                choices.append(decided)
            else:
                refusals.append(decided)
    if not choices:
        raise nothing_left(query.kind, refusals)
    ignored = [
        image.relative_path for images in found.values() for image in images if image.ignored
    ]
    return Selection(tuple(choices), tuple(refusals), tuple(ignored))


@dataclass(frozen=True)
class _Left:
    """Candidates of one participant, by session (empty without one) and part; what went wrong."""

    groups: Mapping[tuple[str, str], list[Found]]
    wrong: Mapping[str, NociCastError]

    @property
    def sessions(self) -> set[str]:
        """Sessions that have candidates."""
        return {session for session, _ in self.groups} | set(self.wrong)


def _left(options: RunOptions, found: Sequence[Found], told: ToldParts | None) -> _Left:
    left: dict[str, list[Found]] = defaultdict(list)
    for image in found:
        wanted = not options.session_label or image.session in options.session_label
        if image.passes and wanted and not image.ignored:
            left[image.session or ""].append(image)
    groups: dict[tuple[str, str], list[Found]] = {}
    wrong = {}
    for session in sorted(left):
        images = sorted(left[session], key=lambda one: one.relative_path)
        try:
            here = [one for one in found if (one.session or "") == session and not one.ignored]
            for part, own in divided(images, options.bids_dir, told, here).items():
                groups[session, part] = own
        except NociCastError as error:
            wrong[session] = error
    return _Left(groups, wrong)


def _decide(
    options: RunOptions,
    query: Query,
    participant: str,
    found: Sequence[Found],
    left: _Left,
    advice: Mapping[str, str],
    lost: Mapping[str, str],
    told: ToldParts | None,
) -> list[ImageChoice | Refusal]:
    """One choice or refusal per session (and part) that has images left; a refusal where none has.

    `lost` says of sessions why they cannot be read; of the participant, where it is named "".
    """
    asked = [s for s in lost if not s or not options.session_label or s in options.session_label]
    unread = [Refusal(participant, s or None, lost[s], NoInput) for s in asked]
    if "" in lost or (unread and not found):
        return [*unread]
    decided: list[ImageChoice | Refusal] = [
        Refusal(participant, session or None, str(error), type(error))
        for session, error in left.wrong.items()
    ]
    for (session, part), images in left.groups.items():
        among = [image for image in found if (image.session or "") == session]
        unclear = told if not part and len(images) > 1 else None
        how = _untold(options.bids_dir, images, unclear) if unclear else ""
        decided.append(_decide_session(options.bids_dir, query, images, among, advice, part, how))
    there = left.sessions
    missing: list[str | None] = [s for s in dict.fromkeys(options.session_label) if s not in there]
    if not options.session_label and not there:
        missing = [None]
    elif not options.session_label and "session" not in query.filters:
        # a filter on something else that empties a session is hardly meant to
        missing = [s for s in sorted({i.session or "" for i in found}) if s and s not in there]
    missing = [s for s in missing if s not in lost]
    decided += [nothing_for(options, query, participant, s, found) for s in missing]
    return [*decided, *unread]


def _untold(bids_dir: Path, images: Sequence[Found], told: ToldParts) -> str:
    """Say what is told of images of one visit, and how to tell their parts apart."""
    first = images[0]
    paths = [bids_dir / image.relative_path for image in images]
    said = told.said(first.participant, first.session, paths)
    return "; ".join(filter(None, [said, f"where they are of different parts, {told.how}"]))


def _decide_session(
    bids_dir: Path,
    query: Query,
    left: Sequence[Found],
    among: Sequence[Found],
    advice: Mapping[str, str],
    part: str,
    how: str,
) -> ImageChoice | Refusal:
    """Take the one image that is left of a session, or of a part; `how` says how to tell parts."""
    image = left[0]
    who = (image.participant, image.session)
    ignored = [other.name for other in among if other.ignored]
    listed = f"; {BIDSIGNORE} lists {shortened(ignored)}" if ignored else ""
    if len(left) > 1 and not query.many:
        names = shortened([other.name for other in left])
        of = f" of part {part}" if part else ""
        text = f"{len(left)} {query.kind} images{of} where one is needed: {names}{listed}"
        choose = advice[image.relative_path]
        if how:
            choose = f"{how}; or, where one of them is not wanted, {choose}"
        told = filter(None, [text, choose, query.several])
        return Refusal(*who, "; ".join(told), UsageError, part)
    for one in left:
        refused = unusable(bids_dir, one)
        if refused is not None:
            return replace(refused, part=part)
    number = len(among) - len(ignored)
    if len(left) > 1:
        reason = f"all {len(left)} {query.kind} images" + f" of {number}" * (number > len(left))
    elif part:
        by = f", chosen by the filter {describe(query.filters)}" if query.filters else ""
        reason = f"the {query.kind} of part {part} among {number}{by}"
    elif number == 1:
        reason = f"the only {query.kind}"
    elif query.filters:
        reason = f"chosen by the filter {describe(query.filters)} among {number}"
    else:
        reason = f"the only magnitude image among {number}"
    files = [(bids_dir / one.relative_path, one.relative_path, one.entities) for one in left]
    path, relative_path, entities = files[0]
    more = tuple(files[1:])
    others = (one for one in among if one not in left and not one.ignored)
    picked = not part and any(passes(one.entities, {"part": list(MAGNITUDE)}) for one in others)
    return ImageChoice(*who, path, relative_path, entities, reason + listed, more, part, picked)
