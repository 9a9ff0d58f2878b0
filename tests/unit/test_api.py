"""The Python interface: runs, tables, maps, models, recipes."""

import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import bidsapp
from bidsapp.errors import NoInput


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    run = tmp_path / "group" / "mine"
    (run / "tables").mkdir(parents=True)
    (run / "saliency" / "axial").mkdir(parents=True)
    (run / "recipe.yaml").write_text(
        "name: mine\nsummary: A test\noutcome: {column: pain, positive: [1]}\n"
        "network: {depth: 10, weights: random}\n"
    )
    (run / "cohort.tsv").write_text(
        "participant_id\tsession_id\toutcome\tage\tdose\n"
        "sub-01\tn/a\t1\t34\t12 mg\nsub-02\tn/a\t0\tn/a\t9\n"
    )
    (run / "metrics.tsv").write_text("variant\tvalue\naxial\t.5\n")
    (run / "metrics.json").write_text('{"value": {"Description": "Its value."}}')
    (run / "tables" / "deep.tsv").write_text("a\n1\n")
    voxels = np.arange(8, dtype=np.float32).reshape(2, 2, 2)
    file = run / "saliency" / "axial" / "group_of-all_desc-gradient_statmap.nii.gz"
    nib.save(nib.Nifti1Image(voxels, np.eye(4)), file)
    return run


def test_a_run_gives_its_tables_with_numbers_as_numbers(folder: Path) -> None:
    run = bidsapp.open_run(folder)
    assert run.cohort["age"].tolist()[0] == 34
    assert np.isnan(run.cohort["age"].tolist()[1])
    assert run.cohort["dose"].tolist() == ["12 mg", "9"]
    assert run.cohort["session_id"].isna().all()
    assert run.metrics["value"].tolist() == [0.5]
    assert run.table("tables/deep.tsv")["a"].tolist() == [1]
    assert run.columns("metrics")["value"]["Description"] == "Its value."
    assert run.recipe.network.depth == 10


def test_a_run_gives_its_maps(folder: Path) -> None:
    run = bidsapp.open_run(str(folder))
    assert list(run.maps("axial")) == ["of-all_desc-gradient"]
    assert run.map("axial", "of-all_desc-gradient").get_fdata().max() == 7
    with pytest.raises(NoInput, match="there are maps of axial"):
        run.maps("coronal")
    with pytest.raises(NoInput, match="has no map 'x'; there are of-all_desc-gradient"):
        run.map("axial", "x")


def test_what_is_not_there_is_said(folder: Path) -> None:
    with pytest.raises(NoInput, match=r"name the folder of a run"):
        bidsapp.open_run(folder.parent)
    run = bidsapp.open_run(folder)
    with pytest.raises(NoInput, match=r"scores.tsv: not found"):
        _ = run.scores
    with pytest.raises(NoInput, match="no data dictionary"):
        run.columns("cohort")
    with pytest.raises(NoInput):
        run.model("axial")


def test_the_names_that_are_promised_are_there_and_cost_nothing_until_used() -> None:
    assert len(bidsapp.__all__) <= 11
    assert set(bidsapp.__all__) <= set(dir(bidsapp))
    assert all(getattr(bidsapp, name) is not None for name in bidsapp.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        bidsapp.nothing  # noqa: B018
    heavy = "import sys, bidsapp; print({'torch', 'pandas', 'nibabel'} & set(sys.modules))"
    said = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True).stdout
    assert said.strip() == "set()"
