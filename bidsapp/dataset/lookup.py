"""Whose value a column of a table has: that of a participant, a session, or a part of a scan."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bidsapp.dataset.tables import Key, Table

Visits = Mapping[str, str]
"""Session, empty where there is none, to a value."""


@dataclass(frozen=True)
class Values:
    """Values of one column for a list of scans, or parts of scans.

    Attributes
    ----------
    texts
        One for each scan; None where missing.
    ambiguous
        Place in the list to the reason, where several sessions or parts have values and none is
        the scan's.
    elsewhere
        Place in the list to a hint, where a scan has no value and another session, which no scan
        is of, or another part, has one.
    """

    texts: list[str | None]
    ambiguous: dict[int, str]
    elsewhere: dict[int, str] = field(default_factory=dict)


def look_up(table: Table, column: str, session: str, name: str, scans: Sequence[Key]) -> Values:
    """Look up a column for scans; see `user_columns.Columns.values`.

    Parameters
    ----------
    table, column
        Where it stands.
    session
        The session whose value holds for all scans of a participant; empty for each scan's own.
    name
        The column as it was asked for, for messages.
    scans
        Participant and session of each, and the part where it is one.
    """
    found = table.columns[column]
    if not table.by_session and not table.by_part:
        return Values([found.get((key[0], "")) for key in scans], {})
    if session:
        found = {(k[0], "", *k[2:]): text for k, text in found.items() if k[1] == session}
    by_unit: dict[tuple[str, str], dict[str, str]] = {}
    parts: dict[str, dict[str, None]] = {}
    for key, value in found.items():
        by_unit.setdefault((key[0], _part(key)), {})[key[1]] = value
        parts.setdefault(key[0], {})[_part(key)] = None
    # Of a column that differs for somebody, those for whom it does not would be a selection.
    unchanging = all(len(set(mine.values())) == 1 for mine in by_unit.values())
    everywhere = unchanging and _same_in_all_parts(by_unit, parts)
    seen = {key[:2] for key in scans}
    scanned = Counter(person for person, _ in seen)  # parts of a scan share its value
    texts: list[str | None] = []
    ambiguous: dict[int, str] = {}
    elsewhere: dict[int, str] = {}
    for place, key in enumerate(scans):
        person, when, part = key[0], key[1], _part(key)
        own = [one for one in parts.get(person, {}) if one]
        if own and not part and len(own) > 1 and not everywhere:
            ambiguous[place] = (
                f"{name} has values for the parts {', '.join(sorted(own))}, and the images are of "
                "no part"
            )
            texts.append(None)
            continue
        mine = dict(by_unit.get((person, ""), {}))
        mine |= by_unit.get((person, part or next(iter(own), "")), {})
        text: str | None = mine.get(when, mine.get(""))
        if text is None and scanned[person] == 1 and mine:
            if len(mine) == 1 or unchanging:
                text = next(iter(mine.values()))
            else:
                some = ", ".join(sorted(mine))
                label = min(mine).removeprefix("ses-")
                ambiguous[place] = (
                    f"{name} has values for {some} and none for {when or 'a scan without a '}"
                    f"{'' if when else 'session'}; name one, for example {name}@{label}"
                )
        elif text is None:
            others = sorted(s for s in mine if (person, s) not in seen)
            if others:
                label = others[0].removeprefix("ses-")
                elsewhere[place] = (
                    f"there is one at {', '.join(others)}, which is no session of a scan: "
                    f"name it as {name}@{label} if it is meant for all scans"
                )
            elif part and own and part not in own:
                elsewhere[place] = f"{table.name} has {', '.join(sorted(own))} of this participant"
        texts.append(text)
    return Values(texts, ambiguous, elsewhere)


def _part(key: Key) -> str:
    return key[2] if len(key) > 2 else ""


def _same_in_all_parts(
    by_unit: Mapping[tuple[str, str], Visits], parts: Mapping[str, Mapping[str, None]]
) -> bool:
    """Tell whether a column says one thing of all parts of every participant (sex)."""
    return all(
        len({text for part in mine for text in by_unit[person, part].values()}) == 1
        for person, mine in parts.items()
    )
