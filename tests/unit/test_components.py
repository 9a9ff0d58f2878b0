"""Group ICA in a fold: known answers, nobody held out reaches it, real BOLD."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from scipy.stats import t as t_distribution

from bidsapp.errors import BadData
from bidsapp.representation.components import whitening
from bidsapp.representation.components.dual_regression import dual_regression
from bidsapp.representation.components.group_ica import GroupComponents, group_ica
from bidsapp.representation.components.ica import _clustered, independent_sources
from bidsapp.representation.components.matching import correlations, flipped, match
from bidsapp.representation.components.reduction import reduce_person, standardised
from bidsapp.representation.components.whitening import pair_products, whiten
from tests.unit import rest24

NETWORKS = 4


def _planted(
    people: int = 8, volumes: int = 60, voxels: int = 3000, seed: int = 0, noise: float = 0.5
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Sparse networks with time courses of each person's own, in noise."""
    rng = np.random.default_rng(seed)
    maps = np.zeros((NETWORKS, voxels))
    for number in range(NETWORKS):
        start = number * voxels // NETWORKS
        maps[number, start : start + voxels // 12] = rng.uniform(1, 3, voxels // 12)
    series = []
    for _ in range(people):
        courses = rng.standard_normal((volumes, NETWORKS))
        series.append(courses @ maps + noise * rng.standard_normal((volumes, voxels)))
    return maps, series


def _stack(series: list[np.ndarray], components: int = 10) -> list[np.ndarray]:
    return [reduce_person(person, components).components for person in series]


def _agreement(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    from scipy.optimize import linear_sum_assignment

    r = np.abs(correlations(one, two))
    return r[linear_sum_assignment(-r)]


def test_series_are_standardised_over_time_and_then_over_the_brain() -> None:
    rng = np.random.default_rng(1)
    series = 1000 + rng.standard_normal((50, 400)) * rng.uniform(1, 30, 400)
    series[:, 7] = 1234.5
    values = standardised(series)
    assert np.abs(values.mean(axis=1)).max() < 1e-5
    assert values.std(axis=0)[np.arange(400) != 7] == pytest.approx(1, abs=0.2)
    # A voxel that does not change has nothing but what is taken off every voxel of a volume.
    assert np.abs(values[:, 7]).max() < 0.3


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_series_with_no_number_is_refused(value: float) -> None:
    series = np.random.default_rng(0).standard_normal((20, 50))
    series[3, 4] = value
    with pytest.raises(BadData, match="finite"):
        standardised(series)


def test_a_series_that_does_not_change_is_refused() -> None:
    with pytest.raises(BadData, match="no voxel"):
        standardised(np.full((20, 50), 7.0))


def test_a_persons_reduction_is_white_and_holds_the_strongest_directions() -> None:
    series = _planted()[1][0]
    found = reduce_person(series, 10)
    square = found.components.astype(float) @ found.components.T / series.shape[1]
    assert square == pytest.approx(np.eye(10), abs=1e-4)
    singular = np.linalg.svd(standardised(series).astype(float), compute_uv=False) ** 2
    assert found.share == pytest.approx(singular[:10].sum() / singular.sum(), abs=1e-5)


def test_too_few_volumes_for_the_reduction_are_refused_with_the_number_that_fits() -> None:
    series = _planted(volumes=30)[1][0]
    with pytest.raises(BadData, match=r"29 components.*group_ica\.reduction to 29"):
        reduce_person(series, 64)


def _directions(found: whitening.Whitened) -> np.ndarray:
    return np.linalg.qr(found.data.T.astype(float))[0]


@pytest.mark.parametrize("way", ["pairs", "voxels", "passes"])
def test_every_way_to_the_groups_directions_gives_those_of_the_stacked_people(way: str) -> None:
    train = np.array([0, 2, 3, 5, 7])
    stacks = _stack(_planted(voxels=40 if way == "voxels" else 900, noise=1.0)[1])
    products = None if way == "passes" else pair_products(stacks)
    found = whiten(stacks, train, 5, products)
    stacked = np.concatenate([stacks[row] for row in train]).astype(float)
    _, singular, right = np.linalg.svd(stacked, full_matrices=False)
    assert found.eigenvalues == pytest.approx(
        singular[:5] ** 2 / stacked.shape[1], rel=1e-3 if way == "passes" else 1e-5
    )
    # The four planted networks stand apart; the fifth direction is noise among noise.
    angles = np.linalg.svd(_directions(found)[:, :4].T @ right[:4].T, compute_uv=False)
    assert angles.min() > 0.999
    assert found.data.mean(axis=1) == pytest.approx(0, abs=1e-6)
    assert found.data.std(axis=1) == pytest.approx(1, abs=1e-5)


def test_more_components_than_the_people_hold_are_refused() -> None:
    stacks = _stack(_planted(people=2)[1], 5)
    with pytest.raises(ValueError, match="2 people"):
        whiten(stacks, np.array([0, 1]), 11, pair_products(stacks))


def test_planted_networks_are_found_and_are_stable() -> None:
    maps, series = _planted()
    stacks = _stack(series)
    found = group_ica(stacks, np.arange(8), NETWORKS, 0, products=pair_products(stacks))
    # Every voxel gets variance 1 first, so that of a map's weights little but the place is left.
    assert _agreement(found.maps, maps > 0).min() > 0.95
    assert found.stability.min() > 0.8
    assert found.settled
    assert (np.diff(found.stability) <= 0).all()
    # The long tail is positive: the networks are where the map is bright.
    assert (found.maps.max(axis=1) > -found.maps.min(axis=1)).all()


def test_components_that_are_accidents_of_the_start_are_told_from_those_that_are_not() -> None:
    rng = np.random.default_rng(3)
    data = np.concatenate([rng.laplace(size=(2, 4000)), rng.standard_normal((4, 4000))])
    data -= data.mean(axis=1, keepdims=True)
    values, vectors = np.linalg.eigh(data @ data.T / 4000)
    found = independent_sources(((vectors / np.sqrt(values)).T @ data).astype("f4"), 0)
    assert _agreement(found.maps[:2], data[:2]).min() > 0.98
    assert found.stability[:2].min() > 0.8
    assert found.stability[2:].max() < 0.7


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 8), st.integers(2, 6), st.integers(0, 1000))
def test_clusters_of_estimates_are_as_many_as_asked_for_and_orthogonal(
    count: int, starts: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    rows = [np.linalg.qr(rng.standard_normal((count, count)))[0] for _ in range(starts)]
    middles, quality = _clustered(np.concatenate(rows), count)
    assert middles @ middles.T == pytest.approx(np.eye(count), abs=1e-8)
    assert quality.shape == (count,)


def test_equal_estimates_still_give_as_many_components() -> None:
    rows = np.concatenate([np.eye(4)[:2], np.eye(4)[:2], np.eye(4)[:2], np.eye(4)[:2]])
    middles, quality = _clustered(rows, 4)
    assert middles @ middles.T == pytest.approx(np.eye(4), abs=1e-8)
    assert len(quality) == 4


def test_dual_regression_is_two_regressions() -> None:
    maps, series = _planted(people=1)
    found = dual_regression(maps, series[0], "beta")
    data = series[0] - series[0].mean(axis=0)
    design = maps.T - maps.T.mean(axis=0)
    courses = np.linalg.lstsq(design, data.T - data.T.mean(axis=0), rcond=None)[0].T
    courses -= courses.mean(axis=0)
    assert found.amplitudes == pytest.approx(courses.std(axis=0), rel=1e-4)
    courses /= courses.std(axis=0)
    assert found.courses == pytest.approx(courses, abs=1e-4)
    betas = np.linalg.lstsq(courses, data, rcond=None)[0]
    assert found.maps == pytest.approx(betas, abs=1e-4)


def test_z_maps_have_no_unit_and_are_normal_where_nothing_is() -> None:
    maps, series = _planted(people=1, volumes=100)
    found = dual_regression(maps, series[0])
    again = dual_regression(maps, 500 + 37 * series[0])
    assert again.maps == pytest.approx(found.maps, abs=1e-2)
    nothing = found.maps[:, (maps == 0).all(axis=0)]
    assert nothing.std() == pytest.approx(1, abs=0.03)
    assert found.maps[0, maps[0] > 0].mean() > 5


def test_effects_are_as_strong_as_the_network_whatever_unit_and_length() -> None:
    maps, rng = _planted(people=1)[0], np.random.default_rng(0)
    courses, noise = rng.standard_normal((400, NETWORKS)), rng.standard_normal((400, 3000))
    weak, strong = (courses * [size, 1, 1, 1] @ maps + noise for size in (1, 2))
    peak = maps[0] > 2
    effects, scores = (
        [dual_regression(maps, one, kind).maps[0, peak].mean() for one in (weak, strong)]
        for kind in ("effect", "z")
    )
    assert effects[1] / effects[0] == pytest.approx(2, rel=0.05)
    assert scores[1] / scores[0] < 1.5  # of 400 volumes a strong network's z hardly grows
    found = dual_regression(maps, weak, "effect").maps
    assert dual_regression(maps, 500 + 37 * weak, "effect").maps == pytest.approx(found, abs=1e-2)
    half = dual_regression(maps, weak[::2], "effect").maps
    # half the volumes: the course's own spread is off by 5 % (one SE)
    assert half[0, peak].mean() == pytest.approx(found[0, peak].mean(), rel=0.1)


@settings(max_examples=30, deadline=None)
@given(st.floats(0.1, 12), st.integers(30, 500))
def test_z_is_the_quantile_of_t(value: float, freedom: int) -> None:
    from bidsapp.representation.components.dual_regression import _z_of_t

    z = _z_of_t(np.array([value, -value]), freedom)
    exact = norm.isf(t_distribution.sf(value, freedom))
    assert z == pytest.approx([exact, -exact], rel=5e-3)


def test_dual_regression_needs_more_volumes_than_components() -> None:
    maps, series = _planted(people=1, volumes=5)
    with pytest.raises(BadData, match=r"5 volumes.*at least 6"):
        dual_regression(maps, series[0])


def _blobs(count: int, shape: tuple[int, int, int], seed: int) -> tuple[np.ndarray, np.ndarray]:
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(seed)
    volumes = np.array([gaussian_filter(rng.standard_normal(shape), 2) for _ in range(count)])
    grid = np.stack(np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij"))
    mask = (grid**2).sum(axis=0) < 1
    return volumes[:, mask], mask


def test_components_in_another_order_and_sign_are_matched() -> None:
    maps, mask = _blobs(6, (16, 18, 16), 0)
    order, sign = np.array([4, 2, 0, 5, 1, 3]), np.array([1, -1, 1, 1, -1, -1])
    found = match(maps[order] * sign[:, None], maps, mask)
    assert order[found.components].tolist() == found.references.tolist() == list(range(6))
    assert found.r == pytest.approx(sign[found.components])
    assert found.above_null.all()


def test_smooth_maps_that_have_nothing_in_common_are_rarely_above_the_null() -> None:
    above = []
    for seed in range(8):
        maps, mask = _blobs(10, (16, 18, 16), seed)
        others, _ = _blobs(10, (16, 18, 16), 100 + seed)
        above.append(match(maps, others, mask).above_null.mean())
    assert np.mean(above) < 0.2


def test_a_flip_moves_each_value_to_its_mirror_place_and_back() -> None:
    maps, mask = _blobs(3, (9, 11, 10), 1)
    turned, inside = flipped(maps, mask, (1,))
    volume = np.zeros((3, *mask.shape))
    volume[:, mask] = maps
    box = [np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != k))) for k in range(3)]
    part = tuple(slice(b[0], b[-1] + 1) for b in box)
    volume[(slice(None), *part)] = volume[(slice(None), *part)][:, :, ::-1]
    assert (volume[:, mask][:, inside] == turned[:, inside]).all()
    back, _ = flipped(turned, mask, (1,))
    assert (back[:, inside] == maps[:, inside]).all()


def _fit(real_data: Path, rows: np.ndarray, fold: int = 0) -> GroupComponents:
    return group_ica(
        rest24.reductions(real_data), rows, 20, (0, fold), products=rest24.products(real_data)
    )


def test_halves_of_real_people_give_the_same_networks(real_data: Path) -> None:
    odd = _fit(real_data, np.arange(0, 24, 2), 0)
    even = _fit(real_data, np.arange(1, 24, 2), 1)
    assert (_agreement(odd.maps, even.maps) >= 0.6).sum() >= 10  # 17 were found


@pytest.mark.parametrize("way", ["pairs", "voxels", "passes"])
def test_no_map_of_a_fold_changes_when_held_out_people_are_noise(
    real_data: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way != "voxels":
        monkeypatch.setattr(whitening, "LARGEST_SQUARE", 0)
    rng = np.random.default_rng(5)
    held_out = np.array([3, 11, 23])
    train = np.setdiff1d(np.arange(24), held_out)
    series = [
        person if i < 8 else person[:100] for i, person in enumerate(rest24.series(real_data))
    ]
    noise = [
        rng.standard_normal(person.shape) if row in held_out else person
        for row, person in enumerate(series)
    ]
    results = []
    for people in (series, noise):
        stacks = _stack(people, 30)
        products = pair_products(stacks) if way == "pairs" else None
        results.append(group_ica(stacks, train, 12, (0, 3), starts=3, products=products))
    assert (results[0].maps == results[1].maps).all()
    assert (results[0].stability == results[1].stability).all()


@pytest.mark.filterwarnings("ignore:FastICA did not converge")  # one of CanICA's own ten starts
def test_real_networks_are_those_of_canica(real_data: Path) -> None:
    import nibabel as nib
    from nilearn.decomposition import CanICA
    from nilearn.maskers import MultiNiftiMasker

    mask = rest24.mask(real_data)
    inside = nib.Nifti1Image(mask.astype("u1"), np.diag([10.0, 10, 10, 1]))
    images = []
    for person in rest24.series(real_data):
        volume = np.zeros((*mask.shape, len(person)), "f4")
        volume[mask] = person.T
        images.append(nib.Nifti1Image(volume, inside.affine))
    masker = MultiNiftiMasker(inside, standardize="zscore_sample")
    theirs = CanICA(
        n_components=20,
        mask=masker,
        smoothing_fwhm=None,
        threshold=None,
        random_state=0,
        standardize="zscore_sample",
        detrend=False,
        mask_strategy="background",
    ).fit(images)
    ours = _fit(real_data, np.arange(24))
    agreement = _agreement(ours.maps, theirs.components_)
    assert (agreement >= 0.6).sum() >= 14  # 15 were found
