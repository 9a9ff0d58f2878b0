"""What the participant level has finished in an output folder, read from the sidecars."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bidsapp.derivatives.names import LONG_NAMES, OutputNames, sidecar_name
from bidsapp.intake.json_text import read_json

_MARKER = "_desc-preproc_T1w.json"


@dataclass(frozen=True)
class FinishedImage:
    """One normalised image and what its sidecar says.

    Attributes
    ----------
    names
        Where its files lie.
    sidecar
        The contents of the sidecar of the normalised T1w.
    """

    names: OutputNames
    sidecar: Mapping[str, Any]

    @property
    def participant(self) -> str:
        """``sub-01``."""
        return f"sub-{self.names.entities['subject']}"

    @property
    def session(self) -> str:
        """``ses-1``; empty where there is none."""
        session = self.names.entities.get("session")
        return f"ses-{session}" if session else ""

    @property
    def label(self) -> str:
        """``sub-01 ses-1``."""
        return f"{self.participant} {self.session}".strip()

    @property
    def quality(self) -> dict[str, Any]:
        """What was measured and judged."""
        return dict(self.sidecar["Quality"])

    @property
    def settings(self) -> dict[str, Any]:
        """What shaped the result."""
        found = self.sidecar.get("Settings")
        return dict(found) if isinstance(found, dict) else {}

    @property
    def source(self) -> str:
        """The image that was normalised, relative to its dataset."""
        sources = self.sidecar.get("Sources") or [""]
        return str(sources[0]).removeprefix("bids:raw:")


def finished_images(output_dir: Path) -> list[FinishedImage]:
    """List every normalised image that has been judged, in the order of their names.

    Other files are passed over, and what is not finished too.
    """
    found = []
    for pattern in ("sub-*/anat", "sub-*/ses-*/anat"):
        for path in output_dir.glob(f"{pattern}/sub-*{_MARKER}"):
            image = _read(output_dir, path)
            if image is not None:
                found.append(image)
    return sorted(found, key=lambda image: (image.participant, image.session, image.names.preproc))


def _read(output_dir: Path, path: Path) -> FinishedImage | None:
    pairs = [part.partition("-")[::2] for part in path.name.removesuffix(_MARKER).split("_")]
    short = dict(pairs)
    space, resolution = short.pop("space", ""), short.pop("res", "")
    if not space or not resolution.isdigit() or not set(short) <= set(LONG_NAMES):
        return None
    names = OutputNames(
        output_dir, {LONG_NAMES[key]: value for key, value in short.items()}, space, int(resolution)
    )
    if path != names.folder / sidecar_name(names.preproc):
        return None
    try:
        sidecar = read_json(path)
    except (OSError, ValueError):
        return None
    quality = sidecar.get("Quality") if isinstance(sidecar, dict) else None
    if not isinstance(quality, dict) or not quality.get("verdict"):
        return None
    return FinishedImage(names, sidecar)
