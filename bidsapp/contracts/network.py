"""What a network can be asked for, said by the one file that builds it."""

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

ARCHITECTURES = Path(__file__).parents[1] / "networks" / "architectures"


@dataclass(frozen=True)
class NetworkOffer:
    """What one network can be asked for.

    Every file of ``networks/architectures`` holds one as ``OFFER``, written with literals only,
    and a function ``build(section, in_channels)``. The file is read as text to learn what there
    is, so that recipes are checked without torch, and imported when its network is built.

    Attributes
    ----------
    name
        As the recipe's ``network.name`` has it; the file's name.
    title
        In methods texts, with ``{depth}`` and the key of a reference: ``ResNet-{depth} [@he2016]``.
    depths
        Numbers of layers that exist.
    dims
        2 where it takes slices, 3 where it takes volumes.
    stages
        Names of its layers from the input to the head, in the order in which they are frozen and
        in which Grad-CAM counts them; ``stages[0]`` is the stem, layers joined by a blank.
    starts
        Published weights that it can begin with (``medicalnet``, ``imagenet``) to the depths for
        which there are some.
    imagenet_names
        Regular expressions of names in torchvision's and timm's files, each to the name of the
        same weight here, applied one after the other.
    imagenet_files
        Depth to the published files, by the names that end in the first eight digits of their
        SHA-256.
    imagenet_home
        Address under which these files lie.
    medicalnet_shortcut
        Depth to the residual shortcut of its MedicalNet checkpoint; empty where there is none.
        Source: MedicalNet's released models (A without, B with a convolution).
    options
        The keys of ``network`` that not every network understands, and this one does.
    sized
        Whether its layers hang on the size of the images: ``build`` is then given their shape,
        too, and the network takes images of no other.
    least
        Voxels that an image must have along each axis; 0 where any number serves.
    """

    name: str
    title: str
    depths: tuple[int, ...]
    dims: tuple[int, ...] = (3,)
    stages: tuple[str, ...] = ()
    starts: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    imagenet_names: tuple[tuple[str, str], ...] = ()
    imagenet_files: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    imagenet_home: str = "https://download.pytorch.org/models/"
    medicalnet_shortcut: Mapping[int, Literal["A", "B"]] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    sized: bool = False
    least: int = 0


@cache
def network_offers() -> Mapping[str, NetworkOffer]:
    """List every network that there is, by name; nothing is imported."""
    offers = (_read_offer(path) for path in sorted(ARCHITECTURES.glob("[a-z]*.py")))
    return MappingProxyType({offer.name: offer for offer in offers})


def _read_offer(path: Path) -> NetworkOffer:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "OFFER":
            call: Any = node.value
            return NetworkOffer(**{k.arg: ast.literal_eval(k.value) for k in call.keywords})
    raise TypeError(f"{path} says nothing of its network: OFFER = NetworkOffer(...) is missing")
