"""ComBat in the fold: against the formula, for sites that training did not see, without a leak."""

import numpy as np
import pytest

from bidsapp.contracts.fitted_offers import AskedStep, fitted_offers, module_of
from bidsapp.errors import BadData, UsageError
from bidsapp.representation.chain import Chain
from bidsapp.representation.combat import fit_sites
from bidsapp.representation.image_rows import ImageRows
from bidsapp.spaces.volume import volume
from tests.unit.fitted_steps import SPACE
from tests.unit.synthetic_cohort import small_recipe

N, SHAPE = 30, (2, 6, 5, 4)
SITE = np.array(["Oslo", "Turin", "Ghent"])[np.arange(N) % 3]
TRAIN, TEST = np.arange(24), np.arange(24, N)
ROLES = {"train": TRAIN, "validation": TRAIN[:0], "test": TEST}
NOBODY = np.zeros(N, int)


def cohort(site=SITE, seed: int = 0) -> ImageRows:
    """Images of three sites that differ in level and spread, in each voxel otherwise."""
    rng = np.random.default_rng(seed)
    age = 40 + 10 * rng.normal(size=N)
    values = rng.normal(size=(N, *SHAPE))
    for name, level, spread in (("Oslo", 0, 1), ("Turin", 2, 2), ("Ghent", -1, 0.5)):
        here = site == name
        values[here] = values[here] * spread + level + rng.normal(0, 0.5, SHAPE)
    values += 0.1 * (age - 40)[:, None, None, None, None]
    columns = {
        "participant_id": [f"sub-{k:02d}" for k in range(N)],
        "site": list(site),
        "age": [f"{a:.3f}" for a in age],
    }
    return ImageRows(values.astype(np.float16), columns=columns, space=SPACE)


def combat(**settings) -> Chain:  # type: ignore[no-untyped-def]
    offer = fitted_offers()["combat"]
    problems = list(offer.problems(settings))
    assert not problems
    fit = settings.pop("fit", "train_fold")
    asked = AskedStep("representation.fitted.combat.fit", "combat", fit, offer.settled(settings))
    return Chain((module_of(offer).build(asked),))


def as_printed(values: np.ndarray, site: np.ndarray, age: np.ndarray) -> np.ndarray:
    """ComBat as the papers have it, one value after the other, on values that lie in memory."""
    names = np.unique(site)
    design = np.column_stack([site[:, None] == names, age]).astype(float)
    beta = np.linalg.lstsq(design, values, rcond=None)[0]
    counts = design[:, :-1].sum(axis=0)
    sd = np.sqrt(((values - design @ beta) ** 2).mean(axis=0))
    stand = counts / len(site) @ beta[:-1] + age[:, None] * beta[-1]
    z = (values - stand) / sd
    out = np.empty_like(z)
    for name in names:
        own = z[site == name]
        n, gamma, delta = len(own), own.mean(axis=0), own.var(axis=0, ddof=1)
        bar, tau, m, s = gamma.mean(), gamma.var(ddof=1), delta.mean(), delta.var(ddof=1)
        a, b = (2 * s + m**2) / s, (m * s + m**3) / s
        g, d = gamma, delta
        for _ in range(500):
            g = (n * tau * gamma + d * bar) / (n * tau + d)
            d = (b + ((own - g) ** 2).sum(axis=0) / 2) / (n / 2 + a - 1)
        out[site == name] = (own - g) / np.sqrt(d)
    return out * sd + stand


def test_it_is_combat_as_printed() -> None:
    images = cohort()
    values = images.whole().reshape(N, -1).astype(float)[:, :120]  # of one channel
    age = np.array([float(a) for a in images.columns["age"]])
    names = sorted(set(SITE))
    code = np.array([names.index(s) for s in SITE])
    found = fit_sites(lambda: values, code, age[:, None], [slice(0, 120)])
    made = [found.harmonised(values[k], code[k], age[k : k + 1]) for k in range(N)]
    np.testing.assert_allclose(made, as_printed(values, SITE, age), atol=2e-3)


@pytest.fixture(scope="module")
def harmonised():  # type: ignore[no-untyped-def]
    return combat(covariates=["age"]).fit(cohort(), ROLES, NOBODY)


def test_sites_are_alike_and_the_covariate_stays(harmonised) -> None:
    before, after = cohort().whole().astype(float), harmonised[1].whole().astype(float)
    age = np.array([float(a) for a in cohort().columns["age"]])

    def levels(values: np.ndarray, rows: np.ndarray) -> list[float]:
        return [values[rows][SITE[rows] == name].mean() for name in ("Oslo", "Turin", "Ghent")]

    def spreads(values: np.ndarray) -> list[float]:
        young = values[:24] - 0.1 * age[:24, None, None, None, None]
        return [young[SITE[:24] == n].std(axis=0).mean() for n in ("Oslo", "Turin", "Ghent")]

    assert np.ptp(levels(before, TRAIN)) > 2.5
    assert np.ptp(levels(after, TRAIN)) < 0.5  # what is left of it goes with age
    assert max(spreads(before)) / min(spreads(before)) > 3
    assert max(spreads(after)) / min(spreads(after)) < 1.3
    slope = np.polyfit(age[TRAIN], after[TRAIN].mean(axis=(1, 2, 3, 4)), 1)[0]
    assert 0.08 < slope < 0.16


def test_held_out_people_of_known_sites_are_harmonised_by_what_training_found(harmonised) -> None:
    after = harmonised[1].whole().astype(float)[TEST]
    means = [after[SITE[TEST] == name].mean() for name in ("Oslo", "Turin", "Ghent")]
    assert np.ptp(means) < 1.5
    other = cohort()
    other.array[TEST] += 5
    again = combat(covariates=["age"]).fit(other, ROLES, NOBODY)[0]
    state = harmonised[0].state()
    assert all((again.state()[key] == value).all() for key, value in state.items())


def test_a_new_site_is_refused_or_left_as_it_is_by_the_recipes_word() -> None:
    site = SITE.copy()
    site[TEST[0]], site[TEST[1]] = "Lyon", "n/a"
    images = cohort(site)
    message = (
        r"combat: sub-24, sub-25: lyon, no site in column 'site' is not among .*unseen: pooled"
    )
    with pytest.raises(BadData, match=message):
        combat().check_columns(images.columns, TRAIN, TEST)
    with pytest.raises(BadData, match=message):
        combat().fit(images, ROLES, NOBODY)
    pooled = combat(unseen="pooled")
    pooled.check_columns(images.columns, TRAIN, TEST)
    chain, stored = pooled.fit(images, ROLES, NOBODY)
    assert (stored[24] == images[24]).all()
    assert (stored[25] == images[25]).all()
    assert (stored[26] != images[26]).any()
    # new people whose tables know no site
    new = ImageRows(images.array[:4], columns={"age": ["40"] * 4}, space=SPACE)
    assert (chain.stored(new).whole() == new.whole()).all()


def test_all_sites_are_made_like_the_reference_which_stays_as_it_is() -> None:
    chain, stored = combat(unseen="reference", reference="OSLO ").fit(cohort(), ROLES, NOBODY)
    before, after = cohort().whole().astype(float), stored.whole().astype(float)
    oslo, turin = (SITE[TRAIN] == name for name in ("Oslo", "Turin"))
    np.testing.assert_allclose(after[TRAIN][oslo], before[TRAIN][oslo], atol=2e-3)
    assert abs(after[TRAIN][turin].mean() - before[TRAIN][oslo].mean()) < 0.3
    spread = after[TRAIN][turin].std(axis=0).mean() / before[TRAIN][oslo].std(axis=0).mean()
    assert 0.8 < spread < 1.25
    assert chain.channels(("a", "b")) == ("a", "b")


def test_a_site_of_few_training_people_is_not_fitted() -> None:
    site = np.where(np.arange(N) < 4, "Lyon", SITE)
    with pytest.raises(BadData, match="lyon in column 'site' is not among the sites with at least"):
        combat().check_columns({"site": list(site)}, TRAIN, TEST)
    chain, stored = combat(unseen="pooled").fit(cohort(site), ROLES, NOBODY)
    assert (stored[0] == cohort(site)[0]).all()
    assert chain.state()["0.shift"].shape == (3, *SHAPE)


@pytest.mark.parametrize(
    ("settings", "site", "message"),
    [
        ({}, ["Oslo"] * N, r"two sites of 5 training people are needed, and .* has oslo 24"),
        ({"reference": "Rome"}, SITE, r"combat.reference: 'Rome' is no site of 5"),
        ({"covariates": ["age"]}, SITE, None),
        ({"covariates": ["ward"]}, SITE, r"goes entirely with the site"),
        ({"covariates": ["height"]}, SITE, r"'height' .* is not known for these people"),
    ],
)
def test_what_cannot_be_fitted_is_refused(settings, site, message) -> None:
    images = cohort()
    images.columns["site"] = list(site)
    images.columns["ward"] = ["a" if s == "Oslo" else "b" for s in SITE]
    if message is None:
        combat(**settings).fit(images, ROLES, NOBODY)
        return
    with pytest.raises(BadData, match=message):
        combat(**settings).fit(images, ROLES, NOBODY)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"unseen": "reference"}, r"combat.reference: required with unseen: reference"),
        ({"unseen": "pooled", "reference": "Oslo"}, r"combat.unseen: pooled takes a new site"),
        ({"fewest": 1}, r"combat.fewest: a spread needs two people"),
    ],
)
def test_settings_that_contradict_one_another_are_refused_before_work(settings, message) -> None:
    with pytest.raises(UsageError, match=message):
        combat(**settings)


def test_over_all_people_it_is_a_leak() -> None:
    with pytest.raises(ValueError, match=r"fitted.combat.fit: dataset is refused in strict mode"):
        small_recipe(representation={"fitted": {"combat": {"fit": "dataset"}}})
    paper = small_recipe(mode="paper", representation={"fitted": {"combat": {"fit": "dataset"}}})
    assert [step.name for step in paper.leaks()] == ["representation.fitted.combat.fit: dataset"]
    assert paper.columns_beside == {"site": False}


def test_images_without_a_common_place_are_refused() -> None:
    from bidsapp.spaces.own_volume import OwnVolume

    own = ImageRows(cohort().array, columns=cohort().columns, space=OwnVolume.__new__(OwnVolume))
    with pytest.raises(BadData, match="images lie in people's own spaces"):
        combat().fit(own, ROLES, NOBODY)
    assert volume((6, 5, 4), np.eye(4)).common


def test_series_are_not_harmonised_volume_by_volume() -> None:
    with pytest.raises(ValueError, match=r"fitted.combat: compares people voxel by voxel"):
        small_recipe(
            preparation={"modality": "bold"},
            representation={"channels": ["bold"], "fitted": {"combat": {}}},
        )
