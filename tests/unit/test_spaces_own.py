"""Boxes over people's own heads: in RAS order for networks, over the right head when written."""

from itertools import permutations, product
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from bidsapp.modalities.t1w.native.files import write_box, write_frame
from bidsapp.recipes.images import Representation
from bidsapp.representation.spec import space_of
from bidsapp.spaces import read_space
from bidsapp.spaces.files import read_whole, whole_space

CODES = [
    "".join(signs[pair] for pair in order)
    for order in permutations(range(3))
    for signs in product("RL", "AP", "SI")
]
SIZES = {"R": 5, "L": 5, "A": 7, "P": 7, "S": 9, "I": 9}


def boxed(folder: Path, axes: str, tilt: float = 10.0) -> tuple[Path, np.ndarray, np.ndarray]:
    """Write a box whose values say where its voxels lie along each world axis."""
    shape = tuple(SIZES[letter] for letter in axes)
    frame = write_frame(folder / f"frame_{axes}.nii.gz", shape, axes, 2.0)  # type: ignore[arg-type]
    affine = np.array(nib.Nifti1Image.load(frame).affine)  # type: ignore[attr-defined]
    at = np.moveaxis(np.indices(shape), 0, -1) @ affine[:3, :3].T + affine[:3, 3]
    values = at @ [1.0, 100.0, 10000.0]
    c, s = np.cos(np.radians(tilt)), np.sin(np.radians(tilt))
    turn = np.array([[c, -s, 0, 4], [s, c, 0, -9], [0, 0, 1, 30], [0, 0, 0, 1]])
    path = folder / f"{axes}.nii.gz"
    write_box(path, values.astype(np.float32), turn @ affine)
    return path, values, turn @ affine


@pytest.mark.parametrize("axes", CODES)
def test_networks_are_given_ras_whatever_is_stored(tmp_path: Path, axes: str) -> None:
    path, values, affine = boxed(tmp_path, axes)
    whole = read_whole(path)
    space = space_of(Representation(kind="volume", channels=("head",)), whole)
    assert not space.common
    assert space.shape == (5, 7, 9)
    block = space.cut(whole.values)
    x, y, z = (np.diff(block, axis=axis).mean() for axis in range(3))
    assert (round(x), round(y), round(z)) == (2, 200, 20000)
    assert np.allclose(space.put_back(block), values)
    assert read_space(space.to_dict()) == space
    space.placed(affine).write(tmp_path / "map.nii.gz", block, {})
    written = read_whole(tmp_path / "map.nii.gz")
    assert np.allclose(written.values, values)
    assert np.allclose(written.affine, affine, atol=1e-4)
    assert not whole_space(tmp_path / "map.nii.gz").common


def test_a_slab_lies_in_the_plane_that_is_asked_for(tmp_path: Path) -> None:
    whole = read_whole(boxed(tmp_path, "PSR")[0])
    spec = Representation(kind="slab", plane="axial", slices=3, channels=("head",))
    block = space_of(spec, whole).cut(whole.values)
    assert block.shape == (5, 7, 3)
    assert len(np.unique(np.round(block / 10000))) == 3


def test_boxes_of_other_people_belong_together_and_other_boxes_do_not(tmp_path: Path) -> None:
    spec = Representation(kind="volume", channels=("head",))
    spaces = {}
    for name, axes, tilt in (("a", "PSR", 0.0), ("b", "PSR", 15.0), ("c", "RAS", 0.0)):
        spaces[name] = space_of(spec, read_whole(boxed(tmp_path, axes, tilt)[0]))
    assert spaces["a"].same_whole(spaces["b"])
    assert not spaces["a"].same_whole(spaces["c"])
    frame = whole_space(tmp_path / "frame_PSR.nii.gz")
    assert frame.same_whole(spaces["a"])
    assert spaces["b"].holds((7, 9, 5), None)
