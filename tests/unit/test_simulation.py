"""A cuboid planted into a cohort's images, the stamps, and where a map finds it."""

import json
import tempfile
from pathlib import Path
from xml.etree import ElementTree

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from bidsapp.dataset.cohort import Cohort
from bidsapp.dataset.normalized import NormalizedImage
from bidsapp.dataset.scans import voxel_hash
from bidsapp.errors import UsageError
from bidsapp.evaluation.evaluate import evaluate
from bidsapp.evaluation.settings import settings_from_recipe
from bidsapp.evaluation.tsv import read_table, write_table
from bidsapp.options import RunOptions
from bidsapp.phantom.planted import cuboid, locate, plant, spread_inside
from bidsapp.phantom.region import Region
from bidsapp.recipes import dump_recipe, load_recipe
from bidsapp.reports.run.sensitivity import draw_sensitivity
from bidsapp.simulation import (
    COLUMNS,
    NOTHING,
    sensitivity,
    simulate,
    simulated_cohort,
    stamp_maps,
)
from tests.integration.running import described, tree
from tests.unit.evaluation_runs import write_run

SHAPE, AFFINE = (
    (79, 95, 79),
    np.array([[2, 0, 0, -78], [0, 2, 0, -112], [0, 0, 2, -70], [0, 0, 0, 1.0]]),
)
REGION = Region("cuboid", (14.0, -18.0, 8.0), (16.0, 16.0, 16.0))
PLANTED = ["simulation.kind=cuboid", "simulation.contrast_sd=2"]


@pytest.fixture
def cohort(tmp_path):
    """Six people whose images differ by noise of SD .1, three of them positive."""
    rng = np.random.default_rng(0)
    files, rows = [], []
    for i in range(6):
        path = tmp_path / "real" / f"sub-{i}_T1w.nii"
        path.parent.mkdir(exist_ok=True)
        voxels = 0.5 + 0.1 * rng.standard_normal(SHAPE, dtype=np.float32)
        nib.save(nib.Nifti1Image(voxels, AFFINE), path)
        files.append(
            NormalizedImage(f"sub-{i}", "", path, None, {"t1w": path}, "", path.name, "pass")
        )
        rows.append((f"sub-{i}", None, f"sub-{i}", i % 2, path.name, voxel_hash(path), "pass"))
    names = ["participant_id", "session_id", "group", "outcome", "image", "sha256", "quality"]
    return Cohort(pd.DataFrame(rows, columns=names), pd.DataFrame(), tuple(files), ())


def voxels(scan):
    return np.asarray(nib.Nifti1Image.load(scan.image).dataobj, dtype=np.float32)


def test_only_positives_change_only_inside_and_by_so_many_sd(cohort, tmp_path):
    before = tree(tmp_path / "real")
    outcome = cohort.table["outcome"].to_numpy()
    planted = plant(cohort, outcome, REGION, 2.0, tmp_path / "copies")
    assert tree(tmp_path / "real") == before
    sd = spread_inside([scan.image for scan in cohort.files], REGION)
    assert sd == pytest.approx(0.1, rel=0.05)
    inside = cuboid(SHAPE, AFFINE, REGION)
    assert (inside > 0.5).sum() * 8 == pytest.approx(16**3, rel=0.35)
    for i, (old, new) in enumerate(zip(cohort.files, planted.files, strict=True)):
        change = voxels(new) - voxels(old)
        np.testing.assert_allclose(change, inside * 2 * sd * (i % 2), atol=1e-5)
        assert planted.table["sha256"][i] == voxel_hash(new.image)
    again = plant(cohort, outcome, REGION, 2.0, tmp_path / "copies")
    assert [scan.image for scan in again.files] == [scan.image for scan in planted.files]


def test_the_share_of_a_maps_top_inside_the_cuboid():
    inside = cuboid(SHAPE, AFFINE, REGION) > 0.5
    rng = np.random.default_rng(0)
    noise = rng.random(SHAPE).astype(np.float32) + 0.01
    sharp = np.where(inside, noise + 5, noise)

    def found(values, tmp, sign=1.0):
        path = Path(tmp) / "map.nii"
        nib.save(nib.Nifti1Image(values.astype(np.float32), AFFINE), path)
        return locate(path, REGION, sign)

    with tempfile.TemporaryDirectory() as folder:
        count = round(0.01 * sharp.size)
        best = found(sharp, folder)
        assert best.voxels == count
        assert best.inside == pytest.approx(inside.sum() / count)
        assert best.possible == best.inside
        assert best.chance == pytest.approx(inside.mean())
        assert found(noise, folder).inside == pytest.approx(best.chance, abs=0.003)
        assert found(-sharp, folder, -2.0).inside == best.inside
        assert found(-sharp, folder).inside < 0.01


def test_a_run_with_a_cuboid_never_takes_the_place_of_a_real_one():
    recipe = load_recipe("t1w", PLANTED)
    assert recipe.simulation.run_label("study") == "study-cuboid-2sd"
    assert "SIMULATED" in recipe.simulation.stamp
    real = load_recipe("t1w")
    assert (real.simulation.run_label("study"), real.simulation.stamp) == ("study", "")
    other = load_recipe("t1w", [*PLANTED, "simulation.outcome=permuted"])
    assert other.simulation.run_label("study") != recipe.simulation.run_label("study")


def test_drawn_people_are_as_many_as_the_positives_and_it_is_said(cohort, tmp_path, capsys):
    recipe = load_recipe("t1w", [*PLANTED, "simulation.outcome=permuted", "protocol.seed=3"])
    planted = simulated_cohort(cohort, recipe, ["axial", "sagittal"], tmp_path / "copies")
    assert planted.table["outcome"].sum() == 3
    assert planted.table["outcome"].tolist() != cohort.table["outcome"].tolist()
    changed = [a.image != b.image for a, b in zip(cohort.files, planted.files, strict=True)]
    assert changed == planted.table["outcome"].astype(bool).tolist()
    assert set(planted.table["simulated"]) == {recipe.simulation.stamp}
    assert recipe.simulation.stamp in capsys.readouterr().out


def test_a_cuboid_that_no_variant_sees_is_refused(cohort, tmp_path):
    recipe = load_recipe("t1w", [*PLANTED, "simulation.centre_mm=[14, -18, 70]"])
    with pytest.raises(UsageError, match="outside the window of every variant"):
        simulated_cohort(cohort, recipe, ["axial"], tmp_path)
    assert simulated_cohort(cohort, load_recipe("t1w"), ["axial"], tmp_path) is cohort


def test_every_table_of_a_simulated_run_is_stamped(tmp_path):
    run = write_run(tmp_path / "run", variants=("axial",))
    recipe = load_recipe("t1w", [*PLANTED, "evaluation.bootstrap=0", "evaluation.baselines=[]"])
    (run / "recipe.yaml").write_text(dump_recipe(recipe))
    stamp = settings_from_recipe(recipe).simulated
    result = evaluate(run)
    assert result.tables["findings"].iloc[0].tolist() == ["simulated", f"{stamp}."]
    tables = {**result.tables, **result.figures, "metrics": result.metrics}
    written = {name: table for name, table in tables.items() if len(table) and name != "findings"}
    assert {"metrics", "roc", "planning", "permutations"} <= set(written)
    for name, table in written.items():
        assert table["note"].str.startswith(stamp).all(), name


def test_what_a_simulated_run_found_and_where(tmp_path):
    run = write_run(tmp_path / "run", variants=("axial", "coronal"), effect=6)
    recipe = load_recipe("t1w", [*PLANTED, "evaluation.baselines=[]"])
    (run / "recipe.yaml").write_text(dump_recipe(recipe))
    evaluate(run)
    folder = run / "saliency" / "axial"
    folder.mkdir(parents=True)
    values = np.ones(SHAPE, np.float32) + cuboid(SHAPE, AFFINE, REGION)
    nib.save(nib.Nifti1Image(values, AFFINE), folder / "map.nii")
    (folder / "summary.json").write_text('{"default": "map.nii"}')
    table = sensitivity(run, recipe.simulation).set_index("variant")
    assert table["contrast_sd"].eq(2).all()
    assert table["found"].all()
    assert (table["retrained_low"] < table["ci_low"]).all()
    assert table.loc["axial", "saliency_inside"] > 40 * table.loc["axial", "saliency_chance"]
    row = table.loc["axial"]
    assert row["saliency_inside"] == row["saliency_possible"] < 0.1
    assert table.loc["coronal", "note"] == "no saliency map"


def test_the_curve_begins_with_the_real_run_of_the_same_variants(tmp_path, capsys):
    def run(options):
        recipe = load_recipe(options.recipe, options.overrides)
        folder = tmp_path / "group" / recipe.simulation.run_label(recipe.name)
        write_run(folder, variants=("axial",), effect=recipe.simulation.contrast_sd)
        (folder / "recipe.yaml").write_text(dump_recipe(recipe))
        evaluate(folder)
        return 0

    few = ("evaluation.baselines=[]", "evaluation.bootstrap=50")
    real = write_run(tmp_path / "group" / "t1w", variants=("axial", "coronal"), effect=0)
    (real / "recipe.yaml").write_text(dump_recipe(load_recipe("t1w", few)))
    evaluate(real)
    options = RunOptions(
        tmp_path,
        tmp_path,
        "group",
        tmp_path / "work",
        recipe="t1w",
        overrides=(*few, "simulation.kind=cuboid"),
        simulate=(4.0, 1.0),
    )
    code, curve = simulate(options, run)
    assert (code, curve) == (0, tmp_path / "group" / "t1w-cuboid")
    table = read_table(curve / "tables" / "sensitivity.tsv", COLUMNS)
    assert table[["variant", "contrast_sd"]].to_numpy().tolist() == [
        ["axial", "0"],
        ["axial", "4"],
        ["axial", "1"],
    ]
    assert table["note"].iloc[0] == NOTHING
    assert table["note"].iloc[1].startswith("SIMULATED: a cuboid of 16 x 16 x 16 mm")
    assert "axial, nothing planted: the real run, AUC 0." in capsys.readouterr().out
    described(curve / "tables" / "sensitivity.tsv")
    described(curve / "figures" / "sensitivity.tsv")


def test_tables_and_sidecars_of_simulated_maps_are_stamped_and_else_as_they_were(tmp_path):
    (tmp_path / "regions.tsv").write_text('region\tvalue\na "b" c\t0.1234567\nn/a\tn/a\n')
    (tmp_path / "map.json").write_text('{"Units": "1"}')
    stamp_maps(tmp_path, "")
    assert "simulated" not in (tmp_path / "regions.tsv").read_text()
    for _ in range(2):
        stamp_maps(tmp_path, "SIMULATED")
    lines = (tmp_path / "regions.tsv").read_text().splitlines()
    assert lines[0] == "region\tvalue\tsimulated"
    assert lines[1:] == ['a "b" c\t0.1234567\tSIMULATED', "n/a\tn/a\tSIMULATED"]
    assert json.loads((tmp_path / "map.json").read_text()) == {
        "Units": "1",
        "Simulated": "SIMULATED",
    }


def test_a_sensitivity_curve_is_drawn_of_every_variant_with_two_contrasts(tmp_path):
    rows = [
        ("axial", 2, 0.9, 0.8, 0.95, 0.7, 0.99, 0.6, 0.01, "SIMULATED"),
        ("axial", 0.5, 0.55, 0.4, 0.7, 0.3, 0.8, 0.05, 0.01, "SIMULATED"),
        ("a/b", 0.5, 0.5, 0.4, 0.6, None, None, None, None, "SIMULATED"),
        ("a/b", 2, 0.7, 0.6, 0.8, None, None, None, None, "SIMULATED"),
        ("alone", 2, 0.7, 0.6, 0.8, None, None, None, None, "SIMULATED"),
    ]
    names = ["variant", "contrast_sd", "auc", "ci_low", "ci_high", "retrained_low"]
    names += ["retrained_high", "saliency_inside", "saliency_chance", "note"]
    write_table(pd.DataFrame(rows, columns=names), tmp_path / "tables" / "sensitivity.tsv")
    drawn = draw_sensitivity(tmp_path)
    assert [path.name for path in drawn] == ["sensitivity_axial.svg", "sensitivity_a_b.svg"]
    axial, other = (path.read_text() for path in drawn)
    for text in (axial, other):
        ElementTree.fromstring(text)
        assert ">SIMULATED<" in text
    assert "<title>+0.5 SD: AUC 0.55</title>" in axial
    assert "<title>+2 SD: inside 0.60</title>" in axial
    assert axial.index("+0.5 SD: AUC") < axial.index("+2 SD: AUC")
    assert "in the cuboid</text>" in axial
    assert "in the cuboid</text>" not in other
