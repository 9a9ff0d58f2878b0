"""Sidecars of the participant level's files, and what they say about a finished run."""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from bidsapp.contracts.prepared import Made, Provenance
from bidsapp.contracts.product import OutputNames, sidecar_name
from bidsapp.derivatives.atomic import write_json
from bidsapp.errors import BadData
from bidsapp.intake.json_text import read_json, read_own_json
from bidsapp.intake.regular import require_regular

SHARED_KEY = "RegistrationKey"
"""Sidecar key of what shapes a file that runs with other settings share."""
PAGE = "Page"
"""Sidecar key of the name of a unit's page."""


def write_sidecars(folder: Path, made: Made, quality: Mapping[str, Any]) -> None:
    """Write the JSON file of each product into `folder`.

    Parameters
    ----------
    folder
        Where the products are.
    made
        What was made of what, with the facts of the steps: ``notes``, ``seconds``, ``software``,
        ``threads``; ``device`` and ``precision`` where there is one.
    quality
        What was measured and judged; goes into the main sidecar and into no other.
    """
    provenance, facts = made.provenance, made.facts
    for product in made.names.products:
        name = made.names[product.key]
        content = dict(product.sidecar(made))
        if product is made.names.main:
            content |= _main(provenance, quality, facts) | {PAGE: made.names.report.name}
        if product.ignores:
            content[SHARED_KEY] = provenance.key_without(product.ignores)
        if name.endswith(".h5"):  # the format has no checksum of its own
            content["SHA256"] = file_sha256(folder / name)
        content.setdefault("GeneratedWith", dict(facts["software"]))
        write_json(folder / sidecar_name(name), content)


def _main(
    provenance: Provenance, quality: Mapping[str, Any], facts: Mapping[str, Any]
) -> dict[str, Any]:
    several = {"SourcesSHA256": dict(provenance.sources)} if len(provenance.sources) > 1 else {}
    computed = {"Device": "device", "Precision": "precision", "Threads": "threads"}
    return {
        "Selection": provenance.selection,
        "Quality": dict(quality),
        "Notes": list(facts["notes"]),
        "Settings": dict(provenance.settings),
        "SourceSHA256": provenance.source_sha256,
        **several,
        "RunKey": provenance.key,
        "GeneratedWith": dict(facts["software"]),
        **{name: facts[key] for name, key in computed.items() if key in facts},
        "CPUSeconds": dict(facts["seconds"]),
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


def as_finished(names: OutputNames, provenance: Provenance) -> OutputNames:
    """Give the names under which a unit is finished, where its page has the other of its two names.

    An earlier version gave it that, or the visit had other images then; nothing is made again.
    """
    other = replace(names, apart=not names.apart)
    return other if not names.report.is_file() and is_finished(other, provenance) else names


def is_finished(names: OutputNames, provenance: Provenance) -> bool:
    """Tell whether the output folder holds just what would be made, and all of one piece.

    What runs share and the report do not carry all settings in their names, so that a run with
    others, or of another image, replaces them; then they are made again.
    """
    if finished_key(names) != provenance.key:
        return False
    for product in names.products:
        if not product.ignores:
            continue
        try:
            path = names.folder / sidecar_name(names[product.key])
            content = read_own_json(path)
        except (OSError, ValueError):
            return False
        wanted = provenance.key_without(product.ignores)
        if not isinstance(content, dict) or content.get(SHARED_KEY) != wanted:
            return False
    key = page_key(names, provenance)
    with names.report.open("rb") as page:
        page.seek(-min(200, names.report.stat().st_size), os.SEEK_END)
        return key.encode() in page.read()


def page_key(names: OutputNames, provenance: Provenance) -> str:
    """Give the key of what a page is about: all that shapes the files which runs share."""
    return provenance.key_without(names.shared_ignores)


def shared_key(names: OutputNames) -> str:
    """Give the key of whose the shared files are that lie there; empty where there are none."""
    shared = next((product for product in names.products if product.ignores), names.main)
    try:
        content = read_own_json(names.folder / sidecar_name(names[shared.key]))
    except (OSError, ValueError):
        return ""
    key = SHARED_KEY if shared.ignores else "RunKey"
    return str(content.get(key, "")) if isinstance(content, dict) else ""


def report_mark(names: OutputNames, provenance: Provenance) -> str:
    """Give the last line of a report, by which `is_finished` knows whose it is."""
    return f"<!-- registration {page_key(names, provenance)} -->\n"


def read_quality(names: OutputNames) -> dict[str, Any]:
    """Quality block of a finished result; empty where there is none."""
    return dict(_marker(names).get("Quality", {}))


def read_part(names: OutputNames, part_in: Callable[[Mapping[str, Any]], str]) -> str:
    """Part that a finished result is: by its name, else by its sidecar (`Modality.part_in`)."""
    return names.part or part_in(_marker(names))


def read_source_sha256(names: OutputNames) -> str:
    """SHA-256 of the main file that a finished result was made from; empty where unknown."""
    return str(_marker(names).get("SourceSHA256", ""))


def _marker(names: OutputNames) -> dict[str, Any]:
    """Sidecar of the main product, which is written last; empty where it cannot be read."""
    try:
        path = names.folder / sidecar_name(names[names.main.key])
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


def plain_sha256(content: object) -> str:
    """SHA-256 of plain values as JSON with sorted keys, hexadecimal: equal values, equal hash."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
