"""Averages weighted by held-out maps, as a run writes them."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bidsapp.derivatives.dictionaries import describe_table
from bidsapp.representation.cohort_array import CohortArray
from bidsapp.saliency.guided_files import NOTE, write_guided
from bidsapp.saliency.guided_table import GUIDED, Guides, added_by_averages, guided_table, tissue
from bidsapp.saliency.map_files import GroupFolder
from bidsapp.saliency.stack import MapStack
from bidsapp.spaces.slice import picture
from bidsapp.spaces.sphere import Sphere
from tests.unit.saliency_stacks import rows_of
from tests.unit.synthetic_cohort import small_recipe
from tests.unit.test_spaces_saliency import ABOUT

SPACE = Sphere((16, 10), (-np.pi / 2, np.pi / 8), 30.0, label="ball")
PLATE = np.zeros(SPACE.shape, bool)
PLATE[2:12, 2:8] = True
THINNED = np.zeros(SPACE.shape, bool)
THINNED[3:5, 3:5] = True
PARTS = {"left half": np.arange(16)[:, None] < 7 + np.zeros(10), "right half": PLATE & False}
PARTS["right half"] = ~PARTS["left half"]
PEOPLE = 60


def study(folder: Path, effect: float = 0.5) -> tuple[Guides, CohortArray, pd.DataFrame]:
    """Positives' tissue is thinner where the trained networks look, and nowhere else."""
    rng = np.random.default_rng(2)
    rows = rows_of(n=PEOPLE)
    rows["probability"] = np.clip(0.5 + 0.1 * rng.normal(size=PEOPLE), 0.1, 0.9)
    data = (
        2
        + 0.3 * rng.normal(size=(PEOPLE, 1, 1, 1))
        + 0.4 * rng.normal(size=(PEOPLE, 1, *SPACE.shape))
    )
    data[:, 0, THINNED] -= effect * rows["outcome"].to_numpy()[:, None]
    data = np.where(PLATE, data, 0).astype(np.float16)
    folder.mkdir(exist_ok=True)
    np.save(folder / "cohort.npy", data)
    people = tuple(rows["participant_id"])
    images = CohortArray(
        folder / "cohort.npy", people, ("",) * PEOPLE, ("depth",), SPACE, "key"
    )  # fmt: skip
    maps = 0.02 * rng.normal(size=(PEOPLE, 1, *SPACE.shape))
    maps[:, 0, THINNED] -= 1
    trained = MapStack(rows, maps.astype(np.float32), ("depth",), SPACE, dict(ABOUT))
    drawn = rng.normal(size=maps.shape).astype(np.float32)
    cohort = rows[["participant_id", "session_id"]].assign(age=rng.normal(60, 8, PEOPLE).round())
    return Guides(trained, MapStack(rows, drawn, ("depth",), SPACE, dict(ABOUT))), images, cohort


def test_holes_are_tissue_and_the_outside_is_not() -> None:
    values = np.where(PLATE, 2.0, 0.0)
    values[6, 5] = 0  # a hole
    values[7, 6] = -1  # a value below 0 is one
    found = tissue(SPACE, values.reshape(1, -1)).reshape(SPACE.shape)
    np.testing.assert_array_equal(np.isfinite(found), PLATE)
    assert found[6, 5] == 0
    assert found[7, 6] == -1


def test_averages_by_hand(tmp_path: Path) -> None:
    guides, images, _ = study(tmp_path)
    sizes = SPACE.sizes()
    table = guided_table(guides, images, ("depth",), PARTS, sizes, seed=0)
    assert len(table) == PEOPLE
    image = np.asarray(images.open()[0, 0], float)
    weight = np.abs(guides.trained.values[0, 0].astype(float))
    area = sizes.reshape(SPACE.shape)
    row = table.set_index("participant_id").loc["sub-00"]

    def mean(by: np.ndarray) -> float:
        used = area * by * PLATE
        return float((image * used).sum() / used.sum())

    assert row["depth_mean"] == pytest.approx(mean(np.ones(SPACE.shape)))
    assert row["depth_guided"] == pytest.approx(mean(weight))
    assert row["depth_left_half"] == pytest.approx(mean(PARTS["left half"]))
    assert row["depth_random"] == pytest.approx(mean(np.abs(guides.untrained.values[0, 0])))
    raw = guides.trained.values[0, 0].astype(float)
    assert row["depth_printed"] == pytest.approx(mean((raw - raw.min()) / np.ptp(raw)))
    assert row["network_logit"] == pytest.approx(
        np.log(row["probability"] / (1 - row["probability"]))
    )


def test_people_may_differ_in_how_large_their_cells_are(tmp_path: Path) -> None:
    guides, images, _ = study(tmp_path)
    one = guided_table(guides, images, ("depth",), PARTS, SPACE.sizes(), seed=0)
    alike = np.tile(SPACE.sizes(), (PEOPLE, 1))
    pd.testing.assert_frame_equal(
        guided_table(guides, images, ("depth",), PARTS, alike, seed=0), one
    )
    alike[7] = np.linspace(1, 2, alike.shape[1])
    other = guided_table(guides, images, ("depth",), PARTS, alike, seed=0)
    changed = (other.filter(like="depth_") != one.filter(like="depth_")).any(axis=1)
    assert list(other["participant_id"][changed]) == [guides.trained.rows["participant_id"][7]]


def test_the_guided_average_adds_to_plain_means_and_its_controls_do_not(tmp_path: Path) -> None:
    guides, images, _ = study(tmp_path)
    table = guided_table(guides, images, ("depth",), PARTS, SPACE.sizes(), seed=0)
    found, notes = added_by_averages(table, ("depth",), {}, tuple(PARTS))
    assert not notes
    base = found[found["beside"] == "base"].set_index("added")
    assert base.loc["guided", "p"] < 1e-4
    assert base.loc["guided", "auc_gain"] > 0.1
    assert base.loc["others", "p"] < 1e-4  # these maps agree: whose they are does not matter
    for control in ("random", "shuffled"):
        assert base.loc[control, "p"] > 0.001
        assert base.loc[control, "auc_gain"] < base.loc["guided", "auc_gain"] / 2


def test_files_columns_and_notes(tmp_path: Path) -> None:
    guides, images, cohort = study(tmp_path / "in")
    cohort.loc[5, "age"] = np.nan
    recipe = small_recipe(saliency={"covariates": ["age"], "guided": True})
    folder = tmp_path / "out"
    folder.mkdir()
    files = GroupFolder(folder, "gradient", SPACE, {}, "LEAK: a step")
    tables, notes = write_guided(guides, images, PARTS, cohort, recipe, files)
    assert set(tables.values()) == {"guided.tsv", "guided_added.tsv"}
    assert NOTE in notes
    assert any("1 people lack a covariate" in note for note in notes)
    table = pd.read_csv(folder / "guided.tsv", sep="\t")
    assert list(table)[:6] == [
        *("participant_id", "session_id", "outcome", "probability", "network_logit", "age"),
    ]  # fmt: skip
    assert {f"depth_{name}" for name in GUIDED} < set(table)
    assert table["age"].isna().sum() == 1
    assert (table["leak"] == "LEAK: a step").all()
    describe_table(folder / "guided.tsv", "saliency/guided")
    told = json.loads((folder / "guided.json").read_text())
    assert "held-out map" in told["depth_guided"]["Description"]
    assert "Covariate" in told["age"]["Description"]
    added = pd.read_csv(folder / "guided_added.tsv", sep="\t")
    assert set(added["beside"]) == {"base", "base and network"}


def test_a_channel_that_cannot_be_tested_is_named(tmp_path: Path) -> None:
    guides, images, _ = study(tmp_path)
    table = guided_table(guides, images, ("depth",), PARTS, SPACE.sizes(), seed=0)
    table["depth_guided"] = 1.0  # says nothing beside the intercept
    found, notes = added_by_averages(table, ("depth",), {}, tuple(PARTS))
    assert found.empty
    assert notes[0].startswith("depth: it was not tested what weighted averages add: Column")


def test_few_people_of_a_class_take_fewer_folds(tmp_path: Path) -> None:
    guides, images, _ = study(tmp_path)
    table = guided_table(guides, images, ("depth",), PARTS, SPACE.sizes(), seed=0)
    few = pd.concat([table[table["outcome"] == 1].head(7), table[table["outcome"] == 0]])
    found, notes = added_by_averages(few.reset_index(drop=True), ("depth",), {}, tuple(PARTS))
    assert not notes
    assert found["auc"].notna().all()
    one = pd.concat([table[table["outcome"] == 1].head(1), table[table["outcome"] == 0]])
    found, _ = added_by_averages(one.reset_index(drop=True), ("depth",), {}, tuple(PARTS))
    assert found["auc"].isna().all()


def test_pictures_of_a_slice_have_averages_too() -> None:
    space = picture((6, 5), (1.0, 1.0))
    values = np.zeros((1, 30))
    values[0, :12] = 3
    assert np.isfinite(tissue(space, values)).sum() == 12
