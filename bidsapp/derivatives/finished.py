"""What the participant level has finished in an output folder, read from the sidecars."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bidsapp.contracts.modality import Modality, modality_named, modality_packages
from bidsapp.contracts.prepared import Prepared
from bidsapp.contracts.product import LONG_NAMES, OutputNames, Product, sidecar_name
from bidsapp.derivatives.sidecars import PAGE
from bidsapp.intake.json_text import read_json


def finished_images(output_dir: Path) -> list[Prepared]:
    """List every unit that was prepared and judged, in the order of the names.

    Other files are passed over, and what is not finished too.
    """
    found = [
        one
        for name in modality_packages()
        for one in _by_last_names(list(_of(modality_named(name), output_dir)))
    ]
    return sorted(found, key=_place)


def _by_last_names(images: Sequence[Prepared]) -> Iterator[Prepared]:
    """Leave out what lies there once more, by the name that it had as the only one of its visit.

    Only what is alike: which of two is wanted, nobody knows.
    """
    parts = [(*_made_of(one), one.names.part) for one in images if one.names.part]
    for one in images:
        part = modality_named(one.modality).part_in(one.sidecar)
        if one.names.part or (*_made_of(one), part) not in parts:
            yield one


def _made_of(one: Prepared) -> tuple[Any, ...]:
    settings = {key: v for key, v in one.sidecar.get("Settings", {}).items() if key != "version"}
    return one.participant, one.session, one.provenance.source_sha256, settings


def _place(one: Prepared) -> tuple[str, str, str]:
    return one.participant, one.session, one.names[one.names.main.key]


def _of(modality: Modality, output_dir: Path) -> Iterator[Prepared]:
    datatype = modality.sources[0].datatype
    for main in modality.main_products():
        extension = main.name.rpartition("_")[2].partition(".")[1:]
        for pattern in (f"sub-*/{datatype}", f"sub-*/ses-*/{datatype}"):
            for path in output_dir.glob(f"{pattern}/sub-*.json"):
                one = _read(modality, main, output_dir, path, "".join(extension))
                if one is not None:
                    yield one


def _read(
    modality: Modality, main: Product, output_dir: Path, path: Path, extension: str
) -> Prepared | None:
    match = main.pattern().fullmatch(path.name.removesuffix(".json") + extension)
    if match is None:
        return None
    labels = match.groupdict()
    short = dict(part.partition("-")[::2] for part in labels.pop("stem").split("_"))
    if not set(short) <= set(LONG_NAMES):
        return None
    entities = {LONG_NAMES[key]: value for key, value in short.items()}
    try:
        sidecar = read_json(path)
    except (OSError, ValueError):
        return None
    quality = sidecar.get("Quality") if isinstance(sidecar, dict) else None
    if not isinstance(quality, dict) or not quality.get("verdict"):
        return None
    settings = sidecar.get("Settings")
    products = modality.products_for(settings if isinstance(settings, dict) else {})
    names = OutputNames(output_dir, entities, labels, products, path.parent.name, apart=True)
    if sidecar.get(PAGE) != names.report.name:
        names = replace(names, apart=False)
    if products[0] is not main or path != names.folder / sidecar_name(names[main.key]):
        return None
    return Prepared(modality.name, names, _as_written(sidecar, modality))


# What every modality's sidecars hold as lists or as names with values.
_KINDS: Mapping[str, type] = {
    **dict.fromkeys(("Sources", "Notes"), list),
    **dict.fromkeys(("Settings", "GeneratedWith", "CPUSeconds", "SourcesSHA256"), dict),
}


def _of_their_kinds(told: Mapping[str, Any], kinds: Mapping[str, type]) -> dict[str, Any]:
    """Leave out entries of another kind than this app writes, in what lists tell too."""
    kept = {key: v for key, v in told.items() if key not in kinds or isinstance(v, kinds[key])}
    for key, value in kept.items():
        if kinds.get(key) is list:
            kept[key] = [
                _of_their_kinds(one, kinds) if isinstance(one, Mapping) else one for one in value
            ]
    return kept


def _as_written(sidecar: dict[str, Any], modality: Modality) -> dict[str, Any]:
    """Leave out what somebody changed into another kind of value than this app writes."""
    kept = _of_their_kinds(sidecar, {**_KINDS, **modality.kinds})
    measures = {one.key: one for one in modality.measures_for(kept.get("Settings", {}))}
    kept["Quality"] = {
        key: value
        for key, value in sidecar["Quality"].items()
        if (key not in measures or measures[key].fits(value))
        and (key != "reasons" or isinstance(value, list))
    }
    return kept
