"""Files that a recipe names, without the folders that they lie in, which tell of people."""

import os
from collections.abc import Mapping
from typing import Any


def without_folders(value: Any) -> Any:
    """Leave of every absolute path in settings its last part, the name of the file."""
    if isinstance(value, Mapping):
        return {key: without_folders(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_folders(item) for item in value]
    if isinstance(value, str) and os.path.isabs(value):
        return os.path.basename(value.rstrip("/")) or value
    return value
