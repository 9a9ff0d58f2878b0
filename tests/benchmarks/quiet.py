"""A run of the app within a benchmark, whose words are shown only where it fails."""

import contextlib
import io
from collections.abc import Iterable

from bidsapp.cli import main as app


def run_quietly(words: Iterable[object]) -> None:
    """Run the app with these arguments.

    Raises
    ------
    RuntimeError
        It ended with another code than 0; the message is what it printed.
    """
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            code = app([str(word) for word in words])
    except SystemExit as stop:
        code = int(stop.code or 0)
    if code:
        raise RuntimeError(said.getvalue())
