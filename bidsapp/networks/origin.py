"""Where pretrained weights come from: known by hash, written in the file, or told by a person.

A file that holds the right tensors says nothing of the people it was fitted to. Two kinds of file
do: those that MedicalNet and torchvision published, by their SHA-256, and those of this app, which
carry the hashes of the images of their cohort. Of every other one a person has to say it.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import bidsapp
from bidsapp.derivatives.sidecars import file_sha256
from bidsapp.errors import BadData, UsageError
from bidsapp.intake.json_text import read_own_json
from bidsapp.networks import imagenet
from bidsapp.networks.carried_hashes import CARRIED, carried

if TYPE_CHECKING:
    from bidsapp.recipes.network import Network

PUBLISHED: Mapping[str, str] = MappingProxyType(
    {
        "afa8055f3e47f4a18239495d92a7abc587902c69c31c743de2b2784653b72605": (
            "resnet_10_23dataset.pth"
        ),
        "61224f9317fcce873366deb3703183e92cc47325b726b69691b33536244e10f4": (
            "resnet_18_23dataset.pth"
        ),
        "3ea7188e396774e4ef95b66e5e90a78273bb33f6e58d3d717bf24f5f1aaeaa28": (
            "resnet_34_23dataset.pth"
        ),
        "ff48a62219073fb977fd3f4ddfb8dc1367f0ec156c8d6f6c37e205bd683a246e": (
            "resnet_50_23dataset.pth"
        ),
    }
)
"""SHA-256 of MedicalNet's released files, as their pages at
https://huggingface.co/TencentMedicalNet (MedicalNet-Resnet10, -18, -34, -50) print them; those of
10 and 50 stand at https://huggingface.co/MONAI/checkpoints too."""
MEDICALNET = "MedicalNet (23 datasets of segmented organs)"


@dataclass(frozen=True)
class FileOrigin:
    """What is known of a file of weights without a person's word.

    Attributes
    ----------
    path, sha256
        The file and its hash.
    published
        The data that it was published for having been trained on; empty for any other file.
    images
        Hashes of the images that the network was made with, and of those that its own initial
        weights were made with; None where the file tells none.
    foreign
        The weights that the network itself began with where their people are not known by
        hashes; empty where there are none.
    """

    path: Path
    sha256: str
    published: str = ""
    images: frozenset[str] | None = None
    foreign: str = ""

    @property
    def tells(self) -> bool:
        """Whether nobody has to say where the weights come from."""
        return bool(self.published) or (self.images is not None and not self.foreign)


@dataclass(frozen=True)
class InitialWeights:
    """What is said of the weights that a network began with.

    Attributes
    ----------
    kind
        ``random``, ``medicalnet`` and ``imagenet`` (files that MedicalNet and torchvision
        published), ``nocicast`` (of this app), ``variant`` (of the same run) or ``file``.
    file, sha256
        Name and hash; None for random weights.
    dataset
        What they were trained on; empty where it is not known.
    participants
        ``disjoint``, ``unknown`` or ``overlap``; empty where it was not asked.
    known_by
        ``hash``, ``images`` (by the hashes of the images), ``splits`` (of the same fold) or
        ``user`` (a person's word).
    variant
        The variant whose networks of the same folds they are; empty for all others.
    before
        What that variant's networks began with, as `plain` gives it.
    """

    kind: str
    file: str | None = None
    sha256: str | None = None
    dataset: str = ""
    participants: str = ""
    known_by: str = ""
    variant: str = ""
    before: Mapping[str, Any] | None = None

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        values = asdict(self)
        if not self.variant:
            del values["variant"], values["before"]
        return values


def origin_of(path: Path) -> FileOrigin:
    """Find out what a file of weights says of itself."""
    sha256 = file_sha256(path)
    if published := _published(sha256):
        return FileOrigin(path, sha256, published=published)
    told = carried(path) or _of_bundle(path)
    return (
        FileOrigin(path, sha256, images=told[0], foreign=told[1])
        if told
        else FileOrigin(path, sha256)
    )


def _published(sha256: str) -> str:
    """Name the data that a published file was trained on; empty for any other file."""
    if sha256 in PUBLISHED:
        return MEDICALNET
    return imagenet.DATASET if imagenet.published_by_torchvision(sha256) else ""


def initial_weights(
    section: "Network", path: Path | None, before: InitialWeights | None = None
) -> InitialWeights:
    """Say what a network begins with.

    Parameters
    ----------
    section
        Of the recipe.
    path
        The file; None where there is none.
    before
        What the networks began with whose weights are begun with, where they are a variant's.
    """
    if before is not None:
        name = section.start.variant  # type: ignore[union-attr]
        return InitialWeights(
            "variant", participants="disjoint", known_by="splits", variant=name,
            before=before.plain(),
        )  # fmt: skip
    if path is None:
        return InitialWeights("random")
    found, stated = origin_of(path), section.origin
    about = (path.name, found.sha256)
    if found.published:
        seen = stated.participants if stated else ""
        whose = "medicalnet" if found.published == MEDICALNET else "imagenet"
        return InitialWeights(whose, *about, found.published, seen, "hash")
    kind = "file" if found.images is None else "nocicast"
    if stated is not None and (kind, stated.participants) == ("nocicast", "overlap"):
        return InitialWeights(kind, *about, stated.dataset, "overlap", "images")
    if stated is not None:
        return InitialWeights(kind, *about, stated.dataset, stated.participants, "user")
    if found.tells:
        return InitialWeights(kind, *about, "another cohort", "disjoint", "images")
    return InitialWeights(kind, *about)


def require_origin(section: "Network", path: Path) -> None:
    """Refuse a file of which nobody can tell whom it was trained on.

    Raises
    ------
    UsageError
        The file is not known and the recipe does not say where it comes from.
    """
    if section.origin is not None:
        return
    found = origin_of(path)
    if found.tells:
        return
    what = "is no file that MedicalNet or torchvision published, and none that NociCast made"
    if found.images is not None:
        what = f"was made by NociCast from weights of unknown origin ({found.foreign})"
    raise UsageError(
        f"--weights {path} (sha256 {found.sha256}) {what}: whether it has seen the people of this "
        "cohort cannot be known from it. Say what it was trained on: --set "
        "'network.origin.dataset=NAME OF THE DATA' network.origin.participants=disjoint if you "
        "know that nobody of this cohort was among them, =unknown if not (every result is then "
        "stamped LEAK?). Or begin with random weights: --set network.start=random"
    )


def seen_people(path: Path, hashes: Mapping[str, Sequence[str]]) -> list[str]:
    """List the scans of a cohort whose images a file of this app says that it was made with.

    Parameters
    ----------
    path
        The file of weights.
    hashes
        Name of a scan to the hashes of its image: of its voxels, of its source.
    """
    images = origin_of(path).images or frozenset()
    return [name for name, own in hashes.items() if any(one in images for one in own if one)]


def weights_words(weights: Mapping[str, Any], cited: str = "", short: bool = False) -> str:
    """Say what a network began with, in a phrase.

    Parameters
    ----------
    weights
        As `InitialWeights.plain` gives it; what an earlier version wrote has fewer keys.
    cited
        Put after MedicalNet's name, where it is MedicalNet.
    short
        Twelve digits of the hash.
    """
    sha256 = str(weights.get("sha256") or "")
    file = weights.get("file")
    if str(weights.get("kind", "random")) == "random" and not file:
        return "random weights"
    if weights.get("variant"):
        before = weights_words(weights.get("before") or {}, cited, short)
        return (
            f"the weights of {weights['variant']}'s network of the same fold, which had seen none "
            f"of the people held out in it and began with {before}"
        )
    about = f"{file or 'a file whose name is not recorded'}, sha256 {_digits(sha256, short)}"
    seen, word = weights.get("participants") or "", weights.get("known_by") or ""
    if sha256 in PUBLISHED:
        return f"weights pretrained by MedicalNet{cited} ({about}, as published){_people(seen)}"
    if _published(sha256):
        return f"weights pretrained on ImageNet ({about}, as torchvision published)"
    if word == "images":
        whose = "people" if seen == "overlap" else "no image"
        were = "were" if seen == "overlap" else "was"
        return (
            f"weights of a network that NociCast trained on another cohort ({about}); {whose} of "
            f"this cohort {were} among those that it was trained on, by the hashes of the images"
        )
    told = str(weights.get("dataset") or "").strip()
    on = f", stated by the user to be trained on {told}" if told else ""
    whose = "weights of unknown origin"
    if weights.get("kind") == "nocicast":
        whose = "weights of a network that NociCast trained"
    return f"{whose} ({about}){on}{_people(seen)}"


def resting_on_word(weights: Mapping[str, Any]) -> bool:
    """Whether nothing but a person's word, or not even that, says whom the weights have seen."""
    if weights.get("variant"):
        return resting_on_word(weights.get("before") or {})
    if not weights.get("file") or weights.get("known_by") == "images":
        return False
    return not _published(str(weights.get("sha256"))) or bool(weights.get("participants"))


def _people(participants: str) -> str:
    return {
        "disjoint": "; that nobody of this cohort was among them is stated by the user and was "
        "not checked",
        "unknown": "; whether people of this cohort were among them is not known",
        "overlap": "; people of this cohort were among them",
    }.get(participants, "")


def _digits(sha256: str, short: bool) -> str:
    return (f"{sha256[:12]}…" if short else sha256) if sha256 else "not recorded"


def cohort_metadata(hashes: Iterable[str], began_with: Path | None, stated: str) -> dict[str, str]:
    """Give what a trained network's file carries of the people it was made with.

    Parameters
    ----------
    hashes
        Of the images of the whole cohort. Nobody can tell from a hash who it is.
    began_with
        File of its initial weights, whose own images it inherits.
    stated
        What a person said of that file; used where the file tells nothing.

    Returns
    -------
    dict
        Metadata of a safetensors file; empty where no hash is known.
    """
    images, foreign = {one for one in hashes if one}, ""
    if not images:
        return {}
    if began_with is not None:
        before = origin_of(began_with)
        images |= before.images or frozenset()
        if not before.tells:
            foreign = before.foreign or f"{began_with.name}, sha256 {before.sha256}{stated}"
    told = {"version": bidsapp.__version__, "images": sorted(images), "foreign": foreign}
    return {CARRIED: json.dumps(told)}


def _of_bundle(path: Path) -> tuple[frozenset[str], str] | None:
    """Images of the bundle around a model that an earlier version wrote, by the bundle's list."""
    from bidsapp.networks.bundle_images import IMAGES, images_from_json

    folder = path.parent.parent
    try:
        manifest = read_own_json(folder / "configs" / "manifest.json")
        if manifest["files"][f"models/{path.name}"] != file_sha256(path):
            return None
        content = read_own_json(folder / IMAGES)
        metadata = read_own_json(folder / "configs" / "metadata.json")
        images = images_from_json(content, len(manifest["files"]))
        began = dict(metadata["initial_weights"])
    except (OSError, ValueError, KeyError, TypeError, BadData):
        return None
    unknown = began.get("sha256") is not None and not _published(str(began["sha256"]))
    foreign = weights_words(began) if unknown else ""
    return frozenset({i.voxels for i in images} | {i.source for i in images if i.source}), foreign
