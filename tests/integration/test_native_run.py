"""Heads in their own space, from a BIDS folder to maps and to new people."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from bidsapp.cli import main
from bidsapp.phantom.dataset import make_phantom
from tests.integration.running import run_app, validation_errors

pytestmark = pytest.mark.slow

RECIPE = """
name: heads
summary: whole heads in boxes of their own
preparation: {modality: t1w, space: native, axes: PSR, spacing: 4.0, box: [64, 56, 48]}
outcome: {column: chronic_pain, positive: ["1"]}
representation: {kind: volume}
network: {name: resnet, depth: 10, stem_stride: 2, stem_pool: true, start: random}
training: {epochs: 1, batch_size: 4}
protocol: {kind: kfold, folds: 2}
evaluation: {baselines: [majority, regions, quality], permutations: 50, bootstrap: 100}
saliency: {method: gradient, of: all, permutations: 0}
variants:
  brain: {preparation.brain: extracted, preparation.box: [48, 56, 48]}
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("native")
    make_phantom(root / "bids", participants=6, effect=1.5)
    (root / "heads.yaml").write_text(RECIPE)
    asked = ("--recipe", root / "heads.yaml", "--skip-bids-validation")
    ended = run_app(root / "bids", root / "out", *asked)
    assert ended.code == 0, ended.said
    group = (root / "bids", root / "out", "group", *asked, "--nprocs", 1)
    assert main([str(part) for part in group]) == 0
    return root


def test_boxes_are_bids_and_say_whose_they_are(study: Path) -> None:
    assert validation_errors(study / "out") == (0, [])
    for path in sorted((study / "out").glob("sub-*/anat/*_T1w.nii.gz")):
        image = nib.Nifti1Image.load(path)
        assert image.shape == (64, 56, 48)
        assert nib.aff2axcodes(image.affine) == tuple("PSR")
        raw = nib.Nifti1Image.load(
            study / "bids" / path.parts[-3] / "anat" / f"{path.parts[-3]}_T1w.nii.gz"
        )
        # the middle of the box lies within the scan, in the scan's own millimetres
        middle = image.affine @ [*(np.array(image.shape) - 1) / 2, 1]
        inside = np.linalg.inv(raw.affine) @ middle
        assert ((inside[:3] > 0) & (inside[:3] < raw.shape)).all()
        told = json.loads(Path(str(path).replace(".nii.gz", ".json")).read_text())
        assert told["SpatialReference"].startswith("bids:raw:")
        assert told["Quality"]["verdict"] == "pass"
        assert "local_ncc" not in told["Quality"]


def test_every_map_lies_over_the_persons_own_head_and_none_is_averaged(study: Path) -> None:
    folder = study / "out/group/heads"
    maps = sorted((folder / "saliency").glob("*/sub-*/anat/*_statmap.nii.gz"))
    assert len(maps) == 6
    for path in maps:
        own = next((study / "out" / path.parts[-3] / "anat").glob("*_desc-head*_T1w.nii.gz"))
        image, head = nib.Nifti1Image.load(path), nib.Nifti1Image.load(own)
        assert image.shape == head.shape
        assert np.allclose(image.affine, head.affine, atol=1e-4)
        values = np.asarray(image.dataobj)
        assert values.any()
    assert not list((folder / "saliency").glob("*/group_*"))
    summary = json.loads(next((folder / "saliency").glob("*/summary.json")).read_text())
    assert summary["native_only"]
    measures = pd.read_csv(folder / "measures.tsv", sep="\t")
    assert "quality_face_share" in measures
    assert not [name for name in map(str, measures) if name.startswith("region_")]
    report = (folder / "report.html").read_text()
    assert "native only" in report
    assert "they were not averaged" in (folder / "logs/CITATION.md").read_text()


def test_one_command_prepares_what_several_variants_are_given(study: Path) -> None:
    given = (study / "bids", study / "out", "participant", "--recipe", study / "heads.yaml")
    asked = ("--skip-bids-validation", "--participant-label", "01", "--variants", "base", "brain")
    before = {path: path.stat().st_mtime_ns for path in (study / "out/sub-01/anat").iterdir()}
    assert main([str(part) for part in (*given, *asked, "--nprocs", 1)]) == 0
    folder = study / "out/sub-01/anat"
    # what is there for one variant stays, and the other's is made beside it
    assert {path: path.stat().st_mtime_ns for path in before} == before
    (box,) = folder.glob("*_desc-brainPSR48x56x48_T1w.nii.gz")
    image = nib.Nifti1Image.load(box)
    assert image.shape == (48, 56, 48)
    # the brain alone: most of its box is 0
    assert 0.02 < np.mean(np.asarray(image.dataobj) > 0) < 0.4
    told = json.loads(Path(str(box).replace(".nii.gz", ".json")).read_text())
    assert told["SkullStripped"]
    assert "defaced" not in told["Quality"]


def test_a_model_of_own_heads_is_applied_to_new_people(study: Path, tmp_path: Path) -> None:
    model = next((study / "out/group/heads/model").iterdir())
    ended = run_app(
        study / "bids", tmp_path / "out", "--model", model, "--participant-label", "01",
        "--skip-bids-validation",
    )  # fmt: skip
    assert ended.code == 0, ended.said
    told = pd.read_csv(tmp_path / "out/group/predictions.tsv", sep="\t")
    assert told["probability"].between(0, 1).all()
    own = next((tmp_path / "out/sub-01/anat").glob("*_desc-head*_T1w.nii.gz"))
    for path in (tmp_path / "out").glob("sub-01/anat/*_statmap.nii.gz"):
        assert np.allclose(
            nib.Nifti1Image.load(path).affine, nib.Nifti1Image.load(own).affine, atol=1e-4
        )
