"""What a forecast loses without each component: matched over folds, by people, against by hand."""

from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import gaussian_filter
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from bidsapp.derivatives.saliency_meanings import SALIENCY
from bidsapp.recipes import load_recipe
from bidsapp.saliency.component_effects import ComponentEffects
from bidsapp.saliency.component_files import draw_components
from bidsapp.saliency.component_names import component_names, likeness
from bidsapp.saliency.component_table import component_table, join_effects
from bidsapp.saliency.component_tests import ComponentTest, compare_components, write_tests
from bidsapp.saliency.map_files import GroupFolder
from bidsapp.saliency.stack import MapStack
from bidsapp.spaces.volume import Volume

SHAPE, COUNT = (12, 14, 10), 5
AFFINE = ((4.0, 0, 0, 0), (0, 4.0, 0, 0), (0, 0, 4.0, 0), (0, 0, 0, 1.0))
SPACE = Volume(SHAPE, AFFINE, (0, 0, 0), SHAPE)
Part = tuple[pd.DataFrame, ComponentEffects]


def _maps(rng: np.random.Generator) -> np.ndarray:
    """Blobs at places of their own, off every plane of symmetry, and noise."""
    centres = [(3, 4, 2), (8, 3, 6), (2, 10, 7), (9, 9, 3), (5, 6, 8)]
    maps = np.zeros((COUNT, *SHAPE))
    for number, centre in enumerate(centres):
        maps[number][centre] = 300
        maps[number] = gaussian_filter(maps[number], 1.5)
    return (maps + 0.1 * rng.standard_normal(maps.shape)).astype(np.float32)


def _parts(repeats: int = 1, folds: int = 4, size: int = 6, seed: int = 0) -> list[Part]:
    """Folds in which component 2 of the first makes the forecast, under another number in each."""
    rng = np.random.default_rng(seed)
    found = []
    for repeat in range(repeats):
        for fold in range(folds):
            outcome = np.arange(size) % 2
            part = rng.standard_normal((COUNT, size)) * 0.2
            part[2] = 2.0 * (2 * outcome - 1) + rng.standard_normal(size)
            logits = part.sum(axis=0)
            order = rng.permutation(COUNT) if fold or repeat else np.arange(COUNT)
            maps = _maps(rng)[order] * rng.choice([-1, 1], COUNT)[:, None, None, None]
            names = tuple(f"IC{number + 1:02d}" for number in range(COUNT))
            effects = ComponentEffects(
                names, maps, np.ones(COUNT, bool), logits, (logits - part)[order]
            )
            people = [f"sub-{fold * size + place:02d}" for place in range(size)]
            rows = pd.DataFrame({"participant_id": people, "outcome": outcome, "repeat": repeat})
            found.append((rows, effects))
    return found


@pytest.mark.parametrize("repeats", [1, 2])
def test_the_component_that_makes_the_forecast_leads_whatever_its_number(repeats: int) -> None:
    parts = _parts(repeats)
    joined = join_effects(parts)
    table = component_table(joined, 0)
    assert set(table) == set(SALIENCY["saliency/components"])
    assert table["component"][0] == "IC03"
    assert (table["folds"] == 4 * repeats).all()
    assert (table["r"] > table["null"]).all()
    assert table["ci_low"][0] > 0.1
    assert table["ci_low"][0] < table["auc_loss"][0] < table["ci_high"][0]
    assert (table["ci_low"][1:] < table["auc_loss"][0]).all()
    # by hand: pairs of the same repeat, weighted alike
    outcome, repeat = joined.rows["outcome"].to_numpy(), joined.rows["repeat"].to_numpy()

    def auc(scores: np.ndarray) -> float:
        own = [roc_auc_score(outcome[repeat == k], scores[repeat == k]) for k in range(repeats)]
        return float(np.mean(own))

    expected = {
        name: auc(joined.full) - auc(without)
        for name, without in zip(joined.names, joined.without, strict=True)
    }
    for name, loss in zip(table["component"], table["auc_loss"], strict=True):
        assert loss == pytest.approx(expected[name], abs=1e-12)


def test_what_a_fold_does_not_have_is_not_taken_for_another() -> None:
    parts = _parts()
    rows, effects = parts[1]
    rng = np.random.default_rng(5)
    noise = gaussian_filter(rng.standard_normal(effects.maps.shape), (0, 2, 2, 2))
    parts[1] = (rows, replace(effects, maps=noise.astype(np.float32)))
    joined = join_effects(parts)
    assert joined.found[[0, 2, 3]].all()
    assert joined.found[1].sum() <= 2
    lost = ~joined.found[1]
    here = slice(6, 12)
    assert (joined.without[lost][:, here] == joined.full[here]).all()


def test_components_of_every_fold_get_the_number_of_the_first_ones() -> None:
    parts = _parts(folds=3)
    joined = join_effects(parts)
    assert not joined.same
    for fold, (_, effects) in enumerate(parts):
        assert (joined.number[fold] == np.argsort(_own(effects))).all()
        turned = effects.maps[joined.number[fold]] * joined.sign[fold][:, None, None, None]
        first = parts[0][1].maps * joined.sign[0][:, None, None, None]
        assert all(np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.9
                   for a, b in zip(turned, first, strict=True))  # fmt: skip
    assert join_effects([parts[0], parts[0]]).same


def _stack(stronger: float, absent: bool = False) -> MapStack:
    """Own maps of 24 people in 4 folds, component 2 stronger in one place in positives."""
    rng = np.random.default_rng(3)
    outcome = np.arange(24) % 2
    values = rng.standard_normal((24, 3, *SHAPE)).astype(np.float32)
    values[:, 2, 7:9, 3:5, 5:7] += stronger * outcome[:, None, None, None]
    if absent:
        values[:6, 1] = np.nan
    rows = pd.DataFrame(
        {
            "participant_id": [f"sub-{number:02d}" for number in range(24)],
            "session_id": "",
            "repeat": 0,
            "fold": np.arange(24) // 6,
            "outcome": outcome,
            "probability": 0.5,
            "model_sha256": "x",
        }
    )
    return MapStack(rows, values, ("IC01", "IC02", "IC03"), SPACE, {})


def test_people_are_compared_in_their_own_maps_over_all_components(tmp_path: Path) -> None:
    inside = np.ones(SHAPE, bool)
    inside[0] = False

    def compared(stack: MapStack) -> dict[str, ComponentTest]:
        found, notes = compare_components(
            stack, inside, None, None, threshold=0.5, permutations=99, seed=0
        )
        assert all("left out" not in note for note in notes)
        return found

    tests = compared(_stack(4.0, absent=True))
    found = tests["IC03"]
    assert found.p_all.min() == pytest.approx(0.01)
    assert (found.p_all >= found.found.p_fwe - 1e-6).all()
    assert tests["IC02"].people.count("positives") == 9  # a fold has no such component
    assert min(tests[name].p_all.min() for name in ("IC01", "IC02")) > 0.05
    assert min(test.p_all.min() for test in compared(_stack(0.0)).values()) > 0.05
    files = GroupFolder(tmp_path, "gradient", _stack(0.0).space, {})
    settings = load_recipe("rest").saliency
    for valid in (True, False):
        tables, notes = write_tests(tests, files, {"IC03": "salience"}, settings, valid=valid)
        table = pd.read_csv(tmp_path / tables["component_groups"], sep="\t")
        assert list(table) == list(SALIENCY["saliency/component_groups"])
        assert table["network"][0] == "salience"
        assert tuple(table.loc[0, ["x", "y", "z"]] // 4) in {
            (x, y, z) for x in (7, 8) for y in (3, 4) for z in (5, 6)
        }
        assert (table["voxels"][0] > 0) if valid else table["p_fwe"].isna().all()
        assert ("no p" in notes[0]) != valid
    stem = "group_contrast-positivesVsNegatives_channel-IC03_stat-t_desc-dualRegression_statmap"
    assert f"{stem}.nii.gz" in files.written
    assert (tmp_path / f"{stem}.nii.gz").is_file()


def test_a_fitted_component_has_the_name_of_a_map_that_is_more_like_it_than_a_flipped_one(
    tmp_path: Path,
) -> None:
    rng = np.random.default_rng(0)
    maps = _maps(rng)
    file = tmp_path / "known.nii.gz"
    other = gaussian_filter(rng.standard_normal(SHAPE), 2)
    known = np.stack([maps[3], maps[0], other], axis=-1)
    nib.Nifti1Image(known, np.array(AFFINE)).to_filename(file)
    (tmp_path / "known.tsv").write_text("index\tname\n1\tvisual\n2\tsalience\n3\tnoise\n")
    names = tuple(f"IC{number + 1:02d}" for number in range(COUNT))
    found = likeness(names, maps, SPACE, file)
    assert found["IC04"].name == "visual"
    assert found["IC01"].name == "salience"
    assert found["IC01"].r > 0.9 > found["IC01"].null
    assert [one.name for one in found.values()].count("noise") == 0
    table = component_table(join_effects(_parts()), 0, {}, found).set_index("component")
    assert table.loc["IC01", "network_r"] == pytest.approx(found["IC01"].r)
    assert table["network_r"].notna().sum() == 3


def test_a_component_that_no_network_is_given_has_no_loss(tmp_path: Path) -> None:
    parts = _parts()
    seen = [replace(effects, seen=np.abs(_own(effects)) != 4) for _, effects in parts]
    joined = join_effects([(rows, one) for (rows, _), one in zip(parts, seen, strict=True)])
    table = component_table(joined, 0).set_index("component")
    assert table.loc["IC05", "folds"] == 0
    assert table.loc["IC05", ["auc_loss", "ci_low", "ci_high"]].isna().all()
    assert table.index[-1] == "IC05"
    draw_components(joined, table.reset_index(), tmp_path / "c.png")
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")


def _own(effects: ComponentEffects) -> np.ndarray:
    """Number in the first fold of each component, by where it is strongest."""
    places = [np.abs(one).argmax() for one in _parts()[0][1].maps]
    return np.array([places.index(np.abs(one).argmax()) for one in effects.maps])


def test_effects_come_back_as_they_were_written(tmp_path: Path) -> None:
    (_, effects), *_ = _parts()
    effects.write(tmp_path / "components.npz")
    back = ComponentEffects.read(tmp_path / "components.npz")
    assert back.names == effects.names
    for name in ("maps", "seen", "logits", "without"):
        assert (getattr(back, name) == getattr(effects, name)).all()
    assert np.isfinite(expit(back.logits)).all()


def test_components_of_given_maps_have_the_names_of_the_table_beside_them(tmp_path: Path) -> None:
    maps = tmp_path / "networks.nii.gz"
    maps.with_name("networks.tsv").write_text("index\tname\n1\tvisual\n2\tn/a\n3\tsalience\n")
    fitted = f"representation.fitted.template_components.maps={maps}"
    assert component_names(load_recipe("rest", [fitted])) == {"C01": "visual", "C03": "salience"}
    assert component_names(load_recipe("teh2022")) == {}
    maps.with_name("networks.tsv").unlink()
    assert component_names(load_recipe("rest", [fitted])) == {}
    joined = join_effects(_parts())
    table = component_table(joined, 0, {"IC03": "salience"})
    assert table["network"][0] == "salience"
    assert table["network"][1:].isna().all()
    draw_components(joined, table, tmp_path / "c.png")
