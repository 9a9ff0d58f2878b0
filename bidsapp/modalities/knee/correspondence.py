"""Which place of one person's bone is which of another's: aligned, by direction, then elastically.

First rigidly, by the planes of closest points (Chen & Medioni 1992), those that fit worst left
out, as shafts end elsewhere. Then every point of the reference is sought in the same direction
from the centre. Then the surface of the reference is stretched as a whole (tibia and patella:
affinely, by the same planes), and drawn onto the other one, step by
step less stiffly (Amberg et al. 2007, doi:10.1109/CVPR.2007.383165): each point towards the place
that is like it in position, in the direction of its normal and in curvature.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from bidsapp.modalities.knee.anatomy import ANATOMY
from bidsapp.modalities.knee.sphere_map import lay_on_sphere
from bidsapp.modalities.knee.sphere_rays import grid_of
from bidsapp.modalities.knee.surface import Surface, centre_of

_ROUNDS = 40
_SAMPLE = 3000
_KEPT = 0.9
_TO_POINTS = 0.3
_AFFINE_ROUNDS, _AFFINE_TO_POINTS = 25, 0.1
_STIFFNESS = (400.0, 200.0, 100.0, 50.0, 25.0, 12.0, 6.0, 3.0)
_NORMAL_MM = 12.0
"""Millimetres that a normal turned by a radian is worth."""
_CURVATURE_MM = 60.0
"""Millimetres that a difference of 1/mm in mean curvature is worth."""
_CURVATURE_ROUNDS = 12


@dataclass(frozen=True)
class Match:
    """Where the points of a reference lie on another surface.

    Attributes
    ----------
    points
        (n, 3) mm on the other surface, as it lies.
    aligned
        (n, 3) the same after the alignment, beside the reference.
    to_reference
        (4, 4) from the other surface's millimetres to the reference's.
    seen
        (n,) bool: a place was found; those without took their neighbours'.
    """

    points: np.ndarray
    aligned: np.ndarray
    to_reference: np.ndarray
    seen: np.ndarray

    def carry(self, values: np.ndarray, surface: Surface) -> np.ndarray:
        """(n,) values of the other surface's points, at the reference's, from the nearest three."""
        from scipy.spatial import cKDTree

        distance, nearest = cKDTree(surface.points).query(self.points, k=3)
        weights = 1 / np.maximum(distance, 1e-6)
        known = np.isfinite(values)[nearest]
        total = (weights * known).sum(1)
        summed = (weights * known * np.nan_to_num(values)[nearest]).sum(1)
        kept = known[:, 0] & (total > 0)
        return np.where(kept, summed / np.where(total > 0, total, 1), np.nan)


def align(reference: Surface, other: Surface) -> np.ndarray:
    """(4, 4) rigid transform from the other surface's millimetres to the reference's."""
    from scipy.spatial import cKDTree

    tree = cKDTree(reference.points)
    some = np.linspace(0, len(other.points) - 1, min(_SAMPLE, len(other.points))).astype(int)
    moving = other.points[some]
    transform = np.eye(4)
    transform[:3, 3] = centre_of(reference) - centre_of(other)
    for _ in range(_ROUNDS):
        moved = moving @ transform[:3, :3].T + transform[:3, 3]
        distance, nearest = tree.query(moved)
        kept = distance <= np.quantile(distance, _KEPT)
        step = _step(moved[kept], reference.points[nearest[kept]], reference.normals[nearest[kept]])
        transform = step @ transform
        if np.abs(step - np.eye(4)).max() < 1e-4:
            break
    return transform


def match_by_direction(reference: Surface, other: Surface, bone: str) -> Match:
    """Align rigidly, and find each point of the reference in its direction from the centre."""
    transform = align(reference, other)
    moved = other.moved(other.points @ transform[:3, :3].T + transform[:3, 3])
    grid = grid_of(ANATOMY[bone], 192, 256, high=np.pi / 2)
    centre = centre_of(reference)
    own, theirs = (lay_on_sphere(one, grid, centre) for one in (reference, moved))
    hit = np.isfinite(theirs.radius)
    places = theirs.forward @ moved.points
    weights = own.back_weights * hit[own.back_pixels]
    total = weights.sum(1)
    mean = (weights[..., None] * places[own.back_pixels]).sum(1)
    aligned = mean / np.where(total > 0, total, 1)[:, None]
    seen = own.seen & (total > 0.5)
    aligned = np.where(seen[:, None], aligned, reference.points)
    aligned = _nearest_on(moved, aligned)
    return _match(aligned, transform, seen)


def match_elastically(reference: Surface, other: Surface, bone: str) -> Match:
    """Draw the reference onto the other surface, from the match by direction on."""
    first = match_by_direction(reference, other, bone)
    transform = first.to_reference
    moved = other.moved(other.points @ transform[:3, :3].T + transform[:3, 3])
    features = _features(moved, moved.points)
    tree = _tree(features)
    curvature = mean_curvature(reference)
    start = stretch(reference, moved) if ANATOMY[bone].stretched else reference.points
    drawn = reference.moved(start)
    for stiffness in _STIFFNESS:
        wanted = tree.query(_features(drawn, drawn.points, curvature))[1]
        target = moved.points[wanted]
        apart = np.linalg.norm(target - drawn.points, axis=1)
        trusted = apart <= np.quantile(apart, 0.95)
        drawn = reference.moved(start + _smooth(reference, target - start, trusted, stiffness))
    aligned = _nearest_on(moved, drawn.points)
    return _match(aligned, transform, first.seen)


def stretch(reference: Surface, aligned: Surface) -> np.ndarray:
    """(n, 3) the reference's points, moved affinely onto a surface that lies beside it."""
    from scipy.spatial import cKDTree

    tree = cKDTree(aligned.points)
    some = np.linspace(0, len(reference.points) - 1, min(_SAMPLE, len(reference.points)))
    middle = reference.points.mean(0)
    away = reference.points - middle
    sample = away[some.astype(int)]
    matrix, shift = np.eye(3), np.zeros(3)
    for _ in range(_AFFINE_ROUNDS):
        moved = sample @ matrix.T + shift + middle
        distance, nearest = tree.query(moved)
        kept = distance <= np.quantile(distance, _KEPT)
        place, normal = sample[kept], aligned.normals[nearest[kept]]
        apart = aligned.points[nearest[kept]] - moved[kept]
        rows = (normal[:, :, None] * place[:, None, :]).reshape(-1, 9)
        design, wanted = [np.concatenate([rows, normal], axis=1)], [(apart * normal).sum(1)]
        for axis in range(3):
            own = np.zeros((len(place), 12))
            own[:, 3 * axis : 3 * axis + 3], own[:, 9 + axis] = place, 1
            design.append(_AFFINE_TO_POINTS * own)
            wanted.append(_AFFINE_TO_POINTS * apart[:, axis])
        step = np.linalg.lstsq(np.concatenate(design), np.concatenate(wanted), rcond=None)[0]
        matrix, shift = matrix + step[:9].reshape(3, 3), shift + step[9:]
        if np.abs(step).max() < 1e-4:
            break
    return np.asarray(away @ matrix.T + shift + middle)


def mean_curvature(surface: Surface) -> np.ndarray:
    """(n,) 1/mm, above 0 where the surface bulges; evened out over some millimetres.

    Half the divergence of the normals along edges (a discrete mean curvature).
    """
    graph = surface.neighbours.tocoo()
    step = surface.points[graph.col] - surface.points[graph.row]
    turn = surface.normals[graph.col] - surface.normals[graph.row]
    along = (step * turn).sum(1) / np.maximum((step**2).sum(1), 1e-9)
    degree = np.bincount(graph.row, minlength=len(surface.points))
    value = np.bincount(graph.row, along, len(surface.points)) / np.maximum(degree, 1)
    for _ in range(_CURVATURE_ROUNDS):
        value = surface.averaged(value)
    return np.asarray(value)


def _match(aligned: np.ndarray, transform: np.ndarray, seen: np.ndarray) -> Match:
    back = np.linalg.inv(transform)
    return Match(aligned @ back[:3, :3].T + back[:3, 3], aligned, transform, seen)


def _step(points: np.ndarray, targets: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """(4, 4) small turn and shift that bring points to the planes of their targets.

    And, with less weight, to the targets themselves, or round bones would spin in their place.
    """
    from scipy.spatial.transform import Rotation

    middle = points.mean(0)
    away = points - middle
    design = [np.concatenate([np.cross(away, normals), normals], axis=1)]
    wanted = [((targets - points) * normals).sum(1)]
    for axis in np.eye(3):
        along = np.broadcast_to(axis, away.shape)
        design.append(_TO_POINTS * np.concatenate([np.cross(away, along), along], axis=1))
        wanted.append(_TO_POINTS * (targets - points) @ axis)
    turn, shift = np.split(
        np.linalg.lstsq(np.concatenate(design), np.concatenate(wanted), rcond=None)[0], 2
    )
    found = np.eye(4)
    found[:3, :3] = Rotation.from_rotvec(turn).as_matrix()
    found[:3, 3] = middle + shift - found[:3, :3] @ middle
    return found


def _features(
    surface: Surface, points: np.ndarray, curvature: np.ndarray | None = None
) -> np.ndarray:
    bend = mean_curvature(surface) if curvature is None else curvature
    return np.column_stack(
        [points, _NORMAL_MM * surface.normals, _CURVATURE_MM * np.clip(bend, -0.2, 0.2)]
    )


def _tree(features: np.ndarray) -> Any:
    from scipy.spatial import cKDTree

    return cKDTree(features)


def _smooth(
    surface: Surface, steps: np.ndarray, trusted: np.ndarray, stiffness: float
) -> np.ndarray:
    """(n, 3) steps that follow those that are trusted and change little between neighbours."""
    from scipy.sparse import csr_array, diags_array
    from scipy.sparse.linalg import cg

    graph = csr_array(surface.neighbours)
    degree = np.asarray(graph.sum(axis=1)).ravel()
    weight = trusted.astype(float)
    system = diags_array(weight + stiffness * degree + 1e-6) - stiffness * graph
    inverse = diags_array(1 / (weight + stiffness * degree + 1e-6))
    return np.stack(
        [
            cg(system, weight * steps[:, i], x0=steps[:, i], rtol=1e-3, maxiter=200, M=inverse)[0]
            for i in range(3)
        ],
        axis=1,
    )


def _nearest_on(surface: Surface, points: np.ndarray) -> np.ndarray:
    """(n, 3) nearest places of a surface: the foot on the plane of the nearest point's normal."""
    from scipy.spatial import cKDTree

    nearest = cKDTree(surface.points).query(points)[1]
    normal = surface.normals[nearest]
    height = ((points - surface.points[nearest]) * normal).sum(1)
    return np.asarray(points - height[:, None] * normal)
