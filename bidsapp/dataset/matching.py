"""Match labels of tables to those of folders where they differ in zeros, capitals or signs only."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bidsapp.contracts.unit import PART
from bidsapp.dataset.description import shortened
from bidsapp.dataset.tables import Key, Table
from bidsapp.errors import BadData


@dataclass(frozen=True)
class Matched:
    """What became of the labels of a table that no folder has.

    Attributes
    ----------
    renamed
        Label of the table to the label of the folder that it must be.
    unclear
        Labels of the table and of the folders that could each be several of the others.
    """

    renamed: Mapping[str, str]
    unclear: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]


@dataclass(frozen=True)
class KnownParts:
    """Parts that images are of.

    Attributes
    ----------
    known
        Their labels, as names of files have them.
    read
        Gives the label that a text of a table means; raises ValueError where it means none.
    """

    known: Collection[str]
    read: Callable[[str], str]


def bare_label(label: str) -> str:
    """Reduce a label to what its spellings have in common.

    Without prefix (``sub-``, ``SUB_``), capitals, blanks, signs, and zeros before a number;
    spreadsheets turn ``007`` into ``7`` or ``7.0``.

    Examples
    --------
    >>> {bare_label(text) for text in ("sub-P007", "p7", "SUB-P_07", " P7 ")}
    {'p7'}
    >>> bare_label("sub-01") == bare_label("1.0")
    True
    """
    text = unicodedata.normalize("NFKC", label).strip().casefold()
    text = re.sub(r"^((sub|ses)[-_\s‐-―−]+)+", "", text)
    text = re.sub(r"^(sub(ject)?|ses(sion)?)[-_\s]*(?=\d)", "", text)
    text = re.sub(r"^(\d+)\.0+$", r"\1", text)
    text = "".join(character for character in text if character.isalnum())
    return re.sub(r"\d+", lambda digits: digits[0].lstrip("0") or "0", text)


def match_labels(tabled: Iterable[str], known: Iterable[str]) -> Matched:
    """Find the folder that each label of a table must be, if it is not one already.

    Parameters
    ----------
    tabled, known
        Labels of a table, and labels of folders and images.

    Returns
    -------
    Matched
        Only labels that match one to one are renamed.
    """
    tabled, known = set(tabled), set(known)
    taken = {bare_label(label) for label in tabled & known}
    folders = defaultdict(list)
    for label in sorted(known - tabled):
        folders[bare_label(label)].append(label)
    rows = defaultdict(list)
    for label in sorted(tabled - known):
        if bare_label(label) in folders:
            rows[bare_label(label)].append(label)
    renamed, unclear = {}, []
    for bare, mine in rows.items():
        theirs = folders[bare]
        if len(mine) == len(theirs) == 1 and bare not in taken:
            renamed[mine[0]] = theirs[0]
        else:
            same = [label for label in sorted(tabled & known) if bare_label(label) == bare]
            unclear.append(((*mine, *same), tuple(theirs)))
    return Matched(renamed, tuple(unclear))


def match_tables(
    tables: Sequence[Table],
    people: Collection[str],
    sessions: Collection[str],
    parts: KnownParts | None = None,
) -> tuple[list[Table], list[str], list[str]]:
    """Give the rows of tables the labels of the folders and images that they must be of.

    Parameters
    ----------
    tables
        Of a dataset, participants.tsv first where there is one.
    people, sessions
        Labels of folders and images, with their prefixes.
    parts
        Labels of parts of images, and how people write them; None leaves those of tables.

    Returns
    -------
    tables, notes, unread
        The tables with labels that the folders have, a sentence for each table that changed, and
        why a phenotype table cannot be used; it may not be needed, so it is no error here.

    Raises
    ------
    BadData
        A label of another table could be that of several people, or several that of one; its
        label of a part is none; or two rows turn out to be of one part.
    """
    known, found = set(people), list[Table]()
    notes: list[str] = []
    unread: list[str] = []
    for table in tables:
        try:
            who = _matched(table, {key[0] for key in table.rows}, known, notes)
            visits = {key[1] for key in table.rows if key[1]}
            when = _matched(table, visits, sessions, notes)
            what = _parts_of(table, parts) if parts is not None and table.by_part else {}
            changed = _renamed(table, who, when, what) if who or when or what else table
        except BadData as error:
            if table.path.parent.name != "phenotype":
                raise
            unread.append(str(error))
            continue
        known |= {key[0] for key in changed.rows}  # of a first table, for the others
        found.append(changed)
    return found, notes, unread


def _matched(
    table: Table, labels: set[str], known: Collection[str], notes: list[str]
) -> Mapping[str, str]:
    match = match_labels(labels, known)
    for mine, theirs in match.unclear:
        raise BadData(
            f"{table.path}: {' and '.join(map(_told, mine))} may each be "
            f"{' or '.join(theirs)} of the folders: the labels differ in zeros, capitals or signs "
            "only. Write the labels of the folders into the table."
        )
    if match.renamed:
        pairs = [f"{_told(mine)} is {theirs}" for mine, theirs in sorted(match.renamed.items())]
        notes.append(
            f"{table.path}: {len(pairs)} labels match those of folders but for zeros, capitals or "
            f"signs, one to one: {shortened(pairs, 4)}. They are taken as the same."
        )
    return match.renamed


def _told(label: str) -> str:
    """Give a label as the table has it, where that begins with a prefix of its own."""
    return re.sub(r"^(sub-|ses-)(?=(sub|ses)[-_\s])", "", label, flags=re.IGNORECASE)


def _parts_of(table: Table, parts: KnownParts) -> Mapping[str, str]:
    """Find the part of an image that each label of a table means."""
    known = {bare_label(label): label for label in parts.known}
    renamed = {}
    for label in sorted({key[2] for key in table.rows if len(key) > 2}):
        try:
            read = parts.read(label)
        except ValueError as error:
            raise BadData(f"{table.path}: {PART} {label!r}: {error}.") from None
        renamed[label] = read if read in parts.known else known.get(bare_label(read), read)
    return {label: read for label, read in renamed.items() if label != read}


def _renamed(
    table: Table, who: Mapping[str, str], when: Mapping[str, str], what: Mapping[str, str]
) -> Table:
    def key(old: Key) -> Key:
        person, session, *part = old
        named = (what.get(one, one) for one in part)
        return who.get(person, person), when.get(session, session), *named

    def values(columns: Mapping[str, Mapping[Key, str]]) -> dict[str, dict[Key, str]]:
        return {name: {key(old): text for old, text in c.items()} for name, c in columns.items()}

    rows = frozenset(key(old) for old in table.rows)
    if len(rows) < len(table.rows):
        old = sorted(table.rows)
        twice = next(one for one in old if any(key(o) == key(one) for o in old if o != one))
        same = [" ".join(filter(None, o)) for o in old if key(o) == key(twice)]
        raise BadData(
            f"{table.path}: {' and '.join(same)} are one part, {' '.join(filter(None, key(twice)))}"
            ". Keep one row for each part."
        )
    return replace(table, columns=values(table.columns), rows=rows, missing=values(table.missing))
