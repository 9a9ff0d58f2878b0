"""Steps that a failing disk left torn are done anew; sound ones are kept."""

from pathlib import Path

import pytest

from bidsapp.contracts.job import Job
from bidsapp.contracts.prepared import Provenance
from bidsapp.contracts.scan import Scan, SourceFile
from bidsapp.derivatives.sidecars import file_sha256
from bidsapp.errors import TemporaryFailure
from bidsapp.execution.leftovers import forget_torn, forget_unit
from bidsapp.execution.write_node import require_same_sources


def steps(base: Path) -> Path:
    for name in ("sub_01", "sub_02"):
        node = base / "all" / name / "extract"
        node.mkdir(parents=True)
        (node / "result_extract.pklz").write_bytes(b"x")
        (node / "mask.nii").write_bytes(b"x")
        (node / "_0x12.json").touch()  # nipype's own, empty where the inputs are hashed otherwise
    return base / "all" / "sub_01"


@pytest.mark.parametrize("name", ["result_extract.pklz", "mask.nii"])
def test_torn_steps_are_forgotten(name: str, tmp_path: Path) -> None:
    own = steps(tmp_path)
    forget_torn(tmp_path, "sub_01")
    forget_torn(tmp_path, "sub_03")  # of whom nothing is there
    assert (own / "extract" / name).is_file()
    (own / "extract" / name).write_bytes(b"")
    forget_torn(tmp_path, "sub_02")
    assert own.is_dir()
    forget_torn(tmp_path, "sub_01")
    assert not own.exists()
    assert (tmp_path / "all" / "sub_02").is_dir()


def test_a_unit_that_is_done_leaves_nothing(tmp_path: Path) -> None:
    steps(tmp_path)
    job = tmp_path / "jobs" / "all" / "sub_01.pklz"
    job.parent.mkdir(parents=True)
    job.touch()
    forget_unit(tmp_path, "sub_01")
    assert {p.name for p in tmp_path.rglob("sub_*")} == {"sub_02"}


@pytest.mark.parametrize("change", ["replaced", "removed"])
def test_a_source_that_changed_meanwhile_is_refused_and_what_was_made_of_it_goes(
    change: str, tmp_path: Path
) -> None:
    own = steps(tmp_path) / "write"
    own.mkdir()
    image = tmp_path / "sub-01_T1w.nii.gz"
    image.write_bytes(b"one head")
    file = SourceFile(image, "sub-01/anat/sub-01_T1w.nii.gz", {"subject": "01"}, "the only T1w")
    provenance = Provenance({file.address: file_sha256(image)}, "", {}, "")
    job = Job("t1w", Scan("01", "", {"T1w": (file,)}), "", None, provenance)  # type: ignore[arg-type]
    require_same_sources(job, own)
    assert (own.parent / "extract").is_dir()
    image.write_bytes(b"another")
    if change == "removed":
        image.unlink()
    with pytest.raises(TemporaryFailure, match=r"sub-01_T1w\.nii\.gz was removed or written anew"):
        require_same_sources(job, own)
    assert [path.name for path in own.parent.iterdir()] == ["write"]
