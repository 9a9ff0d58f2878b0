"""Contours, colours and slices of the reports against what was planted."""

import re
from itertools import pairwise
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidsapp.drawing.contours import UNITS, contour_path, tissue_levels
from bidsapp.drawing.mosaic import Layer, Outline, mosaic
from bidsapp.drawing.pictures import coloured, diverging_colours, windowed
from bidsapp.drawing.volumes import AXES, PLANES, Volume, choose_cuts, read_volume
from bidsapp.errors import BadData
from tests.unit.report_pages import Slice, ball, centred


def lines(path: str) -> list[np.ndarray]:
    """Points of each line of a path, in pixels."""
    found = []
    for start, steps in re.findall(r"M([\d ]+)l([-\d ]+)", path):
        first = np.array([int(number) for number in start.split()])
        moves = np.array([int(number) for number in re.findall(r"-?\d+", steps)]).reshape(-1, 2)
        found.append(np.vstack([first, first + np.cumsum(moves, axis=0)]) / UNITS)
    return found


@pytest.mark.parametrize("as_mask", [True, False])
def test_contour_of_a_disc_lies_on_its_circle(as_mask: bool) -> None:
    rows, columns = np.indices((80, 60))
    distance = np.hypot(rows - 45, columns - 25)
    plane = distance < 15 if as_mask else -distance
    (circle,) = lines(contour_path(plane, 0.5 if as_mask else -15.0, (180, 240)))
    # Three pixels per voxel; the centre of voxel 25 lies at pixel 3 × 25.5.
    radius = np.hypot(circle[:, 0] - 3 * 25.5, circle[:, 1] - 3 * 45.5) / 3
    assert np.abs(radius - 15).max() < 0.6
    assert abs(radius.mean() - 15) < 0.2
    assert (circle[0] == circle[-1]).all()


def test_contour_closes_at_the_border() -> None:
    plane = np.zeros((20, 20), dtype=bool)
    plane[:, 10:] = True
    (line,) = lines(contour_path(plane, 0.5, (100, 100)))
    assert (line[0] == line[-1]).all()
    assert line[:, 0].max() >= 98
    assert abs(line[:, 0].min() - 50) < 3
    assert line.min() >= 0
    assert line.max() <= 100


def test_nothing_to_trace_gives_no_path() -> None:
    assert contour_path(np.zeros((9, 9), bool), 0.5, (27, 27)) == ""
    assert contour_path(np.full((9, 9), 0.2), 0.5, (27, 27)) == ""


def test_tissue_levels_fall_between_three_classes() -> None:
    rng = np.random.default_rng(3)
    fluid, grey, white = (rng.normal(mean, 0.03, 4000) for mean in (0.2, 0.55, 0.85))
    lower, upper = tissue_levels(np.concatenate([np.zeros(9000), fluid, grey, white]))
    assert np.quantile(fluid, 0.99) < lower < np.quantile(grey, 0.01)
    assert np.quantile(grey, 0.99) < upper < np.quantile(white, 0.01)
    assert tissue_levels(np.zeros(10)) == (0.0, 0.0)


def test_contour_lies_on_the_border_of_the_picture_below_it() -> None:
    """Layer and outline are drawn by different code; they must meet, on anisotropic voxels too."""
    shape, sizes = (40, 30, 24), (1.0, 2.0, 3.0)
    box = np.zeros(shape, bool)
    box[8:20, 6:22, 4:18] = True
    grid = Volume(box, centred(shape, sizes))
    tiles = mosaic(
        grid,
        choose_cuts(grid, count=3),
        [Layer("participant", "box", box.astype(float), (0, 1))],
        [Outline("outer", box)],
    )
    for tile in tiles:
        picture = Slice(sources=[tile.pictures[0].uri]).picture()
        assert picture.shape == (tile.height, tile.width)
        rows, columns = np.nonzero(picture > 127)
        (line,) = lines(dict(tile.paths)["outer"])
        seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        traced = [*line.min(axis=0), *line.max(axis=0)]
        assert np.allclose(traced, seen, atol=1.5), (tile.plane, traced, seen)


def test_planted_slice_is_found_at_its_coordinate() -> None:
    shape = (30, 30, 30)
    grid = Volume(np.ones(shape, bool), centred(shape, (2.0, 2.0, 2.0)))
    data = np.indices(shape)
    for cut in choose_cuts(grid):
        axis = AXES[cut.plane]
        expected = (cut.of(data[axis])[0, 0] - 14.5) * 2
        assert cut.position == pytest.approx(expected)
        others = [other for other in range(3) if other != axis]
        across, down = cut.of(data[others[0]]), cut.of(data[others[1]])
        assert (np.diff(across, axis=1) == 1).all()
        assert (np.diff(down, axis=0) == -1).all()


@given(
    low=st.tuples(*[st.integers(0, 10)] * 3),
    extent=st.tuples(*[st.integers(1, 12)] * 3),
    count=st.integers(1, 9),
)
def test_slices_lie_inside_the_object_in_order(
    low: tuple[int, int, int], extent: tuple[int, int, int], count: int
) -> None:
    inside = np.zeros((22, 22, 22), bool)
    inside[tuple(slice(a, a + b) for a, b in zip(low, extent, strict=True))] = True
    cuts = choose_cuts(Volume(inside, np.eye(4)), count=count)
    assert len(cuts) == 3 * count
    for plane in PLANES:
        own = [cut.index for cut in cuts if cut.plane == plane]
        axis = AXES[plane]
        assert all(low[axis] <= index < low[axis] + extent[axis] for index in own)
        assert all(one <= other for one, other in pairwise(own))


def test_sagittal_slices_name_the_hemisphere_of_the_head_not_of_the_scanner() -> None:
    """A head that lies 40 mm to the left in the scanner still has a right half."""
    affine = np.eye(4)
    affine[:3, 3] = (-100, 0, 0)
    inside = np.zeros((120, 40, 40), bool)
    inside[:, 5:35, 5:35] = True
    cuts = choose_cuts(Volume(inside, affine), ["sagittal"])
    assert all(cut.hemisphere == "left" for cut in cuts[:3])
    assert cuts[3].hemisphere == "midline"
    assert all(cut.hemisphere == "right" for cut in cuts[4:])
    assert cuts[4].label.startswith("x = −")


def test_colours_stay_on_the_bar_and_off_the_outside() -> None:
    colours = diverging_colours()
    values = np.linspace(-1, 1, 256).reshape(16, 16)
    inside = np.ones((16, 16), bool)
    inside[:4] = False
    picture = np.asarray(coloured(windowed(values, -1, 1), inside, colours, (64, 64)))
    known = {tuple(colour) for colour in colours.tolist()} | {(0, 0, 0)}
    assert {tuple(colour) for colour in picture.reshape(-1, 3).tolist()} <= known
    assert not picture[:14].any()
    assert picture[20:].any(axis=-1).all()


def test_colour_bar_says_the_size_in_black_and_white_too() -> None:
    """Lightness rises from both ends to the middle, and the ends differ under red-green blindness.

    Blue against red is told apart by the blue channel, which protanopes and deuteranopes see.
    """
    colours = diverging_colours(255).astype(float)
    light = colours @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(light[:128]) > -1e-9).all()
    assert (np.diff(light[127:]) < 1e-9).all()
    blue_against_yellow = colours[:, 2] - colours[:, :2].mean(axis=1)
    assert (blue_against_yellow[:100] > 30).all()
    assert (blue_against_yellow[-100:] < -30).all()


def test_one_brain_in_large_voxels_keeps_its_shape() -> None:
    """A ball is round in every plane although the voxels are not cubes."""
    shape, sizes = (80, 40, 20), (1.0, 2.0, 4.0)
    inside = ball(shape, np.array(sizes), 30)
    grid = Volume(inside, centred(shape, sizes))
    layer = Layer("participant", "ball", inside.astype(float), (0, 1))
    for tile in mosaic(grid, choose_cuts(grid, count=1), [layer]):
        rows, columns = np.nonzero(Slice(sources=[tile.pictures[0].uri]).picture() > 127)
        assert abs(np.ptp(rows) - np.ptp(columns)) <= 6


@pytest.mark.parametrize("shape", [(7,), (4, 5), (4, 0, 6), (4, 5, 6, 2)])
def test_what_is_no_single_volume_is_refused_by_its_name(
    tmp_path: Path, shape: tuple[int, ...]
) -> None:
    path = tmp_path / "a.nii"
    nib.Nifti1Image(np.zeros(shape, "f4"), np.eye(4)).to_filename(path)
    with pytest.raises(BadData, match=r"a\.nii: one volume \(x, y, z\) is expected; its shape is"):
        read_volume(path)
