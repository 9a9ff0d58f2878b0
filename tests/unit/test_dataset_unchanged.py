"""Images that change while a run reads them are told, as hashes and arrays would not agree."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bidsapp.dataset.unchanged import require_unchanged
from bidsapp.errors import TemporaryFailure
from tests.unit.cohort_trees import build, normalise, study


def _replaced(path: Path) -> None:
    content = path.read_bytes()
    os.replace(path.rename(path.with_name("was")), path.with_name("elsewhere"))
    path.write_bytes(content)


CHANGES: dict[str, Callable[[Path], None]] = {
    "removed": Path.unlink,
    "replaced by the same bytes": _replaced,
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"x"),
    "written into": lambda path: os.utime(path, ns=(1, 1)),
}


@pytest.mark.parametrize("channel", ["preproc_T1w", "logjacobian_statmap"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_changes_after_its_hash_is_refused_by_name(
    change: str, channel: str, tmp_path: Path
) -> None:
    study(tmp_path / "bids", "participant_id chronic\nsub-01 1\nsub-02 0\n", ("sub-01", "sub-02"))
    for number in (1, 2):
        normalise(tmp_path / "out", f"sub-0{number}", number)
    cohort = build(tmp_path, channels=("t1w", "log_jacobian"))
    require_unchanged(cohort.files)
    (path,) = (tmp_path / "out" / "sub-02").rglob(f"*{channel}.nii.gz")
    CHANGES[change](path)
    with pytest.raises(TemporaryFailure, match=f"{path.name}: removed or written anew") as caught:
        require_unchanged(cohort.files)
    assert "sub-01" not in str(caught.value)
