"""Arguments as people type and paste them: dashes of word processors, lists with commas, order."""

import argparse
import re
from collections.abc import Collection, Sequence
from difflib import get_close_matches
from pathlib import Path

from bidsapp.errors import UsageError
from bidsapp.options import LEVELS, RESOLUTIONS

_DASH = "‐‑‒–—―−﹘﹣－"
_OPTION = re.compile(rf"([-{_DASH}]{{1,2}})([A-Za-z][-\w{_DASH}]*)(=.*)?", re.DOTALL)
_BLANKS = re.compile("[\u00a0\u2007\u202f]+")  # that do not break, from web pages
PLACES = ("bids_dir", "output_dir", "analysis_level")
# What other BIDS-Apps call it.
ELSEWHERE = {
    "--n-cpus": "--nprocs",
    "--nthreads": "--nprocs",
    "--nproc": "--nprocs",
    "--mem-mb": "--mem (in GB)",
    "--mem-gb": "--mem",
    "--output-spaces": "--template",
    "--bids-filter": "--bids-filter-file",
    "--label": "--run-label",
    "--subject": "--participant-label",
    "--subjects": "--participant-label",
    "--participants": "--participant-label",
    "--config-file": "--recipe",
    "--labels": "--positive and --negative",
    "--seed": "--random-seed",
    "--gpu": "--device cuda",
}


def as_meant(arguments: Sequence[str], known: Collection[str]) -> tuple[list[str], list[str]]:
    """Read options with the dashes of a word processor, one dash for two, or _ for -.

    Parameters
    ----------
    arguments
        As the shell hands them over.
    known
        Every option with its dashes.

    Returns
    -------
    arguments, notes
        With plain dashes, and a sentence for each argument that was read otherwise.
    """
    found: list[str] = []
    notes: list[str] = []
    if "--plan" in arguments[:-1]:
        behind = arguments.index("--plan") + 1
        if Path(arguments[behind]).is_dir():  # no two counts, but the folder of a dataset
            arguments = [*arguments[: behind - 1], *arguments[behind:], "--plan"]
    for place, argument in enumerate(arguments):
        if argument == "--":
            return [*found, *arguments[place:]], notes
        head, *rest = _BLANKS.split(argument) if _OPTION.match(argument) else [argument]
        meant = _option(head, known)
        found += [meant, *filter(None, rest)]
        if meant != head or rest:
            notes.append(f"{argument} is read as {' '.join([meant, *rest])}.")
        elif argument[:1] in ("“", "„", "«", "‘", "’"):
            notes.append(
                f"WARNING: {argument} begins with a typographic quotation mark, which belongs to "
                "the value for the shell; plain ones are ' and \"."
            )
    return found, notes


def _option(text: str, known: Collection[str]) -> str:
    match = _OPTION.fullmatch(text)
    if match is None:
        return text
    name = re.sub(f"[{_DASH}]", "-", match[2])
    value = match[3] or ""
    if len(name) == 1 and f"-{name}" in known:
        return f"-{name}{value}"
    option = f"--{name}"
    if option not in known:
        option = option.replace("_", "-").lower()
    changed = not text.startswith("-") or text != f"{match[1]}{name}{value}"
    if option in known or (changed and suggestion(option, known)):
        return f"{option}{value}"
    return text


def suggestion(option: str, known: Collection[str]) -> str:
    """Name the option that an unknown one may be meant for; empty where none is close."""
    bare = option.partition("=")[0].replace("_", "-").lower()
    if bare in known:
        return bare
    if bare in ELSEWHERE:
        return ELSEWHERE[bare]
    return next(iter(get_close_matches(bare, sorted(known), 1)), "")


def labels(given: Sequence[str], prefix: str) -> tuple[str, ...]:
    """Take labels out of what was typed: ``sub-01,sub-02``, ``SUB-01``, ``/data/sub-01/``.

    Parameters
    ----------
    given
        Values of an option; a label has letters and digits alone, so that all else separates.
    prefix
        ``sub-`` or ``ses-``.
    """
    found = []
    for text in given:
        plain = re.sub(f"[{_DASH}]", "-", text).strip("[](){}\"' ")
        for part in re.split(r"[,;\s]+", plain):
            label = part.rstrip("/").rpartition("/")[2].strip("\"'")
            if label.lower().startswith(prefix):
                label = label[len(prefix) :]
            if label:
                found.append(label)
    return tuple(dict.fromkeys(found))


def names(given: Sequence[str]) -> tuple[str, ...]:
    """Take names, which have no commas, out of lists with commas."""
    return tuple(part for text in given for part in re.split(r"[,\s]+", text) if part)


def template_and_resolution(text: str, resolution: int | None) -> tuple[str, int | None]:
    """Read a template as fMRIPrep spells it: ``MNI152NLin2009cAsym:res-2``.

    Parameters
    ----------
    text
        What ``--template`` says.
    resolution
        What ``--resolution`` says.

    Raises
    ------
    UsageError
        What follows the name is no resolution of this app, or another than `resolution`.
    """
    name, *parts = text.removeprefix("tpl-").split(":")
    for part in parts:
        match = re.fullmatch(r"res-0*(\d)", part)
        if match is None or int(match[1]) not in RESOLUTIONS:
            offered = " or ".join(f"{name}:res-{one}" for one in RESOLUTIONS)
            raise UsageError(
                f"--template {text}: {part} is not understood; write {offered}, or --template "
                f"{name} --resolution {RESOLUTIONS[-1]}."
            )
        if resolution not in (None, int(match[1])):
            raise UsageError(
                f"--template {text} and --resolution {resolution} contradict each other; leave "
                "out one of them."
            )
        resolution = int(match[1])
    return name, resolution


def take_back_places(given: argparse.Namespace, options: dict[str, str]) -> list[str]:
    """Find bids_dir, output_dir and level where an option that takes several values took them.

    Parameters
    ----------
    given
        Parsed arguments, which are changed.
    options
        Attribute of each option that takes several values to its name.

    Returns
    -------
    list of str
        A sentence where something was found.
    """
    there = [value for name in PLACES if (value := getattr(given, name)) is not None]
    need = len(PLACES) - len(there)
    found = []
    for attribute in options:
        values = getattr(given, attribute) or []
        for place, value in enumerate(values):
            if value in LEVELS and need and place >= need:  # one value is left to the option
                found.append((attribute, place + 1 - need, place + 1))
    if len(found) != 1:
        return []
    attribute, first, last = found[0]
    values = getattr(given, attribute)
    taken = values[first:last]
    setattr(given, attribute, values[:first] + values[last:])
    for name, value in zip(PLACES, [*map(str, there), *taken], strict=True):
        setattr(given, name, value if name == PLACES[-1] else Path(value))
    return [
        f"{', '.join(PLACES[-need:])} {'is' if need == 1 else 'are'} read from behind "
        f"{options[attribute]}: {' '.join(taken)}."
    ]


def what_took_places(given: argparse.Namespace, options: dict[str, str]) -> str:
    """Say which option may have taken the folders; empty where none can have."""
    took = [
        f"{name} took {' '.join(map(str, values))}"
        for attribute, name in options.items()
        if (values := getattr(given, attribute)) and len(values) > 1
    ]
    if not took:
        return ""
    return f" {'; '.join(took)}: an option takes all that follows it, up to the next option."
