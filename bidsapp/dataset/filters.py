"""Entity filters in fMRIPrep's format: reading, checking, and what they mean to pybids."""

import json
import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from bidsapp.contracts.modality_tables import source_names
from bidsapp.errors import NoInput, UsageError
from bidsapp.intake.json_text import BadJson, parse_json
from bidsapp.intake.regular import read_text

OPTION = "--bids-filter-file"

# Query names of fMRIPrep, sMRIPrep, ASLPrep, QSIPrep and PETPrep: one file may serve several apps.
QUERIES = frozenset({
    "asl", "bold", "dwi", "flair", "fmap", "m0scan", "pet", "petref", "roi", "sbref", "t1w",
    "t2starw", "t2w",
})  # fmt: skip
# pybids' file-name entities; written out so that a filter is checked without importing pybids.
ENTITIES = frozenset({
    "subject", "session", "sample", "task", "tracksys", "acquisition", "nucleus", "volume",
    "ceagent", "staining", "tracer", "reconstruction", "direction", "run", "proc", "modality",
    "echo", "flip", "inv", "mt", "part", "recording", "space", "chunk", "suffix", "scans", "fmap",
    "datatype", "extension",
})  # fmt: skip
# What people write when they think of the key in the file name.
SHORT_FORMS = {
    "sub": "subject",
    "ses": "session",
    "acq": "acquisition",
    "rec": "reconstruction",
    "ce": "ceagent",
    "dir": "direction",
    "trc": "tracer",
    "mod": "modality",
    "stain": "staining",
}
SPECIAL = {
    "Query.NONE": "NONE",
    "Query.ANY": "ANY",
    "Query.REQUIRED": "ANY",
    "*": "ANY",
    "Query.OPTIONAL": "OPTIONAL",
}


def read_bids_filters(path: Path) -> dict[str, dict[str, Any]]:
    """Read and check a filter file, for ``RunOptions.bids_filters``.

    Raises
    ------
    NoInput
        The file cannot be read.
    UsageError
        It is not JSON, or names a query or an entity that does not exist.
    """
    source = f"{OPTION} {path}"
    try:
        text = read_text(path, "utf-8-sig")
    except OSError as error:
        raise NoInput(f"{source} cannot be read: {error.strerror or error}.") from None
    except UnicodeDecodeError:
        raise UsageError(f"{source} is not UTF-8 text.") from None
    try:
        filters = parse_json(text)
    except BadJson as error:
        raise UsageError(f"{source} is not valid JSON: {error}.") from None
    check_bids_filters(filters, source, source_names())
    return filters


def check_bids_filters(filters: Any, source: str = OPTION, also: Collection[str] = ()) -> None:
    """Raise `UsageError` for a query, entity or value that cannot mean anything.

    Parameters
    ----------
    filters
        What the JSON file holds: ``{query: {entity: value}}``.
    source
        How the message names the file.
    also
        Names of queries beside those of other apps: the sources of the recipe's modality.
    """
    example = '{"t1w": {"acquisition": "mprage"}}'
    if not isinstance(filters, Mapping):
        raise UsageError(f"{source} must hold one JSON object, for example {example}.")
    queries = QUERIES | set(also)
    for query, entities in filters.items():
        if query not in queries:
            raise UsageError(f"{source}: unknown query {query!r}.{_suggest(query, queries)}")
        if not isinstance(entities, Mapping):
            raise UsageError(f"{source}: {query} must hold an object, for example {example}.")
        for entity, value in entities.items():
            _check_entity(entity, value, f"{source}: {query}.{entity}")
            if entities.get("regex_search") is True and entity != "regex_search":
                _check_regex(value, f"{source}: {query}.{entity}")


def _check_entity(entity: str, value: Any, where: str) -> None:
    if entity == "regex_search":
        if not isinstance(value, bool):
            raise UsageError(f"{where} must be true or false.")
        return
    if entity not in ENTITIES:
        if entity in SHORT_FORMS:
            hint = f" Write {SHORT_FORMS[entity]!r}."
        else:
            hint = _suggest(entity, ENTITIES)
        raise UsageError(f"{where}: {entity!r} is not a BIDS entity.{hint}")
    values = value if isinstance(value, list) else [value]
    if not values:
        raise UsageError(f'{where} is an empty list; give a value, null (absent) or "*" (any).')
    for one in values:
        if isinstance(one, str) and one.startswith("Query.") and one not in SPECIAL:
            raise UsageError(f"{where}: {one!r} is unknown; one of {', '.join(sorted(SPECIAL))}.")
        if isinstance(one, Mapping | list | bool):
            raise UsageError(f"{where}: {one!r} is not a value that a file name can hold.")


def _check_regex(value: Any, where: str) -> None:
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, str) and one not in SPECIAL:
            try:
                re.compile(one)
            except re.error as error:
                raise UsageError(f"{where}: {one!r} is no regular expression ({error}).") from None


def _suggest(word: str, known: frozenset[str]) -> str:
    close = get_close_matches(word.lower(), sorted(known), n=2, cutoff=0.6)
    return (
        f" Did you mean {' or '.join(close)}?" if close else f" Known: {', '.join(sorted(known))}."
    )


def to_pybids(value: Any) -> Any:
    """Turn one JSON filter value into what ``BIDSLayout.get`` takes.

    ``null`` and ``"Query.NONE"`` ask that the entity is absent; ``"*"``, ``"Query.ANY"`` and
    ``"Query.REQUIRED"`` that it is there with any value; a list for one of its members.
    """
    from bids.layout import Query

    if isinstance(value, list | tuple):
        return [to_pybids(one) for one in value]
    if value is None:
        return Query.NONE
    if isinstance(value, str) and value in SPECIAL:
        return Query[SPECIAL[value]]
    return value


def passes(entities: Mapping[str, str], filters: Mapping[str, Any]) -> bool:
    """Tell whether the entities of a file name pass filters, as `to_pybids` means them.

    Parameters
    ----------
    entities
        Under pybids' names.
    filters
        Entity to a value of JSON; ``regex_search`` makes texts regular expressions.
    """
    regex = bool(filters.get("regex_search", False))
    return all(
        _passes(entities.get(entity), value, regex)
        for entity, value in filters.items()
        if entity != "regex_search"
    )


def _passes(found: str | None, wanted: Any, regex: bool) -> bool:
    if isinstance(wanted, list | tuple):
        return any(_passes(found, one, regex) for one in wanted)
    special = SPECIAL.get(wanted) if isinstance(wanted, str) else None
    if wanted is None or special == "NONE":
        return found is None
    if special is not None:
        return special == "OPTIONAL" or found is not None
    if found is None:
        return False
    if regex:
        return re.search(str(wanted), found) is not None
    text = str(wanted)
    return same_label(found, text)


def same_label(one: str | None, other: str | None) -> bool:
    """Whether two labels of file names are one; zeros before a number mean nothing (run 1, 01)."""
    if one is not None and other is not None and one.isdecimal() and other.isdecimal():
        return (one.lstrip("0") or "0") == (other.lstrip("0") or "0")
    return one == other


def as_regex(value: Any) -> Any:
    """Write one JSON filter value so that it means the same where ``regex_search`` is true."""
    if isinstance(value, list | tuple):
        return [as_regex(one) for one in value]
    if isinstance(value, int):
        return f"^0*{value}$"  # a regular expression sees the zeros of a number
    return None if value is None else f"^{re.escape(value)}$"


def describe(filters: Mapping[str, Any]) -> str:
    """Put filters into words: ``acquisition=mprage, no reconstruction``."""
    return ", ".join(_in_words(k, v) for k, v in filters.items() if k != "regex_search")


def _in_words(entity: str, value: Any) -> str:
    if value is None or value == "Query.NONE":
        return f"no {entity}"
    if isinstance(value, str) and SPECIAL.get(value) == "ANY":
        return f"any {entity}"
    if isinstance(value, list | tuple):
        return f"{entity}=" + "|".join("none" if v is None else str(v) for v in value)
    return f"{entity}={value}"


def example_filter(query: str, entities: Mapping[str, Any]) -> str:
    """Write the JSON text of a filter file, as a person would."""
    return json.dumps({query: dict(entities)}, ensure_ascii=False)
