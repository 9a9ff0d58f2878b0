"""What a group run refuses for its maps' sake, before it trains: atlases and covariates."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bidsapp.execution.work import OWN
from tests.integration.group_studies import affine_of, rerun, save

HALVES = np.repeat(np.repeat(np.array([[[1]], [[2]]], np.int16), 40, 1), 40, 2)


def atlas(*names: str, shift: float = 0) -> Callable[[Path], None]:
    """Write atlases of two blocks with a table."""

    def edit(root: Path) -> None:
        affine = affine_of(2)
        affine[:3, 3] += shift
        for name in names:
            save(root / f"{name}.nii.gz", HALVES, affine)
            (root / f"{name}.tsv").write_text("index\tname\n1\tone\n2\ttwo\n")

    return edit


def unreadable(root: Path) -> None:
    (root / "mine.nii.gz").write_text("no image")


REFUSED: dict[str, tuple[Callable[[Path], None], tuple[str, ...], int, tuple[str, ...]]] = {
    "two atlases of one name": (
        atlas("a/mine", "b/mine"),
        ("--atlas", "{study}/a/mine.nii.gz", "{study}/b/mine.nii.gz"),
        64,
        ("a/mine.nii.gz and ", "b/mine.nii.gz would both be called mine", "rename one file"),
    ),
    "the name of one of the app's own": (
        atlas("tissue"),
        ("--atlas", "{study}/tissue.nii.gz"),
        64,
        ("the app's own atlas tissue and ", "tissue.nii.gz would both be called tissue"),
    ),
    "an atlas in another space": (
        atlas("tpl-MNI152NLin6Asym_atlas-A_dseg"),
        ("--atlas", "{study}/tpl-MNI152NLin6Asym_atlas-A_dseg.nii.gz"),
        65,
        ("is in MNI152NLin6Asym, the maps are in MNI152NLin2009aSym",),
    ),
    "an atlas far away": (
        atlas("mine", shift=900),
        ("--atlas", "{study}/mine.nii.gz"),
        65,
        ("mine.nii.gz: none of its labels lies on the grid",),
    ),
    "a file that is no image": (
        *(unreadable, ("--atlas", "{study}/mine.nii.gz"), 65),
        ("mine.nii.gz is not a NIfTI image that can be read",),
    ),
    "an atlas that TemplateFlow has not": (
        *(atlas(), ("--atlas", "Schaefer2018"), 66),
        ("--atlas Schaefer2018: no tpl-MNI152NLin2009aSym_*", "templateflow get"),
    ),
    "participants as a covariate": (
        *(atlas(), ("--set", "saliency.covariates=[age, participant_id]"), 64),
        ("saliency.covariates: participant_id cannot be adjusted for",),
    ),
    "a covariate that is not there": (
        *(atlas(), ("--set", "saliency.covariates=[weight]"), 64),
        ("saliency.covariates: the cohort has no column weight",),
    ),
    "an atlas of a variant alone": (
        *(atlas(), ("--set", "variants.sagittal.saliency.atlases=[/no/a.nii]"), 66),
        ("atlas /no/a.nii: not found",),
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_before_anything_is_trained(
    name: str, study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit, arguments, code, says = REFUSED[name]
    edit(study)
    given = [argument.format(study=study) for argument in arguments]
    work = ("--work-dir", tmp_path / "work")
    assert rerun(study, *work, "--variants", "mean", *given, maps=True) == code
    said = capsys.readouterr().err
    for words in says:
        assert words in said
    assert "Traceback" not in said
    assert not (study / "out" / "group").exists()
    assert not (tmp_path / "work" / OWN / "group").exists()
