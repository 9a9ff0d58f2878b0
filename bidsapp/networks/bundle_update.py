"""A bundle written anew with another calibration, and how it came about."""

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bidsapp.contracts.abstention import Limits
from bidsapp.contracts.calibrated import Calibrated
from bidsapp.contracts.recalibration import Recalibration
from bidsapp.derivatives.atomic import link_or_copy, make_folder
from bidsapp.intake.json_text import read_own_json
from bidsapp.networks.bundle import Bundle
from bidsapp.networks.bundle_about import LIMITS, RECALIBRATION, write_calibrated, write_plain
from bidsapp.networks.bundle_files import CARD, METADATA
from bidsapp.networks.bundle_write import beside, seal
from bidsapp.visible import markdown_text


def write_recalibrated(
    source: Bundle,
    folder: Path,
    name: str,
    recalibration: Recalibration,
    record: Mapping[str, Any],
    clinic: Mapping[str, Recalibration] | None = None,
    images: Iterable[str] = (),
    calibrated: Calibrated | None = None,
    limits: Limits | None = None,
) -> Path:
    """Write a bundle anew with another calibration; the models and all else stay as they are.

    Parameters
    ----------
    source
        The bundle that was validated. What it was recalibrated by before is replaced by the new
        recalibration, which holds the earlier one; its history stays.
    folder
        Of the new bundle; it may not be there yet.
    name
        Of the new bundle.
    recalibration
        What is done to the mean of the fold models.
    record
        On whom, how it was judged, and from which bundle: the newest entry of the history.
    clinic
        What is done to the answers of its clinical part; without, it gives none any more.
    images
        Hashes of the images that it was fitted on, so that they are known again; none are written
        of an anonymous bundle, nor where those of an earlier recalibration are not known.
    calibrated
        What the mean of the fold models is worth among the new people; without, nothing is said of
        that any more, as what training people were worth holds no longer.
    limits
        From when on the recalibrated model does not answer, by the new people; without, those of
        the model before stay.

    Raises
    ------
    CannotCreateOutput, InputOutputError
        The disk is full or cannot be written to.
    """
    make_folder(folder.parent)
    with beside(folder) as new:
        shutil.copytree(source.folder, new, copy_function=link_or_copy)
        metadata = read_own_json(new / METADATA)
        version = _next(str(metadata["version"]))
        change = f"recalibrated ({recalibration.kind}) from {source.name} {source.version}"
        metadata |= {
            "name": name,
            "version": version,
            "changelog": {**metadata.get("changelog", {}), version: change},
            "recalibrated": dict(record),
        }
        history = [*map(dict, source.about.history), dict(record)]
        for path in (METADATA, RECALIBRATION, CARD):
            (new / path).unlink(missing_ok=True)
        write_plain(new / METADATA, metadata)
        beside_it = {key: one.plain() for key, one in (clinic or {}).items()}
        told = recalibration.plain() | ({"clinic": beside_it} if beside_it else {})
        before = source.about.recalibrated_on
        whole = before is not None or source.about.recalibration is None
        if whole and source.images is not None and (seen := {*(before or ()), *images}):
            told |= {"images_sha256": sorted(seen)}
        write_plain(new / RECALIBRATION, told | {"history": history})
        write_calibrated(new, calibrated)
        if limits is not None and (new / LIMITS).is_file():
            told_before = read_own_json(new / LIMITS)
            (new / LIMITS).unlink()  # linked to the bundle before
            write_plain(new / LIMITS, told_before | {"limits": limits.plain()})
        card = (source.folder / CARD).read_text(encoding="utf-8")
        (new / CARD).write_text(
            f"{card}\n{_on_card(recalibration, record, limits)}", encoding="utf-8"
        )
        seal(new, folder)
    return folder


def _next(version: str) -> str:
    """Count the minor version up: ``1.0.0`` to ``1.1.0``."""
    major, minor, *_ = [*version.split("."), "0", "0"]
    counts = minor.isdecimal() and len(minor) < 10
    return f"{major}.{int(minor) + 1 if counts else 1}.0"


def _on_card(recalibration: Recalibration, record: Mapping[str, Any], limits: Limits | None) -> str:
    coefficients = f"{recalibration.intercept:+.3f} + {recalibration.slope:.3f} × logit"
    told = "\n".join(
        f"- {key.replace('_', ' ')}: {markdown_text(str(value))}" for key, value in record.items()
    )
    whose = "the model before" if limits is None else "the people it was recalibrated on"
    return (
        f"## Recalibrated\n\nThe results above are those of the model before. Its probability is "
        f"changed: new logit = {coefficients}. The order of people stays as it was; the limits of "
        f"abstention are those of {whose}.\n\n{told}\n"
    )
