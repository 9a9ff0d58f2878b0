"""Where values lie: volumes of a template, slices of a person's image, spheres, meshes."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from bidsapp.contracts.space import Space
from bidsapp.errors import BadData
from bidsapp.intake.images import MAX_VOXELS
from bidsapp.spaces.mesh import MeshSpace
from bidsapp.spaces.own_volume import OwnVolume
from bidsapp.spaces.slice import Slice
from bidsapp.spaces.sphere import Sphere
from bidsapp.spaces.volume import Volume

__all__ = ["MeshSpace", "OwnVolume", "Slice", "Sphere", "Volume", "read_space"]

KINDS: Mapping[str, Callable[[Mapping[str, Any]], Space]] = {
    Volume.kind: Volume.from_dict,
    OwnVolume.kind: OwnVolume.from_dict,
    Slice.kind: Slice.from_dict,
    Sphere.kind: Sphere.from_dict,
    MeshSpace.kind: MeshSpace.from_dict,
}


def read_space(values: Mapping[str, Any]) -> Space:
    """Read what the `to_dict` of any space wrote; one that names no kind is a volume.

    Raises
    ------
    BadData
        If the kind is not known, the description cannot be used, or no image has as many cells.
    """
    kind = values.get("kind", Volume.kind) if isinstance(values, Mapping) else None
    if not isinstance(kind, str) or kind not in KINDS:
        raise BadData(
            f"the description of a space cannot be used: kind {kind!r} is not one of "
            f"{', '.join(KINDS)}"
        )
    space = KINDS[kind](values)
    for shape in (space.shape, space.whole_shape):
        if math.prod(shape) > MAX_VOXELS:
            raise BadData(
                f"the description of a space cannot be used: shape {' × '.join(map(str, shape))} "
                f"of a {space.kind}; it has at most {MAX_VOXELS:,} cells, as an image has"
            )
    return space
