"""Which people stay together in splits: a family, a site, or each person alone."""

from collections.abc import Sequence

from bidsapp.dataset.description import shortened
from bidsapp.dataset.numbers import number_of
from bidsapp.dataset.tables import Key
from bidsapp.dataset.user_columns import Columns

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
        Participants and sessions, and parts where scans have them.
    lone
        Whether a person without a value is a group of their own. Where groups are left out one
        after the other, they are not: there is nothing to leave out by.

    Values that differ in capitals, blanks or zeros only are one group: members of a family must
    not be parted by a slip of the pen.

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
        return [key[0] for key in scans], []
    groups, notes = _in_one_spelling(name, columns.values(name, scans).texts)
    by_person: dict[str, set[str]] = {}
    for key, group in zip(scans, groups, strict=True):
        if group is not None:
            by_person.setdefault(key[0], set()).add(group)
    alone: dict[str, None] = {}
    for place, (person, *_) in enumerate(scans):
        if groups[place] is not None:
            continue
        others = by_person.get(person, set())
        if len(others) == 1:  # of another session or part of the same person
            groups[place] = next(iter(others))
        elif lone and not others:
            groups[place] = person
            alone[person] = None
    if alone:
        notes.append(
            f"Groups: {len(alone)} people have no value in {name}; each is a group of their own "
            f"({shortened([*alone], 4)})."
        )
    return groups, notes


def one_spelling(group: str) -> str:
    """Write a group's name so that those that differ in capitals, blanks or zeros only are one."""
    number = number_of(group)
    return "".join(group.split()).casefold() if number is None else repr(number)


def _in_one_spelling(name: str, groups: Sequence[str | None]) -> tuple[list[str | None], list[str]]:
    first: dict[str, str] = {}
    spellings: dict[str, dict[str, None]] = {}
    found: list[str | None] = []
    for group in groups:
        if group is not None:
            spelled = first.setdefault(one_spelling(group), group)
            spellings.setdefault(spelled, {})[group] = None
            found.append(spelled)
        else:
            found.append(None)
    told = [" and ".join(map(repr, same)) for same in spellings.values() if len(same) > 1]
    if not told:
        return found, []
    return found, [f"Groups: {shortened(told, 4)} in {name} are taken as one group each."]
