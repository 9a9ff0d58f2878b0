"""Validation: errors in short, participants chosen, and what happens without the validator."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from bidsapp.dataset import validation
from bidsapp.dataset.validation import find_validator, validate_dataset
from bidsapp.errors import InvalidDataset, NoInput, NothingSelected

needs_validator = pytest.mark.skipif(
    find_validator() is None, reason="bids-validator-deno is not installed"
)


def make(root: Path, *labels: str) -> Path:
    root.mkdir()
    description = {"Name": "A study", "BIDSVersion": "1.10.0"}
    (root / "dataset_description.json").write_text(json.dumps(description))
    rows = "".join(f"sub-{label}\n" for label in labels)
    (root / "participants.tsv").write_text("participant_id\n" + rows)
    image = nib.Nifti1Image(np.zeros((4, 4, 4), np.uint8), np.eye(4))
    image.header.set_xyzt_units("mm", "sec")
    for label in labels:
        folder = root / f"sub-{label}" / "anat"
        folder.mkdir(parents=True)
        nib.save(image, folder / f"sub-{label}_T1w.nii.gz")
    return root


@needs_validator
def test_a_valid_dataset_passes_and_warnings_are_counted(tmp_path: Path) -> None:
    summary = validate_dataset(make(tmp_path / "a study, it's é", "01", "02"))
    assert summary.warnings
    assert summary.note == ""


@needs_validator
def test_errors_are_listed_by_code_with_an_example(tmp_path: Path) -> None:
    root = make(tmp_path / "study", "01", "02")
    for number in range(3):
        (root / "sub-02" / "anat" / f"wrong{number}.nii.gz").write_bytes(b"x")
    with pytest.raises(InvalidDataset) as caught:
        validate_dataset(root)
    message = str(caught.value)
    assert caught.value.exit_code == 16
    assert "NOT_INCLUDED (3 files, e.g. /sub-02/anat/wrong" in message
    assert "--skip-bids-validation" in message
    assert len(message) < 2000


@needs_validator
def test_several_rows_of_a_person_are_no_error_where_they_are_read(tmp_path: Path) -> None:
    root = make(tmp_path / "study", "01", "02")
    (root / "phenotype").mkdir()
    rows = "sub-01\tL\t1\nsub-01\tR\t0\nsub-02\tL\t0\n"
    (root / "phenotype" / "knees.tsv").write_text("participant_id\tpart_id\tpain\n" + rows)
    assert validate_dataset(root).note == ""
    (root / "participants.tsv").write_text("participant_id\nsub-01\nsub-01\nsub-02\n")
    with pytest.raises(InvalidDataset, match=r"NOT_UNIQUE.*/participants\.tsv"):
        validate_dataset(root)


@needs_validator
def test_only_the_chosen_participants_are_looked_at(tmp_path: Path) -> None:
    root = make(tmp_path / "study", "01", "02")
    (root / "sub-02" / "anat" / "wrong.nii.gz").write_bytes(b"x")
    before = sorted(root.rglob("*"))
    assert validate_dataset(root, ["01"]).note == ""
    assert sorted(root.rglob("*")) == before
    with pytest.raises(InvalidDataset, match="NOT_INCLUDED"):
        validate_dataset(root, ["02"])
    with pytest.raises(NothingSelected, match="Labels that exist: 01, 02"):
        validate_dataset(root, ["03"])


def test_without_the_validator_our_own_checks_remain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validation.sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    root = make(tmp_path / "study", "01")
    summary = validate_dataset(root)
    assert summary.warnings is None
    assert "bids-validator-deno is not installed" in summary.note
    (root / "dataset_description.json").unlink()
    with pytest.raises(InvalidDataset, match=r"dataset_description\.json"):
        validate_dataset(root)
    with pytest.raises(NoInput):
        validate_dataset(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("sleep 30; true", "did not finish within 1 s"),
        ("echo broken >&2; exit 3", "status 3, broken"),
        ("echo '[]'", "another format"),
    ],
)
def test_a_validator_that_fails_does_not_stop_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, words: str
) -> None:
    program = tmp_path / "bids-validator-deno"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(validation.sys, "executable", str(tmp_path / "python"))
    summary = validate_dataset(make(tmp_path / "study", "01"), timeout=1)
    assert summary.warnings is None
    assert words in summary.note


@needs_validator
def test_real_datasets(real_data: Path) -> None:
    assert validate_dataset(real_data / "ixi2mm_dev48").note == ""
    assert validate_dataset(real_data / "ds000011", ["01"]).note == ""
    with pytest.raises(InvalidDataset) as caught:
        validate_dataset(real_data / "pumi-minitest")
    for words in ("NOT_INCLUDED (12 files", "SourceDatasets", "--skip-bids-validation"):
        assert words in str(caught.value)
