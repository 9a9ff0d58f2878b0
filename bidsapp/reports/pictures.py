"""The figures that a paper shows as PNG at print size, beside their SVG."""

import hashlib
from fnmatch import fnmatchcase
from pathlib import Path

from bidsapp.derivatives.atomic import atomic_path

PRINTED = (
    *("flow", "roc", "calibration", "decision_curve", "coverage", "forest", "subgroups"),
    "glass_brain_*",
)
"""Names of the figures that are drawn."""
_MADE_OF = "SVG-SHA256"


def write_pictures(folder: Path) -> list[Path]:
    """Draw the figures of `PRINTED` that are there as ``figures/NAME.png``, 300 dpi, a column wide.

    A picture that was made of the same SVG stays; one whose SVG is gone goes.

    Parameters
    ----------
    folder
        Of a run or a validation, whose report is written.

    Returns
    -------
    list of Path
        The pictures that are there now.

    Raises
    ------
    CannotCreateOutput, InputOutputError
        The folder cannot be written.
    """
    from bidsapp.drawing.raster import as_png

    place = folder / "figures"
    found = []
    for old in place.glob("*.png"):
        if _is_printed(old.stem) and not old.with_suffix(".svg").is_file():
            old.unlink()
    for source in sorted(place.glob("*.svg")):
        if not _is_printed(source.stem):
            continue
        picture, svg = source.with_suffix(".png"), source.read_text(encoding="utf-8")
        digest = hashlib.sha256(svg.encode()).hexdigest()
        if not (picture.is_file() and digest.encode() in picture.read_bytes()[:1000]):
            with atomic_path(picture) as temporary:
                temporary.write_bytes(as_png(svg, {_MADE_OF: digest}))
        found.append(picture)
    return found


def _is_printed(name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in PRINTED)
