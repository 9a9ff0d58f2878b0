"""What holds for every space: the way there and back, sizes, neighbours, and their files."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bidsapp.contracts.space import Space, everywhere, relative_sizes
from bidsapp.errors import BadData
from bidsapp.spaces import KINDS, read_space
from bidsapp.spaces.files import read_whole
from bidsapp.spaces.slice import picture
from tests.unit.spaces_table import SPACES

EVERY_KIND = pytest.mark.parametrize("kind", sorted(SPACES))
quick = settings(max_examples=25, deadline=None)


def values_on(space: Space, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(space.shape).astype(np.float32)


def some_mask(space: Space, seed: int) -> np.ndarray:
    mask = np.random.default_rng(seed).random(space.shape) < 0.6
    mask.flat[0] = True
    return mask


def test_the_table_of_checks_holds_every_kind_of_space() -> None:
    assert sorted(SPACES) == sorted(KINDS)


@EVERY_KIND
@given(data=st.data())
@quick
def test_a_space_that_was_written_down_is_the_same_space(kind: str, data: st.DataObject) -> None:
    space = data.draw(SPACES[kind])
    again = read_space(json.loads(json.dumps(space.to_dict())))
    assert type(again) is type(space)
    assert again.to_dict() == space.to_dict()
    assert again.same_whole(space)
    block = values_on(space, 1)
    np.testing.assert_array_equal(again.put_back(block), space.put_back(block))
    np.testing.assert_array_equal(again.points(), space.points())


@EVERY_KIND
@given(data=st.data())
@quick
def test_a_description_with_a_key_missing_is_bad_data(kind: str, data: st.DataObject) -> None:
    told = dict(data.draw(SPACES[kind]).to_dict())
    told.pop(data.draw(st.sampled_from(sorted(set(told) - {"label", "kind"}))))
    with pytest.raises(BadData, match="cannot be used"):
        read_space(told)


def test_a_kind_that_nobody_knows_is_bad_data() -> None:
    with pytest.raises(BadData, match="'torus' is not one of"):
        read_space({"kind": "torus"})
    for kind in ([], {}, 5, None):
        with pytest.raises(BadData, match="is not one of"):
            read_space({"kind": kind})


@pytest.mark.parametrize(
    "rows", [[1, [0, 2, 0, 0]], [[1, 0], [0, 1]], [[0] * 4] * 4, [[float("nan")] * 4] * 4, {}, None]
)
@pytest.mark.parametrize("kind", ["volume", "slice"])
@given(data=st.data())
@settings(max_examples=3, deadline=None)
def test_rows_that_are_no_affine_are_bad_data(kind: str, rows: Any, data: st.DataObject) -> None:
    told = dict(data.draw(SPACES[kind]).to_dict()) | {"grid_affine": rows}
    with pytest.raises(BadData, match="cannot be used"):
        read_space(told)


@EVERY_KIND
@given(data=st.data(), leading=st.sampled_from([(), (2,), (2, 3)]))
@quick
def test_shapes_are_as_told_with_any_axes_before(
    kind: str, data: st.DataObject, leading: tuple[int, ...]
) -> None:
    space = data.draw(SPACES[kind])
    whole = np.ones((*leading, *space.whole_shape), np.float32)
    block = space.cut(whole)
    assert block.shape == (*leading, *space.shape)
    assert block.dtype == np.float32
    back = space.put_back(block)
    assert back.shape == whole.shape
    assert back.dtype == np.float32
    wrong = np.ones((*space.whole_shape[:-1], space.whole_shape[-1] + 1))
    with pytest.raises(ValueError, match="expected"):
        space.cut(wrong)
    with pytest.raises(ValueError, match="expected"):
        space.put_back(np.ones((*space.shape[:-1], space.shape[-1] + 1)))


@EVERY_KIND
@given(data=st.data(), level=st.sampled_from([1.0, -3.25]))
@quick
def test_a_constant_survives_the_way_back_and_there(
    kind: str, data: st.DataObject, level: float
) -> None:
    """Where the block came from the whole, that is: what sticks out is the fill."""
    space = data.draw(SPACES[kind])
    block = np.full(space.shape, level, np.float32)
    back = space.put_back(block, fill=level)
    np.testing.assert_allclose(back, level, rtol=1e-6)
    np.testing.assert_allclose(space.cut(back, fill=level), level, rtol=1e-6)


@EVERY_KIND
@given(data=st.data())
@quick
def test_the_way_back_and_there_is_linear(kind: str, data: st.DataObject) -> None:
    space = data.draw(SPACES[kind])
    a, b = values_on(space, 1).astype(float), values_on(space, 2).astype(float)
    both = space.put_back(a + 2 * b)
    np.testing.assert_allclose(both, space.put_back(a) + 2 * space.put_back(b), atol=1e-9)


@EVERY_KIND
@given(data=st.data())
@quick
def test_labels_are_never_mixed(kind: str, data: st.DataObject) -> None:
    space = data.draw(SPACES[kind])
    labels = np.random.default_rng(3).choice([0, 7, 2024], space.whole_shape).astype(np.int32)
    assert set(np.unique(space.cut(labels))) <= {0, 7, 2024}
    assert space.cut(labels > 0).dtype == bool


@EVERY_KIND
@given(data=st.data(), seed=st.integers(0, 9))
@quick
def test_sizes_and_points_of_a_mask_are_those_of_all_cells(
    kind: str, data: st.DataObject, seed: int
) -> None:
    space = data.draw(SPACES[kind])
    inside = some_mask(space, seed)
    sizes, points = space.sizes(), space.points()
    assert sizes.shape == (int(np.prod(space.shape)),)
    assert points.shape == (len(sizes), 3)
    assert (sizes > 0).all()
    assert np.isfinite(points).all()
    np.testing.assert_array_equal(space.sizes(inside), sizes[inside.ravel()])
    np.testing.assert_array_equal(space.points(inside), points[inside.ravel()])
    relative = relative_sizes(space, inside)
    assert relative.mean() == pytest.approx(1)
    assert len(space.spacing) == len(space.shape)


@EVERY_KIND
@given(data=st.data(), seed=st.integers(0, 9), corners=st.booleans())
@quick
def test_neighbours_are_mutual_and_those_of_a_mask_are_a_part_of_all(
    kind: str, data: st.DataObject, seed: int, corners: bool
) -> None:
    space = data.draw(SPACES[kind])
    whole = space.neighbours(corners=corners).toarray()
    np.testing.assert_array_equal(whole, whole.T)
    assert not whole.diagonal().any()
    assert set(np.unique(whole)) <= {0, 1}
    assert (space.neighbours().toarray() >= whole).all()
    inside = some_mask(space, seed)
    own = inside.ravel()
    part = space.neighbours(inside, corners=corners).toarray()
    np.testing.assert_array_equal(part, whole[np.ix_(own, own)])


@EVERY_KIND
@given(data=st.data())
@quick
def test_cells_of_one_space_hang_together(kind: str, data: st.DataObject) -> None:
    from scipy.sparse.csgraph import connected_components

    space = data.draw(SPACES[kind])
    assert connected_components(space.neighbours(corners=False))[0] == 1


@EVERY_KIND
@given(data=st.data(), seed=st.integers(0, 9), fwhm=st.sampled_from([0.0, 3.0, 9.0]))
@quick
def test_smoothing_keeps_constants_and_is_linear(
    kind: str, data: st.DataObject, seed: int, fwhm: float
) -> None:
    space = data.draw(SPACES[kind])
    inside = some_mask(space, seed)
    smooth = space.smoother(inside, fwhm)
    n = int(inside.sum())
    np.testing.assert_allclose(smooth(np.full(n, 2.5)), 2.5, rtol=1e-4)
    a, b = (np.random.default_rng(k).standard_normal(n) for k in (1, 2))
    np.testing.assert_allclose(smooth(a + b), smooth(a) + smooth(b), atol=1e-4)
    assert np.ptp(smooth(a)) <= np.ptp(a) * (1 + 1e-4)


@EVERY_KIND
@given(data=st.data(), seed=st.integers(0, 9))
@quick
def test_clusters_are_the_connected_parts_of_either_side(
    kind: str, data: st.DataObject, seed: int
) -> None:
    space = data.draw(SPACES[kind])
    inside = some_mask(space, seed)
    rng = np.random.default_rng(seed)
    label = space.clusters(inside)
    touching = space.neighbours(inside).toarray()
    for _ in range(2):  # nothing is left of the call before
        cells = np.flatnonzero(rng.random(int(inside.sum())) < 0.7)
        sides = rng.integers(1, 3, len(cells)).astype(np.uint8)
        labels = label(cells, sides)
        near = touching[np.ix_(cells, cells)] * (sides[:, None] == sides)
        reach = np.linalg.matrix_power(near.astype(int) + np.eye(len(cells), dtype=int), 1)
        for _ in range(len(cells)):
            reach = ((reach @ near + reach) > 0).astype(int)
        np.testing.assert_array_equal(labels[:, None] == labels, reach > 0)


@EVERY_KIND
@given(data=st.data(), seed=st.integers(0, 9))
@quick
def test_extrema_are_no_smaller_than_their_neighbours(
    kind: str, data: st.DataObject, seed: int
) -> None:
    space = data.draw(SPACES[kind])
    inside = some_mask(space, seed)
    n = int(inside.sum())
    values = np.random.default_rng(seed).integers(-3, 4, n).astype(np.float32)
    touching = space.neighbours(inside).toarray() > 0
    wanted = [
        (v > 0 and all(values[near] <= v)) or (v < 0 and all(values[near] >= v))
        for v, near in zip(values, touching, strict=True)
    ]
    np.testing.assert_array_equal(space.extrema(inside, values), wanted)


@EVERY_KIND
@given(data=st.data())
@quick
def test_an_even_picture_has_no_edges(kind: str, data: st.DataObject) -> None:
    space = data.draw(SPACES[kind])
    edges = space.edges(np.full(space.shape, 4.0, np.float32), 4.0)
    assert edges.shape == space.shape
    np.testing.assert_allclose(edges, 0, atol=1e-4)


@EVERY_KIND
def test_a_map_is_written_whole_with_its_sidecar(kind: str, tmp_path: Path) -> None:
    @given(data=st.data())
    @settings(max_examples=5, deadline=None)
    def check(data: st.DataObject) -> None:
        space = data.draw(SPACES[kind])
        path = tmp_path / f"group_desc-a_statmap{space.extension}"
        space.write(path, values_on(space, 5), {"Units": "1", "Where": space.facts()})
        assert path.stat().st_size
        told = json.loads((tmp_path / "group_desc-a_statmap.json").read_text())
        assert told["Units"] == "1"
        stems = {file.name.partition(".")[0] for file in tmp_path.iterdir()}
        assert stems - {"sphere-knee_mesh", "surface-femur_mesh"} == {"group_desc-a_statmap"}
        whole = read_whole(path)
        assert space.holds(whole.values.shape, whole.affine)
        np.testing.assert_array_equal(whole.values, space.put_back(values_on(space, 5)))

    check()


def test_everywhere_is_the_mask_of_all_cells() -> None:
    space = picture((4, 3), (1.0, 1.0))
    assert everywhere(space).all()
    assert everywhere(space).shape == (4, 3)
