"""The command line as it is shown in reports: without the folders of people and machines."""

import argparse
import os
import re
import shlex
from collections.abc import Sequence

# What is shown in the place of a folder; of a file the name stays.
_FOLDERS = {
    name: f"<{name}>"
    for name in ("bids_dir", "output_dir", "work_dir", "model", "bids_database_dir", "weights")
}
# The folders of a path that stands anywhere in a value.
_ABOVE = re.compile(r"(?<![\w.])/(?:[^/\s,\]}'\"]+/)+")


def shown_command(parser: argparse.ArgumentParser, words: Sequence[str]) -> str:
    """Write a command line so that it can be copied and tells nobody where files lie.

    Parameters
    ----------
    parser
        That understands it.
    words
        The arguments as they were given.

    Returns
    -------
    str
        Quoted for a shell; folders are ``<bids_dir>``, ``<output_dir>``, ``<model>`` and so on, of
        other files only the names are told.
    """
    options = {text: action for action in parser._actions for text in action.option_strings}
    places = [action for action in parser._actions if not action.option_strings]
    shown = ["nocicast"]
    current: argparse.Action | None = None
    only_places = False
    for word in words:
        name, equals, value = word.partition("=")
        if only_places or not word.startswith("-") or word == "-":
            place = current or (places.pop(0) if places else None)
            shown.append(_hidden(place, word))
            if current is not None and current.nargs is None:
                current = None
        elif word == "--":
            only_places, current = True, None
            shown.append(word)
        elif name in options:
            current = None if equals or options[name].nargs == 0 else options[name]
            shown.append(name + equals + (_hidden(options[name], value) if equals else ""))
        elif word[:2] in options:  # -w and its value in one word
            shown.append(word[:2] + _hidden(options[word[:2]], word[2:]))
            current = None
        else:
            shown.append(_hidden(current, word))
    return shlex.join(shown)


def _hidden(action: argparse.Action | None, value: str) -> str:
    """Show one value of an option or place."""
    name = action.dest if action else ""
    if name in _FOLDERS:
        return _FOLDERS[name]
    if name == "derivatives":
        label, equals, path = value.partition("=")
        return f"{label}=<{label}>" if equals else f"<{os.path.basename(path or value)}>"
    if name == "overrides":
        return _ABOVE.sub("", value)
    return os.path.basename(value.rstrip("/")) if "/" in value else value
