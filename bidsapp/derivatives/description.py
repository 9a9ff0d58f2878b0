"""The output folder as a BIDS derivatives dataset: its description and what validators skip."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bidsapp import __version__
from bidsapp.contracts.modality import modality_named, modality_packages
from bidsapp.derivatives.atomic import check_folder, make_folder, write_json, write_text
from bidsapp.derivatives.temporary import PREFIX, sweep
from bidsapp.errors import CannotCreateOutput, UsageError
from bidsapp.intake.json_text import read_json

BIDS_VERSION = "1.10.0"

# Names outside the BIDS schema. A folder stands here without a trailing slash: with one, its
# contents are skipped and the folder itself stays an error.
_IGNORED = (
    "*.html",
    "figures",
    "*_xfm.*",
    "*_statmap.*",
    "*_mesh.*",
    "*_predictions.*",
    "models",
    "group",
    "work",
    f"{PREFIX}*",
)


def prepare_output(
    output_dir: Path,
    bids_dir: Path,
    work_dir: Path | None = None,
    links: Mapping[str, Path] | None = None,
) -> None:
    """Make the output folder and write what makes it a dataset, before anything else is there.

    A work folder inside of it is hidden from validators. `links` are the datasets that BIDS URIs
    ``bids:<name>:`` of this run point into; those of earlier runs are kept.

    Raises
    ------
    UsageError
        As `check_output`.
    CannotCreateOutput
        The folder cannot be made or written to.
    """
    check_output(output_dir, bids_dir)
    target = output_dir.resolve()
    make_folder(output_dir)
    if not os.access(output_dir, os.W_OK | os.X_OK):
        raise CannotCreateOutput(
            f"{output_dir} cannot be written to; check who owns it and how it is mounted."
        )
    sweep(output_dir)
    path = output_dir / "dataset_description.json"
    before = _read(path).get("DatasetLinks")
    known = dict(before) if isinstance(before, dict) else {}
    known |= {name: _address(name, folder, output_dir) for name, folder in (links or {}).items()}
    write_json(path, _description(bids_dir, output_dir, known))
    ignored = [*_IGNORED, *_unknown()]
    if work_dir is not None and target in work_dir.resolve().parents:
        ignored.append(_as_pattern(work_dir.resolve().relative_to(target).parts[0]))
    write_text(output_dir / ".bidsignore", "\n".join(dict.fromkeys(ignored)) + "\n")


def check_output(output_dir: Path, bids_dir: Path) -> None:
    """Refuse an output folder that must not be written to; nothing is made.

    Raises
    ------
    UsageError
        The output folder is the input dataset, lies inside it outside of ``derivatives``, or holds
        a dataset that this app did not make.
    CannotCreateOutput
        The folder is not there and cannot be made.
    """
    source, target = bids_dir.resolve(), output_dir.resolve()
    if target == source:
        raise UsageError(
            f"The output folder is the input dataset itself ({bids_dir}), which is never written "
            f"to; choose another, {bids_dir / 'derivatives' / 'nocicast'} for instance."
        )
    if source in target.parents and target.relative_to(source).parts[0] != "derivatives":
        raise UsageError(
            f"The output folder {output_dir} lies inside the input dataset, which is never "
            f"written to; choose one outside of it, or under {bids_dir / 'derivatives'}."
        )
    _refuse_other_dataset(output_dir)
    check_folder(output_dir)


def _refuse_other_dataset(output_dir: Path) -> None:
    path = output_dir / "dataset_description.json"
    if not path.exists():
        return
    made_by = _read(path).get("GeneratedBy")
    listed = made_by if isinstance(made_by, list) else []
    tools = [tool.get("Name") for tool in listed if isinstance(tool, dict)]
    if "NociCast" not in tools:
        raise UsageError(
            f"The output folder {output_dir} holds another dataset"
            + (f" (made by {', '.join(map(str, tools))})" if tools else "")
            + "; choose an empty folder, or one that this app wrote to before."
        )


def _unknown() -> list[str]:
    """List patterns of the files of modalities whose suffixes validators do not know."""
    products = (one for name in modality_packages() for one in modality_named(name).products)
    return sorted({f"*_{product.suffix}.*" for product in products if product.unknown})


def _as_pattern(name: str) -> str:
    """Write a name as a line of .bidsignore that stands for itself alone."""
    return re.sub(r"([\\*?\[\]!# ])", r"\\\1", name)


def _address(name: str, folder: Path, output_dir: Path) -> str:
    """Give an address of a dataset that tells nobody where people keep their files.

    It is relative where one dataset lies in the other, else a place that is named and not told:
    whoever hands the results on may put an address there that others can reach.
    """
    there, here = folder.resolve(), output_dir.resolve()
    if there in here.parents or here in there.parents:
        return quote(Path(os.path.relpath(there, here)).as_posix())
    return "file:///" + quote(f"<{name}>")


def _description(bids_dir: Path, output_dir: Path, links: dict[str, Any]) -> dict[str, Any]:
    source = _read(bids_dir / "dataset_description.json")
    generated: dict[str, Any] = {"Name": "NociCast", "Version": __version__}
    image = os.environ.get("NOCICAST_CONTAINER")
    if image:
        generated["Container"] = {"Type": os.environ.get("NOCICAST_CONTAINER_TYPE", "docker")}
        generated["Container"]["Tag"] = image
    raw = _address("bids_dir", bids_dir, output_dir)
    description: dict[str, Any] = {
        "Name": f"NociCast: {source.get('Name') or bids_dir.name}",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [generated],
        "SourceDatasets": [{"URL": raw}],
        "DatasetLinks": links | {"raw": raw},
        "HowToAcknowledge": "Please cite NociCast and the study whose recipe was used.",
    }
    if isinstance(source.get("License"), str):
        description["License"] = source["License"]
    if isinstance(source.get("DatasetDOI"), str):
        description["SourceDatasets"][0]["DOI"] = source["DatasetDOI"]
    return description


def _read(path: Path) -> dict[str, Any]:
    try:
        content = read_json(path)
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
