"""Folders and files may have any name, at both levels; and no result tells where they lie."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from bidsapp.cli import main
from tests.integration.conftest import ODD
from tests.integration.group_studies import (
    GRIDS,
    SPACE,
    affine_of,
    make_study,
    save,
    table_of,
)
from tests.integration.running import Ended, telling

WORK = "-work %s"
FEW = ("saliency.permutations=0", "evaluation.bootstrap=100", "training.epochs=1")


def make_odd_study(root: Path) -> None:
    """Write a study with an atlas, derivatives of another pipeline and a damaged image."""
    make_study(root, 8)
    prep = root / "-prep %d"
    prep.mkdir()
    shutil.move(root / "out" / "sub-00", prep / "sub-00")
    mask = prep / "sub-00" / "anat" / f"sub-00_space-{SPACE}_res-2_desc-brain_mask.nii.gz"
    save(mask, np.ones(GRIDS[2], np.uint8), affine_of(2))
    (damaged,) = (root / "out" / "sub-02").rglob("*_desc-preproc_T1w.nii.gz")
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    labels = np.zeros(GRIDS[2], np.int16)
    labels[30:50, 40:60, 30:50] = 1
    save(root / "atlas %d [1].nii.gz", labels, affine_of(2))
    (root / "atlas %d [1].tsv").write_text("index\tname\n1\tspot\n")


@pytest.fixture(scope="module")
def odd(once) -> Path:  # type: ignore[no-untyped-def]
    """A study whose every path is odd, after a group run that was started inside of it."""

    def work(folder: Path) -> int:
        root = folder / ODD
        make_odd_study(root)
        arguments = ["--recipe", "small.yaml", "--device", "cpu", "--nprocs", "1"]
        arguments += [f"--work-dir={WORK}", "--atlas", "atlas %d [1].nii.gz"]
        arguments += ["-d", "prep=-prep %d", "--anonymous-bundle", "--set", *FEW]
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(root)
            patch.setenv("HOME", str(folder / "home" / "alicia"))
            patch.setenv("LOGNAME", "alicia")
            return main([*arguments, "--", "bids", "out", "group"])

    folder, code = once("odd_group", work)
    assert code == 0
    return folder / ODD


def test_a_group_run_in_odd_folders_is_whole(odd: Path) -> None:
    run = odd / "out" / "group" / "small"
    assert (run / "report.html").is_file()
    assert len(list((run / "saliency" / "base").glob("sub-*/anat/*_statmap.nii.gz"))) == 7
    regions = table_of(next((run / "saliency" / "base").rglob("*regions*.tsv")))
    assert "spot" in set(regions["region"])
    assert {path.name for path in odd.iterdir()} == {
        *("bids", "out", "small.yaml", WORK, "-prep %d", "atlas %d [1].nii.gz", "atlas %d [1].tsv")
    }


def test_a_damaged_image_is_left_out_by_name_and_not_trained_on(odd: Path) -> None:
    run = odd / "out" / "group" / "small"
    left_out = table_of(run / "exclusions.tsv").set_index("participant_id")
    assert left_out.loc["sub-02", "reason"] == "image not readable"
    assert left_out.loc["sub-02", "detail"].startswith("<output_dir>/sub-02/anat/sub-02_space-")
    assert "damaged" in left_out.loc["sub-02", "detail"]
    assert "sub-02" not in set(table_of(run / "cohort.tsv")["participant_id"])


def test_no_result_of_the_group_level_tells_where_files_lie(odd: Path) -> None:
    secrets = (odd.parent.name, str(odd.parents[1]), ODD, "alicia")
    assert telling(odd / "out", *secrets) == []


def test_an_anonymous_bundle_lists_no_images(odd: Path) -> None:
    bundle = odd / "out" / "group" / "small" / "model" / "base"
    assert not (bundle / "configs" / "training_images.json").exists()
    cohort = table_of(bundle.parents[1] / "cohort.tsv")
    for path in bundle.rglob("*.*"):
        assert not any(digest.encode() in path.read_bytes() for digest in cohort["sha256"])
    card = " ".join((bundle / "docs" / "README.md").read_text().split())
    assert "lists no hashes of the images" in card
    assert "training_images.json" not in card


def test_no_result_of_the_participant_level_tells_where_files_lie(heads: Ended) -> None:
    assert heads.code == 0, heads.said
    folder = heads.output_dir.parents[1]
    # its name is a plain word of English; in a path it stands between slashes
    assert telling(heads.output_dir, f"/{folder.name}/", str(folder.parent), ODD) == []
    assert "&lt;bids_dir&gt;" in (heads.output_dir / "sub-ras.html").read_text()
