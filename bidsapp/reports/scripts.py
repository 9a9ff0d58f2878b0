"""Scripts inside a page, and the policy that lets them run and no other."""

import base64
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markupsafe import Markup


def script(name: str) -> "Markup":
    """Read a script of ``bidsapp/reports/templates``."""
    from markupsafe import Markup

    path = Path(__file__).parent / "templates" / name
    return Markup(path.read_text(encoding="utf-8"))


def script_hash(text: str) -> str:
    """Source of a content security policy for one script."""
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
