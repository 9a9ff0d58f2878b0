"""Echoes brought onto the image: known motion found, and no step where it is not sure."""

from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import map_coordinates
from scipy.spatial.transform import Rotation

from bidsapp.modalities.knee.alignment import place_echoes
from bidsapp.modalities.knee.echoes import Echoes
from bidsapp.modalities.knee.whole_knee import KneeSettings, measure_knee
from tests.unit.knees import affine_of, label_map, plain_knee

TIMES = np.arange(1, 8) / 100
_BRIGHT = np.array([0.3, 0.5, 1, 0.5, 1, 1, 0.5, 1])
_T2 = np.array([90.0, 90, 40, 90, 40, 40, 90, 40])


def moved(points: np.ndarray, motion: np.ndarray) -> np.ndarray:
    return points @ motion[:3, :3].T + motion[:3, 3]


def motion_of(
    shift: tuple[float, ...], degrees: tuple[float, ...], centre: np.ndarray
) -> np.ndarray:
    """From the image's millimetres to the echoes'."""
    found = np.eye(4)
    found[:3, :3] = Rotation.from_rotvec(np.deg2rad(degrees)).as_matrix()
    found[:3, 3] = centre + shift - found[:3, :3] @ centre
    return found


def grid(centre: np.ndarray, shape: tuple[int, ...], steps: tuple[float, ...]) -> np.ndarray:
    """Affine of sagittal slices around a place."""
    affine = np.eye(4)
    affine[:3, :3] = np.array([[0, 0, 1.0], [1, 0, 0], [0, -1, 0]]) @ np.diag(steps)
    affine[:3, 3] = centre - affine[:3, :3] @ (np.array(shape) / 2)
    return affine


def looked_up(volume: np.ndarray, affine: np.ndarray, points: np.ndarray) -> np.ndarray:
    return map_coordinates(volume, moved(points, np.linalg.inv(affine)).T, order=1, mode="nearest")


@pytest.mark.parametrize(
    ("shift", "degrees"),
    [
        pytest.param((0, 0, 0), (0, 0, 0), marks=pytest.mark.slow),
        ((1.5, -2.0, 1.0), (2.0, -1.5, 2.5)),
    ],
)
def test_a_known_motion_of_a_real_knee_is_found(
    real_data: Path, shift: tuple[float, ...], degrees: tuple[float, ...]
) -> None:
    image = nib.Nifti1Image.load(next((real_data / "knee_pykneer").rglob("*_T2w.nii.gz")))
    data, affine = np.asarray(image.dataobj, np.float32), image.affine
    data = data / np.percentile(data, 99.5)
    rng = np.random.default_rng(0)
    centre = moved(np.array([data.shape]) / 2, affine)[0]
    cartilage = centre + rng.normal(size=(2000, 3)) * [12, 18, 15]
    motion = motion_of(shift, degrees, centre)
    shape = (160, 160, 24)
    own = grid(centre, shape, (1.0, 1.0, 3.5))
    places = moved(np.indices(shape).reshape(3, -1).T, own)
    # another contrast, thick slices, noise
    layers = [
        looked_up(data, affine, moved(places + np.array([across, 0, 0]), np.linalg.inv(motion)))
        for across in (-1.2, 0, 1.2)
    ]
    signal = np.mean([1.2 * one - 0.9 * one**2 for one in layers], axis=0)
    signal = 500 * signal + 15 * rng.normal(size=signal.shape)
    echoes = Echoes(signal.reshape(*shape, 1).astype(np.float32), own, TIMES[:1])
    found = place_echoes(echoes, data, affine, cartilage)
    assert found.note == ""
    apart = np.linalg.norm(moved(cartilage, found.motion) - moved(cartilage, motion), axis=1)
    assert apart.max() < 0.2
    truth = np.linalg.norm(moved(cartilage, motion) - cartilage, axis=1).mean()
    assert found.moved_mm == pytest.approx(truth, abs=0.15)


@pytest.fixture(scope="module")
def knee() -> tuple[np.ndarray, np.ndarray]:
    """Image of the plain knee, and its affine."""
    rng = np.random.default_rng(1)
    image = _BRIGHT[plain_knee()] + 0.03 * rng.normal(size=plain_knee().shape)
    return image.astype(np.float32), affine_of()


def echoes_of(motion: np.ndarray) -> Echoes:
    """Short T2 in cartilage and long T2 around it, where the knee lies after a motion."""
    shape = (84, 84, 34)
    centre = moved(np.array([plain_knee().shape]) / 2, affine_of())[0]
    own = grid(centre, shape, (1.5, 1.5, 3.0))
    places = moved(np.indices(shape).reshape(3, -1).T, own)
    voxels = moved(places, np.linalg.inv(motion @ affine_of())).round().astype(int)
    voxels = np.clip(voxels, 0, np.array(plain_knee().shape) - 1)
    labels = plain_knee()[tuple(voxels.T)]
    decay = np.exp(-1000 * TIMES / _T2[labels][:, None]) * _BRIGHT[labels][:, None]
    noise = 0.01 * np.random.default_rng(2).normal(size=decay.shape)
    return Echoes((decay + noise).reshape(*shape, -1).astype(np.float32), own, TIMES)


def test_t2_is_that_of_the_cartilage_where_the_knee_has_moved(
    knee: tuple[np.ndarray, np.ndarray],
) -> None:
    centre = moved(np.array([plain_knee().shape]) / 2, affine_of())[0]
    echoes = echoes_of(motion_of((0.5, 2.0, 2.5), (0, 0, 0), centre))
    settings = KneeSettings(bones=("tibia",), rows=32, columns=32)
    means = {}
    for aligned in (True, False):
        chosen = replace(settings, align_echoes=aligned)
        found = measure_knee(label_map(), {}, chosen, echoes, image=knee)
        assert found.echoes_at is not None
        means[aligned] = found.bones["tibia"].facts["mean_t2_ms"]
        assert found.echoes_at.moved_mm == pytest.approx(3.24 if aligned else 0, abs=0.4)
    assert means[False] > means[True] + 5
    assert means[True] < 52


@pytest.mark.slow
def test_where_nothing_is_in_common_headers_are_kept(knee: tuple[np.ndarray, np.ndarray]) -> None:
    image, affine = knee
    cartilage = moved(np.argwhere(np.isin(plain_knee(), (2, 4, 5, 7)))[::20], affine)
    plain = echoes_of(np.eye(4))
    noise = np.random.default_rng(3).normal(size=plain.signals.shape).astype(np.float32)
    found = place_echoes(replace(plain, signals=noise), image, affine, cartilage)
    np.testing.assert_array_equal(found.motion, np.eye(4))
    assert "lie as their headers say" in found.note
    settings = KneeSettings(bones=("tibia",), rows=32, columns=32, printed=True)
    printed = measure_knee(label_map(), {}, settings, plain, image=knee)
    assert printed.echoes_at is not None
    assert printed.echoes_at.note == ""  # it was not even sought


def test_echoes_that_hold_little_of_the_image_stay(knee: tuple[np.ndarray, np.ndarray]) -> None:
    image, affine = knee
    cartilage = moved(np.argwhere(plain_knee() == 7)[::20], affine)
    plain = echoes_of(np.eye(4))
    far = plain.affine.copy()
    far[0, 3] += 100
    found = place_echoes(replace(plain, affine=far), image, affine, cartilage)
    assert "too little of the image" in found.note
    assert found.moved_mm == 0
