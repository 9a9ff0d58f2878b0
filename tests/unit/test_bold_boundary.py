"""A series on the boundary of white matter: known places, and what keeps it from moving."""

from functools import cache

import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from bidsapp.modalities.bold.alignment import brain_mask
from bidsapp.modalities.bold.boundary import (
    Placed,
    onto_boundary,
)
from bidsapp.modalities.bold.coregister import coregister
from bidsapp.modalities.bold.white_matter import Boundary, white_matter_boundary
from tests.unit.test_bold_coregister import _head, _moved


@cache
def _boundary() -> Boundary:
    _, _, brain, own, _ = _head()
    found = white_matter_boundary(brain, own)
    assert found is not None
    return found


def _error(found: np.ndarray, truth: np.ndarray) -> float:
    """Mean distance in mm over the brain."""
    _, _, brain, own, _ = _head()
    inside = nib.affines.apply_affine(own, np.argwhere(brain > 0))
    both = [nib.affines.apply_affine(one, inside) for one in (found, truth)]
    return float(np.linalg.norm(both[0] - both[1], axis=1).mean())


def _coil(shape: tuple[int, ...]) -> np.ndarray:
    """A coil that hears the front, and the bottom, four times as well as the opposite."""
    x, y, z = (np.linspace(-1, 1, size) for size in shape)
    return np.exp(0.2 * x[:, None, None] + 0.7 * y[:, None] - 0.7 * z)


@pytest.mark.parametrize("turned", [False, True], ids=["right-handed", "mirrored"])
def test_the_boundary_of_a_ball_lies_on_it_and_points_outwards_whatever_the_coil_hears(
    turned: bool,
) -> None:
    """White within 30 mm, grey within 50, fluid within 60, as brightly as they lie to the coil."""
    affine = np.diag([-2.0 if turned else 2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = 70.0 if turned else -70.0, -70, -70
    grid = np.moveaxis(np.indices((71, 71, 71)), 0, -1)
    far = np.linalg.norm(nib.affines.apply_affine(affine, grid.reshape(-1, 3)), axis=1)
    far = far.reshape(71, 71, 71)
    brain = np.select([far < 30, far < 50, far < 60], [1.0, 0.7, 0.3], 0.0)
    blurred = np.where(far < 60, gaussian_filter(brain, 0.5), 0)
    hears = np.exp(0.3 * np.linspace(-1, 1, 71))[:, None, None]
    # as it is seen, unless white matter itself says how bright the coil is: .50 mm
    for values, apart in ((blurred, 0.25), (blurred * hears, 0.42)):
        found = white_matter_boundary(values.astype("f4"), affine)
        assert found is not None
        away = np.linalg.norm(found.points, axis=1)
        assert np.abs(away - 30).mean() < apart
        outwards = (found.outwards * found.points).sum(axis=1) / away
        assert outwards.min() > 0.6


def test_a_series_of_a_coil_that_misleads_mutual_information_is_put_right() -> None:
    volume, affine, brain, own, lay = _head()
    heard = (volume * _coil(volume.shape)).astype("f4")
    start = coregister(heard, affine, brain_mask(heard, affine), brain, own)
    found = onto_boundary(heard, affine, _boundary(), start)
    assert found.method == "boundary"
    assert _error(start, lay) > 1.0
    assert _error(found.to_series, lay) < 0.35
    assert found.facts["ContrastAfter"] > found.facts["ContrastBefore"] > 0
    assert found.contrast == pytest.approx(found.facts["ContrastAfter"], abs=1e-4)
    assert f"{found.facts['MovedMM']:.1f} mm" in found.why


@pytest.mark.parametrize("seed", range(4))
def test_from_places_some_millimetres_and_degrees_away_it_ends_at_the_same(seed: int) -> None:
    volume, affine, _, _, lay = _head()
    rng = np.random.default_rng(seed)
    away = _moved(rng.uniform(-2.5, 2.5, 3).tolist(), rng.uniform(-2.5, 2.5, 3).tolist())
    found = onto_boundary(volume, affine, _boundary(), away @ lay)
    assert found.method == "boundary"
    assert _error(found.to_series, lay) < 0.35


def test_nine_millimetres_away_is_near_enough() -> None:
    """So far a very uneven coil has misled mutual information."""
    volume, affine, _, _, lay = _head()
    found = onto_boundary(volume, affine, _boundary(), _moved([6, -5, 4], [3, 0, -2]) @ lay)
    assert found.method == "boundary"
    assert _error(found.to_series, lay) < 0.35
    assert found.facts["MovedMM"] > 7


@pytest.mark.parametrize("seed", range(3))
def test_from_too_far_away_it_is_never_taken_to_a_wrong_place(seed: int) -> None:
    volume, affine, _, _, lay = _head()
    turn, shift = np.random.default_rng(seed).uniform(-25, 25, (2, 3)).tolist()
    start = _moved(shift, turn) @ lay
    found = onto_boundary(volume, affine, _boundary(), start)
    assert found.to_series is start or _error(found.to_series, lay) < 0.35


def test_where_contrast_is_the_other_way_round_the_place_is_kept() -> None:
    """A short echo, an image weighted by T1: white matter is the brighter one."""
    volume, affine, brain, own, _ = _head()
    mask = brain_mask(volume, affine)
    other = np.where(mask, 2 * np.median(volume[mask]) - volume, volume).clip(0).astype("f4")
    start = coregister(other, affine, mask, brain, own)
    found = onto_boundary(other, affine, _boundary(), start)
    assert (found.method, found.to_series is start) == ("information", True)
    assert found.contrast is not None
    assert found.contrast < 0.01
    assert "mutual information alone" in found.why


def test_noise_alone_moves_nothing() -> None:
    volume, affine, _, _, lay = _head()
    noise = np.random.default_rng(0).uniform(500, 1500, volume.shape).astype("f4")
    assert onto_boundary(noise, affine, _boundary(), lay).method == "information"


def test_outside_of_the_field_of_view_nothing_is_moved_and_nothing_breaks() -> None:
    volume, affine, _, _, lay = _head()
    found = onto_boundary(volume, affine, _boundary(), _moved([500, 0, 0], [0, 0, 0]) @ lay)
    assert found.method == "information"
    assert found.contrast == 0.0


@pytest.mark.parametrize("values", [0.0, 7.0])
def test_a_brain_of_one_value_has_no_boundary(values: float) -> None:
    brain = np.full((20, 20, 20), values, "f4")
    assert white_matter_boundary(brain, np.eye(4)) is None


def test_without_a_boundary_the_place_is_kept_and_why_is_said() -> None:
    volume, affine, _, _, lay = _head()
    found = onto_boundary(volume, affine, None, lay)
    assert found.to_series is lay
    assert found.plain() == {
        "Method": "information",
        "Description": "The series was registered to the T1w image by mutual information alone: "
        "that shows too little of white matter's boundary.",
    }
    assert Placed(lay).contrast is None
