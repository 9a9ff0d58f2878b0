"""Several images where one is needed: one filter for everybody, which takes the plain image."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from bidsapp.dataset.bidsignore import NAME as BIDSIGNORE
from bidsapp.dataset.description import shortened
from bidsapp.dataset.filters import OPTION, as_regex, example_filter

Candidate = Mapping[str, str]
Allowed = dict[str, set[str | None]]

# Entities that mark an image as something else than the plain one, most telling first.
MARKS = (
    "reconstruction", "ceagent", "part", "proc", "mt", "modality", "chunk", "sample", "nucleus",
    "volume", "staining", "tracer", "task", "space", "recording", "direction",
)  # fmt: skip
# Entities that count repetitions.
NUMBERS = ("run", "echo", "inv", "flip")
ORDER = ("acquisition", *NUMBERS, *MARKS, "extension")
# So many values of one entity are tried to be left out where one filter does not serve all.
_TRIED = 40


@dataclass(frozen=True)
class Proposal:
    """A filter for everybody.

    Attributes
    ----------
    filter
        ``{entity: value}``, None for an absent entity, a list where several values are taken;
        empty where no entity tells images apart.
    taken
        For each group, which candidate the filter leaves; None where it leaves none or several.
    """

    filter: dict[str, Any]
    taken: tuple[int | None, ...]


class Image(Protocol):
    """What is asked of an image."""

    @property
    def participant(self) -> str:
        """Label of the participant."""

    @property
    def session(self) -> str | None:
        """Label of the session."""

    @property
    def relative_path(self) -> str:
        """Where the file is in the dataset."""

    @property
    def name(self) -> str:
        """File name."""

    @property
    def entities(self) -> dict[str, str]:
        """Entities of the file name."""


def advise(
    groups: Sequence[Sequence[Image]], query: str, given: Mapping[str, Any]
) -> dict[str, str]:
    """Say how to choose where several images are left.

    Parameters
    ----------
    groups
        The images that are left of each participant and session.
    query
        Name of the query in filter files.
    given
        The filter that they have passed; what is proposed holds it too.

    Returns
    -------
    dict
        By the path of a group's first image, for each group of several.
    """
    if all(len(images) == 1 for images in groups):
        return {}
    common = common_filter([[image.entities for image in images] for images in groups])
    lost = [_who(g[0]) for g, index in zip(groups, common.taken, strict=True) if index is None]
    advice = {}
    for images, index in zip(groups, common.taken, strict=True):
        if len(images) == 1:
            continue
        if index is not None:
            also = " and one image of everybody else" if len(groups) > 1 and not lost else ""
            text = f"to take {images[index].name}{also}, " + _given(query, given, common.filter)
            if lost:
                text += f" (it does not leave one image of {shortened(lost)})"
        else:
            text = _on_its_own(images, query, given)
        advice[images[0].relative_path] = text
    return advice


def _on_its_own(images: Sequence[Image], query: str, given: Mapping[str, Any]) -> str:
    own = common_filter([[image.entities for image in images]])
    if own.taken[0] is None:
        return f"no entity tells them apart: remove or rename one, or list it in {BIDSIGNORE}"
    first = images[0]
    labels = f"--participant-label {first.participant}"
    labels += f" --session-label {first.session}" if first.session else ""
    return (
        f"no filter serves everybody; to take {images[own.taken[0]].name}, run {labels} by itself "
        f"and {_given(query, given, own.filter)}"
    )


def _given(query: str, given: Mapping[str, Any], chosen: Mapping[str, Any]) -> str:
    if given.get("regex_search"):
        chosen = {entity: as_regex(value) for entity, value in chosen.items()}
    return f"give {OPTION} a file with {example_filter(query, {**given, **chosen})}"


def _who(image: Image) -> str:
    return f"sub-{image.participant}" + (f" ses-{image.session}" if image.session else "")


def common_filter(groups: Sequence[Sequence[Candidate]]) -> Proposal:
    """Find one filter that leaves the plain image of every group.

    Plain is what has no reconstruction, contrast agent or other mark in its name; then the
    acquisition that most groups have, and the first run, echo, inversion.

    Parameters
    ----------
    groups
        For each participant and session, the entities of each image.

    Returns
    -------
    Proposal
        Of the filters looked at, the one that leaves most groups their plain image, with no
        entity more than that takes.
    """
    groups = [[_as_pybids_compares(candidate) for candidate in group] for group in groups]
    telling = [e for e in ORDER if any(len({c.get(e) for c in group}) > 1 for group in groups)]
    shares = Counter(
        (e, value) for group in groups for e in ORDER for value in {c.get(e) for c in group}
    )
    ranks = [[_plainness(candidate, shares) for candidate in group] for group in groups]
    plain = [rank.index(min(rank)) for rank in ranks]
    allowed: Allowed = {
        e: {group[i].get(e) for group, i in zip(groups, plain, strict=True)} for e in telling
    }
    allowed = _serving_most(allowed, groups, plain)
    taken = _served(allowed, groups)
    for entity in reversed(telling):
        fewer = {e: values for e, values in allowed.items() if e != entity}
        if _served(fewer, groups) == taken:
            allowed = fewer
    return Proposal({e: _in_json(e, values) for e, values in allowed.items()}, taken)


def _as_pybids_compares(candidate: Candidate) -> Candidate:
    """Take the zeros from numbers: run 1 and run 01 are one."""
    return {e: str(int(v)) if e in NUMBERS else v for e, v in candidate.items()}


def _plainness(candidate: Candidate, shares: Mapping[tuple[str, str | None], int]) -> list[Any]:
    """Sort key: the plainest image is the smallest."""

    def value(entity: str) -> str:
        return candidate.get(entity, "")

    def rare(entity: str) -> int:
        return -shares[entity, candidate.get(entity)]

    marks = [(entity in candidate, rare(entity), value(entity)) for entity in MARKS]
    protocol = (rare("acquisition"), "acquisition" in candidate, value("acquisition"))
    numbers = [(entity in candidate, int(value(entity) or 0)) for entity in NUMBERS]
    return [*marks, protocol, *numbers, (rare("extension"), value("extension"))]


def _serving_most(
    allowed: Allowed, groups: Sequence[Sequence[Candidate]], plain: Sequence[int]
) -> Allowed:
    """Leave out values as long as more groups keep their plain image, or one image, by that."""

    def worth(one: Allowed) -> tuple[int, int]:
        taken = _served(one, groups)
        kept = sum(index == best for index, best in zip(taken, plain, strict=True))
        return kept, sum(index is not None for index in taken)

    best = worth(allowed)
    while best[0] < len(groups):
        fewer = [
            {**allowed, entity: values - {value}}
            for entity, values in allowed.items()
            if 1 < len(values) <= _TRIED
            for value in sorted(values, key=str)
        ]
        chosen = max(fewer, key=worth, default=allowed)
        if worth(chosen) <= best:
            break
        allowed, best = chosen, worth(chosen)
    return allowed


def _served(allowed: Allowed, groups: Sequence[Sequence[Candidate]]) -> tuple[int | None, ...]:
    """Give the index of the one candidate that each group keeps."""
    served = []
    for group in groups:
        left = [
            index
            for index, candidate in enumerate(group)
            if all(candidate.get(entity) in values for entity, values in allowed.items())
        ]
        served.append(left[0] if len(left) == 1 else None)
    return tuple(served)


def _in_json(entity: str, values: set[str | None]) -> Any:
    given = [value for value in values if value is not None]
    in_order = sorted(map(int, given)) if entity in NUMBERS else sorted(given)
    listed: list[Any] = [*([None] if None in values else []), *in_order]
    return listed[0] if len(listed) == 1 else listed
