"""What folds say of themselves: components under the first fold's numbers, times, on the page."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bidsapp.contracts.fitted_offers import AskedStep, fitted_offers
from bidsapp.derivatives.dictionaries import column_of
from bidsapp.derivatives.training_meanings import TRAINING
from bidsapp.group_files import write_scores
from bidsapp.reports.run.components import components_table, fold_minutes
from bidsapp.reports.run.files import RunFiles
from bidsapp.representation.chain import Chain
from bidsapp.representation.fitted.group_ica import build as build_ica
from bidsapp.representation.fitted.outcome_selection import build as build_selection
from bidsapp.representation.image_rows import ImageRows
from bidsapp.training.fold_tables import FOLDS, NUMBERS, matched
from bidsapp.training.run import TrainingRun
from tests.unit import rest24
from tests.unit.synthetic_cohort import prepare_tasks, small_recipe, train_and_score

COUNT = 24
TRAIN = np.setdiff1d(np.arange(COUNT), (2, 9, 17))
ROLES = {"train": TRAIN, "validation": TRAIN[:0], "test": np.array([2, 9, 17])}


def _asked(name: str, **settings: object) -> AskedStep:
    offer = fitted_offers()[name]
    key = f"representation.fitted.{name}.fit"
    return AskedStep(key, name, "train_fold", offer.settled(settings))


@pytest.fixture(scope="module")
def chain(real_data: Path) -> Chain:
    """Six components of real BOLD, two of which are chosen by an outcome, on 21 people."""
    mask = rest24.mask(real_data)
    array = np.zeros((COUNT, 148, *mask.shape), np.float16)
    for person, series in zip(array, rest24.series(real_data), strict=True):
        person[:, mask] = series - series.mean(axis=0)
    ica = build_ica(_asked("group_ica", components=6, reduction=20, starts=3))
    steps = (ica, build_selection(_asked("outcome_selection", count=2)))
    return Chain(steps).fit(ImageRows(array), ROLES, np.arange(COUNT) % 2)[0]


def test_stability_and_the_choice_are_told_of_every_component(chain: Chain) -> None:
    told = chain.told(("bold",))
    assert list(told) == [f"IC{number + 1:02d}" for number in range(6)]
    table = pd.DataFrame(told).T
    assert set(table) == {"stability", "variance", "p", "r", "kept"} <= set(NUMBERS)
    assert (table["stability"].to_numpy() == chain.state()["0.stability"]).all()
    assert table["stability"].is_monotonic_decreasing
    assert table["variance"].min() > 0
    assert table["variance"].sum() < 1
    assert set(table.index[table["kept"] == 1]) == set(chain.channels(("bold",)))
    assert table.loc[table["kept"] == 1, "p"].max() <= table.loc[table["kept"] == 0, "p"].min()


def test_components_get_the_first_folds_numbers_and_noise_gets_none(chain: Chain) -> None:
    maps = chain.group_maps(("bold",))
    same = matched(maps, maps)
    assert {name: like for name, (like, _, _) in same.items()} == {name: name for name in maps}
    assert all(r == 1 and np.isnan(null) for _, r, null in same.values())
    order = [3, 0, 5, 1, 2, 4]
    mixed = {name: -list(maps.values())[k] for name, k in zip(maps, order, strict=True)}
    found = matched(mixed, maps)
    assert [found[name][0] for name in mixed] == [list(maps)[k] for k in order]
    assert all(r == pytest.approx(1) and null < 0.9 for _, r, null in found.values())
    rng = np.random.default_rng(0)
    inside = np.any(list(maps.values()), axis=0)
    noise = {name: rng.standard_normal(inside.shape) * inside for name in maps}
    assert sum(like is not None for like, _, _ in matched(noise, maps).values()) <= 3
    assert matched({}, {}) == {}


def test_a_fold_with_more_components_than_the_first_lends_them_no_number(chain: Chain) -> None:
    maps = chain.group_maps(("bold",))
    names = list(maps)
    first = {name: maps[of] for name, of in zip(names[:4], names[2:], strict=True)}
    found = matched(maps, first)
    assert [found[name][0] for name in names] == [None, None, *names[:4]]
    assert all(np.isnan(found[name][1:]).all() for name in names[:2])
    fewer = matched(first, maps)
    assert [fewer[name][0] for name in first] == names[2:]


def _write(folder: Path) -> RunFiles:
    rows = [
        ("eight", 0, fold, "IC01", like, r, 0.4, stability, p, 0.5, kept)
        for fold, (like, r, stability, p, kept) in enumerate(
            [("IC01", 1.0, 0.9, 0.01, 1.0), ("IC01", 0.8, 0.7, 0.2, 0.0), ("n/a", 0.3, 0.1, 1, 1.0)]
        )
    ]
    names = ["variant", "repeat", "fold", "component", "like", "like_r", "like_null", "stability"]
    table = pd.DataFrame(rows, columns=[*names, "p", "r", "kept"])
    table.to_csv(folder / "components.tsv", sep="\t", index=False)
    folds = pd.DataFrame({"variant": ["eight", "eight", "raw"], "seconds": [9.0, 11.0, 306.0]})
    folds.reindex(columns=list(FOLDS)).to_csv(folder / "folds.tsv", sep="\t", index=False)
    return RunFiles(folder)


def test_the_page_shows_means_over_the_folds_that_have_a_component(tmp_path: Path) -> None:
    grid = components_table(_write(tmp_path))
    assert grid is not None
    (row,) = [dict(zip(grid.columns, (c.text for c in cells), strict=True)) for cells in grid.rows]
    assert row == {
        "Variant": "eight",
        "Component": "IC01",
        "Folds": "2",
        "Stability over starts": "0.80",
        "|r| with the first fold": "0.90",
        "Flipped map reaches": "0.40",
        "p, median": "0.105",
        "r with the outcome": "0.50",
        "Kept in": "1 of 2",
    }


def test_the_time_of_a_fold_is_a_mean_of_each_variant(tmp_path: Path) -> None:
    took = fold_minutes(_write(tmp_path))
    assert {name: cell.text for name, cell in took.items()} == {"eight": "10 s", "raw": "5.1 min"}
    assert fold_minutes(RunFiles(tmp_path / "earlier")) == {}
    assert components_table(RunFiles(tmp_path / "earlier")) is None


def test_what_a_fold_took_is_stamped_as_its_scores_are(tmp_path: Path) -> None:
    """The epoch that was kept is chosen on held-out people, of images with a planted signal."""
    recipe = small_recipe(
        mode="paper",
        simulation={"kind": "cuboid"},
        training={"epochs": 1, "checkpoint": "test_fold"},
    )
    tasks = prepare_tasks(tmp_path, recipe)[:1]
    train_and_score(tasks[0])
    files = tmp_path / "recipe.yaml", tmp_path / "cohort.tsv", tmp_path / "splits.tsv"
    training = TrainingRun(recipe, ("base",), recipe.stages(("base",)), *files, tmp_path)
    write_scores(training, tasks, tmp_path)
    for name in ("scores", "history", "folds"):
        table = pd.read_csv(tmp_path / f"{name}.tsv", sep="\t")
        assert set(table["leak"]) == {"LEAK: training.checkpoint: test_fold"}, name
        assert table["simulated"].str.startswith("SIMULATED").all(), name
    assert all(column_of("folds", name) is not None for name in table)


def test_the_columns_are_explained() -> None:
    assert set(NUMBERS) <= set(TRAINING["components"])
    assert set(FOLDS[3:]) == set(TRAINING["folds"])
