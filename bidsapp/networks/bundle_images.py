"""Which images a bundle's models have seen: hashes of them, and of nobody's name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bidsapp.errors import BadData

IMAGES = Path("configs") / "training_images.json"
_ABOUT = (
    "SHA-256 of every scan of the training cohort: of the voxels of the prepared image, and of "
    "its source file. unseen_by: models, by their place in models.json, that this person was kept "
    "from. Whoever has an image can tell whether it is here; nobody can tell from here who it is."
)


@dataclass(frozen=True)
class TrainingImage:
    """One scan of the cohort that a bundle was made with.

    Attributes
    ----------
    voxels
        Hash of the prepared image, as `bidsapp.dataset.scans.voxel_hash` gives it.
    source
        SHA-256 of the source file itself; empty where it is not known. It finds a person again who
        was normalised on another machine, whose voxels differ in their last bits.
    unseen_by
        Places of the models that neither trained nor were selected on this person.
    """

    voxels: str
    source: str
    unseen_by: tuple[int, ...]


def find_image(images: Sequence[TrainingImage], voxels: str, source: str) -> TrainingImage | None:
    """Find a scan by either of its hashes."""
    for image in images:
        if image.voxels == voxels or (source and image.source == source):
            return image
    return None


def images_to_json(images: Sequence[TrainingImage]) -> dict[str, Any]:
    """Plain contents of the file, in an order that tells nothing of the cohort's."""
    rows = [
        {"voxels": image.voxels, "source": image.source, "unseen_by": list(image.unseen_by)}
        for image in sorted(images, key=lambda image: image.voxels)
    ]
    return {"about": _ABOUT, "images": rows}


def images_from_json(content: Mapping[str, Any], models: int) -> tuple[TrainingImage, ...]:
    """Read what `images_to_json` gave, for a bundle of so many models.

    Raises
    ------
    BadData
        If a key is missing, or a model is named that is not there.
    """
    try:
        images = tuple(
            TrainingImage(
                str(row["voxels"]), str(row["source"]), tuple(int(k) for k in row["unseen_by"])
            )
            for row in content["images"]
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise BadData(f"{IMAGES} cannot be used: {error!r}") from error
    if any(not 0 <= k < models for image in images for k in image.unseen_by):
        raise BadData(f"{IMAGES} names a model that is not among the {models}")
    return images
