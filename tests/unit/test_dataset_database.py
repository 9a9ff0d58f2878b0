"""A pybids database: made once, read by many, refused where it does not fit."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bidsapp.errors import NoInput, UsageError
from tests.unit.dataset_trees import chosen, make, select
from tests.unit.unprivileged import open_folder


def test_a_database_is_made_once_for_all_and_then_read(tmp_path: Path) -> None:
    root = make(tmp_path / "study", "sub-01_T1w.nii.gz", "sub-02_ses-1_T1w.nii.gz")
    base = tmp_path / "base"
    one = select(root, bids_database_dir=base, participant_label=("01",))
    assert chosen(one) == ["sub-01_T1w.nii.gz"]
    assert os.listdir(base) == ["layout_index.sqlite"]
    made = (base / "layout_index.sqlite").stat().st_mtime_ns
    assert select(root, bids_database_dir=base) == select(root)
    assert (base / "layout_index.sqlite").stat().st_mtime_ns == made


def test_a_database_of_pybids_own_making_serves(tmp_path: Path) -> None:
    from bids.layout import BIDSLayout

    root = make(tmp_path / "study", "sub-01_T1w.nii.gz", "sub-02_acq-a_T1w.nii.gz")
    BIDSLayout(root, database_path=tmp_path / "base")
    assert select(root, bids_database_dir=tmp_path / "base") == select(root)


def test_a_database_that_misread_the_folder_above_is_refused(tmp_path: Path) -> None:
    from bids.layout import BIDSLayout

    root = make(tmp_path / "sub-99" / "study", "sub-01_T1w.nii.gz")
    BIDSLayout(root, database_path=tmp_path / "base", validate=False)
    with pytest.raises(UsageError, match="has participant 99 for"):
        select(root, bids_database_dir=tmp_path / "base")


def test_a_database_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    root = make(tmp_path / "study", "sub-01_T1w.nii.gz")
    base = tmp_path / "base"
    select(root, bids_database_dir=base)
    make(root, "sub-02_T1w.nii.gz")
    with pytest.raises(UsageError, match=r"does not know sub-02/anat/sub-02_T1w\.nii\.gz"):
        select(root, bids_database_dir=base)
    other = make(tmp_path / "other", "sub-01_T1w.nii.gz")
    with pytest.raises(UsageError, match="was made for"):
        select(other, bids_database_dir=base)
    (base / "layout_index.sqlite").write_text("not a database, but long enough to be read as one")
    with pytest.raises(UsageError, match="cannot be read as a pybids database"):
        select(root, bids_database_dir=base)


def test_a_file_that_only_the_database_has_is_refused(tmp_path: Path) -> None:
    root = make(tmp_path / "study", "sub-01_T1w.nii.gz", "sub-02_T1w.nii.gz")
    select(root, bids_database_dir=tmp_path / "base")
    (root / "sub-02" / "anat" / "sub-02_T1w.nii.gz").unlink()
    (refusal,) = select(root, bids_database_dir=tmp_path / "base").refusals
    assert (refusal.participant, refusal.error) == ("02", NoInput)
    assert "rebuild the database" in refusal.reason


READ_AS_SOMEBODY = """
import os, sys
from pathlib import Path
from types import SimpleNamespace as N
from bidsapp.dataset import select_images
def select(database):
    return select_images(
        N(bids_dir=Path(sys.argv[1]), bids_database_dir=database, participant_label=(),
          session_label=(), bids_filters={}), N(datatype="anat", suffix="T1w"))
expected = select(None)
if os.getuid() == 0:
    os.setuid(65534)  # root may write anywhere
assert not os.access(sys.argv[2], os.W_OK) and not os.access(sys.argv[1], os.W_OK)
assert select(Path(sys.argv[2])) == expected
"""


def test_read_only_dataset_and_database() -> None:
    with open_folder() as place:
        root = make(place / "study", "sub-01_T1w.nii.gz")
        base = place / "base"
        select(root, bids_database_dir=base)
        folders = [root, base, *(path for path in root.rglob("*") if path.is_dir())]
        for folder in folders:
            folder.chmod(0o555)
        (base / "layout_index.sqlite").chmod(0o444)
        done = subprocess.run(
            [sys.executable, "-c", READ_AS_SOMEBODY, str(root), str(base)],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
