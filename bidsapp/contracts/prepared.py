"""One unit that is or was prepared: where it came from, what shaped it, what its sidecar says."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from bidsapp.contracts.product import OutputNames

APP = "nocicast"
"""By what this app is named where it is said who made an image."""

RAW = "bids:raw:"
"""Begins the BIDS URI of a file of the dataset that was read."""


@dataclass(frozen=True)
class Provenance:
    """What is said of every file that came from the sources of one unit.

    Attributes
    ----------
    sources
        BIDS URIs of the files that it was made from, the main one first, to the SHA-256 of their
        bytes (hexadecimal; empty where a file could not be read).
    selection
        Why these files were chosen.
    settings
        All that shapes the result; equal settings and sources give equal files.
    reference
        Address where the standard space is defined; empty where there is none.
    """

    sources: Mapping[str, str]
    selection: str
    settings: Mapping[str, Any]
    reference: str = ""

    @property
    def source_sha256(self) -> str:
        """Hash of the main source."""
        return next(iter(self.sources.values()), "")

    @property
    def key(self) -> str:
        """Hash of sources and settings: whether a result that is there is the one asked for."""
        return self.key_without(())

    def key_without(self, ignored: Iterable[str]) -> str:
        """Hash of sources and of all settings but some: whose the files are that these shape."""
        left_out = set(ignored)
        hashes = list(self.sources.values())
        source: Any = hashes if len(hashes) > 1 else self.source_sha256
        settings = {k: v for k, v in self.settings.items() if k not in left_out}
        content = json.dumps([source, settings], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()


@dataclass(frozen=True)
class Made:
    """What a product's sidecar can say of one unit.

    Attributes
    ----------
    names
        Names of its files.
    provenance
        Where it came from and what shaped it.
    facts
        What the steps tell: ``notes``, ``seconds``, ``software``, and whatever the modality adds.
    """

    names: OutputNames
    provenance: Provenance
    facts: Mapping[str, Any]

    @property
    def sources(self) -> tuple[str, ...]:
        """BIDS URIs of the files of the dataset that it was made from, the main one first."""
        return tuple(self.provenance.sources)

    @property
    def settings(self) -> Mapping[str, Any]:
        """All that shapes the result."""
        return self.provenance.settings


@dataclass(frozen=True)
class Prepared:
    """One unit that was prepared and judged, as its main sidecar tells.

    Attributes
    ----------
    modality
        Name of its modality.
    names
        Where its files lie.
    sidecar
        The contents of the main product's sidecar.
    """

    modality: str
    names: OutputNames
    sidecar: Mapping[str, Any]

    @property
    def participant(self) -> str:
        """``sub-01``."""
        return f"sub-{self.names.entities['subject']}"

    def version_of(self, package: str) -> str:
        """Version of a Python package that made it; empty where the sidecar does not say."""
        return str((self.sidecar.get("GeneratedWith") or {}).get(package) or "")

    @property
    def session(self) -> str:
        """``ses-1``; empty where there is none."""
        session = self.names.entities.get("session")
        return f"ses-{session}" if session else ""

    @property
    def label(self) -> str:
        """``sub-01 ses-1``, and the part where a scan has several."""
        return " ".join(filter(None, (self.participant, self.session, self.names.part)))

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
        """The file that it was made from, relative to its dataset."""
        sources = self.sidecar.get("Sources") or [""]
        return str(sources[0]).removeprefix(RAW)

    @property
    def provenance(self) -> Provenance:
        """What the sidecar holds of where it came from."""
        sidecar = self.sidecar
        listed = [str(one) for one in sidecar.get("Sources") or [""]]
        hashes = sidecar.get("SourcesSHA256")
        if not isinstance(hashes, dict):
            hashes = {listed[0]: str(sidecar.get("SourceSHA256", ""))}
        return Provenance(
            sources=hashes,
            selection=str(sidecar.get("Selection", "")),
            settings=self.settings,
            reference=str(sidecar.get("SpatialReference", "")),
        )


@dataclass(frozen=True)
class UnitPage:
    """What the page of a unit is made of, when it is prepared and when it is made anew.

    Attributes
    ----------
    names, provenance, quality
        What its files are called, what it was made of, and how it was judged.
    facts
        ``notes``, ``seconds`` and ``software``, and whatever the modality adds.
    folder
        Where its products lie.
    command
        Command line that makes it again.
    """

    names: OutputNames
    provenance: Provenance
    quality: Mapping[str, Any]
    facts: Mapping[str, Any]
    folder: Path
    command: str

    @classmethod
    def anew(cls, prepared: Prepared, command: str, **facts: Any) -> Self:
        """Gather it from the main sidecar of a unit that is there; `facts` are the modality's."""
        sidecar = prepared.sidecar
        told = {
            "notes": sidecar.get("Notes") or (),
            "seconds": dict(sidecar.get("CPUSeconds") or {}),
            "software": dict(sidecar.get("GeneratedWith") or {}),
        }
        names = prepared.names
        about = names, prepared.provenance, prepared.quality
        return cls(*about, told | facts, names.folder, command)

    @property
    def title(self) -> str:
        """Participant and session: ``sub-01 ses-02``."""
        session = self.names.entities.get("session")
        return f"sub-{self.names.entities['subject']}" + (f" ses-{session}" if session else "")
