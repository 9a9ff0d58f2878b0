"""A bone's map back on the person's own bone, and from there on a reference knee's."""

from pathlib import Path

import numpy as np

from bidsapp.contracts.home import Carry, Home, View
from bidsapp.derivatives.sidecars import check_recorded
from bidsapp.errors import BadData, NoInput
from bidsapp.intake.gifti import read_surface
from bidsapp.intake.json_text import read_own_json
from bidsapp.modalities.knee.anatomy import ANATOMY
from bidsapp.modalities.knee.correspondence import match_elastically
from bidsapp.modalities.knee.sphere_rays import grid_of
from bidsapp.modalities.knee.surface import Surface
from bidsapp.spaces.sphere import Sphere
from bidsapp.spaces.surface import Mesh

_ENDS = (("medial", "lateral"), ("back", "front"), ("below", "above"))


def compartments(space: Sphere) -> dict[str, np.ndarray]:
    """Part a bone's map into its medial and its lateral half, bool of the picture each."""
    sphere = Sphere(space.shape, space.latitudes)
    side = sphere.directions @ grid_of(ANATOMY[space.label]).axes[:, 0]
    return {f"medial {space.label}": side < 0, f"lateral {space.label}": side >= 0}


def bone_views(bone: str) -> list[View]:
    """Give the sides of a bone, in the frame of its map."""
    axes, pole = grid_of(ANATOMY[bone]).axes, np.asarray(ANATOMY[bone].pole, float)
    sides = {
        "from the joint": pole,
        "from the front": np.array([0.0, 1, 0]),
        "from the medial side": np.array([-1.0, 0, 0]),
        "from the lateral side": np.array([1.0, 0, 0]),
    }
    found = []
    for title, toward in sides.items():
        upward = np.array([0.0, 0, 1]) if abs(toward[2]) < 0.5 else np.array([0.0, 1, 0])
        right = np.cross(upward, toward)
        axis = int(np.abs(right).argmax())
        ends = _ENDS[axis] if right[axis] > 0 else _ENDS[axis][::-1]
        across, up = (tuple(float(x) for x in axes @ one) for one in (right, upward))
        found.append(View(title, across, up, ends))  # type: ignore[arg-type]
    return found


def home_of(image: Path, channel: str) -> Home:
    """Read the surface of the bone that a channel is of.

    Parameters
    ----------
    image
        The knee's label map, ``sub-…_desc-joint_dseg.nii.gz`` (``…_desc-Ljoint_dseg.nii.gz``).
    channel
        ``tibia_thickness``.

    Raises
    ------
    NoInput
        Surface or map are not beside it.
    BadData
        They are not what was written.
    """
    bone, _, measure = channel.partition("_")
    stem, _, rest = image.name.partition("_desc-")
    part = rest.partition("joint_")[0]  # empty, where it is the only knee of its visit
    surface = image.with_name(f"{stem}_desc-{part}{bone}_mesh.surf.gii")
    told = image.with_name(f"{stem}_space-sphere_desc-{part}{bone}{measure}_statmap.json")
    for path in (surface, told):
        if not path.is_file():
            raise NoInput(f"{path} is not there; run the participant level on this knee")
    check_recorded(surface)
    points, triangles = read_surface(surface)
    try:
        grid = read_own_json(told)["Grid"]
        centre, turn = np.array(grid["Centre"], float), np.array(grid["Directions"], float)
        (columns, rows), (low, high) = grid["Shape"], grid["Latitudes"]
        local = (points - centre) @ turn.T
    except (KeyError, TypeError, ValueError) as error:
        raise BadData(f"{told}: its Grid cannot be used ({error!r}); prepare this knee anew") from (
            error
        )
    if np.linalg.det(turn) < 0:  # the scanner's triangles of what is mirrored here
        triangles = triangles[:, ::-1]
    space = Sphere(
        (int(columns), int(rows)),
        (float(low), float(high)),
        mesh=Mesh(local.astype(np.float32), triangles),
        label=bone,
    )
    return Home(space, surface, bone)


def carried_home(reference: Home, other: Home) -> Carry:
    """Match a bone with the reference's; gives how its points' values come there."""
    own, theirs = (_surface_of(home) for home in (reference, other))
    match = match_elastically(own, theirs, reference.structure)
    return lambda values: match.carry(values, theirs)


def _surface_of(home: Home) -> Surface:
    """Give a surface in the knee's frame (lateral, anterior, superior)."""
    assert isinstance(home.space, Sphere)
    assert home.space.mesh is not None
    mesh = home.space.mesh
    axes = grid_of(ANATOMY[home.structure]).axes
    turned = np.asarray(mesh.vertices, float) @ axes
    flipped = np.linalg.det(axes) < 0
    return Surface(turned, mesh.faces[:, ::-1] if flipped else mesh.faces)
