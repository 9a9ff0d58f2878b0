"""The files that are written for every knee, and what their sidecars say."""

from collections.abc import Callable, Mapping
from typing import Any

from bidsapp.contracts.prepared import Made
from bidsapp.contracts.product import Channel, Product
from bidsapp.modalities.knee.anatomy import BONES

MAPS: Mapping[str, tuple[str, str, tuple[float, float], str, str]] = {
    "thickness": ("cartilage thickness on sagittal skeletons", "mm", (0, 6), "thicker", "thinner"),
    "thicknessnormal": (
        "cartilage thickness along the normals",
        "mm",
        (0, 6),
        "thicker",
        "thinner",
    ),
    "shape": ("distance from the bone's centre", "mm", (0, 80), "further", "nearer"),
    "t2": ("T2 of the whole cartilage", "ms", (0, 120), "longer", "shorter"),
    "t2deep": ("T2 of the cartilage's half by the bone", "ms", (0, 120), "longer", "shorter"),
    "t2superficial": (
        "T2 of the cartilage's half by the joint",
        "ms",
        (0, 120),
        "longer",
        "shorter",
    ),
}
"""Name of a map to its words, unit, usual range, and what a larger and a smaller value is."""


def is_t2(name: str) -> bool:
    """Tell whether a map needs echoes."""
    return name.startswith("t2")


def _labels(made: Made) -> Mapping[str, Any]:
    return {
        "Description": "Label map with one numbering for all knees; names are in Labels.",
        "Sources": list(made.sources),
        "Labels": made.facts["labels"],
        "KneeSide": made.facts["side"],
        "KneeSideBy": made.facts["side_by"],
        "Mirrored": made.facts["side"] == "L",
        "ToScanner": made.facts["to_scanner"],
    }


def _map(bone: str, name: str) -> Callable[[Made], Mapping[str, Any]]:
    words, unit, *_ = MAPS[name]

    def sidecar(made: Made) -> Mapping[str, Any]:
        grid = made.facts["grids"][bone]
        return {
            "Description": f"{words.capitalize()} of the {bone}, seen over a sphere from the "
            "bone's centre; left knees are mirrored. 0 where there is no cartilage.",
            "Units": unit,
            "Sources": [made.names.uri + made.names[f"{bone}_surface"]],
            "Grid": grid,
        }

    return sidecar


def _surface(bone: str) -> Callable[[Made], Mapping[str, Any]]:
    def sidecar(made: Made) -> Mapping[str, Any]:
        return {
            "Description": f"Surface of the {bone} in the scanner's millimetres (RAS+), closed; "
            "its shaft is cropped.",
            "Sources": list(made.sources),
        }

    return sidecar


def _values(bone: str) -> Callable[[Made], Mapping[str, Any]]:
    def sidecar(made: Made) -> Mapping[str, Any]:
        return {
            "Description": f"A value for each point of the {bone}'s surface, an array each; NaN "
            "where there is no cartilage, 0 where it is worn away within its plate.",
            "Columns": {name: MAPS[name][1] for name in made.facts["channels"]},
            "Sources": [made.names.uri + made.names[f"{bone}_surface"]],
        }

    return sidecar


def _of_bone(bone: str) -> list[Product]:
    found = [
        Product(
            f"{bone}_surface",
            f"desc-{{part}}{bone}_mesh.surf.gii",
            _surface(bone),
        ),
        Product(
            f"{bone}_values",
            f"desc-{{part}}{bone}values_mesh.shape.gii",
            _values(bone),
        ),
    ]
    for name, (words, unit, usual, larger, smaller) in MAPS.items():
        channel = Channel(
            f"{bone}_{name}",
            title=f"{bone} {words}",
            words=f"the map of {words} of the {bone}",
            unit=unit,
            value_range=usual,
            bare=name != "shape",
            larger=larger,
            smaller=smaller,
        )
        found.append(
            Product(
                f"{bone}_{name}",
                f"space-sphere_desc-{{part}}{bone}{name}_statmap.shape.gii",
                _map(bone, name),
                channel=channel,
                only={"t2": (True,)} if is_t2(name) else None,
            )
        )
    return found


PRODUCTS = (
    Product("labels", "desc-{part}joint_dseg.nii.gz", _labels, main=True),
    *(product for bone in BONES for product in _of_bone(bone)),
)
