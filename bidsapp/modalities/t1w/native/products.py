"""The files of a head in its own space, and what their sidecars say."""

from collections.abc import Mapping
from typing import Any

from bidsapp.contracts.prepared import Made
from bidsapp.contracts.product import Channel, Product
from bidsapp.modalities.t1w.native.settings import AS_ACQUIRED, NATIVE

SPACE = "individual"
"""BIDS' label of a participant's own anatomical space."""
_WHOLE = {"space": (NATIVE,), "brain": ("whole",)}
_EXTRACTED = {"space": (NATIVE,), "brain": ("extracted",)}
CHANNEL = "head"


def labels_of(settings: Any) -> dict[str, str]:
    """Give what tells this preparation's files from those of others.

    Parameters
    ----------
    settings
        A `NativePreparation`.

    Returns
    -------
    dict
        ``space``, ``res``, and ``box``: axes where they are not RAS, and voxels.
    """
    spacing = settings.spacing
    resolution = "acquired" if spacing == AS_ACQUIRED else f"{spacing:g}".replace(".", "p")
    axes = "" if settings.axes == "RAS" else str(settings.axes)
    return {"space": SPACE, "res": resolution, "box": axes + "x".join(map(str, settings.box))}


def _grid(made: Made) -> dict[str, Any]:
    settings, facts = made.settings, made.facts
    spacing = settings["spacing"]
    how = "as acquired" if spacing == AS_ACQUIRED else f"{spacing:g} mm isotropic"
    box = " × ".join(map(str, settings["box"]))
    return {
        "SpatialReference": made.sources[0],
        "Resolution": f"{how}, in a box of {box} voxels whose axes run {settings['axes']}",
        "Box": {"Padded": facts["padded"], "Cropped": facts["cropped"]},
    }


def _box(made: Made) -> Mapping[str, Any]:
    stripped = made.settings["brain"] == "extracted"
    scaled = made.settings["intensity"] == "minmax"
    what = "Brain" if stripped else "Whole head"
    return {
        "Description": f"{what} in the participant's own space, not registered: turned, resampled, "
        f"padded and cropped, {'scaled to 0..1 by itself' if scaled else 'not scaled'}.",
        "Sources": list(made.sources),
        **_grid(made),
        "SkullStripped": stripped,
        "IntensityMaximumBeforeScaling": made.facts["intensity_maximum"],
    }


def _mask(made: Made) -> Mapping[str, Any]:
    return {
        "Description": "Brain mask in the participant's own space, on the voxels of the box.",
        "Type": "Brain",
        "Sources": list(made.sources),
        **_grid(made),
    }


_CHANNEL = Channel(
    CHANNEL,
    title="T1w",
    words="the T1w image in its own space",
    unit="relative intensity, 0 to 1 within the image",
    value_range=(0, 1),
    arbitrary=True,
    larger="brighter",
    smaller="darker",
)

PRODUCTS = (
    Product(
        "head",
        "space-{space}_res-{res}_desc-head{box}_T1w.nii.gz",
        _box,
        main=True,
        channel=_CHANNEL,
        only=_WHOLE,
        own_page=True,
    ),
    Product(
        "brain",
        "space-{space}_res-{res}_desc-brain{box}_T1w.nii.gz",
        _box,
        main=True,
        channel=_CHANNEL,
        only=_EXTRACTED,
        own_page=True,
    ),
    Product(
        "own_mask",
        "space-{space}_res-{res}_desc-brain{box}_mask.nii.gz",
        _mask,
        only={"space": (NATIVE,)},
    ),
)
