"""What is wrong with a recipe, in words that a person can act on."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from bidsapp.errors import UsageError
from bidsapp.recipes.keys import keys_of
from bidsapp.recipes.section import Impossible, Problem, Section
from bidsapp.visible import shortened

MOST_TOLD = 20
_LONGEST = 3300  # characters of all problems that are told
_WIDEST = 2000  # of one of them
_QUOTED = 300  # of what somebody wrote, where it is quoted
"""Problems that are told of one recipe; more help nobody."""
WORDS = {
    "bool_type": "should be true or false",
    "dict_type": "should be a section of key: value lines",
    "extra_forbidden": "unknown key",
    "finite_number": "should be a finite number",
    "float_type": "should be a number",
    "int_type": "should be a whole number",
    "literal_error": "should be {expected}",
    "missing": "required",
    "model_type": "should be a section of key: value lines",
    "string_pattern_mismatch": "should be letters and digits, with - or _ where a name allows it",
    "string_too_long": "should have at most {max_length} characters",
    "string_type": "should be text",
    "too_long": "should have at most {max_length} items",
    "too_short": "should have at least {min_length} items",
    "tuple_type": "should be a list",
}


def one_of(given: str, known: Iterable[str]) -> str:
    """Say that a name is unknown, and which is close or, if none is, what is known."""
    known = tuple(known)
    near = difflib.get_close_matches(given, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known) or 'none'}"
    return f"{given!r} is unknown; {hint}"


def problems_of(error: ValidationError, shape: type[Section]) -> list[Problem]:
    """List what pydantic found, under dotted keys.

    Parameters
    ----------
    error
        Raised while a `shape` was made.
    shape
        Its keys are what an unknown key is compared with.
    """
    problems: list[Problem] = []
    known = [row.key for row in keys_of(shape)]
    for place, detail in enumerate(error.errors(include_url=False)):
        cause = detail.get("ctx", {}).get("error")
        key = ".".join(str(part) for part in detail["loc"] if part != "[key]")
        if isinstance(cause, Impossible):
            problems += cause.problems
            continue
        kind, context = detail["type"], detail.get("ctx", {})
        text = detail["msg"].removeprefix("Input ").removeprefix("Value error, ")
        text = WORDS[kind].format(**context) if kind in WORDS else text
        if kind == "extra_forbidden":
            text += _nearest_key(key, known) if place < MOST_TOLD else ""
        elif kind != "missing":
            text += f", got {_short(detail['input'])}"
        if kind == "literal_error" and isinstance(detail["input"], str):
            options = str(context["expected"]).replace("'", "").replace(" or ", ", ").split(", ")
            near = difflib.get_close_matches(detail["input"], options, n=1)
            text += f"; did you mean {near[0]}?" if near else ""
        problems.append((key, text))
    return problems


def usage_error(
    source: str, problems: Sequence[Problem], overrides: Mapping[str, str] | None = None
) -> UsageError:
    """One error for all problems.

    Parameters
    ----------
    source
        The file or recipe that is wrong.
    problems
        Dotted keys and texts; an empty key stands for the whole.
    overrides
        Dotted key to the ``KEY=VALUE`` text that set it, which is then named.
    """
    lines: list[str] = []
    distinct = list(dict.fromkeys(problems))
    for key, text in distinct[:MOST_TOLD]:
        line = f"{key}: {text}" if key else text
        if overrides:
            near = [text for changed, text in overrides.items() if _related(key, changed)]
            given = [shortened(text, _QUOTED) for text in near or overrides.values()]
            line += f" (set by {', '.join(given)})"
        line = shortened(line, _WIDEST)
        if lines and len(line) + sum(len(told) for told in lines) > _LONGEST:
            break
        lines.append(line)
    if len(distinct) == 1:
        return UsageError(f"{shortened(source, _QUOTED)}: {lines[0]}")
    rest = len(distinct) - len(lines)
    more = [f"and {rest} more; mend these first"] if rest else []
    told = f"{shortened(source, _QUOTED)}: {len(distinct)} problems"
    return UsageError("\n  ".join([told, *lines, *more]))


def quoted(text: str) -> str:
    """Quote what somebody wrote, so that what is said of it is not hidden behind it."""
    return repr(shortened(text, _QUOTED))


def _related(key: str, changed: str) -> bool:
    return f"{key}.".startswith(f"{changed}.") or f"{changed}.".startswith(f"{key}.")


def _nearest_key(key: str, known: Sequence[str]) -> str:
    parent, _, leaf = key.rpartition(".")
    if key in known:
        return f"; it belongs to another kind of {parent}, which this recipe has not"
    siblings = {k.rpartition(".")[2]: k for k in known if k.rpartition(".")[0] == parent}
    elsewhere = [k for k in known if k.rpartition(".")[2] == leaf]
    near = difflib.get_close_matches(leaf, siblings, n=1)
    found = siblings[near[0]] if near else None
    found = found or (elsewhere[0] if elsewhere else None)
    found = found or next(iter(difflib.get_close_matches(key, known, n=1)), None)
    return f"; did you mean {found}?" if found else f"; known here: {', '.join(siblings) or 'none'}"


def _short(value: Any) -> str:
    if value is None:
        return "nothing"
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
