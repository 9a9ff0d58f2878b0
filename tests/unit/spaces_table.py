"""Spaces of every kind, drawn at random, for the checks that hold for all of them."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from hypothesis import strategies as st

from bidsapp.contracts.space import Space
from bidsapp.spaces.slice import Slice
from bidsapp.spaces.volume import Volume


def _affine(draw: Callable[[Any], Any], upright: bool) -> tuple[tuple[float, ...], ...]:
    """A grid in some place; of any orientation, and oblique, unless it has to be upright."""
    zooms = [draw(st.sampled_from([0.7, 1.0, 2.0, 3.5])) for _ in range(3)]
    turn = np.eye(3)
    if not upright:
        turn = turn[:, draw(st.permutations([0, 1, 2]))] * [
            draw(st.sampled_from([1, -1])) for _ in range(3)
        ]
        a = np.deg2rad(draw(st.sampled_from([0, 0, 11, -20])))
        turn = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]]) @ turn
    affine = np.eye(4)
    affine[:3, :3] = turn * zooms
    affine[:3, 3] = [draw(st.integers(-90, 90)) for _ in range(3)]
    return tuple(tuple(float(x) for x in row) for row in affine)


@st.composite
def volumes(draw: Callable[[Any], Any], small: bool = False) -> Volume:
    """Windows that may stick out of their grid on every side."""
    grid = tuple(draw(st.integers(1, 4 if small else 7)) for _ in range(3))
    start = tuple(draw(st.integers(-2, n - 1)) for n in grid)
    shape = tuple(draw(st.integers(max(1, 1 - s), 5)) for s in start)
    return Volume(grid, _affine(draw, upright=True), start, shape)  # type: ignore[arg-type]


@st.composite
def slices(draw: Callable[[Any], Any], resized: bool = True) -> Slice:
    """Boxes on slices of images stored in any way, mirrored or not, that may stick out."""
    grid = [draw(st.integers(1, 8)) for _ in range(3)]
    axis = draw(st.integers(0, 2))
    sizes = [n for place, n in enumerate(grid) if place != axis]
    start = [draw(st.integers(-2, n - 1)) for n in sizes]
    extent = [draw(st.integers(max(1, 1 - s), 8)) for s in start]
    affine = _affine(draw, upright=False)
    plain = Slice(
        tuple(grid), affine, axis, draw(st.integers(0, grid[axis] - 1)),
        tuple(start), tuple(extent), tuple(extent), label="foramen",
    )  # type: ignore[arg-type]  # fmt: skip
    shape = plain.extent[::-1] if plain._turned else plain.extent
    if resized:
        shape = (draw(st.integers(1, 9)), draw(st.integers(1, 9)))
    mirrored = 0 in plain._world and draw(st.booleans())
    return Slice(
        plain.grid_shape, affine, axis, plain.index, plain.start, plain.extent, shape, mirrored,
        "foramen",
    )  # fmt: skip


SPACES: Mapping[str, st.SearchStrategy[Space]] = {"volume": volumes(), "slice": slices()}
"""Every kind of space; the common checks run over each."""
