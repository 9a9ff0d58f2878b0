"""Correspondence of bones: against deformations that are known, on other triangles."""

import time

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.spatial.transform import Rotation

from bidsapp.modalities.knee.anatomy import ANATOMY
from bidsapp.modalities.knee.correspondence import (
    align,
    match_by_direction,
    match_elastically,
    mean_curvature,
)
from bidsapp.modalities.knee.meshing import mesh_bone
from bidsapp.modalities.knee.sphere_map import centre_of
from bidsapp.modalities.knee.surface import Surface
from bidsapp.modalities.knee.thickness import thickness_along_normals
from tests.unit.knees import SPACING, label_map

_STEP_MM = 8.0


def bone(name: str, edge_mm: float) -> Surface:
    return mesh_bone(label_map().mask(name), np.array(SPACING), ANATOMY[name], edge_mm).surface


class Known:
    """A size, a turn, a shift and a smooth field of some millimetres."""

    def __init__(self, seed: int, field_mm: float, middle: np.ndarray):
        rng = np.random.default_rng(seed)
        field = np.stack([gaussian_filter(rng.normal(size=(24,) * 3), 2.5) for _ in range(3)])
        self.field = field * field_mm / np.sqrt((field**2).sum(0).mean())
        self.turn = Rotation.from_rotvec(np.deg2rad(5) * rng.normal(size=3)).as_matrix()
        self.size = 1 + 0.04 * rng.normal() if field_mm else 1.0
        self.shift = 4 * rng.normal(size=3)
        self.middle = middle

    def __call__(self, points: np.ndarray) -> np.ndarray:
        away = points - self.middle
        places = (away / _STEP_MM + 12).T
        step = np.stack(
            [map_coordinates(one, places, order=3, mode="nearest") for one in self.field]
        )
        return (self.size * away + step.T) @ self.turn.T + self.middle + self.shift


@pytest.mark.parametrize("name", ["femur", "tibia", "patella"])
def test_a_known_deformation_is_found(name: str) -> None:
    reference, other = bone(name, 1.2), bone(name, 1.4)
    labels = label_map()
    cartilage = labels.mask(*ANATOMY[name].cartilages)
    plate = thickness_along_normals(cartilage, np.array(SPACING), reference).covered
    known = Known(1, 3.0, centre_of(reference))
    moved, truth = other.moved(known(other.points)), known(reference.points)
    start = time.process_time()
    found = match_elastically(reference, moved, name)
    assert time.process_time() - start < 10
    error = np.linalg.norm(found.points - truth, axis=1)[plate]
    plain = match_by_direction(reference, moved, name)
    by_direction = np.linalg.norm(plain.points - truth, axis=1)[plate]
    assert np.median(error) < 1.5
    assert np.percentile(error, 90) < 3.5
    assert np.median(error) < 0.8 * np.median(by_direction)
    # Values go along: a coordinate of the undeformed bone comes back to its own place.
    carried = found.carry(other.points[:, 0], moved)
    apart = np.abs(carried - reference.points[:, 0])[plate]
    assert np.nanmedian(apart) < 1.0


def test_a_moved_bone_is_put_back() -> None:
    reference, other = bone("patella", 1.2), bone("patella", 1.4)
    known = Known(3, 0.0, centre_of(reference))
    known.field[:] = 0
    moved = other.moved(known(other.points))
    transform = align(reference, moved)
    assert np.linalg.det(transform[:3, :3]) == pytest.approx(1)
    back = moved.points @ transform[:3, :3].T + transform[:3, 3]
    assert np.linalg.norm(back - other.points, axis=1).max() < 0.5
    found = match_by_direction(reference, moved, "patella")
    truth = known(reference.points)
    assert np.median(np.linalg.norm(found.points - truth, axis=1)[found.seen]) < 0.3


def test_curvature_of_a_ball() -> None:
    axes = np.arange(45.0)
    places = np.stack(np.meshgrid(axes, axes, axes, indexing="ij")) - 22
    mask = np.linalg.norm(places, axis=0) < 16
    surface = mesh_bone(mask, np.ones(3), ANATOMY["patella"]).surface
    assert np.median(mean_curvature(surface)) == pytest.approx(1 / 16, rel=0.1)
