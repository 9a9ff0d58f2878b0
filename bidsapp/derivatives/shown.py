"""Paths as strangers may read them: ``<bids_dir>/sub-01`` in all that is handed on with results."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from bidsapp.options import RunOptions

BIDS_DIR, OUTPUT_DIR, WORK_DIR, MODEL = "<bids_dir>", "<output_dir>", "<work_dir>", "<model>"
# The end of a folder's name in a text: not that of one whose name only begins alike.
_END = r"(?=$|[/\s\"'`),;:])"


@dataclass(frozen=True)
class Hidden:
    """The folders of a run, each with the name that is shown in its place.

    Attributes
    ----------
    places
        Path as text, and its name; longer paths first, so that the nearest folder is named.
    """

    places: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, options: RunOptions) -> "Hidden":
        """Hide the folders that the options name, those of templates, and the user's home."""
        named: dict[str, Path | None] = {
            BIDS_DIR: options.bids_dir,
            OUTPUT_DIR: options.output_dir,
            WORK_DIR: options.work_dir,
            MODEL: options.model,
            "<weights>": options.weights,
            **{f"<{name}>": folder for name, folder in options.derivatives.items()},
        }
        for name, variable in (("<templateflow>", "TEMPLATEFLOW_HOME"), ("<home>", "HOME")):
            named[name] = Path(os.environ[variable]) if os.environ.get(variable) else None
        places: dict[str, str] = {}
        for name, path in named.items():
            for spelt in () if path is None else (path, path.resolve()):
                if len(spelt.parts) > 1:  # not the root of all
                    places.setdefault(str(spelt), name)
        return cls(tuple(sorted(places.items(), key=lambda place: -len(place[0]))))

    def text(self, text: str) -> str:
        """Name the folders in a text."""
        for path, name in self.places:
            text = re.sub(re.escape(path) + _END, lambda _, name=name: name, text)  # type: ignore[misc]
        return text
