"""A knee's surfaces, thickness and maps: against known shapes, mirrored, turned, there and back."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bidsapp.errors import BadData
from bidsapp.modalities.knee.anatomy import ANATOMY, BONES
from bidsapp.modalities.knee.bone_maps import measure_bone, plate_of
from bidsapp.modalities.knee.frame import axis_order, to_frame
from bidsapp.modalities.knee.meshing import mesh_bone
from bidsapp.modalities.knee.plate_map import PlateMap
from bidsapp.modalities.knee.projection import cylinders
from bidsapp.modalities.knee.quality import quality_of
from bidsapp.modalities.knee.sphere_map import lay_on_sphere
from bidsapp.modalities.knee.sphere_rays import grid_of
from bidsapp.modalities.knee.surface import Surface, distance_to
from bidsapp.modalities.knee.thickness import (
    thickness_along_normals,
    thickness_on_skeletons,
    upright,
)
from bidsapp.modalities.knee.whole_knee import Knee, KneeSettings, measure_knee
from tests.unit.knees import SPACING, affine_of, label_map, plain_knee, thinned

SMALL = KneeSettings(rows=112, columns=112)
TIBIA, PATELLA = (replace(SMALL, bones=(name,)) for name in ("tibia", "patella"))


@pytest.fixture(scope="module")
def knee() -> Knee:
    return measure_knee(label_map(), {}, SMALL)


def ball(radius: float, spacing: np.ndarray, size: float = 70.0) -> tuple[np.ndarray, np.ndarray]:
    """A ball as voxels, and its middle in mm."""
    axes = [np.arange(0, size, step) for step in spacing]
    places = np.stack(np.meshgrid(*axes, indexing="ij"))
    middle = np.full(3, size / 2)
    return np.linalg.norm(places - middle[:, None, None, None], axis=0) < radius, middle


@pytest.mark.parametrize("spacing", [(0.7, 0.4, 0.4), (1.5, 0.6, 0.6), (1.0, 1.0, 1.0)])
def test_a_ball_has_its_area_volume_and_normals(spacing: tuple[float, ...]) -> None:
    mask, middle = ball(20.0, np.array(spacing))
    meshed = mesh_bone(mask, np.array(spacing), ANATOMY["patella"])
    surface = meshed.surface
    assert surface.closed
    assert surface.volume == pytest.approx(4 / 3 * np.pi * 20**3, rel=0.02)
    assert surface.area == pytest.approx(4 * np.pi * 20**2, rel=0.02)
    assert surface.areas.sum() == pytest.approx(surface.area)
    outward = (surface.points - middle) / np.linalg.norm(surface.points - middle, axis=1)[:, None]
    assert np.percentile((surface.normals * outward).sum(1), 0.5) > 0.92
    distance = np.abs(np.linalg.norm(surface.points - middle, axis=1) - 20)
    assert distance.mean() < 0.15
    assert meshed.error < max(spacing)


def test_distance_to_a_surface_is_exact() -> None:
    mask, _ = ball(15.0, np.ones(3), 50)
    surface = mesh_bone(mask, np.ones(3), ANATOMY["patella"]).surface
    on_it = surface.points[surface.triangles].mean(1)
    assert distance_to(surface, on_it).max() < 1e-9
    away = on_it + 0.5 * surface.triangle_normals
    assert distance_to(surface, away) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("layer", [1.0, 2.0, 3.5, 6.0])
def test_a_layer_on_a_ball_has_its_thickness_by_both_measures(layer: float) -> None:
    spacing = np.array([0.7, 0.365, 0.365])
    mask, _ = ball(22.0, spacing)
    grown, _ = ball(22.0 + layer, spacing)
    surface = mesh_bone(mask, spacing, ANATOMY["patella"]).surface
    shell = grown & ~mask
    sheet = thickness_along_normals(shell, spacing, surface)
    assert sheet.covered.all()
    assert surface.mean(sheet.thickness) == pytest.approx(layer, abs=0.1)
    assert sheet.thickness.std() < 0.2
    points, twice = thickness_on_skeletons(shell, spacing)
    on_surface = cylinders(points, surface, sheet).mean(twice)
    middle = np.zeros_like(shell)
    middle[50] = shell[50]  # cuts the layer upright
    assert thickness_on_skeletons(middle, spacing)[1].mean() == pytest.approx(layer, abs=0.12)
    # Towards its sides the ball's layer is oblique to the slices, and reads too thick.
    slanted = (np.abs(surface.normals[:, 0]) > 0.5) & (np.abs(surface.normals[:, 0]) < 0.8)
    assert np.nanmean(on_surface[slanted]) > 1.1 * layer
    assert np.nanmean(upright(on_surface, surface)[slanted]) == pytest.approx(layer, rel=0.12)


def test_cylinders_take_what_is_along_the_normal_and_nothing_else() -> None:
    mask, _ = ball(15.0, np.ones(3), 50)
    grown, _ = ball(18.0, np.ones(3), 50)
    surface = mesh_bone(mask, np.ones(3), ANATOMY["patella"]).surface
    sheet = thickness_along_normals(grown & ~mask, np.ones(3), surface)
    rng = np.random.default_rng(0)
    places = rng.uniform(5, 45, size=(4000, 3))
    found = cylinders(places, surface, sheet, radius=1.5)
    offset = places[None] - surface.points[:40, None]
    along = (offset * surface.normals[:40, None]).sum(-1)
    aside = np.linalg.norm(offset - along[..., None] * surface.normals[:40, None], axis=-1)
    expected = (aside <= 1.5) & (along >= sheet.start[:40, None] - 0.5)
    expected &= along <= sheet.end[:40, None] + 0.5
    got = np.zeros_like(expected)
    few = found.point < 40
    got[found.point[few], found.value[few]] = True
    assert expected.sum() > 40
    np.testing.assert_array_equal(got, expected)


def test_every_bone_is_measured(knee: Knee) -> None:
    assert knee.side == "R"
    for name in BONES:
        maps = knee.bones[name]
        assert maps.surface.volume > 0
        assert maps.surface.closed
        facts = maps.facts
        # Distances between centres of pixels: half of one too much, with so few of them.
        assert facts["mean_thickness_mm"] == pytest.approx(
            facts["mean_thickness_normal_mm"], abs=SPACING[1] / 2
        )
        assert facts["seen_share"] > 0.97
        assert facts["hole_area_mm2"] < 5
        image = maps.maps()["thickness"]
        assert image.shape == (112, 112)
        # The pole is the middle of the joint surface; a femur's is its notch.
        covered = np.isfinite(image).mean(1)
        assert covered[:50].mean() > 4 * covered[-30:].mean() or name == "femur"


@pytest.mark.parametrize("name", BONES)
def test_map_to_surface_and_back(knee: Knee, name: str) -> None:
    maps = measure_bone(
        ANATOMY[name],
        label_map().mask(name),
        label_map().mask(*ANATOMY[name].cartilages),
        np.array(knee.frame.spacing),
        grid_of(ANATOMY[name]),
    )
    # Coarse voxels; the distance from the centre is steep where rays graze.
    limits = {"thickness": 0.07, "thicknessnormal": 0.05, "shape": 0.1}
    for channel, values in maps.values.items():
        image = maps.laid_of(channel).to_map(values)
        back = maps.laid_of(channel).to_surface(image)
        known = np.isfinite(back) & np.isfinite(values)
        assert np.abs(back - values)[known].mean() <= limits[channel]
        mean = maps.laid_of(channel).mean(image)
        assert mean == pytest.approx(maps.surface.mean(values), rel=0.01) or (
            channel == "shape"  # the map sees no more than half of the bone
        )
        covered = maps.sheet.covered
        assert maps.surface.areas[known & covered].sum() > 0.95 * maps.surface.areas[covered].sum()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_linear_values_come_back_from_any_round_shape(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask, _ = ball(18.0, np.ones(3), 45)
    surface = mesh_bone(mask, np.ones(3), ANATOMY["patella"], edge_mm=2.0).surface
    stretched = surface.moved(surface.points * rng.uniform(0.7, 1.4, 3) + rng.normal(size=3))
    grid = grid_of(ANATOMY[str(rng.choice(BONES))], 96, 96)
    laid = lay_on_sphere(stretched, grid)
    assert np.isfinite(laid.radius).all()  # a closed surface is met by every ray
    assert (laid.sheets == 1).all()
    # The place of a hit is the barycentric mean of the corners, and lies on its ray.
    places = laid.forward @ (stretched.points - laid.centre)
    np.testing.assert_allclose(places, laid.radius[:, None] * grid.directions, atol=1e-9)
    assert laid.seen[grid.places(stretched.points - laid.centre)[0] < 94].all()
    weights = rng.normal(size=3)
    values = (stretched.points - laid.centre) @ weights
    back = laid.to_surface(laid.to_map(values))
    assert np.abs(back - values)[np.isfinite(back)].max() < 0.2 * np.abs(values).max()


def test_areas_of_pixels_add_up_to_the_surface() -> None:
    mask, _ = ball(18.0, np.ones(3), 45)
    surface = mesh_bone(mask, np.ones(3), ANATOMY["patella"]).surface
    stretched = surface.moved(surface.points * [1.3, 1.0, 0.8])
    whole = grid_of(ANATOMY["femur"], 128, 128, high=np.pi / 2)
    laid = lay_on_sphere(stretched, whole)
    assert whole.solid_angles.sum() == pytest.approx(4 * np.pi)
    assert laid.areas.sum() == pytest.approx(stretched.area, rel=0.005)


@pytest.fixture(scope="module")
def mushroom() -> tuple[Surface, np.ndarray]:
    """A ball with a roof below it, and the ball's middle: rays downwards meet two sheets."""
    spacing = np.ones(3)
    mask, middle = ball(14.0, spacing, 60)
    roof, _ = ball(24.0, spacing, 60)
    inner, _ = ball(21.0, spacing, 60)
    x = np.arange(60)[:, None, None]
    z = np.arange(60)[None, None, :]
    cap = roof & ~inner & (z < middle[2] - 8)
    stem = (np.abs(x - middle[0]) < 4) & (z < middle[2]) & roof & np.ones((1, 60, 1), bool)
    return mesh_bone(mask | cap | stem, spacing, ANATOMY["patella"]).surface, middle


def test_what_lies_under_another_sheet_is_not_seen(mushroom: tuple[Surface, np.ndarray]) -> None:
    surface, middle = mushroom
    laid = lay_on_sphere(surface, grid_of(ANATOMY["femur"], 96, 96), middle)
    assert (laid.sheets > 1).mean() > 0.05
    depth = np.linalg.norm(surface.points - middle, axis=1)
    under = (depth < 16) & (surface.points[:, 2] < middle[2] - 12)
    assert not laid.seen[under & (np.abs(surface.points[:, 0] - middle[0]) > 6)].any()
    on_roof = (depth > 23) & (surface.points[:, 2] < middle[2] - 12)
    assert laid.seen[on_roof].all()


def test_cartilage_under_another_sheet_is_in_the_map(mushroom: tuple[Surface, np.ndarray]) -> None:
    surface, middle = mushroom
    laid = lay_on_sphere(surface, grid_of(ANATOMY["femur"], 96, 96), middle)
    depth = np.linalg.norm(surface.points - middle, axis=1)
    plate = surface.points[:, 2] < middle[2] - 12  # the roof's both sides, and the ball below it
    over = PlateMap(laid, surface, plate)
    values = np.where(plate, depth, np.nan)
    image = over.to_map(values)
    assert over.areas.sum() == pytest.approx(surface.areas[plate].sum(), rel=0.02)
    assert over.mean(image) == pytest.approx(surface.mean(values), rel=0.01)
    assert laid.mean(laid.to_map(values)) > 1.05 * surface.mean(values)  # of the roof alone
    two = over.folded & np.isfinite(image.ravel())
    assert two.mean() > 0.05
    assert (image.ravel()[two] < laid.radius[two] - 0.5).mean() > 0.95  # between the sheets
    back = over.to_surface(image)
    reached = plate & laid.within
    assert not np.isfinite(back[~reached]).any()
    assert np.isfinite(back[reached]).mean() > 0.95


def same(one: Knee, other: Knee, tolerance: float) -> None:
    for name in one.bones:
        a, b = one.bones[name].maps(), other.bones[name].maps()
        for channel in a:
            np.testing.assert_allclose(a[channel], b[channel], atol=tolerance)


@pytest.mark.parametrize(
    ("order", "flips"),
    [((0, 1, 2), (-1, 1, 1)), ((2, 1, 0), (1, 1, 1)), ((1, 2, 0), (-1, 1, -1))],
)
def test_any_order_of_axes_gives_the_same_map(
    knee: Knee, order: tuple[int, ...], flips: tuple[int, ...]
) -> None:
    data = np.transpose(plain_knee(), order)
    turn = np.zeros((4, 4))
    turn[[*order, 3], [0, 1, 2, 3]] = 1  # from the new array's places to the old one's
    for axis, flip in enumerate(flips):
        if flip < 0:
            data = np.flip(data, axis)
            mirror = np.eye(4)
            mirror[axis, axis], mirror[axis, 3] = -1, data.shape[axis] - 1
            turn = turn @ mirror
    affine = affine_of() @ turn
    assert (axis_order(affine) != axis_order(affine_of())).any()
    same(measure_knee(label_map(data, affine), {}, TIBIA), knee, 1e-6)


def test_a_mirrored_knee_is_a_left_one_with_the_same_map(knee: Knee) -> None:
    left = measure_knee(label_map(affine=affine_of("L")), {}, TIBIA)
    assert (left.side, left.frame.mirrored) == ("L", True)
    same(left, knee, 1e-6)
    # Its surface lies where the leg is, not where its mirror image would be.
    world = left.frame.world(left.bones["tibia"].surface.points)
    right = knee.frame.world(knee.bones["tibia"].surface.points)
    np.testing.assert_allclose(world * [-1, 1, 1], right, atol=1e-6)
    np.testing.assert_allclose(left.frame.local(world), left.bones["tibia"].surface.points)


def test_the_frame_puts_voxels_where_the_header_does() -> None:
    data, affine = plain_knee(), affine_of("L")
    turned, frame = to_frame(data, affine, "L")
    places = np.argwhere(turned == 6)[::50] * np.array(frame.spacing)
    expected = np.argwhere(data == 6) @ affine[:3, :3].T + affine[:3, 3]
    found = frame.world(places)
    for place in found:
        assert np.linalg.norm(expected - place, axis=1).min() < 1e-3
    with pytest.raises(BadData, match=r"Voxels are 0\.01"):
        to_frame(data, np.diag([0.01, 1, 1, 1]), "R")
    with pytest.raises(BadData, match="no direction"):
        to_frame(data, np.diag([0.0, 1, 1, 1]), "R")


def test_a_thinned_plate_is_thinner_there_and_nowhere_else(knee: Knee) -> None:
    thin = measure_knee(label_map(thinned(0.6)), {}, TIBIA).bones["tibia"].maps()["thickness"]
    plain = knee.bones["tibia"].maps()["thickness"]
    lost = np.nan_to_num(plain) - np.nan_to_num(thin)
    medial = np.zeros((112, 112), bool)
    # Azimuth 0 is in front; up from the tibia's pole the medial side is the first half.
    medial[:, :56] = True
    sides = [lost[side].sum() for side in (medial, ~medial)]
    larger, smaller = max(sides), min(sides)
    assert larger > 50
    assert lost.max() > 1.1  # of 2.4 mm, six tenths in the middle
    assert (lost > 0.5).mean() < 0.04  # and little of the plate beside
    assert abs(smaller) < 0.05 * larger


def test_holes_count_as_no_cartilage_within_the_plate() -> None:
    labels = plain_knee().copy()
    spacing = np.array(SPACING)
    middle = np.argwhere(labels == 7).mean(0)
    places = np.stack(np.meshgrid(*map(np.arange, labels.shape), indexing="ij"), -1) - middle
    hole = np.linalg.norm(places[..., [0, 2]] * spacing[[0, 2]], axis=-1) < 5
    labels[(labels == 7) & hole] = 0
    maps = measure_knee(label_map(labels), {}, PATELLA).bones["patella"]
    assert maps.facts["hole_area_mm2"] == pytest.approx(np.pi * 25, rel=0.35)
    image = maps.maps()["thickness"]
    assert (image == 0).sum() > 20
    whole = measure_knee(label_map(), {}, PATELLA).bones["patella"]
    assert maps.facts["plate_area_mm2"] == pytest.approx(whole.facts["plate_area_mm2"], rel=0.02)
    assert maps.facts["mean_thickness_mm"] < whole.facts["mean_thickness_mm"]


def test_a_plate_without_bare_bone_or_without_cartilage() -> None:
    mask, _ = ball(15.0, np.ones(3), 40)
    surface = mesh_bone(mask, np.ones(3), ANATOMY["patella"], 3.0).surface
    everywhere = np.ones(len(surface.points), bool)
    plate, holes = plate_of(surface, everywhere, ~everywhere)
    assert plate.all()
    assert holes == 0
    plate, holes = plate_of(surface, ~everywhere, ~everywhere)
    assert not plate.any()


@pytest.mark.parametrize(
    ("share", "verdict", "said"),
    [(1.0, "pass", ""), (0.8, "warn", "Femur: shaft beyond the crop: -12 mm"), (0.69, "fail", "")],
)
def test_a_femur_that_the_image_cuts_is_judged(share: float, verdict: str, said: str) -> None:
    data = plain_knee().copy()
    data[:, :, int(data.shape[2] * share) :] = 0  # the image ends there
    labels = label_map(data)
    settings = replace(SMALL, bones=("femur",), rows=48, columns=48)
    found = quality_of(labels, measure_knee(labels, {"side": "R"}, settings), {"bones": ["femur"]})
    told = [text for text in found["reasons"] if "shaft" in text]
    assert bool(told) == (verdict != "pass")
    assert said in " ".join(told)
    if verdict == "fail":
        assert found["verdict"] == "fail"


def test_a_condyle_that_the_image_cuts_is_told() -> None:
    data = plain_knee().copy()
    first = int(np.flatnonzero((data == 1).any((1, 2)))[0])
    labels = label_map(data[first + 4 :])  # the image begins within the medial condyle
    settings = replace(SMALL, bones=("femur",), rows=48, columns=48)
    found = quality_of(labels, measure_knee(labels, {"side": "R"}, settings), {"bones": ["femur"]})
    assert found["cut_bones"] == ["femur"]
    assert found["verdict"] != "pass"
