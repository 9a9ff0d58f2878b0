"""Images that are wrong: each is told with its reason, and the others are unharmed."""

from pathlib import Path

import numpy as np
import pytest

from bidsapp import participant
from bidsapp.cli import main
from tests.integration.bad_images import CASES, FAST, Case, make_bad_dataset
from tests.integration.heads import t1w
from tests.integration.running import (
    TIMEOUT,
    Ended,
    image_hashes,
    run_app,
    tree,
    validation_errors,
    voxels,
)

PREPROC = "_res-2_desc-preproc_T1w.nii.gz"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(TIMEOUT)]


def outcomes(run: Ended) -> dict[str, dict[str, str]]:
    """Rows of the table of the run, by label."""
    (table,) = (run.output_dir / "logs").glob("participant-*.tsv")
    header, *rows = (line.split("\t") for line in table.read_text().splitlines())
    return {row[0].removeprefix("sub-"): dict(zip(header, row, strict=True)) for row in rows}


def check(name: str, case: Case, run: Ended) -> None:
    row = outcomes(run)[name]
    found = "failed" if row["status"] == "failed" else row["verdict"]
    assert found in case.outcomes, row
    assert row["exit_code"] == ("65" if found in ("failed", "fail") else "0")
    if found == "failed":
        assert case.says in row["reason"]
        assert f"sub-{name}: failed: {row['reason']}" in run.stderr
        assert not list((run.output_dir / f"sub-{name}").glob("**/*.*"))
        return
    sidecar = run.sidecar(name)
    told = " ".join([*sidecar["Quality"]["reasons"], *sidecar["Notes"]])
    assert case.says in told
    assert sidecar["Quality"]["verdict"] == found
    if found != "pass":
        assert sidecar["Quality"]["reasons"]
    if found != "fail":
        straight, mirrored = likeness(run, name)
        assert straight > 0.9 or (found == "warn" and mirrored > 0.9), (straight, mirrored)


def likeness(run: Ended, name: str) -> tuple[float, float]:
    """Correlation with the good head in standard space, and with its mirror image."""
    good, other = (voxels(run.output_dir, label, PREPROC) for label in ("good", name))
    return tuple(np.corrcoef(one.ravel(), other.ravel())[0, 1] for one in (good, good[::-1]))


@pytest.mark.parametrize("name", FAST)
def test_a_bad_image_is_told(name: str, bad: tuple[Ended, dict[str, str]]) -> None:
    check(name, CASES[name], bad[0])


def test_the_run_ends_with_the_code_of_bad_data(bad: tuple[Ended, dict[str, str]]) -> None:
    assert bad[0].code == 65
    assert "Traceback" not in bad[0].said


def test_the_good_one_is_unharmed(bad: tuple[Ended, dict[str, str]], heads: Ended) -> None:
    def plain(hashes: dict[str, str]) -> list[str]:
        return [hashes[name] for name in sorted(hashes)]

    assert outcomes(bad[0])["good"]["verdict"] == "pass"
    good = image_hashes(bad[0].output_dir, "good")
    assert plain(good) == plain(image_hashes(heads.output_dir, "psr"))


def test_the_dataset_is_unchanged(bad: tuple[Ended, dict[str, str]]) -> None:
    run, before = bad
    assert tree(run.bids_dir) == before


def test_what_was_written_is_valid(bad: tuple[Ended, dict[str, str]]) -> None:
    assert validation_errors(bad[0].output_dir) == (0, [])


def test_the_first_failure_can_end_the_run(real_data: Path, tmp_path: Path) -> None:
    make_bad_dataset(tmp_path / "bad", t1w(real_data, "IXI014"), ["constant"])
    given = ("--skip-bids-validation", "--stop-on-first-crash")
    run = run_app(tmp_path / "bad", tmp_path / "out", *given)
    assert run.code == 65
    assert "sub-constant: failed: " in run.stderr
    assert "sub-good: failed: Not finished: --stop-on-first-crash" in run.stderr
    # what was done is kept, and a run without the option goes on from there
    again = run_app(tmp_path / "bad", tmp_path / "out", "--skip-bids-validation")
    assert again.code == 65
    assert "1 pass" in again.stdout
    assert again.sidecar("good")["Quality"]["verdict"] == "pass"


def test_images_of_later_batches_are_in_the_table_too(
    real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_bad_dataset(tmp_path / "bad", t1w(real_data, "IXI014"), ["constant"])
    (tmp_path / "bad" / "sub-constant").rename(tmp_path / "bad" / "sub-0")
    scan = tmp_path / "bad" / "sub-0" / "anat"
    next(scan.iterdir()).rename(scan / "sub-0_T1w.nii.gz")
    monkeypatch.setattr(participant, "_BATCH", 1)
    out = tmp_path / "out"
    given = ("--skip-bids-validation", "--stop-on-first-crash")
    code = main([str(tmp_path / "bad"), str(out), "participant", *given])
    ended = Ended(tmp_path / "bad", out, code, "", "")
    assert code == 65
    rows = outcomes(ended)
    assert set(rows) == {"0", "good"}
    assert rows["good"]["status"] == "failed"
    assert rows["good"]["reason"].startswith("Not finished: --stop-on-first-crash")


def test_images_that_take_long_to_judge(real_data: Path, tmp_path: Path) -> None:
    names = [name for name in CASES if name not in FAST]
    make_bad_dataset(tmp_path / "bad", t1w(real_data, "IXI014"), names)
    before = tree(tmp_path / "bad")
    run = run_app(tmp_path / "bad", tmp_path / "out", "--skip-bids-validation")
    assert run.code in (0, 65)
    for name in names:
        check(name, CASES[name], run)
    assert tree(tmp_path / "bad") == before
