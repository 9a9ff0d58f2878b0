"""A bend onto the boundary of white matter: a known field is found, and else none."""

import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates

from bidsapp.contracts.measure import PASS, WARN
from bidsapp.modalities.bold.bend import bend_onto
from bidsapp.modalities.bold.boundary import Placed, onto_boundary
from bidsapp.modalities.bold.field import fitted_field, none_because
from bidsapp.modalities.bold.measures import MEASURES
from bidsapp.modalities.bold.reading import Run
from bidsapp.modalities.bold.timing import Timing
from bidsapp.modalities.bold.white_matter import white_matter_boundary

_SIZE, _MM = (64, 72, 60), 3.0


def _affine(mirrored: bool) -> np.ndarray:
    affine = np.diag([-_MM if mirrored else _MM, _MM, _MM, 1.0])
    affine[:3, 3] = -np.diag(affine)[:3] * (np.array(_SIZE) - 1) / 2
    return affine


def _head(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A folded brain on 1.5 mm: its T1w image, its signal in a series, and the affine."""
    rng = np.random.default_rng(seed)
    shape = tuple(2 * size for size in _SIZE)
    affine = np.diag([1.5, 1.5, 1.5, 1.0])
    affine[:3, 3] = -1.5 * (np.array(shape) - 1) / 2
    grid = nib.affines.apply_affine(affine, np.moveaxis(np.indices(shape), 0, -1))
    folds = gaussian_filter(rng.standard_normal(shape), 5)
    far = np.linalg.norm(grid / [68, 84, 62], axis=-1) + 0.12 * folds / folds.std()
    inside = np.linalg.norm(grid / [76, 92, 70], axis=-1) < 1
    white, grey = inside & (far < 0.72), inside & (far >= 0.72) & (far < 0.95)
    t1w = np.select([white, grey, inside], [1.0, 0.7, 0.3], 0.0)
    signal = np.select([white, grey, inside], [0.8, 1.0, 1.3], 0.0)
    return np.where(inside, gaussian_filter(t1w, 0.5), 0), gaussian_filter(signal, 0.5), affine


def _taken(
    millimetres: float, axis: int, mirrored: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A mean volume, its affine, and how far the field displaces along an axis, in voxels."""
    _, signal, own = _head()
    affine = _affine(mirrored)
    grid = np.moveaxis(np.indices(_SIZE), 0, -1).astype(float)
    places = nib.affines.apply_affine(affine, grid)
    bump = np.exp(-0.5 * (((places - [10, 55, -25]) / 28) ** 2).sum(axis=-1))
    voxels = millimetres / _MM * bump
    seen = grid.copy()
    for _ in range(20):
        there = map_coordinates(voxels, np.moveaxis(seen, -1, 0), order=1, mode="nearest")
        seen[..., axis] = grid[..., axis] - there
    at = nib.affines.apply_affine(np.linalg.inv(own) @ affine, seen)
    blurred = gaussian_filter(signal, 0.8)
    volume = map_coordinates(blurred, np.moveaxis(at, -1, 0), order=1)
    volume *= np.gradient(seen[..., axis], axis=axis)
    noise = 0.01 * np.random.default_rng(1).standard_normal(_SIZE)
    return (1000 * np.abs(volume + noise)).astype("f4"), affine, voxels


@pytest.mark.parametrize(("axis", "mirrored"), [(1, False), (0, True)])
def test_a_known_field_is_found_and_nothing_where_there_is_none(axis: int, mirrored: bool) -> None:
    t1w, _, own = _head()
    boundary = white_matter_boundary(t1w.astype("f4"), own)
    assert boundary is not None
    volume, affine, voxels = _taken(8.0, axis, mirrored)
    found = bend_onto(volume, affine, boundary, np.eye(4), axis, 1 - axis)
    assert found.improves
    assert found.displacement.axis == axis
    at = nib.affines.apply_affine(
        np.linalg.inv(own) @ affine, np.moveaxis(np.indices(_SIZE), 0, -1)
    )
    brain = map_coordinates(t1w, np.moveaxis(at, -1, 0), order=1) > 0.2
    strong = brain & (voxels > 0.5)
    left = _MM * (found.displacement.voxels - voxels)
    assert np.sqrt((left[strong] ** 2).mean()) < 0.4 * _MM * np.sqrt((voxels[strong] ** 2).mean())
    assert np.sqrt((left[brain] ** 2).mean()) < 0.5 * _MM * np.sqrt((voxels[brain] ** 2).mean())
    again = bend_onto(volume, affine, boundary, np.eye(4), axis, 1 - axis)
    assert np.array_equal(again.displacement.voxels, found.displacement.voxels)
    plain = _taken(0.0, axis, mirrored)[0]
    assert not bend_onto(plain, affine, boundary, np.eye(4), axis, 1 - axis).improves


def test_the_sidecar_says_what_a_bend_gained_along_and_across_the_phase() -> None:
    t1w, _, own = _head()
    boundary = white_matter_boundary(t1w.astype("f4"), own)
    for millimetres, method in ((8.0, "registration"), (0.0, "none")):
        volume, affine, _ = _taken(millimetres, 1, False)
        run = Run(volume[..., None], affine, Timing(2.0, None, 2), (1, 1), [])
        place = Placed(np.eye(4), "boundary")
        found = fitted_field(run, volume, boundary, place, none_because("No map."))
        assert found.method == method
        along, across = found.facts["BoundaryGain"], found.facts["BoundaryGainAcross"]
        assert (along > 1.15 * across) == (method == "registration")


def test_the_t1w_image_of_another_head_is_told_by_the_contrast_at_its_boundary() -> None:
    volume, affine, _ = _taken(0.0, 1, False)
    reached = []
    for seed in (0, 1):
        t1w, _, own = _head(seed)
        boundary = white_matter_boundary(t1w.astype("f4"), own)
        reached.append(onto_boundary(volume, affine, boundary, np.eye(4)).contrast)
    measure = next(one for one in MEASURES if one.key == "boundary_contrast")
    assert [measure.status(one) for one in reached] == [PASS, WARN]
