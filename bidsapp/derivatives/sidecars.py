"""Sidecars of the participant level's files, and what they say about a finished run."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bidsapp.derivatives.atomic import write_json
from bidsapp.derivatives.names import OutputNames, sidecar_name
from bidsapp.errors import BadData
from bidsapp.intake.json_text import parse_json, read_json, read_own_json
from bidsapp.intake.regular import require_regular


@dataclass(frozen=True)
class Provenance:
    """What is said of every file that came from one T1w image.

    Attributes
    ----------
    source
        Path of the image inside the dataset, POSIX.
    source_sha256
        Of the file's bytes.
    selection
        Why this image was chosen.
    space, spatial_reference
        Label of the template and the address where it is defined.
    resolution
        Voxel size in mm.
    settings
        All that shapes the result; equal settings and source give equal files.
    """

    source: str
    source_sha256: str
    selection: str
    space: str
    spatial_reference: str
    resolution: int
    settings: Mapping[str, Any]

    @property
    def key(self) -> str:
        """Hash of source and settings: whether a result that is there is the one asked for."""
        return self._hash(dict(self.settings))

    @property
    def registration_key(self) -> str:
        """Hash of source and registration: whose transforms, native mask and report these are.

        These files are shared by runs that differ only in the output grid or the intensities.
        """
        output = ("resolution", "intensity")
        return self._hash({k: v for k, v in self.settings.items() if k not in output})

    def _hash(self, settings: Mapping[str, Any]) -> str:
        content = json.dumps([self.source_sha256, settings], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()


def write_sidecars(
    folder: Path,
    names: OutputNames,
    provenance: Provenance,
    quality: Mapping[str, Any],
    facts: Mapping[str, Any],
) -> None:
    """Write the JSON file of each data file into `folder`.

    Parameters
    ----------
    folder
        Where the data files are.
    names
        Their names.
    provenance
        Source, template, settings.
    quality
        ``Quality.plain()``; goes into the sidecar of the normalised T1w and of nothing else.
    facts
        ``notes``, ``seconds``, ``software``, ``device``, ``precision``, ``threads``,
        ``intensity_maximum``.
    """
    shared = (names.native_mask, names.to_template, names.from_template)
    for name, content in _contents(names, provenance, quality, facts).items():
        if name in shared:
            content["RegistrationKey"] = provenance.registration_key
        if name.endswith(".h5"):  # the format has no checksum of its own
            content["SHA256"] = file_sha256(folder / name)
        content.setdefault("GeneratedWith", dict(facts["software"]))
        write_json(folder / sidecar_name(name), content)


def _contents(
    names: OutputNames,
    provenance: Provenance,
    quality: Mapping[str, Any],
    facts: Mapping[str, Any],
) -> dict[str, dict[str, Any]]:
    raw = f"bids:raw:{provenance.source}"
    standard = {
        "SpatialReference": provenance.spatial_reference,
        "Resolution": f"{provenance.resolution} mm isotropic, the grid of the recipe",
    }
    to_template = names.uri + names.to_template
    scaling = provenance.settings["intensity"]
    return {
        names.preproc: {
            "Description": "Brain-extracted, bias-corrected T1w image in standard space, "
            + ("scaled to 0..1 by itself." if scaling == "minmax" else "not scaled."),
            "Sources": [raw, to_template],
            **standard,
            "SkullStripped": True,
            "IntensityMaximumBeforeScaling": facts["intensity_maximum"],
            "Selection": provenance.selection,
            "Quality": dict(quality),
            "Notes": list(facts["notes"]),
            "Settings": dict(provenance.settings),
            "SourceSHA256": provenance.source_sha256,
            "RunKey": provenance.key,
            "GeneratedWith": dict(facts["software"]),
            "Device": facts["device"],
            "Precision": facts["precision"],
            "Threads": facts["threads"],
            "CPUSeconds": dict(facts["seconds"]),
        },
        names.brain_mask: {
            "Description": "Brain mask in standard space.",
            "Type": "Brain",
            "Sources": [names.uri + names.native_mask, to_template],
            **standard,
        },
        names.log_jacobian: {
            "Description": "Natural logarithm of the volume ratio participant / template of the "
            "whole transform, affine included; above 0 where the participant is larger.",
            "Units": "ln(mm^3/mm^3)",
            "Sources": [to_template],
            **standard,
        },
        names.native_mask: {
            "Description": "Brain mask on the voxels of the source image.",
            "Type": "Brain",
            "Sources": [raw],
        },
        names.to_template: _transform("T1w", provenance.space, raw),
        names.from_template: _transform(provenance.space, "T1w", raw),
    }


def _transform(origin: str, target: str, raw: str) -> dict[str, Any]:
    return {
        "Description": f"ITK composite transform that resamples an image in {origin} space into "
        f"{target} space (it maps points of {target} to points of {origin}).",
        "Sources": [raw],
        "Software": "picsl-greedy, SimpleITK",
    }


def finished_key(names: OutputNames) -> str | None:
    """Key of the result that lies in the output folder, None where it is missing or partial."""
    content = _marker(names)
    expected = [names.folder / name for name in names.data_files]
    expected += [names.folder / sidecar_name(name) for name in names.data_files]
    if not all(path.is_file() and path.stat().st_size for path in [*expected, names.report]):
        return None
    if not isinstance(content.get("Quality"), dict):
        return None
    key = content.get("RunKey") if content["Quality"].get("verdict") else None
    return key if isinstance(key, str) else None


def is_finished(names: OutputNames, provenance: Provenance) -> bool:
    """Tell whether the output folder holds just what would be made, and all of one piece.

    Transforms, native mask and report carry no resolution in their names, so that a run with
    other settings, or of another image, replaces them; then they are made again.
    """
    if finished_key(names) != provenance.key:
        return False
    key = provenance.registration_key
    for name in (names.native_mask, names.to_template, names.from_template):
        try:
            content = parse_json((names.folder / sidecar_name(name)).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        if not isinstance(content, dict) or content.get("RegistrationKey") != key:
            return False
    with names.report.open("rb") as page:
        page.seek(-min(200, names.report.stat().st_size), os.SEEK_END)
        return key.encode() in page.read()


def registration_key(names: OutputNames) -> str:
    """Give the key of the registration whose native mask lies there; empty where there is none."""
    try:
        text = (names.folder / sidecar_name(names.native_mask)).read_text(encoding="utf-8")
        content = parse_json(text)
    except (OSError, ValueError):
        return ""
    return str(content.get("RegistrationKey", "")) if isinstance(content, dict) else ""


def report_mark(provenance: Provenance) -> str:
    """Give the last line of a report, by which `is_finished` knows whose it is."""
    return f"<!-- registration {provenance.registration_key} -->\n"


def read_quality(names: OutputNames) -> dict[str, Any]:
    """Quality block of a finished result; empty where there is none."""
    return dict(_marker(names).get("Quality", {}))


def read_source_sha256(names: OutputNames) -> str:
    """SHA-256 of the T1w file that a finished result was made from; empty where unknown."""
    return str(_marker(names).get("SourceSHA256", ""))


def _marker(names: OutputNames) -> dict[str, Any]:
    """Sidecar of the normalised T1w, which is written last; empty where it cannot be read."""
    try:
        path = names.folder / sidecar_name(names.preproc)
        content = read_own_json(path)
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def check_recorded(path: Path) -> None:
    """Raise BadData where a file is not what its sidecar says was written (key ``SHA256``).

    Sidecars of earlier versions do not say it.
    """
    sidecar = path.parent / sidecar_name(path.name)
    try:
        content = read_json(sidecar) if sidecar.exists() else {}
        found = file_sha256(path)
    except (OSError, ValueError) as error:
        raise BadData(f"{path} or its sidecar cannot be read ({error}).") from error
    wanted = content.get("SHA256") if isinstance(content, dict) else None
    if wanted is not None and wanted != found:
        raise BadData(
            f"{path} is not what was written (its SHA256 in the sidecar differs); run the "
            "participant level again."
        )


def file_sha256(path: Path) -> str:
    """SHA-256 of a regular file's bytes, hexadecimal; raises as `require_regular`."""
    require_regular(path)
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
