"""Options of the command line as a message prints them, to be copied into a shell."""

import json
import re
from collections.abc import Iterable
from shlex import quote

# What YAML reads as the very text, in a list too; all else is put into quotes.
_PLAIN = re.compile(r"(?!(?:true|false|null)$)[A-Za-z_][A-Za-z0-9_.=@-]*", re.IGNORECASE)


def set_option(key: str, items: Iterable[str]) -> str:
    """Write ``--set`` for a key of the recipe that takes a list of texts, each once."""
    listed = ", ".join(
        item if _PLAIN.fullmatch(item) else json.dumps(item, ensure_ascii=False)
        for item in dict.fromkeys(items)
    )
    return f"--set {quote(f'{key}=[{listed}]')}"
