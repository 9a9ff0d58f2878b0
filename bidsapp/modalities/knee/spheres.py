"""A bone's map as a space of the app: one picture for all knees, and the way home to one's own."""

from typing import Any

import numpy as np

from bidsapp.modalities.knee.sphere_rays import SphereGrid
from bidsapp.spaces.sphere import Sphere

RADIUS_MM = {"femur": 35.0, "tibia": 30.0, "patella": 17.0}
"""Of the sphere that all knees' maps of a bone have in common: about the OAI's median."""


def common_sphere(bone: str, grid: SphereGrid) -> Sphere:
    """Give the picture that all maps of a bone are laid on: longitudes, then latitudes.

    Its axes are the bone's: latitude -pi/2 is the middle of the joint surface, longitude 0 in
    front (of a patella: above).
    """
    return Sphere(
        shape=(grid.columns, grid.rows),
        latitudes=(float(grid.low), float(grid.high)),
        radius=RADIUS_MM[bone],
        label=bone,
    )


def as_picture(image: np.ndarray) -> np.ndarray:
    """Turn a (rows, columns) map into (longitudes, latitudes), 0 where it has no value."""
    return np.nan_to_num(np.asarray(image, np.float32)).T


def grid_facts(
    bone: str, grid: SphereGrid, centre: np.ndarray, seen_from: np.ndarray
) -> dict[str, Any]:
    """Say for a sidecar which directions a map shows, and from where.

    Parameters
    ----------
    centre
        (3,) in the scanner's millimetres.
    seen_from
        (3, 3) rows: the scanner's directions of longitude 0, of longitude pi/2 and of the upper
        pole.
    """
    return {
        "Shape": [grid.columns, grid.rows],
        "Axes": ["longitude", "latitude"],
        "Longitudes": [-float(np.pi), float(np.pi)],
        "Latitudes": [float(grid.low), float(grid.high)],
        "Centre": [round(float(x), 4) for x in centre],
        "Directions": [[round(float(x), 6) for x in row] for row in seen_from],
        "Bone": bone,
    }
