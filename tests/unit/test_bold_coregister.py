"""Where a series lies in the T1w image: a known displacement is found within a millimetre."""

import contextlib
from functools import cache
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.spatial.transform import Rotation

from bidsapp.errors import BadData
from bidsapp.modalities.bold import synthetic
from bidsapp.modalities.bold.alignment import brain_mask, kept_masked, read_head
from bidsapp.modalities.bold.anatomy import Anatomy
from bidsapp.modalities.bold.coregister import _around, coregister, refuse_turned
from bidsapp.modalities.bold.motion import estimate_motion
from bidsapp.modalities.bold.white_matter import white_matter_boundary
from bidsapp.phantom import RIGHT_INSULA
from bidsapp.phantom.anatomy import draw_anatomy
from bidsapp.templates.embedded import packaged
from bidsapp.templates.space import filled_brain

VOLUME = 5


@cache
def _head() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """One volume of a series and its affine, the T1w brain and its affine, and how the head lay."""
    anatomy = draw_anatomy(np.random.default_rng(0), 3.0, RIGHT_INSULA, 0.0)
    rest = synthetic.draw_rest(np.random.default_rng(1), False, "salience", 0.0, 20, 0.0, (0, 0))
    data, affine = synthetic.acquire(anatomy, rest, only=[VOLUME])
    template = nib.Nifti1Image.from_filename(packaged("t1"))
    values = np.asarray(template.dataobj, np.float32)
    own = np.diag([3.0, 3, 3, 1])
    own[:3, 3] = -90, -126, -72
    grid = np.moveaxis(np.indices((61, 73, 61)), 0, -1).reshape(-1, 3)
    points = anatomy.to_template(grid @ own[:3, :3].T + own[:3, 3])
    at = nib.affines.apply_affine(np.linalg.inv(template.affine), points).T
    made = [
        map_coordinates(gaussian_filter(one.astype("f4"), 1), at, order=1).reshape(61, 73, 61)
        for one in (values, filled_brain(values))
    ]
    return data[..., 0].astype("f4"), affine, made[0] * (made[1] > 0.5), own, rest.matrices[VOLUME]


def _moved(shift: list[float], degrees: list[float]) -> np.ndarray:
    found = np.eye(4)
    found[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    found[:3, 3] = shift
    return found


def test_the_brain_of_a_masked_series_is_found_in_its_mean_volume() -> None:
    """Where a mask has set voxels to 0 splines ring, and the ringing once became the brain."""
    anatomy = draw_anatomy(np.random.default_rng(0), 3.0, RIGHT_INSULA, 0.0)
    rest = synthetic.draw_rest(np.random.default_rng(1), False, "salience", 0.0, 20, 0.0, (0, 0))
    data, affine = synthetic.acquire(anatomy, rest, only=[3, 4, 5])
    data = data.astype(np.float32)
    data[: data.shape[0] // 2] = 0
    rough = brain_mask(data.mean(axis=-1), affine)
    motion = estimate_motion(data, affine, rough, torch.device("cpu"))
    found = brain_mask(kept_masked(motion, data).reference, affine)
    assert 2 * (found & rough).sum() > 0.95 * (found.sum() + rough.sum())


@pytest.mark.parametrize(("shift", "degrees"), [([0, 0, 0], [0, 0, 0]), ([9, -7, 11], [6, -4, 5])])
def test_a_known_displacement_is_found(shift: list[float], degrees: list[float]) -> None:
    volume, affine, brain, own, lay = _head()
    moved = _moved(shift, degrees)
    mask = brain_mask(volume, affine)
    found = coregister(volume, moved @ affine, mask, brain, own)
    inside = nib.affines.apply_affine(own, np.argwhere(brain > 0))
    error = nib.affines.apply_affine(found, inside) - nib.affines.apply_affine(moved @ lay, inside)
    assert np.linalg.norm(error, axis=1).mean() < 1.0
    assert np.linalg.norm(error, axis=1).max() < 2.0


def test_a_brain_keeps_its_place_when_fine_voxels_are_averaged() -> None:
    affine = np.diag([1.0, 0.8, 2.2, 1.0])
    affine[:3, 3] = -90, 20, 5
    brain = np.zeros((150, 170, 70), np.float32)
    inside = (slice(40, 110), slice(45, 130), slice(20, 52))
    grid = np.moveaxis(np.indices(brain.shape), 0, -1)
    steep = np.array([3.0, -2.0, 1.0])
    brain[inside] = (nib.affines.apply_affine(affine, grid)[inside] - affine[:3, 3]) @ steep + 900
    coarse, own = _around(brain, affine)
    sizes = np.sqrt((own[:3, :3] ** 2).sum(axis=0))
    assert sizes == pytest.approx([2, 1.6, 2.2])
    assert coarse.size < brain.size / 5
    # a linear image stays that wherever all that was averaged lies inside
    there = np.argwhere(coarse > 0)
    back = nib.affines.apply_affine(np.linalg.inv(affine) @ own, there)
    low, high = [one.start + 1 for one in inside], [one.stop - 2 for one in inside]
    deep = ((back > low) & (back < high)).all(axis=1)
    wanted = (nib.affines.apply_affine(own, there[deep]) - affine[:3, 3]) @ steep + 900
    assert deep.sum() > 10000
    assert coarse[tuple(there[deep].T)] == pytest.approx(wanted, rel=1e-5)


def test_a_t1w_image_of_fine_voxels_leads_to_the_same_place() -> None:
    volume, affine, brain, own, _ = _head()
    fine = own @ np.diag([1 / 3, 1 / 3, 1 / 3, 1.0])
    grid = np.indices([3 * size for size in brain.shape]).reshape(3, -1) / 3
    sharp = map_coordinates(brain, grid, order=1).reshape([3 * size for size in brain.shape])
    mask = brain_mask(volume, affine)
    places = [
        coregister(volume, affine, mask, *head)
        for head in ((brain, own), (np.where(sharp > 20, sharp, 0), fine))
    ]
    inside = nib.affines.apply_affine(own, np.argwhere(brain > 0))
    one, two = (nib.affines.apply_affine(place, inside) for place in places)
    assert np.linalg.norm(one - two, axis=1).mean() < 0.5


@pytest.mark.parametrize(
    ("degrees", "words"),
    [
        ([0, 0, 0], ""),
        ([180, 0, 0], "180 degrees about the axis from left to right"),
        ([0, 180, 0], "180 degrees about the axis from back to front"),
        ([0, 0, 180], "180 degrees about the axis from bottom to top|lies .* degrees away"),
        ([0, 0, 90], "lies .* mm and [6-9]. degrees away"),
    ],
)
def test_a_series_that_is_turned_by_its_header_is_refused(degrees: list[float], words: str) -> None:
    volume, affine, brain, own, _ = _head()
    turned = _moved([0, 0, 0], degrees) @ affine
    images = volume, turned, brain_mask(volume, turned), brain, own
    refused = pytest.raises(BadData, match=words) if words else contextlib.nullcontext()
    with refused:
        refuse_turned(*images, coregister(*images))


@pytest.mark.parametrize("kind", ["shifted", "standardised", "not a number", "by the qform"])
def test_a_t1w_image_is_read_as_its_normalisation_took_it(kind: str, tmp_path: Path) -> None:
    volume, affine, brain, own, _ = _head()
    inside, air = brain > 0, np.random.default_rng(0).uniform(0, 3, brain.shape).astype("f4")
    image, header = np.where(inside, brain, air).astype("f4"), own
    if kind == "shifted":
        image = image - 900
    elif kind == "standardised":
        image = np.where(inside, (image - brain[inside].mean()) / brain[inside].std(), 0)
    elif kind == "not a number":
        image = np.where(inside, image, np.nan)
        image[tuple(np.argwhere(inside)[::9000].T)] = np.nan
    else:
        header = own[[1, 0, 2, 3]]  # not what the normalisation went by
    nib.Nifti1Image(image.astype("f4"), header).to_filename(tmp_path / "t1w.nii")
    nib.Nifti1Image(inside.astype("u1"), own).to_filename(tmp_path / "mask.nii")
    anatomy = Anatomy(tmp_path / "t1w.nii", tmp_path / "mask.nii", *[tmp_path / "none"] * 3)
    read, mask, place = read_head(anatomy)
    assert np.array_equal(mask, inside)
    assert np.isfinite(read).all()
    found = coregister(volume, affine, brain_mask(volume, affine), read * mask, place)
    plain = coregister(volume, affine, brain_mask(volume, affine), brain, own)
    points = nib.affines.apply_affine(own, np.argwhere(inside))
    one, two = (nib.affines.apply_affine(at, points) for at in (found, plain))
    assert np.linalg.norm(one - two, axis=1).mean() < 0.4
    edge = white_matter_boundary(read * mask, place)
    assert edge is not None
    assert len(edge.points) > 5000
