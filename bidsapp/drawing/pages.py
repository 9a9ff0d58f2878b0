"""Pages from templates: one self-contained HTML file, every text from data escaped."""

import base64
import hashlib
import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bidsapp import __version__
from bidsapp.derivatives import write_text
from bidsapp.errors import NoInput
from bidsapp.intake.regular import read_text
from bidsapp.visible import visible

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup


_FLAG = re.compile(r"(--[a-z][a-z-]*)")


@lru_cache(maxsize=1)
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["flags"] = flags_marked
    return environment


def render(template: str, **values: Any) -> str:
    """Fill a template of ``bidsapp/drawing/templates``; no character of it stays hidden.

    Parameters
    ----------
    template
        File name, such as ``participant.html.j2``.
    values
        What the template names. A missing one is an error, never an empty place.
    """
    # The whole page, as figures and scripts carry text from data, too.
    return visible(_environment().get_template(template).render(app_version=__version__, **values))


def flags_marked(text: str) -> "Markup":
    """Escape a sentence and set the options of the command line in it as code."""
    from markupsafe import Markup, escape

    parts = _FLAG.split(text)
    return Markup().join(
        Markup('<code class="flag">{}</code>').format(part) if place % 2 else escape(part)
        for place, part in enumerate(parts)
    )


def plain_text(value: Any) -> str:
    """Write a setting or a version as a person would: lists with commas, None as a dash."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, dict):
        return ", ".join(f"{key}: {plain_text(item)}" for key, item in value.items()) or "–"
    if isinstance(value, list | tuple):
        return ", ".join(map(plain_text, value)) or "–"
    return str(value)


def script(name: str) -> "Markup":
    """Read a script of ``bidsapp/drawing/templates``."""
    from markupsafe import Markup

    path = Path(__file__).parent / "templates" / name
    return Markup(path.read_text(encoding="utf-8"))


def script_hash(text: str) -> str:
    """Source of a content security policy for one script."""
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def fill(page: Path, contents: dict[str, str]) -> bool:
    """Put HTML between ``<!-- name:begin -->`` and ``<!-- name:end -->``, replacing what is there.

    Parameters
    ----------
    page
        A page of this app; it is replaced in one step.
    contents
        Name of the place to HTML, everything from data escaped.

    Returns
    -------
    bool
        Whether the page is there and has all the places; those that it has are filled.
    """
    try:
        text = read_text(page)
    except (OSError, ValueError, NoInput):
        return False
    whole = True
    for name, html in contents.items():
        before, begin, rest = text.partition(f"<!-- {name}:begin -->")
        _, end, after = rest.partition(f"<!-- {name}:end -->")
        if begin and end:
            text = f"{before}{begin}\n{html}\n{end}{after}"
        else:
            whole = False
    write_text(page, text)
    return whole
