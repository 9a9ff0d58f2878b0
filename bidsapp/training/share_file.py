"""How much of a fold's training is done, in a file that the process which tells of it reads."""

import os
import time
from pathlib import Path

_EVERY_S = 5.0


class ShareFile:
    """A file that holds a number from 0 to 1 while a training runs.

    Parameters
    ----------
    path
        The file; None writes none.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._new = path.with_name(f".{path.name}") if path is not None else None
        self._written = -_EVERY_S

    def note(self, share: float) -> None:
        """Write how much is done, at most once in five seconds; a full disk does no harm."""
        now = time.monotonic()
        if self._path is None or self._new is None or now - self._written < _EVERY_S:
            return
        self._written = now
        try:
            self._new.write_text(f"{share:.4f}", encoding="utf-8")
            os.replace(self._new, self._path)
        except OSError:
            return

    def remove(self) -> None:
        """Take the file away, and what a kill in the middle of writing left of it."""
        for path in filter(None, (self._path, self._new)):
            path.unlink(missing_ok=True)
