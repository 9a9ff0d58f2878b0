"""One cohort in the folders of four pipelines: the command finds it, and scores are the same."""

import json
import shutil
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates

from bidsapp.cli import main
from bidsapp.modalities.bold.conform import conform_series
from bidsapp.modalities.bold.confounds import MOTION
from bidsapp.recipes import load_recipe
from tests.unit.test_bold_elsewhere import AFFINE, SHAPE, TR, _brain, _confounds, _save, _write

pytestmark = pytest.mark.slow

PEOPLE, VOLUMES, PLANTED = 12, 160, 1
CENTRES = ((-30.0, -60, 30), (30, -10, 10), (-20, 40, 0), (10, -40, -30))
# Where fMRIPrep's voxels lie: none of them at the centre of one of the recipe's.
OWN_GRID = AFFINE.copy()
OWN_GRID[:3, 3] += (3.0, -2.0, 4.0)
HALFPIPE = "sub-{}_task-rest_setting-preproc_bold"
PLACE = "space-MNI152NLin2009cAsym_res-10"


def _points(affine: np.ndarray) -> np.ndarray:
    grid = np.moveaxis(np.indices(SHAPE), 0, -1)
    return np.asarray(grid @ affine[:3, :3].T + affine[:3, 3])


def _networks() -> np.ndarray:
    away = ((_points(AFFINE) - np.array(CENTRES)[:, None, None, None]) ** 2).sum(axis=-1)
    return np.exp(-0.5 * away / 18.0**2)


def _series(number: int) -> np.ndarray:
    """Four networks, one of them stronger in every other person, in noise and motion."""
    rng = np.random.default_rng([number, 7])
    strength = rng.uniform(0.8, 1.2, len(CENTRES))
    strength[PLANTED] *= 1 + number % 2
    courses = gaussian_filter(rng.standard_normal((VOLUMES, len(CENTRES))), (3, 0)) * 60
    noise = gaussian_filter(rng.standard_normal((*SHAPE, VOLUMES)), (1, 1, 1, 0)) * 60
    table = _table(number)
    moved = np.einsum("xyz,t->xyzt", gaussian_filter(rng.normal(size=SHAPE), 2), table["trans_x"])
    signal = np.einsum("tc,cxyz->xyzt", courses * strength, _networks())
    return np.asarray((1000 + signal + noise + 500 * moved) * _brain()[..., None], np.float32)


def _table(number: int) -> pd.DataFrame:
    """Confounds with the squares that 24P needs, n/a in the first row where there is none."""
    table = _confounds(VOLUMES)
    table["framewise_displacement"] *= 1 + number / PEOPLE
    for column in (*MOTION, *[f"{name}_derivative1" for name in MOTION]):
        table[f"{column}_power2"] = table[column] ** 2
    return table


def _about(root: Path, pipeline: str) -> None:
    root.mkdir(exist_ok=True)
    told = {"Name": pipeline, "BIDSVersion": "1.9.0", "GeneratedBy": [{"Name": pipeline}]}
    (root / "dataset_description.json").write_text(json.dumps(told))


def _image(path: Path, data: np.ndarray, affine: np.ndarray = AFFINE) -> None:
    _save(path, data, TR)
    if affine is not AFFINE:
        image = nib.Nifti1Image(data, affine, nib.Nifti1Image.load(path).header)
        image.header.set_sform(affine)
        image.header.set_qform(affine)
        image.to_filename(path)
    path.with_name(path.name.replace(".nii.gz", ".json")).write_text(f'{{"RepetitionTime": {TR}}}')


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lay the people's series into folders as pipelines leave them."""
    root = tmp_path_factory.mktemp("pipelines")
    maps = np.moveaxis(_networks(), 0, -1).astype(np.float32)
    nib.Nifti1Image(maps, AFFINE).to_filename(root / "networks.nii.gz")
    mask = _save(root / "mask.nii.gz", _brain().astype(np.uint8))
    for pipeline in ("bids", "same grid", "fMRIPrep", "HALFpipe", "XCP-D", "another space"):
        _about(root / pipeline, pipeline)
    settings = load_recipe("rest", _asked(root)).preparation.plain()
    places = (np.linalg.inv(OWN_GRID) @ AFFINE).round(6)
    assert not np.allclose(places, np.eye(4))
    at = np.moveaxis(_points(np.linalg.inv(AFFINE) @ OWN_GRID), -1, 0)
    rows = []
    for number in range(PEOPLE):
        who, series = f"{number + 1:02d}", _series(number)
        (root / "bids" / f"sub-{who}").mkdir()
        rows.append((f"sub-{who}", "yes" if number % 2 else "no"))
        stem = f"sub-{who}_task-rest_{PLACE}"
        table = f"sub-{who}_task-rest_desc-confounds_timeseries.tsv"
        func = root / "same grid" / f"sub-{who}" / "func"
        _image(func / f"{stem}_desc-preproc_bold.nii.gz", series)
        _write(func / table, _table(number))
        # fMRIPrep: on a grid of its own, with a mask
        own = root / "fMRIPrep" / f"sub-{who}" / "func"
        moved = [map_coordinates(series[..., t], at, order=3) for t in range(VOLUMES)]
        _image(own / f"{stem}_desc-preproc_bold.nii.gz", np.stack(moved, axis=-1), OWN_GRID)
        seen = map_coordinates(_brain().astype(np.float32), at, order=1) > 0.5
        _image(own / f"{stem}_desc-brain_mask.nii.gz", seen.astype(np.uint8), OWN_GRID)
        shutil.copy(func / table, own / table)
        # HALFpipe: a folder a task, no space in the name
        half = root / "HALFpipe" / f"sub-{who}" / "func" / "task-rest"
        _image(half / f"{HALFPIPE.format(who)}.nii.gz", series)
        name = f"sub-{who}_task-rest_setting-preproc_desc-confounds_regressors.tsv"
        shutil.copy(func / table, half / name)
        # XCP-D: denoised, and framewise displacement alone beside
        preproc = func / f"{stem}_desc-preproc_bold.nii.gz"
        done = conform_series(preproc, root / "same grid", mask, settings, root / "done")
        xcpd = root / "XCP-D" / f"sub-{who}" / "func"
        _image(
            xcpd / f"{stem}_desc-denoised_bold.nii.gz",
            np.float32(nib.Nifti1Image.load(done).get_fdata()),
        )
        motion = _table(number)[["framewise_displacement"]]
        _write(xcpd / f"sub-{who}_task-rest_motion.tsv", motion)
        _image(
            root / "another space" / f"sub-{who}" / "func"
            / f"{stem.replace('2009cAsym', '6Asym')}_desc-preproc_bold.nii.gz",
            series,
        )  # fmt: skip
    people = pd.DataFrame(rows, columns=["participant_id", "responder"])
    people.to_csv(root / "bids" / "participants.tsv", sep="\t", index=False)
    return root


def _asked(root: Path) -> list[str]:
    return [
        f"representation.fitted.template_components.maps={root / 'networks.nii.gz'}",
        "preparation.resolution=10",
        "preparation.other_spaces=[MNI152NLin2009cAsym]",
        "preparation.smoothing_fwhm_mm=0",
        "protocol={kind: kfold, folds: 3, seed: 0}",
        "evaluation.tests=[]",
        "evaluation.baselines=[motion]",
        "evaluation.bootstrap=50",
    ]


def _run(root: Path, pipeline: str, *more: str) -> int:
    words: tuple[Any, ...] = (
        *(root / "bids", root / f"out {pipeline}", "group", "--recipe", "rest", "--no-saliency"),
        *("--outcome", "responder", "--positive", "yes", "--set", *_asked(root)),
        *("-d", f"other={root / pipeline}", "-w", root / "work"),
        *("--nprocs", 1, "--omp-nthreads", 1, "--nipype-plugin", "Linear", *more),
    )
    return main([str(word) for word in words])


def _scores(root: Path, pipeline: str) -> pd.Series:
    table = pd.read_csv(root / f"out {pipeline}/group/rest/scores.tsv", sep="\t")
    return table.set_index("participant_id")["probability"].sort_index()


def test_four_pipelines_give_the_same_scores(cohort: Path) -> None:
    for pipeline in ("same grid", "fMRIPrep", "HALFpipe", "XCP-D"):
        assert _run(cohort, pipeline) == 0, pipeline
    expected = _scores(cohort, "same grid")
    assert len(expected) == PEOPLE
    responder = np.arange(PEOPLE) % 2 == 1
    ahead = expected.to_numpy()[responder][:, None] > expected.to_numpy()[~responder]
    assert ahead.mean() > 0.9
    # the same series under HALFpipe's names: the same scores
    pd.testing.assert_series_equal(_scores(cohort, "HALFpipe"), expected)
    # denoised by XCP-D: its trend is taken off, and it is written in two bytes, once more
    assert (_scores(cohort, "XCP-D") - expected).abs().max() < 0.03
    # read off fMRIPrep's grid onto the recipe's: what a resampling does
    other = _scores(cohort, "fMRIPrep")
    assert np.corrcoef(other, expected)[0, 1] > 0.98
    assert (other - expected).abs().max() < 0.15
    # the head's motion is read from the confounds of each
    for pipeline in ("fMRIPrep", "HALFpipe", "XCP-D"):
        run = cohort / f"out {pipeline}/group/rest"
        measured = pd.read_csv(run / "measures.tsv", sep="\t")
        assert measured["quality_fd_mean"].between(0.1, 0.3).all(), pipeline
        assert "motion" in set(pd.read_csv(run / "metrics.tsv", sep="\t")["variant"]), pipeline


def test_a_folder_in_another_space_ends_the_command_before_any_work(
    cohort: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(cohort, "another space") == 64
    said = capsys.readouterr().err
    assert "spaces there: MNI152NLin6Asym" in said
    assert "preparation.other_spaces" in said
    assert not (cohort / "out another space/group/rest/scores.tsv").exists()


def _spoil(root: Path) -> None:
    """Spoil four people of fMRIPrep's folder."""
    shutil.copytree(root / "fMRIPrep", root / "spoiled")

    def file(number: int, end: str) -> Path:
        (path,) = (root / f"spoiled/sub-{number:02d}/func").glob(f"*{end}")
        return path

    half = nib.Nifti1Image.load(file(1, "mask.nii.gz")).get_fdata().astype(np.uint8)
    half[:8], half[:, :9] = 0, 0
    _image(file(1, "mask.nii.gz"), half, OWN_GRID)
    for number, change in (
        (2, {"framewise_displacement": 3.0}),
        (3, {"rot_x": _table(3)["rot_x"].where(np.arange(VOLUMES) != 7)}),
    ):
        _write(file(number, "timeseries.tsv"), _table(number).assign(**change))
    short = nib.Nifti1Image.load(file(4, "bold.nii.gz")).get_fdata()[..., :3].astype(np.float32)
    _image(file(4, "bold.nii.gz"), short, OWN_GRID)


def test_people_who_cannot_be_used_are_left_out_and_the_command_says_why(cohort: Path) -> None:
    _spoil(cohort)
    asked = ["--set", *_asked(cohort), "preparation.confounds=conn"]
    assert _run(cohort, "spoiled", *asked) == 0
    table = pd.read_csv(cohort / "out spoiled/group/rest/exclusions.tsv", sep="\t")
    why = table.set_index("participant_id").apply(lambda row: " ".join(map(str, row)), axis=1)
    for who, message in {
        "sub-01": "ml; a brain in MNI space has 1,700",
        "sub-02": f"0 of {VOLUMES} volumes are left after scrubbing",
        "sub-03": "rot_x has no number in row 8",
        "sub-04": "a series of at least 20 volumes",
    }.items():
        assert message in why[who]
    # n/a in the first row, as fMRIPrep writes it, is no fault
    assert len(why) == 4
    assert _table(5)["trans_x_derivative1"].isna()[0]
    assert len(_scores(cohort, "spoiled")) == PEOPLE - 4
