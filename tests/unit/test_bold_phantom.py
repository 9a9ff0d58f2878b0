"""Synthetic people at rest: what was put into their series is what the steps find there."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import map_coordinates
from scipy.spatial.transform import Rotation

from bidsapp.errors import CannotCreateOutput, UsageError
from bidsapp.modalities.bold import phantom, synthetic
from bidsapp.modalities.bold.alignment import brain_mask
from bidsapp.modalities.bold.motion import estimate_motion
from bidsapp.phantom import RIGHT_INSULA
from bidsapp.phantom.anatomy import Anatomy, draw_anatomy

Person = tuple[Anatomy, synthetic.Rest]


def _person(stretch_mm: float = 0.0, volumes: int = 20, effect: float = 0.0) -> Person:
    anatomy = draw_anatomy(np.random.default_rng(0), 3.0, RIGHT_INSULA, 0.0)
    rng = np.random.default_rng(1)
    return anatomy, synthetic.draw_rest(
        rng, effect > 0, "salience", effect, volumes, stretch_mm, (0, 0)
    )


def test_the_heads_motion_in_a_series_is_the_one_that_was_drawn() -> None:
    anatomy, rest = _person()
    data, affine = synthetic.acquire(anatomy, rest, only=range(4, 9))
    found = estimate_motion(data.astype("f4"), affine, brain_mask(data.mean(axis=-1), affine))
    truth = rest.matrices[4:9] @ np.linalg.inv(rest.matrices[4])
    rest_of = np.linalg.inv(truth) @ found.matrices @ np.linalg.inv(found.matrices[0])
    moved = np.array([*synthetic._CENTRE, 1.0])
    shifts = (rest_of @ moved)[:, :3] - moved[:3]
    turns = np.degrees(Rotation.from_matrix(rest_of[:, :3, :3]).as_rotvec())
    # slices are turned about x and signal changes by itself: a series, not a moved picture
    assert np.sqrt((shifts**2).mean(axis=0)).max() < 0.1
    assert np.sqrt((turns**2).mean(axis=0)).max() < 0.1


def test_a_responder_differs_in_one_network_alone() -> None:
    _, plain = _person()
    _, stronger = _person(effect=1.0)
    ratio = stronger.amplitudes / plain.amplitudes
    names = list(synthetic.NETWORKS)
    assert ratio[names.index("salience")] == pytest.approx(2)
    assert np.delete(ratio, names.index("salience")) == pytest.approx(1)
    assert (stronger.matrices == plain.matrices).all()


def test_the_field_moves_the_brain_along_the_phase_and_reversed_the_other_way() -> None:
    anatomy, straight = _person()
    _, bent = _person(stretch_mm=6.0)
    still, affine = synthetic.acquire(anatomy, straight, only=[5])
    forwards, _ = synthetic.acquire(anatomy, bent, 1, only=[5])
    backwards, _ = synthetic.acquire(anatomy, bent, -1, only=[5])
    grid = np.moveaxis(np.indices(synthetic.SHAPE), 0, -1).reshape(-1, 3)
    moved = synthetic.stretch(anatomy, bent, grid @ affine[:3, :3].T + affine[:3, 3])
    assert 3 < moved.max() < 9
    voxels = moved.reshape(synthetic.SHAPE) / synthetic.VOXEL_MM
    away = voxels < 0.02
    assert np.abs(forwards - still.astype(int))[away].std() < 3 * 12  # noise of 12 of 1000
    # read where the field put it, times how much was gathered, each is the head again
    inside = (still[..., 0] > 500) & (voxels > 0.3)
    assert inside.sum() > 300
    left = []
    for data, sense in ((forwards, 1), (backwards, -1)):
        there = np.indices(synthetic.SHAPE).astype(float)
        there[1] += sense * voxels
        gathered = 1 + sense * np.gradient(voxels, axis=1)
        back = map_coordinates(data[..., 0].astype(float), there, order=3) * gathered
        left.append(np.abs(back - still[..., 0])[inside].mean())
        assert np.abs(data[..., 0] - still[..., 0].astype(int))[inside].mean() > 3 * left[-1]
    assert max(left) < 30


def test_slices_are_taken_at_their_times() -> None:
    times = synthetic.slice_times()
    assert times[[0, 2, 1]].tolist() == pytest.approx([0, 3 / 38, 3 / 2], abs=1e-4)
    assert sorted(times)[-1] < synthetic.TR


@pytest.mark.slow
def test_a_dataset_is_whole_and_the_same_for_the_same_seed(tmp_path: Path) -> None:
    told = {"participants": 2, "volumes": 20, "seed": 3, "field": "reversed"}
    folder = phantom.make_rest_phantom(tmp_path / "a", **told)  # type: ignore[arg-type]
    people = (folder / "participants.tsv").read_text().splitlines()
    assert sorted(line.split("\t")[3] for line in people[1:]) == ["non-responder", "responder"]
    bold = nib.Nifti1Image.load(folder / "sub-02/func/sub-02_task-rest_bold.nii.gz")
    assert bold.shape == (*synthetic.SHAPE, 20)
    assert float(bold.header["pixdim"][4]) == synthetic.TR
    anatomy, rest = phantom.known_person(folder, "sub-02")
    again, affine = synthetic.acquire(anatomy, rest, only=[0])
    assert (np.asarray(bold.dataobj)[..., 0] == again[..., 0]).all()
    assert np.allclose(bold.affine, affine, atol=1e-4)
    sidecar = json.loads((folder / "sub-01/fmap/sub-01_dir-AP_epi.json").read_text())
    assert sidecar["PhaseEncodingDirection"] == "j-"
    maps = nib.Nifti1Image.load(folder / phantom.MAPS)
    names = (folder / phantom.MAPS).with_name("networks.tsv").read_text().splitlines()
    assert maps.shape[3] == len(names) - 1 == len(synthetic.NETWORKS)
    with pytest.raises(CannotCreateOutput, match="not empty"):
        phantom.make_rest_phantom(folder)


@pytest.mark.parametrize(
    "told", [{"participants": 1}, {"volumes": 3}, {"effect": -1.0}, {"stretch_mm": 40.0}]
)
def test_a_phantom_that_cannot_be_is_refused_before_anything_is_written(
    told: dict[str, float], tmp_path: Path
) -> None:
    with pytest.raises(UsageError):
        phantom.make_rest_phantom(tmp_path / "a", **told)  # type: ignore[arg-type]
    assert not (tmp_path / "a").exists()
