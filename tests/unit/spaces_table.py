"""Spaces of every kind, drawn at random, for the checks that hold for all of them."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from hypothesis import strategies as st

from bidsapp.contracts.space import Space
from bidsapp.spaces.mesh import MeshSpace
from bidsapp.spaces.own_volume import OwnVolume, own
from bidsapp.spaces.slice import Slice
from bidsapp.spaces.sphere import Sphere
from bidsapp.spaces.surface import Mesh
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
def own_volumes(draw: Callable[[Any], Any]) -> OwnVolume:
    """Windows of people's own boxes, stored in any order of axes."""
    plain = draw(volumes())
    order = draw(st.permutations([0, 1, 2]))
    axes = "".join(draw(st.sampled_from(("RL", "AP", "SI")[pair])) for pair in order)
    return own(plain, axes)


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


def ellipsoid(radii: tuple[float, float, float], finer: int = 2) -> Mesh:
    """An octahedron each of whose triangles was cut in four `finer` times, blown up."""
    points = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], float)
    faces = np.array(
        [[4, 0, 2], [4, 2, 1], [4, 1, 3], [4, 3, 0], [5, 2, 0], [5, 1, 2], [5, 3, 1], [5, 0, 3]]
    )
    for _ in range(finer):
        a, b, c = (points[faces[:, k]] for k in range(3))
        ab, bc, ca = (
            (x + y) / np.linalg.norm(x + y, axis=1)[:, None] for x, y in ((a, b), (b, c), (c, a))
        )
        n, m = len(points), len(faces)
        points = np.concatenate([points, ab, bc, ca])
        i, j, k = (np.arange(m) + n + place * m for place in range(3))
        faces = np.concatenate(
            [
                np.stack([faces[:, 0], i, k], 1),
                np.stack([i, faces[:, 1], j], 1),
                np.stack([k, j, faces[:, 2]], 1),
                np.stack([i, j, k], 1),
            ]
        )
    return Mesh((points * radii).astype(np.float32), faces.astype(np.int32))


@st.composite
def spheres(draw: Callable[[Any], Any]) -> Sphere:
    """Pictures of surfaces, with their own mesh or without, mirrored or not."""
    shape = (draw(st.integers(3, 8)), draw(st.integers(1, 6)))
    pole = np.pi / 2
    latitudes = draw(st.sampled_from([(-pole, pole), (-pole, np.pi / 8), (-0.5, 0.9)]))
    radius: Any = draw(st.sampled_from([1.0, 40.0]))
    if draw(st.booleans()):
        bumps = np.random.default_rng(draw(st.integers(0, 9))).random(shape)
        radius = (radius * (1 + 0.2 * bumps)).astype(np.float32)
    mesh = ellipsoid((30.0, 20.0, 25.0), 1) if draw(st.booleans()) else None
    weights = draw(st.sampled_from(["area", "solid_angle"]))
    return Sphere(
        shape, latitudes, radius, (3.0, -4.0, 5.0), draw(st.booleans()), weights,
        None if mesh is None else Mesh(mesh.vertices + np.float32([3, -4, 5]), mesh.faces), "knee",
    )  # fmt: skip


@st.composite
def meshes(draw: Callable[[Any], Any]) -> MeshSpace:
    """Surfaces of any shape, at some place."""
    radii = [draw(st.sampled_from([12.0, 20.0, 31.0])) for _ in range(3)]
    mesh = ellipsoid((radii[0], radii[1], radii[2]), draw(st.integers(0, 1)))
    return MeshSpace(Mesh(mesh.vertices + np.float32([3, -4, 5]), mesh.faces), "femur")


SPACES: Mapping[str, st.SearchStrategy[Space]] = {
    "volume": volumes(),
    "own_volume": own_volumes(),
    "slice": slices(),
    "sphere": spheres(),
    "mesh": meshes(),
}
"""Every kind of space; the common checks run over each."""
