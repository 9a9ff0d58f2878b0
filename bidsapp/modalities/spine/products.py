"""The files that are written for every injection, and what their sidecars say."""

from collections.abc import Mapping
from typing import Any

from bidsapp.contracts.prepared import Made
from bidsapp.contracts.product import Channel, Product


def _picture(made: Made) -> Mapping[str, Any]:
    return {
        "Description": "Region of the injection as a network sees it: first axis from the midline "
        "outwards (left regions are mirrored), second from back to front; read as 0 to 1. Its "
        "affine is the frame that all pictures have in common; Space leads to the person.",
        "Sources": [*made.sources, made.names.uri + made.names["slice"]],
        "SpatialReference": "the box of the injection, on the injected side of the midline",
        "SkullStripped": False,
        **made.facts["injection"],
        "Space": made.facts["space"],
    }


def _slice(made: Made) -> Mapping[str, Any]:
    return {
        "Description": "The slice of the injection, resampled in plane; first axis to the right, "
        "second to the front.",
        "Sources": list(made.sources),
        "SkullStripped": False,
        **made.facts["injection"],
    }


def _region(made: Made) -> Mapping[str, Any]:
    return {
        "Description": "The region of the injection, not mirrored, on its own grid.",
        "Sources": [made.names.uri + made.names["slice"]],
        "SkullStripped": False,
        **made.facts["injection"],
    }


PRODUCTS = (
    Product(
        "picture",
        "space-{space}_desc-{part}preproc_T2w.nii.gz",
        _picture,
        main=True,
        channel=Channel(
            "t2w",
            title="T2w",
            words="the region of the T2w slice",
            unit="relative intensity, 0 to 1 between two percentiles of the region",
            value_range=(0, 1),
            larger="brighter",
            smaller="darker",
        ),
    ),
    Product("slice", "desc-{part}slice_T2w.nii.gz", _slice),
    Product("region", "desc-{part}region_T2w.nii.gz", _region),
)
