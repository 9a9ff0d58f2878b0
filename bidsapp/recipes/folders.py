"""Files that a recipe names, without the folders that they lie in, which tell of people."""

import os
from collections.abc import Mapping
from typing import Any

FILES = frozenset({"atlases", "start", "maps"})
"""Keys of a recipe, in whichever section or variant, that name files; texts elsewhere are texts."""


def without_folders(value: Any, key: str = "") -> Any:
    """Leave of every absolute path to a file that settings name its last part."""
    if isinstance(value, Mapping):
        return {name: without_folders(item, str(name)) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_folders(item, key) for item in value]
    if key.rpartition(".")[2] in FILES and isinstance(value, str) and os.path.isabs(value):
        return os.path.basename(value.rstrip("/")) or value
    return value
