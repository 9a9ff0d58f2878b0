"""Which recipes come with the app; read without pydantic or yaml, for a fast command line."""

import re
from pathlib import Path

FOLDER = Path(__file__).parent
SUMMARY = re.compile(r"^summary: *(.*?) *$", re.MULTILINE)


def packaged() -> dict[str, Path]:
    """Name to file of every recipe that comes with the app, by name."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.yaml"))}


def list_recipes() -> dict[str, str]:
    """Name to one-line summary of every recipe that comes with the app."""
    summaries = {}
    for name, path in packaged().items():
        found = SUMMARY.search(path.read_text(encoding="utf-8"))
        summaries[name] = found.group(1) if found else ""
    return summaries
