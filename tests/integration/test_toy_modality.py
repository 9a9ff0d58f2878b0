"""A modality that the app does not know, from a BIDS folder to a report with maps."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from bidsapp.contracts.modality import FURTHER
from tests.integration.group_studies import save, start, table_of
from tests.integration.running import Ended
from tests.toy_modality.modality import SHAPE, affine

RECIPE = """\
name: toy
summary: A compact network on whole toy volumes, for tests
preparation: {modality: toy_modality, gain: 0.5}
outcome: {column: chronic, positive: ["yes"]}
representation: {kind: volume}
network: {name: resnet, depth: 10, stem_stride: 2, stem_pool: true, start: random}
training: {epochs: 3, batch_size: 4, lr: {head: 1e-3, backbone: 1e-3}, precision: float32}
protocol: {kind: kfold, folds: 2, stratified: true}
evaluation: {baselines: [majority, quality], tests: [], bootstrap: 200}
saliency: {permutations: 20, of: all}
"""
PEOPLE = 12


def make_dataset(root: Path) -> None:
    """PDw images of which every second has a bright corner; one person has no such image."""
    rows = []
    for i in range(PEOPLE):
        who = f"sub-{i:02d}"
        values = np.random.default_rng(i).random(SHAPE, np.float32)
        if i % 2:
            values[6:14, 6:14, 6:14] += 2
        save(root / who / "anat" / f"{who}_PDw.nii.gz", values, affine())
        if i < 3:
            table = root / who / "anat" / f"{who}_weights.tsv"
            table.write_text("weight\n1.0\n")
        rows.append(f"{who}\t{'yes' if i % 2 else 'no'}\t{20 + i}\tM")
    (root / "sub-99").mkdir()
    rows.append("sub-99\tno\t20\tM")
    header = "participant_id\tchronic\tage\tsex"
    (root / "participants.tsv").write_text("\n".join([header, *rows]) + "\n")
    about = {"Name": "Toys", "BIDSVersion": "1.10.0"}
    (root / "dataset_description.json").write_text(json.dumps(about))


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ended, Ended]:
    """Folder, the participant level and the group level."""
    root = tmp_path_factory.mktemp("toys")
    make_dataset(root / "bids")
    (root / "toy.yaml").write_text(RECIPE)
    fixed = ("--recipe", root / "toy.yaml", "--nprocs", 1, "--device", "cpu")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FURTHER, "tests.toy_modality")
        places = (root / "bids", root / "out")
        first = start(*places, "participant", "--skip-bids-validation", *fixed)
        second = start(*places, "group", *fixed)
    return root / "out", first, second


def test_every_scan_is_prepared_with_its_sources(toys: tuple[Path, Ended, Ended]) -> None:
    out, first, _ = toys
    assert "sub-99 is empty" in first.said  # who has no image is told of, and the others go on
    assert f"{PEOPLE} of {PEOPLE + 1} prepared: {PEOPLE} pass" in first.said
    sidecar = json.loads((out / "sub-01/anat/sub-01_space-toy_desc-toy_PDw.json").read_text())
    assert sidecar["Quality"]["verdict"] == "pass"
    assert sidecar["Quality"]["unweighted"] is False
    assert list(sidecar["SourcesSHA256"]) == sidecar["Sources"]
    alone = json.loads((out / "sub-05/anat/sub-05_space-toy_desc-toy_PDw.json").read_text())
    assert alone["Quality"]["unweighted"] is True
    assert "SourcesSHA256" not in alone
    values = nib.load(out / "sub-05/anat/sub-05_space-toy_desc-toy_PDw.nii.gz").get_fdata()
    assert 1 < values.max() < 1.6  # halved by the recipe's gain
    table = table_of(out / "group" / "quality.tsv")
    assert set(table["verdict"]) == {"pass"}
    assert {"spread", "z_spread", "unweighted"} <= set(table.columns)
    meanings = json.loads((out / "group" / "quality.json").read_text())
    assert meanings["spread"]["Description"] == "Standard deviation of the image."
    assert "12 PDw images were weighted." in (out / "logs" / "CITATION.md").read_text()


def test_a_group_run_of_it_ends_in_a_report_with_maps(toys: tuple[Path, Ended, Ended]) -> None:
    out, _, second = toys
    assert second.code == 0, second.said
    run = out / "group" / "toy"
    assert len(table_of(run / "scores.tsv")) == PEOPLE
    assert "quality_spread" in table_of(run / "measures.tsv")
    metrics = table_of(run / "metrics.tsv")
    auc = metrics[(metrics["metric"] == "auc") & (metrics["scope"] == "pooled")]
    assert pd.to_numeric(auc["value"]).notna().all()
    maps = list(run.glob("saliency/base/sub-*/anat/sub-*_space-toy_desc-*_statmap.nii.gz"))
    assert len(maps) == PEOPLE
    shape = nib.load(maps[0]).shape
    assert shape == SHAPE
    report = (run / "report.html").read_text()
    assert "PDw" in report
    for word in ("T1w", "log-Jacobian", "ormalised"):
        assert word not in report, f"the report speaks of {word}"
