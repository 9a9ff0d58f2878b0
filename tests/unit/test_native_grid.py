"""Heads in their own space: what the box holds lies where the header says, however it is stored."""

from itertools import permutations, product

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bidsapp.modalities.t1w.native.grid import BoxGrid, box_grid, into_box
from bidsapp.modalities.t1w.native.settings import NativePreparation
from bidsapp.modalities.t1w.reading import Head, canonical

CODES = [
    "".join(signs[pair] for pair in order)
    for order in permutations(range(3))
    for signs in product("RL", "AP", "SI")
]


def stored(code: str, shape: tuple[int, int, int], sizes: list[float], tilt: float) -> np.ndarray:
    """Affine of an image stored in some order, tilted by some degrees about two axes."""
    ornt = nib.orientations.axcodes2ornt(tuple(code))
    affine = np.zeros((4, 4))
    for axis, (world, sign) in enumerate(ornt):
        affine[int(world), axis] = sign * sizes[axis]
    c, s = np.cos(np.radians(tilt)), np.sin(np.radians(tilt))
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.array(
        [[1, 0, 0], [0, c, -s], [0, s, c]]
    )
    affine[:3, :3] = turn @ affine[:3, :3]
    affine[:3, 3] = [3.0, -7.0, 11.0] - affine[:3, :3] @ (np.array(shape) - 1) / 2
    affine[3, 3] = 1
    return affine


def laid(head: Head, axes: str, spacing: float | None, box: tuple[int, int, int]) -> BoxGrid:
    """Lay a box over an image whose head fills it."""
    shape = head.data.shape
    corners = np.array(list(product(*[(0, n - 1) for n in shape]))).T
    points = (head.affine[:3, :3] @ corners + head.affine[:3, 3:]).T
    middle = np.array(shape)[:, None] * [0.4, 0.6]
    brain = (head.affine[:3, :3] @ middle + head.affine[:3, 3:]).T
    return box_grid(head.affine, shape, axes, spacing, box, points, brain)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["RAS", "LAS", "PSR", *CODES]),
    st.sampled_from(["RAS", "PSR", *CODES]),
    st.sampled_from([None, 1.5, 2.0]),
    st.sampled_from([0.0, 12.0, -20.0]),
    st.integers(0, 2**16),
)
def test_a_marker_comes_out_where_it_was_planted(
    code: str, axes: str, spacing: float | None, tilt: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    shape = (24, 30, 27)
    affine = stored(code, shape, [2.0, 2.0, 2.0], tilt)
    place = rng.integers(8, 16, 3)
    world = affine[:3, :3] @ place + affine[:3, 3]
    data = np.zeros(shape, np.float32)
    data[tuple(place)] = 1000
    head = canonical(data, affine)
    grid = laid(head, axes, spacing, (40, 22, 34))
    boxed = into_box(head.data, head.affine, axes, grid)
    assert nib.aff2axcodes(grid.affine) == tuple(axes)
    assert boxed.shape == (40, 22, 34)
    weights = boxed / boxed.sum()
    centre = np.array([(weights * g).sum() for g in np.indices(boxed.shape)])
    found = grid.affine[:3, :3] @ centre + grid.affine[:3, 3]
    # exact where voxels are copied; the centre of an interpolated one within a fifth of a voxel
    assert np.abs(found - world).max() < (1e-3 if grid.whole else 0.4)
    if grid.whole:
        assert boxed.max() == 1000


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(CODES), st.lists(st.integers(16, 60), min_size=3, max_size=3))
def test_what_is_padded_and_cropped_adds_up(axes: str, sizes: list[int]) -> None:
    head = canonical(np.ones((24, 30, 27), np.float32), stored("PSR", (24, 30, 27), [2, 2, 2], 0))
    box = (sizes[0], sizes[1], sizes[2])
    grid = laid(head, axes, None, box)
    boxed = into_box(head.data, head.affine, axes, grid)
    order = [next(k for k, p in enumerate(("RL", "AP", "SI")) if c in p) for c in axes]
    there = np.array([head.data.shape[k] for k in order])
    change = np.array([sum(p) - sum(c) for p, c in zip(grid.padded, grid.cropped, strict=True)])
    assert tuple(there + change) == box
    assert all(not (any(p) and any(c)) for p, c in zip(grid.padded, grid.cropped, strict=True))
    assert boxed.sum() == np.prod(np.minimum(there, box))


def test_a_box_too_small_for_the_head_keeps_the_brain() -> None:
    """A head with a long neck: the middle of all tissue would cut the top of the brain off."""
    affine = np.diag([1.0, 1.0, 1.0, 1.0])
    head = np.array([[10.0, 10, 0], [90, 90, 239]])
    brain = np.array([[20.0, 20, 150], [80, 80, 230]])
    grid = box_grid(affine, (100, 100, 240), "RAS", None, (100, 100, 120), head, brain)
    low = grid.affine[2, 3]
    assert low <= 150
    assert low + 119 >= 230


@pytest.mark.parametrize("axes", ["RRS", "RAP", "XYZ", "ras", "RA"])
def test_axes_that_are_none_are_refused(axes: str) -> None:
    from bidsapp.errors import UsageError
    from bidsapp.recipes.loading import load_recipe

    expected = rf"preparation\.axes: {axes!r} should name one of R and L, one of A and P, one of S"
    with pytest.raises(UsageError, match=expected):
        load_recipe("t1w", (f'preparation={{"space": "native", "axes": "{axes}"}}',))


def test_the_grid_of_a_recipe_is_in_the_order_that_networks_see() -> None:
    made = NativePreparation.model_validate({"axes": "PSR", "box": (256, 250, 170)})
    assert (made.grid() or ((), ""))[0] == (170, 256, 250)


def test_wei2023_as_printed_keeps_whole_heads_in_the_box_of_the_paper() -> None:
    from bidsapp.recipes.loading import load_recipe

    recipe = load_recipe("wei2023")
    names = ["native", *(name for name in recipe.variants if name.startswith("paper"))]
    assert len(names) == 6
    for name in names:
        one = recipe.with_variant(name)
        made = NativePreparation.model_validate(one.preparation.model_dump())
        assert made.box == (256, 256, 170)
        assert made.brain == "whole"
        assert sorted((made.grid() or ((), ""))[0]) == [170, 256, 256]
        assert one.representation.channels == ("head",)
        assert one.representation.kind == "volume"
