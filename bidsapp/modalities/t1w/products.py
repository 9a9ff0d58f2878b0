"""The files that are written for every T1w image, and what their sidecars say."""

from collections.abc import Mapping
from typing import Any

from bidsapp.contracts.prepared import Made
from bidsapp.contracts.product import Channel, Product
from bidsapp.modalities.t1w.measures import TEMPLATE

_OUTPUT = ("resolution", "intensity")
"""Settings of the output grid: what lies in the participant's space does not hang on them."""


def _in_space(made: Made) -> dict[str, Any]:
    return {
        "SpatialReference": made.provenance.reference,
        "Resolution": f"{made.settings['resolution']} mm isotropic, the grid of the recipe",
    }


def _to_template(made: Made) -> str:
    return made.names.uri + made.names["to_template"]


def _preproc(made: Made) -> Mapping[str, Any]:
    scaled = made.settings["intensity"] == "minmax"
    return {
        "Description": "Brain-extracted, bias-corrected T1w image in standard space, "
        + ("scaled to 0..1 by itself." if scaled else "not scaled."),
        "Sources": [*made.sources, _to_template(made)],
        **_in_space(made),
        "SkullStripped": True,
        "IntensityMaximumBeforeScaling": made.facts["intensity_maximum"],
    }


def _brain_mask(made: Made) -> Mapping[str, Any]:
    native = made.names.uri + made.names["native_mask"]
    return {
        "Description": "Brain mask in standard space.",
        "Type": "Brain",
        "Sources": [native, _to_template(made)],
        **_in_space(made),
    }


def _log_jacobian(made: Made) -> Mapping[str, Any]:
    return {
        "Description": "Natural logarithm of the volume ratio participant / template of the "
        "whole transform, affine included; above 0 where the participant is larger.",
        "Units": "ln(mm^3/mm^3)",
        "Sources": [_to_template(made)],
        **_in_space(made),
    }


def _native_mask(made: Made) -> Mapping[str, Any]:
    return {
        "Description": "Brain mask on the voxels of the source image.",
        "Type": "Brain",
        "Sources": list(made.sources),
    }


def _transform(origin: str, target: str, made: Made) -> Mapping[str, Any]:
    return {
        "Description": f"ITK composite transform that resamples an image in {origin} space into "
        f"{target} space (it maps points of {target} to points of {origin}).",
        "Sources": list(made.sources),
        "Software": "picsl-greedy (affine), nocicast (deformation)",
    }


def _from_template(made: Made) -> Mapping[str, Any]:
    told = _transform(made.names.labels["space"], "T1w", made)
    return {**told, "InverseNotConverged": made.facts["inverse_unsettled"]}


PRODUCTS = (
    Product(
        "preproc",
        "space-{space}_res-{res}_desc-preproc_T1w.nii.gz",
        _preproc,
        main=True,
        only=TEMPLATE,
        channel=Channel(
            "t1w",
            title="T1w",
            words="the normalised T1w image",
            unit="relative intensity, 0 to 1 within the image",
            value_range=(0, 1),
            arbitrary=True,
            larger="brighter",
            smaller="darker",
        ),
    ),
    Product(
        "brain_mask",
        "space-{space}_res-{res}_desc-brain_mask.nii.gz",
        _brain_mask,
        only=TEMPLATE,
    ),
    Product(
        "log_jacobian",
        "space-{space}_res-{res}_desc-logjacobian_statmap.nii.gz",
        _log_jacobian,
        only=TEMPLATE,
        channel=Channel(
            "log_jacobian",
            title="log-Jacobian",
            words="the map of the log-Jacobian",
            unit="natural logarithm of native volume over template volume",
            value_range=(-2, 2),
            masked=True,
            log_volume=True,
            larger="larger in a log-Jacobian",
            smaller="smaller",
        ),
    ),
    Product("native_mask", "desc-brain_mask.nii.gz", _native_mask, _OUTPUT, only=TEMPLATE),
    Product(
        "to_template",
        "from-T1w_to-{space}_mode-image_xfm.h5",
        lambda made: _transform("T1w", made.names.labels["space"], made),
        _OUTPUT,
        only=TEMPLATE,
    ),
    Product(
        "from_template",
        "from-{space}_to-T1w_mode-image_xfm.h5",
        _from_template,
        _OUTPUT,
        only=TEMPLATE,
    ),
)
