"""``python -m bidsapp.descriptor``: Boutiques descriptor, made from the parser of arguments."""

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bidsapp import __version__, errors
from bidsapp.arguments import build_parser
from bidsapp.errors import NociCastError
from bidsapp.options import LEVELS

# What `bosh validate --bids` wants in this order, and what has no place in a BIDS run.
_POSITIONAL = ("bids_dir", "output_dir", "analysis_level")
_FIRST = ("participant_label", "session_label")
_LEFT_OUT = ("help", "version", "list_recipes", "show_recipe")
# Of two inputs for one place bosh 0.5.33 takes the first, and drops the second unread.
_FOR_PLATFORMS = "for platforms; bosh itself takes output_dir_name only, which may be a path"
# For one process: measured peaks are 1.1 to 1.6 GB, and 10 to 50 CPU seconds an image (README).
_RESOURCES = {"cpu-cores": 1, "ram": 3, "disk-space": 1, "walltime-estimate": 120}


def descriptor() -> dict[str, Any]:
    """Describe the app for Boutiques (schema 0.5), so that platforms can offer and run it.

    Returns
    -------
    dict
        Every option of the parser is an input with the same name, type, limits and choices;
        exit codes are those of `bidsapp.errors`.
    """
    options = {_name(a): a for a in build_parser()._actions if a.dest not in _LEFT_OUT}
    rest = [name for name in options if name not in (*_POSITIONAL, *_FIRST)]
    keys = [_key(name) for name in (*_POSITIONAL, *_FIRST, *rest)]
    return {
        "name": "nocicast",
        "tool-version": __version__,
        "schema-version": "0.5",
        "description": build_parser().description,
        "author": "The NociCast developers",
        "command-line": f"mkdir -p {_key('output_dir')}; nocicast {' '.join(keys)}",
        "container-image": {"type": "docker", "image": f"nocicast:{__version__}"},
        "inputs": [
            *_places(options),
            *(_option(options[name]) for name in (*_FIRST, *rest)),
        ],
        "groups": [
            {
                "id": "output_choice",
                "name": "The output folder, as a name or as a folder that is there",
                "members": ["output_dir_name", "output_dir"],
                "mutually-exclusive": True,
                "one-is-required": True,
            }
        ],
        "output-files": [
            {
                "id": "output",
                "name": "Output folder",
                "description": "a BIDS derivatives dataset",
                "path-template": _key("output_dir"),
                "optional": False,
            }
        ],
        "error-codes": [
            {"code": code, "description": text} for code, text in sorted(_error_codes().items())
        ],
        "suggested-resources": _RESOURCES,
        "tags": {"domain": ["neuroinformatics", "mri", "pain"], "standard": ["bids-app"]},
    }


def _flag(action: argparse.Action) -> str:
    """Longest spelling of an option, with hyphens."""
    return max((s for s in action.option_strings if "_" not in s), key=len)


def _name(action: argparse.Action) -> str:
    """Name of an argument, as a user of the command line knows it."""
    if not action.option_strings:
        return action.dest
    return _flag(action).removeprefix("--").replace("-", "_")


def _key(name: str) -> str:
    return f"[{name.upper()}]"


def _places(options: dict[str, argparse.Action]) -> list[dict[str, Any]]:
    """Describe the three positional arguments; the output folder twice, as Boutiques asks."""
    output = {"value-key": _key("output_dir"), "optional": True}
    helps = {name: options[name].help for name in _POSITIONAL}
    return [
        {
            "id": "bids_dir",
            "name": "BIDS dataset",
            "description": helps["bids_dir"],
            "type": "File",
            "value-key": _key("bids_dir"),
            "optional": False,
        },
        {
            "id": "output_dir_name",
            "name": "Output folder, by name",
            "description": f"{helps['output_dir']}; a name or a path, is made",
            "type": "String",
            **output,
        },
        {
            "id": "output_dir",
            "name": "Output folder that is there",
            "description": f"{helps['output_dir']}; {_FOR_PLATFORMS}",
            "type": "File",
            **output,
        },
        {
            "id": "analysis_level",
            "name": "Analysis level",
            "description": helps["analysis_level"],
            "type": "String",
            "value-choices": list(LEVELS),
            "value-key": _key("analysis_level"),
            "optional": False,
        },
    ]


def _option(action: argparse.Action) -> dict[str, Any]:
    """Describe one option."""
    described: dict[str, Any] = {
        "id": _name(action),
        "name": _flag(action).removeprefix("--"),
        "description": (action.help or "") % {"default": action.default},
        "value-key": _key(_name(action)),
        "command-line-flag": _flag(action),
        "optional": True,
        **_type(action),
    }
    if action.nargs == "+":
        described |= {"list": True, "min-list-entries": 1}
    elif isinstance(action.nargs, int) and action.nargs > 1:
        count = {"min-list-entries": action.nargs, "max-list-entries": action.nargs}
        described |= {"list": True, **count}
    if action.choices:
        described["value-choices"] = list(action.choices)
    return described


def _type(action: argparse.Action) -> dict[str, Any]:
    """Type and limits of an option, by what its own converter makes of some numbers."""
    if action.nargs == 0:
        return {"type": "Flag"}
    if action.type is Path:
        return {"type": "File"}
    if not callable(action.type) or not isinstance(_converted(action, "1"), int | float):
        return {"type": "String"}
    number: dict[str, Any] = {"type": "Number", "integer": _converted(action, "0.5") is None}
    if _converted(action, "-1") is None:
        zero = _converted(action, "0") is not None
        number["minimum"] = int(number["integer"] and not zero)
        if not number["integer"]:
            number["exclusive-minimum"] = not zero
    return number


def _converted(action: argparse.Action, text: str) -> Any:
    try:
        return action.type(text) if callable(action.type) else text
    except (ValueError, argparse.ArgumentTypeError):
        return None


def _error_codes() -> dict[int, str]:
    found = vars(errors).values()
    kinds: Iterable[type[NociCastError]] = (
        kind for kind in found if isinstance(kind, type) and issubclass(kind, NociCastError)
    )
    return {kind.exit_code: (kind.__doc__ or "").splitlines()[0] for kind in kinds}


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the descriptor to a file, or to the terminal; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bidsapp.descriptor", description=__doc__)
    parser.add_argument("file", type=Path, nargs="?", help="default: the terminal")
    file = parser.parse_args(arguments).file
    text = json.dumps(descriptor(), indent=2, ensure_ascii=False) + "\n"
    if file is None:
        print(text, end="")
    else:
        file.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
