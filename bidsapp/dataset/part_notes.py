"""What is said of tables and images that have parts: who shares a value, whose rows are unused."""

from collections.abc import Collection, Sequence

from bidsapp.dataset.description import shortened
from bidsapp.dataset.tables import Key
from bidsapp.dataset.user_columns import Columns


def part_notes(columns: Columns, made_of: Sequence[str], units: Collection[Key]) -> list[str]:
    """Say which values hold for all parts of a person, and which rows are of parts without image.

    Parameters
    ----------
    columns
        Of the dataset, with the labels of the images.
    made_of
        The columns that the outcome is made of.
    units
        Participant, session and, where it is one, part of everything that was prepared.

    Returns
    -------
    list of str
        Sentences; none where neither tables nor images have parts.
    """
    notes = []
    parts: dict[str, set[str]] = {}
    for unit in units:
        parts.setdefault(unit[0], set()).update(unit[2:])
    several = sum(len(labels) > 1 for labels in parts.values())
    who = "1 person has" if several == 1 else f"{several} people have"
    if several:
        whole = [name for name in made_of if columns.has(name) and not columns.by_part(name)]
        if whole:
            notes.append(
                f"Outcome {', '.join(whole)}: a row is a person, not a part. {who} several "
                "parts, which share the outcome; a column part_id in a table of "
                "phenotype/ gives each its own."
            )
        tables = [t.name for t in columns.tables if not t.by_part and t.columns]
        if tables:
            notes.append(
                f"Columns of {', '.join(tables)} hold for all parts of a person ({who} several)."
            )
    for table in columns.tables:
        rows = sorted(key for key in table.rows if len(key) > 2 and key[0] in parts)
        if rows and not any(parts.values()):
            notes.append(
                f"{table.name} has rows of parts ({', '.join(sorted({k[2] for k in rows})[:4])}); "
                "the images are of no part: a value counts where all parts of a person agree."
            )
            continue
        unknown = [" ".join(filter(None, k)) for k in rows if k[2] not in parts[k[0]]]
        if unknown:
            notes.append(
                f"{table.name}: {len(unknown)} rows are of parts that have no image: "
                f"{shortened(unknown, 4)}."
            )
    return notes
