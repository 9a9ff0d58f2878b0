"""Motion that was put into real BOLD is found again; splines pass through what they are made of."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter, map_coordinates, spline_filter
from scipy.spatial.transform import Rotation

from bidsapp.intake.images import read_numbers
from bidsapp.modalities.bold.motion import Motion, estimate_motion, quietest
from bidsapp.modalities.bold.splines import fit_splines

CPU = torch.device("cpu")
SHAPE, SIZES = (48, 48, 30), np.array([4.0, 4.0, 4.5])


def _head(source: np.ndarray, source_affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Affine of a finer grid about the same centre, and that centre."""
    centre = (source_affine @ np.append((np.array(source.shape) - 1) / 2, 1))[:3]
    affine = np.diag([*SIZES, 1.0])
    affine[:3, 3] = centre - SIZES * (np.array(SHAPE) - 1) / 2
    return affine, centre


def _matrices(parameters: np.ndarray, centre: np.ndarray) -> np.ndarray:
    turns = Rotation.from_euler("xyz", parameters[:, 3:]).as_matrix()
    found = np.tile(np.eye(4), (len(parameters), 1, 1))
    found[:, :3, :3] = turns
    found[:, :3, 3] = centre + parameters[:, :3] - turns @ centre
    return found


def _moved(
    source: np.ndarray, source_affine: np.ndarray, affine: np.ndarray, matrices: np.ndarray
) -> np.ndarray:
    """Sample a head on a grid while it moves, with noise of 1.5 %."""
    rng = np.random.default_rng(1)
    coefficients = spline_filter(source, 3)
    grid = np.indices(SHAPE).reshape(3, -1)
    points = affine @ np.vstack([grid, np.ones(grid.shape[1])])
    volumes = []
    for matrix in matrices:
        there = np.linalg.inv(source_affine) @ np.linalg.inv(matrix) @ points
        values = map_coordinates(coefficients, there[:3], order=3, prefilter=False)
        volumes.append(values.reshape(SHAPE))
    data = np.moveaxis(np.array(volumes), 0, -1).astype("f4")
    noise = rng.standard_normal(data.shape).astype("f4")
    return data + noise * 0.015 * data.mean(axis=-1, keepdims=True)


def _errors(found: Motion, truth: np.ndarray, centre: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Errors of all volumes but the first against it, in mm at the centre and in degrees."""
    wanted = truth @ np.linalg.inv(truth[0])
    given = found.matrices @ np.linalg.inv(found.matrices[0])
    rest = np.linalg.inv(wanted) @ given
    shifts = rest[:, :3, 3] + rest[:, :3, :3] @ centre - centre
    turns = np.degrees(Rotation.from_matrix(rest[:, :3, :3]).as_rotvec())
    return shifts[1:], turns[1:]


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt((values**2).mean(axis=0)).max())


@pytest.mark.parametrize("which", ["pumi", "rest24"])
def test_known_motion_in_real_bold_is_found(real_data: Path, which: str) -> None:
    if which == "pumi":
        run = real_data / "pumi-minitest/sub-001/func/sub-001_task-rest_bold.nii.gz"
    else:
        run = next((real_data / "rest24_mni10mm/sub-07/func").glob("*_bold.nii.gz"))
    series, source_affine = read_numbers(run)
    source = series.mean(axis=-1)
    if which == "rest24":
        source = np.where(source > 0.3 * source.max(), source, 0)
    affine, centre = _head(source, source_affine)
    rng = np.random.default_rng(0)
    parameters = np.cumsum(rng.standard_normal((18, 6)) * [*(0.2,) * 3, *(0.0035,) * 3], axis=0)
    parameters[9:] += [1.5, -2, 2.5, 0.03, -0.02, 0.02]  # one sudden turn
    truth = _matrices(parameters, centre)
    data = _moved(source, source_affine, affine, truth)
    mask = data.mean(axis=-1) > 0.25 * np.percentile(data, 99)
    found = estimate_motion(data, affine, mask)
    shifts, turns = _errors(found, truth, centre)
    assert _rms(shifts) <= 0.05  # at most .013 mm and .017 degrees were found
    assert _rms(turns) <= 0.05
    # The parameters are those of the matrices, about the centre of the volume.
    assert _matrices(found.parameters, found.centre) == pytest.approx(found.matrices, abs=1e-8)


def test_a_volume_that_is_spoiled_does_not_move_the_others(real_data: Path) -> None:
    run = real_data / "pumi-minitest/sub-001/func/sub-001_task-rest_bold.nii.gz"
    series, affine = read_numbers(run)
    mask = series.mean(axis=-1) > 100
    plain = estimate_motion(series, affine, mask)
    spoiled = series.copy()
    spoiled[..., 7] *= np.random.default_rng(0).uniform(0, 2, (46, 46, 1))
    spoiled[..., 11] = 0
    found = estimate_motion(spoiled, affine, mask)
    others = np.setdiff1d(np.arange(20), (7, 11))
    assert np.isfinite(found.matrices).all()
    relative = np.linalg.inv(plain.matrices[0]) @ plain.matrices
    again = np.linalg.inv(found.matrices[0]) @ found.matrices
    assert np.abs(relative - again)[others][:, :3, 3].max() < 0.05


def test_the_quietest_volume_is_not_the_one_that_moved() -> None:
    rng = np.random.default_rng(0)
    data = rng.standard_normal((6, 6, 6, 12)) * 0.1
    data[..., 4:7] += 3 * rng.standard_normal((6, 6, 6, 3))
    data[..., 9] = data[..., 8] = data[..., 10]
    assert quietest(data, np.ones((6, 6, 6), bool)) == 9


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000))
def test_splines_are_those_of_scipy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(4, 12, 3))
    volumes = rng.standard_normal((2, *shape)).astype("f4")
    points = rng.uniform(0, np.array(shape) - 1, (30, 3))
    points[:3] = [[0, 0, 0], np.array(shape) - 1, np.array(shape) // 2]
    found = fit_splines(volumes, CPU).at(torch.as_tensor(points)[None].expand(2, -1, -1))
    for volume, values in zip(volumes, found.numpy(), strict=True):
        exact = map_coordinates(volume.astype(float), points.T, order=3, mode="mirror")
        assert values == pytest.approx(exact, abs=2e-4)


def test_splines_are_smoothed_as_asked_for_and_their_slope_is_theirs() -> None:
    volume = np.random.default_rng(0).standard_normal((12, 14, 10)).astype("f4")
    sizes = np.array([3.0, 3.0, 4.0])
    sigma = 8 / np.sqrt(8 * np.log(2)) / sizes
    smooth = gaussian_filter(volume.astype(float), sigma, mode="mirror")
    spline = fit_splines(volume[None], CPU, sizes, 8.0)
    grid = torch.as_tensor(np.indices(volume.shape).reshape(3, -1).T)
    assert spline.at(grid[None])[0].numpy() == pytest.approx(smooth.ravel(), abs=1e-4)
    points = torch.as_tensor(np.random.default_rng(1).uniform(2, 7, (20, 3)))
    slopes = spline.gradient(points).numpy()
    for axis in range(3):
        step = torch.zeros(3, dtype=torch.float64)
        step[axis] = 0.02
        rise = (spline.at((points + step)[None]) - spline.at((points - step)[None]))[0] / 0.04
        assert slopes[:, axis] == pytest.approx(rise.numpy(), abs=2e-3)
