"""The table of regions: means, shares, peaks, ranks and intervals."""

import numpy as np
import pandas as pd
import pytest

from bidsapp.saliency.atlas import Atlas, find_regions
from bidsapp.saliency.people import PeopleMaps, people_maps
from bidsapp.saliency.regions import region_table

from .saliency_stacks import AFFINE, PLANTED, SHAPE, axial, brain, make_stack, planted, rows_of


def inside() -> np.ndarray:
    return axial().cut(brain())


def atlas() -> Atlas:
    labels = np.zeros(SHAPE, np.int32)
    labels[:12], labels[12:] = 2, 3
    labels[planted()] = 7
    labels[:, :, -2:] = 9
    names = pd.DataFrame(
        {
            "index": [7, 3, 2, 9],
            "name": ["planted", "right", "left", "above"],
            "also": ["cuboid; effect", "", "", ""],
        }
    )
    return Atlas("toy", labels, names)


def maps(effect: float = 1.5, n: int = 40, fwhm: float = 0) -> PeopleMaps:
    rows = rows_of(n=n, accuracy=1.0)
    return people_maps(make_stack(rows, effect=effect), inside(), fwhm_mm=fwhm)


def table(people: PeopleMaps, **settings: int) -> pd.DataFrame:
    found = region_table(
        people, "true_positives", [atlas()], rng=np.random.default_rng(0), **settings
    )
    return found.set_index("region")


def test_numbers_are_those_of_plain_numpy() -> None:
    people = maps()
    found = table(people).loc["planted"]
    mean = people.of("true_positives")[1].mean(axis=0)
    own = axial().cut(planted())[people.inside]
    assert found["voxels"] == own.sum() == 64
    assert found["covered"] == 1
    assert found["mean"] == pytest.approx(mean[own].mean(), rel=1e-5)
    assert found["share"] == pytest.approx(np.abs(mean[own]).sum() / np.abs(mean).sum(), rel=1e-5)
    assert found["peak"] == pytest.approx(mean[own].max(), rel=1e-5)
    assert found["enrichment"] == pytest.approx(found["share"] * own.size / own.sum(), rel=1e-6)


def test_the_planted_region_ranks_first_and_its_peak_is_inside_it() -> None:
    found = table(maps())
    assert found.loc["planted", "rank"] == 1
    peak = found.loc["planted", ["peak_x", "peak_y", "peak_z"]].to_numpy(float)
    index = np.rint(np.linalg.inv(AFFINE)[:3] @ [*peak, 1]).astype(int)
    assert all(part.start <= i < part.stop for part, i in zip(PLANTED, index, strict=True))


def test_a_region_outside_the_slab_is_said_to_be_so() -> None:
    found = table(maps()).loc["above"]
    assert found["voxels"] == 0
    assert found["covered"] == 0
    assert np.isnan(found["mean"])
    assert np.isnan(found["share"])
    assert pd.isna(found["rank"])


def test_shares_of_a_partition_add_up_to_one() -> None:
    labels = np.ones(SHAPE, np.int32)
    labels[:9] = 2
    both = Atlas("parts", labels, pd.DataFrame({"index": [1, 2], "name": ["a", "b"], "also": ""}))
    found = region_table(maps(), "all", [both, both], rng=np.random.default_rng(0))
    assert found["share"].sum() == pytest.approx(2)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for seed in range(60):
        rows = rows_of(n=60, accuracy=1.0)
        stack = make_stack(rows, seed=seed)
        # people differ in the strength of the effect
        region = axial().cut(planted())
        stack.values[:, 0, region] += rng.normal(0, 0.5, (len(rows), 1)).astype(np.float32)
        found = table(people_maps(stack, inside(), fwhm_mm=0), resamples=400).loc["planted"]
        covered += found["ci_low"] <= 1 <= found["ci_high"]
    assert covered >= 49


def test_few_people_have_no_interval() -> None:
    rows = rows_of().iloc[[1, 3]].assign(probability=0.9)
    found = table(people_maps(make_stack(rows), inside(), fwhm_mm=0))
    assert found["ci_low"].isna().all()
    assert np.isfinite(found.loc["planted", "mean"])


def test_same_seed_same_intervals() -> None:
    pd.testing.assert_frame_equal(table(maps()), table(maps()))


def test_a_map_of_zero_has_no_shares() -> None:
    stack = make_stack()
    stack.values[:] = 0
    found = table(people_maps(stack, inside(), fwhm_mm=3))
    assert found["share"].isna().all()
    assert (found["mean"].dropna() == 0).all()


def test_rows_are_found_by_other_names() -> None:
    found = table(maps()).reset_index()
    assert find_regions(found, "Cuboid") == ["planted"]


def test_large_labels_give_the_same_numbers_without_memory_for_those_between() -> None:
    """Atlases number regions by level, 1,000,000,000 and more, with few of them."""
    people, plain = maps(), atlas()
    most = np.iinfo(np.int32).max
    labels = np.where(plain.labels == 7, most, plain.labels).astype(np.int32)
    large = Atlas("toy", labels, plain.regions.replace({"index": {7: most}}))
    tables = [
        region_table(people, "true_positives", [one], rng=np.random.default_rng(0))
        for one in (plain, large)
    ]
    pd.testing.assert_frame_equal(*(table.drop(columns="index") for table in tables))
