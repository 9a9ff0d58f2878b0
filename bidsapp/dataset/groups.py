"""Which people stay together in splits: a family, a site, or each person alone."""

from collections.abc import Sequence

from bidsapp.dataset.columns import Columns
from bidsapp.dataset.description import shortened
from bidsapp.dataset.tables import Key

Groups = tuple[list[str | None], list[str]]


def groups_of(
    columns: Columns, name: str | None, scans: Sequence[Key], *, lone: bool = True
) -> Groups:
    """Give every scan the group that its person is in.

    Parameters
    ----------
    columns
        Of the dataset.
    name
        Column of the group; None makes every person a group.
    scans
        Participants and sessions.
    lone
        Whether a person without a value is a group of their own. Where groups are left out one
        after the other, they are not: there is nothing to leave out by.

    Returns
    -------
    groups, notes
        A group for each scan, None where there is none; and what a person should know.

    Raises
    ------
    UsageError
        There is no such column.
    """
    if name is None:
        return [person for person, _ in scans], []
    groups = columns.values(name, scans).texts
    by_person: dict[str, set[str]] = {}
    for (person, _), group in zip(scans, groups, strict=True):
        if group is not None:
            by_person.setdefault(person, set()).add(group)
    alone: dict[str, None] = {}
    for place, (person, _) in enumerate(scans):
        if groups[place] is not None:
            continue
        others = by_person.get(person, set())
        if len(others) == 1:  # of another session of the same person
            groups[place] = next(iter(others))
        elif lone and not others:
            groups[place] = person
            alone[person] = None
    notes = []
    if alone:
        notes.append(
            f"Groups: {len(alone)} people have no value in {name}; each is a group of their own "
            f"({shortened([*alone], 4)})."
        )
    return groups, notes
