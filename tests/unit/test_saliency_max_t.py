"""The permutation test of maps, against nilearn, statsmodels and its own promise."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from bidsapp.errors import BadData
from bidsapp.saliency.max_t import ClusterEnhancement, corrected_p, max_t
from bidsapp.spaces.mesh import MeshSpace
from bidsapp.spaces.surface import Mesh
from bidsapp.spaces.volume import Volume, volume
from tests.unit.spaces_table import ellipsoid


def data(
    n: int = 40, voxels: int = 300, effect: float = 0.0, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    tested = (np.arange(n) % 2).astype(float)
    age = rng.normal(50, 10, n) + 5 * tested
    sex = rng.integers(0, 2, n).astype(float)
    values = rng.standard_normal((n, voxels)) + 0.05 * age[:, None] + 0.5 * sex[:, None]
    values[:, :20] += effect * tested[:, None]
    return values, tested, np.column_stack([age, sex])


def test_t_is_that_of_nilearn_and_its_null_is_of_one_distribution() -> None:
    from nilearn.mass_univariate import permuted_ols

    values, tested, nuisance = data(effect=0.8)
    ours = max_t(values, tested, nuisance, permutations=2000, rng=np.random.default_rng(0))
    theirs = permuted_ols(tested, values, nuisance, n_perm=2000, random_state=1, output_type="dict")
    np.testing.assert_allclose(ours.t, theirs["t"][0], rtol=2e-4, atol=1e-4)
    assert stats.ks_2samp(ours.null, theirs["h0_max_t"][0]).pvalue > 0.01
    ours_p, theirs_p = ours.p_fwe, 10 ** -theirs["logp_max_t"][0]
    np.testing.assert_allclose(ours_p, theirs_p, atol=0.05)


def test_each_permuted_t_is_that_of_freedman_and_lane() -> None:
    values, tested, nuisance = data(n=24, voxels=6)
    seed, permutations = 3, 5
    ours = max_t(
        values, tested, nuisance, permutations=permutations, rng=np.random.default_rng(seed)
    )
    reduced = sm.add_constant(nuisance)
    residuals = values - reduced @ np.linalg.lstsq(reduced, values, rcond=None)[0]
    full = np.column_stack([tested, reduced])
    draw = np.random.default_rng(seed)
    orders = draw.permuted(np.tile(np.arange(24), (permutations, 1)), axis=1)
    for number, order in enumerate(orders):
        moved = np.empty_like(residuals)
        moved[order] = residuals
        largest = max(abs(sm.OLS(moved[:, v], full).fit().tvalues[0]) for v in range(6))
        assert ours.null[number] == pytest.approx(largest, rel=1e-4)


def test_without_covariates_it_is_the_two_sample_t() -> None:
    values, tested, _ = data()
    ours = max_t(values, tested, permutations=1, rng=np.random.default_rng(0))
    two = stats.ttest_ind(values[tested == 1], values[tested == 0]).statistic
    np.testing.assert_allclose(ours.t, two, rtol=1e-4, atol=1e-4)
    assert ours.df == 38


def test_blocks_keep_their_rows_and_take_their_means_away() -> None:
    rng = np.random.default_rng(0)
    blocks = np.repeat(np.arange(5), 8)
    tested = np.tile([0.0, 1.0], 20)
    values = rng.standard_normal((40, 50)) + 100 * blocks[:, None]
    ours = max_t(values, tested, blocks=blocks, permutations=500, rng=rng)
    full = np.column_stack([tested, np.eye(5)[blocks]])
    one = sm.OLS(values[:, 7], full).fit().tvalues[0]
    assert ours.t[7] == pytest.approx(one, rel=1e-3)
    # were rows to leave their block, the block means would swamp the null
    assert np.median(ours.null) < 5


def test_the_family_wise_error_is_what_it_says() -> None:
    rng = np.random.default_rng(1)
    n, voxels, studies = 20, 60, 600
    tested = (np.arange(n) % 2).astype(float)
    age = rng.normal(size=(n, 1))
    found = 0
    for _ in range(studies):
        # neighbours go along with one another and nothing is Gaussian, as in saliency maps
        noise = np.cumsum(rng.laplace(size=(n, voxels)), axis=1) + age
        found += max_t(noise, tested, age, permutations=199, rng=rng).p_fwe.min() <= 0.05
    low, high = stats.binom.ppf([0.001, 0.999], studies, 0.05)
    assert low <= found <= high


def test_a_planted_effect_is_found_where_it_is_and_only_there() -> None:
    values, tested, nuisance = data(n=60, effect=2.5)
    ours = max_t(values, tested, nuisance, permutations=500, rng=np.random.default_rng(0))
    assert (ours.p_fwe[:20] <= 0.05).all()
    assert (ours.p_fwe[20:] > 0.05).mean() > 0.99


def test_p_is_never_zero_and_counts_the_data_itself() -> None:
    np.testing.assert_allclose(
        corrected_p(np.array([9.0, 2.0, 0.0]), np.array([1.0, 2, 3])), [0.25, 0.75, 1.0]
    )


def test_a_voxel_that_does_not_vary_has_no_t() -> None:
    values, tested, nuisance = data()
    values[:, 5] = 3
    ours = max_t(values, tested, nuisance, permutations=20, rng=np.random.default_rng(0))
    assert ours.t[5] == 0
    assert ours.p_fwe[5] == 1
    assert np.isfinite(ours.t).all()


def test_same_seed_same_bits() -> None:
    values, tested, nuisance = data()
    one, two = (
        max_t(values, tested, nuisance, permutations=50, rng=np.random.default_rng(4))
        for _ in range(2)
    )
    np.testing.assert_array_equal(one.null, two.null)


def test_what_cannot_be_tested_is_refused() -> None:
    values, tested, _ = data(n=6)
    with pytest.raises(BadData, match="degree of freedom"):
        max_t(values, tested, np.eye(6)[:, :5], permutations=1, rng=np.random.default_rng(0))
    with pytest.raises(BadData, match="combination of the covariates"):
        max_t(values, tested, tested[:, None], permutations=1, rng=np.random.default_rng(0))


def cubes(shape: tuple[int, ...]) -> Volume:
    """Voxels of 1 mm."""
    x, y, z = shape
    return volume((x, y, z), np.eye(4))


def test_enhancement_is_that_of_nilearn() -> None:
    from nilearn.mass_univariate._utils import calculate_tfce
    from scipy.ndimage import gaussian_filter, generate_binary_structure

    noise = gaussian_filter(np.random.default_rng(0).standard_normal((14, 12, 10)), 1.2)
    # the largest is a whole number of steps, where the two sets of heights are the same
    t = (noise / np.abs(noise).max() * 4).astype(np.float64)
    inside = np.ones(t.shape, bool)
    ours = ClusterEnhancement(cubes(t.shape), inside, step=0.2)(t[inside]).reshape(t.shape)
    theirs = calculate_tfce(t[..., None], generate_binary_structure(3, 3), dh=0.2)[..., 0] * 0.2
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_enhancement_finds_a_wide_weak_effect_that_single_voxels_do_not_show() -> None:
    rng = np.random.default_rng(0)
    inside = np.ones((10, 10, 10), bool)
    tested = (np.arange(30) % 2).astype(float)
    values = rng.standard_normal((30, 1000))
    region = np.zeros((10, 10, 10), bool)
    region[2:7, 2:7, 2:7] = True
    values[:, region.ravel()] += 0.8 * tested[:, None]
    ours = max_t(
        values,
        tested,
        permutations=100,
        rng=np.random.default_rng(1),
        enhance=ClusterEnhancement(cubes(inside.shape), inside),
    )
    plain = max_t(values, tested, permutations=100, rng=np.random.default_rng(1))
    np.testing.assert_allclose(ours.null, plain.null, rtol=1e-4)
    assert ours.p_tfce is not None
    found = ours.p_tfce[region.ravel()] <= 0.05
    assert found.mean() > 2 * (plain.p_fwe[region.ravel()] <= 0.05).mean()
    assert (ours.p_tfce[~region.ravel()] <= 0.05).mean() < 0.1


def test_the_family_wise_error_of_enhancement_is_what_it_says() -> None:
    rng = np.random.default_rng(2)
    n, studies = 16, 120
    inside = np.ones((6, 6, 6), bool)
    enhance = ClusterEnhancement(cubes(inside.shape), inside, step=0.5)
    tested = (np.arange(n) % 2).astype(float)
    found = 0
    for _ in range(studies):
        noise = rng.laplace(size=(n, 6, 6, 6))
        noise[:, 1:] += noise[:, :-1]
        test = max_t(noise.reshape(n, -1), tested, permutations=39, rng=rng, enhance=enhance)
        assert test.p_tfce is not None
        found += test.p_tfce.min() <= 0.05
    low, high = stats.binom.ppf([0.001, 0.999], studies, 0.05)
    assert low <= found <= high


def written_out(mesh: Mesh, t: np.ndarray, step: float) -> np.ndarray:
    """TFCE point by point: at each height, walk from the point over edges and add up areas."""
    near: dict[int, set[int]] = {point: set() for point in range(len(t))}
    area = np.zeros(len(t))
    for a, b, c in mesh.faces.tolist():
        near[a] |= {b, c}
        near[b] |= {a, c}
        near[c] |= {a, b}
        p, q, r = (mesh.vertices[i].astype(float) for i in (a, b, c))
        area[[a, b, c]] += np.linalg.norm(np.cross(q - p, r - p)) / 6
    area /= area.mean()
    found = np.zeros(len(t))
    for point, value in enumerate(t):
        height = step
        while height <= abs(value) + 1e-9:
            cluster, edge = {point}, [point]
            while edge:
                for other in near[edge.pop()] - cluster:
                    if t[other] * value > 0 and abs(t[other]) >= height - 1e-9:
                        cluster.add(other)
                        edge.append(other)
            found[point] += area[list(cluster)].sum() ** 0.5 * height**2 * step
            height += step
    return np.sign(t) * found


def test_enhancement_on_a_mesh_is_that_of_a_walk_over_its_edges() -> None:
    mesh = ellipsoid((10.0, 20.0, 30.0), 2)
    space = MeshSpace(mesh)
    everywhere = np.ones(space.shape, bool)
    for seed, step in ((0, 0.3), (1, 0.5)):
        noise = np.random.default_rng(seed).standard_normal(space.shape)
        t = 3 * space.smoother(everywhere, 10.0)(noise)
        t = t / t.std() * 1.7
        ours = ClusterEnhancement(space, everywhere, step=step)(t)
        np.testing.assert_allclose(ours, written_out(mesh, t, step), rtol=1e-4, atol=1e-6)
        assert (ours != 0).mean() > 0.5


@pytest.mark.slow
def test_the_family_wise_error_on_a_mesh_is_what_it_says() -> None:
    space = MeshSpace(ellipsoid((10.0, 20.0, 30.0), 1))
    everywhere = np.ones(space.shape, bool)
    enhance = ClusterEnhancement(space, everywhere, step=0.5)
    rng = np.random.default_rng(4)
    smooth = space.smoother(everywhere, 15.0)
    studies, n, found = 300, 20, np.zeros(2)
    for _ in range(studies):
        age = rng.normal(size=(n, 1))
        tested = (age[:, 0] + rng.normal(size=n) > 0).astype(float)
        maps = np.stack([smooth(one) for one in rng.laplace(size=(n, *space.shape))]) + age
        test = max_t(maps, tested, age, permutations=39, rng=rng, enhance=enhance)
        found += [test.p_fwe.min() <= 0.05 + 1e-6, np.min(test.p_tfce) <= 0.05 + 1e-6]
    low, high = stats.binom.ppf([0.001, 0.999], studies, 0.05)
    assert (low <= found).all()
    assert (found <= high).all()
