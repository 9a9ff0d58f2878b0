"""One unit to prepare: its files, what it shares with others, and where its results go."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bidsapp.contracts.prepared import Provenance
from bidsapp.contracts.product import OutputNames
from bidsapp.contracts.scan import Scan


@dataclass(frozen=True)
class Shared:
    """What all scans of a run have in common: made once, before the first of them.

    Attributes
    ----------
    labels
        Fill the braces of the products' names: ``{"space": "MNI152NLin6Asym", "res": "2"}``.
    settings
        All that shapes a result, plain values: hashed with the sources, it says whether files
        that are there are the ones asked for, and it stands in the main sidecar.
    reference
        Address where the standard space is defined; empty where there is none.
    files
        What the steps need besides the scan's own files, by the modality's own names.
    outline
        An image above 0 inside what thumbnails are outlined with, on the grid of the main
        product; None for no outline.
    """

    labels: Mapping[str, str]
    settings: Mapping[str, Any]
    reference: str = ""
    files: Mapping[str, Path] = field(default_factory=dict)
    outline: Path | None = None


@dataclass(frozen=True)
class Job:
    """One unit to prepare: a scan, or a part of one.

    Attributes
    ----------
    modality
        Name of the modality.
    scan
        Its files.
    part
        Which part (``C6-L``, ``R``); empty where a scan is one unit.
    names
        Where its results go.
    provenance
        Sources with their hashes, and all that shapes the results.
    """

    modality: str
    scan: Scan
    part: str
    names: OutputNames
    provenance: Provenance

    def plain(self) -> dict[str, Any]:
        """Values that a node of nipype takes, from which `job_of` makes the same job."""
        names = self.names
        files = {
            source: [
                [
                    str(f.path),
                    f.relative_path,
                    dict(f.entities),
                    f.reason,
                    f.dataset,
                    f.picked,
                ]
                for f in some
            ]
            for source, some in self.scan.files.items()
        }
        return {
            "modality": self.modality,
            "scan": [self.scan.participant, self.scan.session, files, self.scan.part],
            "part": self.part,
            "names": [
                str(names.output_dir),
                dict(names.entities),
                dict(names.labels),
                names.datatype,
                names.apart,
            ],
            "provenance": asdict(self.provenance),
        }


@dataclass(frozen=True)
class First:
    """What another modality has to prepare before a scan can be.

    Attributes
    ----------
    modality
        Its name.
    scan
        The files that it reads: those of the scan that waits for it.
    settings
        Of its preparation, an instance of its settings class.
    """

    modality: str
    scan: Scan
    settings: Any
