"""Names of the files that the participant level writes, in the entity order of BIDS."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# Raw-data entities that a T1w may carry, in the order of the specification.
_ENTITIES = {
    "subject": "sub",
    "session": "ses",
    "sample": "sample",
    "task": "task",
    "acquisition": "acq",
    "ceagent": "ce",
    "tracer": "trc",
    "reconstruction": "rec",
    "run": "run",
    "modality": "mod",
    "echo": "echo",
    "flip": "flip",
    "inv": "inv",
    "mt": "mt",
    "part": "part",
    "chunk": "chunk",
}
LONG_NAMES = {short: long for long, short in _ENTITIES.items()}
"""Entities as they stand in file names, to their names in pybids."""


@dataclass(frozen=True)
class OutputNames:
    """Where the derivatives of one T1w image go.

    Attributes
    ----------
    output_dir
        The derivatives dataset.
    entities
        Entities of the source image under pybids' names (``subject``, ``session``, …).
    space
        Label of the template.
    resolution
        Voxel size in mm, the value of ``res-``.
    """

    output_dir: Path
    entities: Mapping[str, str]
    space: str
    resolution: int

    @property
    def stem(self) -> str:
        """``sub-01_ses-1_acq-mprage``: the source's entities."""
        pairs = [(short, self.entities.get(long)) for long, short in _ENTITIES.items()]
        return "_".join(f"{short}-{value}" for short, value in pairs if value is not None)

    @property
    def folder(self) -> Path:
        """``<output_dir>/sub-01/[ses-1/]anat``."""
        folder = self.output_dir / f"sub-{self.entities['subject']}"
        if self.entities.get("session") is not None:
            folder = folder / f"ses-{self.entities['session']}"
        return folder / "anat"

    def in_space(self, desc: str, suffix: str, extension: str = ".nii.gz") -> str:
        """Name of an image on the output grid."""
        return (
            f"{self.stem}_space-{self.space}_res-{self.resolution}_desc-{desc}_{suffix}{extension}"
        )

    def native(self, desc: str, suffix: str, extension: str = ".nii.gz") -> str:
        """Name of an image on the source's own grid."""
        return f"{self.stem}_desc-{desc}_{suffix}{extension}"

    @property
    def preproc(self) -> str:
        """The brain-extracted, normalised T1w."""
        return self.in_space("preproc", "T1w")

    @property
    def brain_mask(self) -> str:
        """The brain mask on the output grid."""
        return self.in_space("brain", "mask")

    @property
    def log_jacobian(self) -> str:
        """The log-Jacobian of the whole transform."""
        return self.in_space("logjacobian", "statmap")

    @property
    def native_mask(self) -> str:
        """The brain mask on the source's grid."""
        return self.native("brain", "mask")

    @property
    def to_template(self) -> str:
        """The transform that brings the T1w to the template."""
        return f"{self.stem}_from-T1w_to-{self.space}_mode-image_xfm.h5"

    @property
    def from_template(self) -> str:
        """The transform that brings the template to the T1w."""
        return f"{self.stem}_from-{self.space}_to-T1w_mode-image_xfm.h5"

    @property
    def data_files(self) -> tuple[str, ...]:
        """All files that hold data; each has a sidecar of the same name in ``.json``."""
        return (
            self.preproc,
            self.brain_mask,
            self.log_jacobian,
            self.native_mask,
            self.to_template,
            self.from_template,
        )

    @property
    def report(self) -> Path:
        """The participant's (and session's) report, at the top of the output folder."""
        session = self.entities.get("session")
        name = f"sub-{self.entities['subject']}" + (f"_ses-{session}" if session else "")
        return self.output_dir / f"{name}.html"

    @property
    def uri(self) -> str:
        """BIDS URI of the folder, with a trailing slash."""
        return f"bids::{self.folder.relative_to(self.output_dir).as_posix()}/"


def sidecar_name(name: str) -> str:
    """Name of the JSON file that belongs to a data file."""
    for extension in (".nii.gz", ".nii", ".h5", ".tsv"):
        if name.endswith(extension):
            return name.removesuffix(extension) + ".json"
    raise ValueError(f"no sidecar is known for {name}")
