"""JSON files of a dataset that are of use and no condition: an object, or nothing."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bidsapp.errors import NoInput
from bidsapp.intake.regular import require_regular

_LARGEST_BYTES = 10_000_000


def read_object(path: Path) -> Mapping[str, Any]:
    """Read a JSON object; empty where the file is not here, is too large, or holds none."""
    try:
        require_regular(path)
        if path.stat().st_size > _LARGEST_BYTES:
            return {}
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError, NoInput):
        return {}
    return content if isinstance(content, Mapping) else {}
