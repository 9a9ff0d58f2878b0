"""Put the results of one unit into the output folder: data, sidecars, page and thumbnail as one."""

import platform
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bidsapp.contracts.prepared import Made, Provenance
from bidsapp.contracts.product import OutputNames, sidecar_name
from bidsapp.derivatives.atomic import atomic_path, make_folder, publish
from bidsapp.derivatives.sidecars import report_mark, write_sidecars
from bidsapp.derivatives.temporary import temporary_folder

Facts = dict[str, Any]


def write_unit(
    names: OutputNames,
    provenance: Provenance,
    quality: Mapping[str, Any],
    *,
    data: Callable[[Path], Mapping[str, Any]],
    page: Callable[[Path, Mapping[str, Any], Path], None],
    records: Sequence[Mapping[str, Any]] = (),
    software: Iterable[str] = (),
    facts: Mapping[str, Any],
) -> None:
    """Write what was made of one unit aside, and put it in place together.

    Parameters
    ----------
    names, provenance
        What the files are called, and what they were made of.
    quality
        What was measured, with ``verdict`` and ``reasons``.
    data
        Writes every product into a folder, under the names of `names`; gives facts for sidecars,
        ``notes`` among them.
    page
        Writes the page: from the folder that holds the products, the facts (``notes``,
        ``software``, ``seconds``), into a file.
    records
        What earlier steps tell: ``notes`` and ``seconds`` of each.
    software
        Names of installed packages whose versions shape the result, besides Python's own.
    facts
        Further ones for the sidecars: ``threads``, ``device``, ``precision``.
    """
    make_folder(names.output_dir)
    with temporary_folder(names.output_dir) as staging:
        began = time.process_time()
        told = dict(data(staging))
        writing = {"seconds": {"derivatives": round(time.process_time() - began, 3)}}
        began = time.process_time()
        told |= {
            "notes": [note for record in (*records, told) for note in record.get("notes", [])],
            "software": software_versions(software),
            **facts,
            "seconds": merged_seconds([*records, writing]),
        }
        with atomic_path(names.report) as report:
            page(staging, told, report)
            with report.open("a", encoding="utf-8") as stream:
                stream.write(report_mark(names, provenance))
        spent = {"seconds": {"report": round(time.process_time() - began, 3)}}
        told["seconds"] = merged_seconds([*records, writing, spent])
        write_sidecars(staging, Made(names, provenance, told), quality)
        publish(staging, names.folder, sidecar_name(names[names.main.key]))


def merged_seconds(records: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """CPU seconds of all steps in one table, with their total."""
    seconds: dict[str, float] = {}
    for record in records:
        for step, value in record.get("seconds", {}).items():
            seconds[step] = round(seconds.get(step, 0.0) + value, 3)
    return seconds | {"total": round(sum(seconds.values()), 3)}


def software_versions(packages: Iterable[str]) -> dict[str, str]:
    """Versions of Python and of installed packages."""
    found = {"python": platform.python_version()}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found
