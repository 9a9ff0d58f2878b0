"""The words on heads in their own space, from the sidecars of what was prepared."""

from collections.abc import Sequence
from typing import Any

from bidsapp.contracts.measure import FAIL, WARN
from bidsapp.contracts.prepared import Prepared
from bidsapp.drawing.wording import counted, joined, many, ranged, software
from bidsapp.modalities.t1w.measures import VOLUME_ML
from bidsapp.modalities.t1w.native.settings import AS_ACQUIRED


def native_words(images: Sequence[Prepared]) -> dict[str, list[str]]:
    """Say how heads were laid into boxes of their own space, and how that was judged.

    Parameters
    ----------
    images
        At least one.

    Returns
    -------
    dict
        Heading to paragraphs.
    """
    return {"Image processing": [_processing(images)], "Quality control": [_quality(images)]}


def _processing(images: Sequence[Prepared]) -> str:
    people = len({image.participant for image in images})
    scans = many(len(images), "T1-weighted (T1w) image")
    spacings = [_spacing(image.settings.get("spacing")) for image in images]
    boxes = [" × ".join(map(str, image.settings.get("box", ()))) for image in images]
    axes = [str(image.settings.get("axes", "RAS")) for image in images]
    extracted = [image for image in images if image.settings.get("brain") == "extracted"]
    if not extracted:
        what = "Scalp and face were left in"
    elif len(extracted) == len(images):
        what = "All but the brain was set to 0"
    else:
        what = f"In {many(len(extracted), 'image')} all but the brain was set to 0"
    return (
        f"{scans} of {many(people, 'participant')} from a BIDS dataset [@gorgolewski2016] "
        f"{'was' if len(images) == 1 else 'were'} brought into a box of {counted(boxes)} voxels "
        f"with {software('nocicast', images)} [@nocicast], a BIDS-App "
        f"[@gorgolewski2017], each in its own space and without registration: turned so that the "
        f"axes run {counted(axes)}, {counted(spacings)}, padded evenly where the image is smaller "
        "than the box, and cropped around the head where it is larger. The brain was found with "
        f"{software('deepbet', images)} [@fisch2024]. {what}."
    )


def _quality(images: Sequence[Prepared]) -> str:
    found = [image.quality for image in images]
    verdicts = [str(quality.get("verdict")) for quality in found]
    volumes = [
        float(quality["brain_volume_ml"])
        for quality in found
        if quality.get("brain_volume_ml") is not None
    ]
    failed, doubtful = verdicts.count(FAIL), verdicts.count(WARN)
    parts = [
        f"{many(failed, 'image')} failed",
        f"{many(doubtful, 'image')} {'was' if doubtful == 1 else 'were'} marked for inspection",
    ]
    text = (
        "Without a template, an image fails where the box cuts off more than 0.1% of the brain or "
        f"the brain mask holds less than {VOLUME_ML.low:.0f} or more than {VOLUME_ML.high:.0f} ml, "
        f"and is marked where the brain touches the edge of the field of view: {joined(parts)}."
    )
    if volumes:
        text += f" Brain volume: {ranged(volumes, 0, ' ml')}."
    return " ".join(filter(None, (text, _faces(found))))


def _faces(found: Sequence[dict[str, Any]]) -> str:
    """Say how many faces were removed; nothing of brains that were extracted."""
    told = [quality["defaced"] for quality in found if quality.get("defaced") is not None]
    if not told:
        return ""
    removed = sum(map(bool, told))
    text = f"The face had been removed from {removed} of {many(len(told), 'whole head')}"
    if 0 < removed < len(told):
        return f"{text}: a network can tell these from the others, whatever they have."
    return f"{text}."


def _spacing(value: Any) -> str:
    if value == AS_ACQUIRED:
        return "in voxels as acquired"
    return f"resampled to {float(value):g} mm isotropic" if value is not None else "unknown voxels"
