"""BOLD of other pipelines: each one's names are found, what cannot be used is named and why."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from bidsapp.cli import main
from bidsapp.contracts.modality import modality_named
from bidsapp.dataset.normalized import NormalizedSearch, Wanted
from bidsapp.errors import BadData, NoInput, UsageError
from bidsapp.modalities.bold.conform import conform_scan, conform_series
from bidsapp.modalities.bold.confounds import MOTION
from bidsapp.modalities.bold.elsewhere import find_derivatives
from bidsapp.modalities.bold.settings import BoldPreparation
from bidsapp.modalities.bold.strategies import STRATEGIES

AFFINE = np.diag([10.0, 10, 10, 1])
AFFINE[:3, 3] = -78, -112, -70
SHAPE, VOLUMES, TR = (16, 19, 16), 120, 2.0
PLACE = "space-MNI152NLin2009aSym_res-10"
FMRIPREP = f"sub-01_task-rest_{PLACE}_desc-preproc_bold.nii.gz"
CONFOUNDS = "sub-01_task-rest_desc-confounds_timeseries.tsv"
MASK = f"sub-01_task-rest_{PLACE}_desc-brain_mask.nii.gz"


def _brain() -> np.ndarray:
    there = np.moveaxis(np.indices(SHAPE), 0, -1) @ AFFINE[:3, :3] + AFFINE[:3, 3]
    return ((there / [70, 85, 65]) ** 2).sum(axis=-1) < 1


def _series(seed: int = 0, volumes: int = VOLUMES) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (1000 + rng.normal(0, 10, (*SHAPE, volumes))).astype(np.float32) * _brain()[..., None]


def _confounds(volumes: int = VOLUMES) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    table = pd.DataFrame(rng.normal(0, 0.1, (volumes, 6)), columns=list(MOTION))
    for column in MOTION:
        table[f"{column}_derivative1"] = table[column].diff()
    for prefix in ("w_comp_cor_", "c_comp_cor_"):
        for number in range(5):
            table[f"{prefix}{number:02d}"] = rng.normal(size=volumes)
    for column in ("white_matter", "csf"):
        table[column] = rng.normal(size=volumes)
    table["framewise_displacement"] = np.r_[np.nan, rng.uniform(0.05, 0.2, volumes - 1)]
    table["std_dvars"] = np.r_[np.nan, rng.uniform(0.8, 1.2, volumes - 1)]
    return table


def _save(path: Path, data: np.ndarray, tr: float = TR) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(data, AFFINE)
    image.header.set_xyzt_units("mm", "sec")
    if data.ndim == 4:
        image.header.set_zooms((10, 10, 10, tr))
    image.to_filename(path)
    return path


def _write(path: Path, table: pd.DataFrame) -> None:
    table.to_csv(path, sep="\t", index=False, na_rep="n/a")


def _dataset(root: Path, name: str = FMRIPREP, folder: str = "func") -> Path:
    """One person as fMRIPrep leaves them, the series under another pipeline's name if wanted."""
    (root / "dataset_description.json").parent.mkdir(parents=True, exist_ok=True)
    (root / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.9.0"}')
    place = root / "sub-01" / folder
    _save(place / name, _series())
    (place / f"{name.removesuffix('.nii.gz')}.json").write_text(json.dumps({"RepetitionTime": TR}))
    _save(place / MASK, _brain().astype(np.uint8))
    _write(place / CONFOUNDS, _confounds())
    return place


def _settings(**values: Any) -> dict[str, Any]:
    given = {"resolution": 10, "confounds": "conn", "smoothing_fwhm_mm": 0} | values
    return BoldPreparation(**given).model_dump(mode="json")


def _found(root: Path, **values: Any) -> NormalizedSearch:
    labels = {"space": "MNI152NLin2009aSym", "res": "10"}
    return find_derivatives("x", root, Wanted(modality_named("bold"), labels, _settings(**values)))


NAMES = {
    "fMRIPrep": (FMRIPREP, "func", {}),
    "fMRIPrep, another space": (
        FMRIPREP.replace("2009aSym", "2009cAsym"),
        "func",
        {"other_spaces": ("MNI152NLin2009cAsym",)},
    ),
    "HALFpipe": (
        "sub-01_task-rest_setting-preproc_bold.nii.gz",
        "func/task-rest",
        {"other_spaces": ("MNI152NLin2009cAsym",)},
    ),
    "XCP-D": (f"sub-01_task-rest_{PLACE}_desc-denoised_bold.nii.gz", "func", {}),
}


@pytest.mark.parametrize("pipeline", NAMES)
def test_a_series_is_found_under_the_names_of_its_pipeline(pipeline: str, tmp_path: Path) -> None:
    name, folder, values = NAMES[pipeline]
    _dataset(tmp_path, name, folder)
    found = _found(tmp_path, **values)
    assert not found.unusable
    (image,) = found.images.values()
    assert image.image.name == name
    assert dict(image.quality_numbers)["fd_mean"] == pytest.approx(0.125, abs=0.03)


def test_a_series_that_can_still_be_denoised_comes_before_a_denoised_one(tmp_path: Path) -> None:
    place = _dataset(tmp_path)
    _save(place / NAMES["XCP-D"][0], _series(3))
    (image,) = _found(tmp_path).images.values()
    assert image.image.name == FMRIPREP


def test_what_was_found_is_denoised_as_nilearn_does_on_the_recipes_grid(tmp_path: Path) -> None:
    from nilearn.signal import clean

    place = _dataset(tmp_path / "d")
    mask = _save(tmp_path / "mask.nii.gz", _brain().astype(np.uint8))
    path = conform_series(place / FMRIPREP, tmp_path / "d", mask, _settings(), tmp_path / "out")
    own = nib.Nifti1Image.load(path).get_fdata()[_brain()].T
    table = _confounds()
    strategy = STRATEGIES["conn"]
    assert strategy.derivatives
    assert strategy.compcor == 5
    chosen = [c for c in map(str, table) if c.startswith(("trans_", "rot_", "w_comp", "c_comp"))]
    values = table[chosen].bfill().to_numpy()
    theirs = clean(
        _series()[_brain()].T.astype(float),
        detrend=True, standardize=None, confounds=values, low_pass=0.09, high_pass=0.008, t_r=TR,
    )  # fmt: skip
    assert own.shape == theirs.shape
    assert np.corrcoef(own.ravel(), theirs.ravel())[0, 1] > 0.999


STORED = ("LAS", "PSR", "LPI", "SAR")  # the first as SPM and CONN write


def _conformed(tmp_path: Path, name: str, data: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Values of a person's series on the recipe's grid."""
    place = _dataset(tmp_path / name)
    image = nib.Nifti1Image(data, affine)
    image.header.set_xyzt_units("mm", "sec")
    image.header.set_zooms((10, 10, 10, TR))
    image.to_filename(place / FMRIPREP)
    mask = _save(tmp_path / "mask.nii.gz", _brain().astype(np.uint8))
    path = conform_series(place / FMRIPREP, tmp_path / name, mask, _settings(), tmp_path / "out")
    return np.asarray(nib.Nifti1Image.load(path).dataobj)


@pytest.mark.parametrize("order", STORED)
def test_in_whatever_order_its_voxels_are_stored_a_series_stays_at_its_millimetres(
    order: str, tmp_path: Path
) -> None:
    from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform

    data = _series()
    image = nib.Nifti1Image(data, AFFINE)
    turn = ornt_transform(io_orientation(AFFINE), axcodes2ornt(tuple(order)))
    turned = image.as_reoriented(turn)
    assert "".join(nib.aff2axcodes(turned.affine)) == order
    plain = _conformed(tmp_path, "plain", data, AFFINE)
    other = _conformed(tmp_path, "other", np.asarray(turned.dataobj), turned.affine)
    assert np.ptp(plain, axis=-1)[_brain()].min() > 0
    np.testing.assert_array_equal(other, plain)
    assert not np.array_equal(plain[::-1], plain)


def test_a_series_in_a_box_that_lies_elsewhere_is_read_at_its_millimetres(tmp_path: Path) -> None:
    data, moved = _series(), np.zeros((*SHAPE, VOLUMES), np.float32)
    aside = AFFINE.copy()
    aside[0, 3] += 20
    moved[2:] = data[:-2]
    # the oracle is the same head written on the recipe's own grid
    expected = _conformed(tmp_path, "moved", moved, AFFINE)
    np.testing.assert_array_equal(_conformed(tmp_path, "aside", data, aside), expected)
    assert not np.array_equal(_conformed(tmp_path, "plain", data, AFFINE), expected)
    # a smaller box about the head
    part = data[1:15, 2:17, 1:]
    cut = AFFINE.copy()
    cut[:3, 3] += 10, 20, 10
    whole = np.zeros_like(data)
    whole[1:15, 2:17, 1:] = part
    np.testing.assert_array_equal(
        _conformed(tmp_path, "part", part, cut), _conformed(tmp_path, "whole", whole, AFFINE)
    )
    aside[0, 3] += 180
    with pytest.raises(BadData, match=": 0% of the template's brain hold a series that changes"):
        _conformed(tmp_path, "away", data, aside)


Change = Callable[[Path], None]


def _table(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Change:
    return lambda place: _write(place / CONFOUNDS, change(_confounds()))


def _json(**values: Any) -> Change:
    path = FMRIPREP.removesuffix(".nii.gz") + ".json"
    return lambda place: (place / path).write_text(json.dumps(values)) and None


def _half(place: Path) -> None:
    mask = _brain()
    mask[:8] = False
    mask[:, :8] = False
    _save(place / MASK, mask.astype(np.uint8))


def _aside(place: Path) -> None:
    affine = AFFINE.copy()
    affine[2, 3] += 30
    nib.Nifti1Image(_brain().astype(np.uint8), affine).to_filename(place / MASK)


BAD: dict[str, tuple[Change, str]] = {
    "three volumes": (
        lambda place: _save(place / FMRIPREP, _series(volumes=3)) and None,
        r"shape \(16, 19, 16, 3\); a series of at least",
    ),
    "one volume": (
        lambda place: _save(place / FMRIPREP, _series()[..., 0]) and None,
        r"shape \(16, 19, 16\); a series",
    ),
    "cut short": (
        lambda place: (place / FMRIPREP).write_bytes(b"\x1f\x8b no") and None,
        "damaged or cut short",
    ),
    "times that contradict": (_json(RepetitionTime=1.5), "1.5"),
    "a broken JSON file": (
        lambda place: (place / FMRIPREP.replace(".nii.gz", ".json")).write_text("{") and None,
        r"sub-01/func/sub-01_.*json: a JSON object was expected",
    ),
    "a width that is a text": (
        _json(RepetitionTime=TR, SmoothingFWHM="6 mm"),
        r"SmoothingFWHM in its JSON is '6 mm'; millimetres",
    ),
    "milliseconds for seconds": (_json(RepetitionTime=2000), "2000"),
    "no confounds": (
        lambda place: (place / CONFOUNDS).unlink(),
        "no desc-confounds_timeseries.tsv beside it",
    ),
    "rows of another run": (_table(lambda t: t[:-2]), "118 rows.* 120 volumes"),
    "no number in the middle": (
        _table(lambda t: t.assign(rot_x=t["rot_x"].where(t.index != 7))),
        "column rot_x has no number in row 8",
    ),
    "columns missing": (_table(lambda t: t.drop(columns="w_comp_cor_03")), "w_comp_cor_03"),
    "all volumes scrubbed": (
        _table(lambda t: t.assign(framewise_displacement=3.0)),
        "0 of 120 volumes are left after scrubbing",
    ),
    "half a brain": (_half, r"holds \d+ ml; a brain in MNI space has 1,700"),
    "mask of another grid": (
        lambda place: _save(place / MASK, np.ones((4, 4, 4), np.uint8)) and None,
        r"shape \(4, 4, 4\)",
    ),
    "mask that lies elsewhere": (_aside, r"_mask\.nii\.gz lies 30 mm away from sub-01_.*_bold"),
}


def test_a_mask_may_be_stored_in_another_order(tmp_path: Path) -> None:
    place = _dataset(tmp_path)
    mask = nib.Nifti1Image(_brain().astype(np.uint8), AFFINE)
    mask.as_reoriented(np.array([[0, -1], [1, 1], [2, 1]])).to_filename(place / MASK)
    assert not _found(tmp_path).unusable


@pytest.mark.parametrize("fault", BAD)
def test_what_cannot_be_used_is_an_exclusion_that_says_why(fault: str, tmp_path: Path) -> None:
    change, message = BAD[fault]
    change(_dataset(tmp_path))
    found = _found(tmp_path)
    assert not found.images
    ((reason, detail),) = found.unusable.values()
    assert reason == "series not usable"
    assert pd.Series([detail]).str.contains(message).all(), detail


@pytest.mark.parametrize(
    "fault", ["half a brain", "all volumes scrubbed", "no number in the middle"]
)
def test_the_command_ends_with_why_nobody_is_left(
    fault: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    BAD[fault][0](_dataset(tmp_path / "other"))
    code = _group(tmp_path)
    said = "".join(capfd.readouterr())
    assert code == 65, said
    assert re.search(BAD[fault][1], said), said
    assert not list((tmp_path / "out").rglob("scores.tsv"))


def test_the_command_names_the_spaces_of_a_folder_that_has_not_the_recipes(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    _dataset(tmp_path / "other", FMRIPREP.replace("2009aSym", "6Asym"))
    assert _group(tmp_path) == 64
    said = "".join(capfd.readouterr())
    assert re.search(r"spaces there: MNI152NLin6Asym.*other_spaces", said), said
    assert not list((tmp_path / "out").rglob("scores.tsv"))


@pytest.mark.parametrize("pipeline", ["fMRIPrep", "HALFpipe"])
def test_who_has_other_spaces_alone_is_told_which_and_what_to_do(
    pipeline: str, tmp_path: Path
) -> None:
    name, folder, _ = NAMES[pipeline]
    other = "MNI152NLin2009cAsym" if pipeline == "HALFpipe" else "MNI152NLin6Asym"
    root = tmp_path / "prep"
    _dataset(root)
    series = name.replace("sub-01", "sub-02").replace("2009aSym", "6Asym")
    _save(root / "sub-02" / folder / series, _series(1))
    found = _found(root)
    assert list(found.images) == [("sub-01", "")]
    assert not found.unusable
    told = found.passed_over["sub-02", ""]
    assert told.startswith(
        f"-d x={root} has bold in space {other} and none in MNI152NLin2009aSym: name it under "
        "preparation.other_spaces if"
    )


def test_the_table_of_exclusions_names_the_spaces_and_the_folder(tmp_path: Path) -> None:
    from types import SimpleNamespace

    from bidsapp.dataset.cohort import build_cohort

    raw, root = tmp_path / "raw", tmp_path / "prep"
    raw.mkdir()
    rows = "".join(f"sub-0{number}\t{number % 2}\n" for number in (1, 2, 3))
    (raw / "participants.tsv").write_text(f"participant_id\tpain\n{rows}")
    for number in (1, 2, 3):
        space = "6Asym" if number == 3 else "2009aSym"
        for name, data in ((FMRIPREP, _series(number)), (MASK, _brain().astype(np.uint8))):
            name = name.replace("sub-01", f"sub-0{number}").replace("2009aSym", space)
            _save(root / f"sub-0{number}" / "func" / name, data)
        table = CONFOUNDS.replace("sub-01", f"sub-0{number}")
        _write(root / f"sub-0{number}" / "func" / table, _confounds())
    labels = {"space": "MNI152NLin2009aSym", "res": "10"}
    wanted = Wanted(modality_named("bold"), labels, _settings())
    unset = dict.fromkeys(("expression", "negative", "missing", "rows", "order"))
    rule: Any = SimpleNamespace(column="pain", positive=[1], **unset)
    cohort = build_cohort(raw, tmp_path / "out", rule, wanted=wanted, derivatives={"prep": root})
    assert cohort.table["participant_id"].tolist() == ["sub-01", "sub-02"]
    ((who, _, reason, detail),) = cohort.exclusions.itertuples(index=False)
    assert (who, reason) == ("sub-03", "no prepared image")
    assert detail.startswith(f"-d prep={root} has bold in space MNI152NLin6Asym and none in ")
    assert "preparation.other_spaces" in detail
    assert detail.endswith(f"; none with space-MNI152NLin2009aSym_res-10 in {tmp_path / 'out'}")


def _group(tmp_path: Path) -> int:
    """Run the group level on the series of another folder; the exit code."""
    other, raw = tmp_path / "other", tmp_path / "raw"
    raw.mkdir()
    (raw / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.9.0"}')
    (raw / "participants.tsv").write_text("participant_id\tpain\nsub-01\t1\n")
    maps = _save(tmp_path / "maps.nii.gz", np.stack([_brain()] * 2, axis=-1).astype("f4"))
    words = [raw, tmp_path / "out", "group", "--recipe", "rest", "-d", f"other={other}"]
    words += ["--outcome", "pain", "--positive", "1", "--skip-bids-validation"]
    words += ["-w", tmp_path / "work", "--set", "preparation.resolution=10"]
    words += [
        "preparation.confounds=conn",
        f"representation.fitted.template_components.maps={maps}",
    ]
    return main([str(word) for word in words])


def test_two_runs_are_asked_about_and_a_missing_first_row_is_no_fault(tmp_path: Path) -> None:
    place = _dataset(tmp_path / "one")
    assert pd.isna(_confounds()["trans_x_derivative1"][0])
    assert _found(tmp_path / "one").images
    for run in (1, 2):
        _save(place / FMRIPREP.replace("_space", f"_run-{run}_space"), _series(run))
    (place / FMRIPREP).unlink()
    ((reason, detail),) = _found(tmp_path / "one").unusable.values()
    assert "run-1" in detail
    assert "run-2" in detail
    assert reason


def test_another_space_and_an_empty_folder_end_before_any_work(tmp_path: Path) -> None:
    _dataset(tmp_path / "d", FMRIPREP.replace("2009aSym", "6Asym"))
    with pytest.raises(UsageError, match=r"spaces there: MNI152NLin6Asym.*other_spaces"):
        _found(tmp_path / "d")
    with pytest.raises(NoInput, match="does not exist"):
        _found(tmp_path / "gone")
    (tmp_path / "empty").mkdir()
    with pytest.raises(NoInput, match="no sub-<label> folder"):
        _found(tmp_path / "empty")


def test_voxels_that_do_not_change_are_no_series_of_a_brain(tmp_path: Path) -> None:
    place = _dataset(tmp_path / "d")
    mask = _save(tmp_path / "mask.nii.gz", _brain().astype(np.uint8))
    data = _series()
    data[:, :14] = 1000
    _save(place / FMRIPREP, data)
    arguments = (place / FMRIPREP, tmp_path / "d", mask, _settings(), tmp_path / "out")
    with pytest.raises(BadData, match=r"\d+% of the template's brain hold a series that changes"):
        conform_series(*arguments)
    data = _series()
    data[5, 5, 5, 3] = np.nan
    _save(place / FMRIPREP, data)
    with pytest.raises(BadData, match="holds NaN or infinite values"):
        conform_series(*arguments)


def _own_output(place: Path, **values: Any) -> Path:
    """Put this app's own denoised series beside the one before denoising."""
    settings = _settings(**values)
    path = place / FMRIPREP.replace("preproc", "denoised")
    _save(path, _series(3))
    low, high = settings["band_pass_hz"]
    told = {
        "RepetitionTime": TR,
        "GeneratedWith": {"nocicast": "0.1.0"},
        "Confounds": settings["confounds"],
        "HighpassCutoff": low,
        "LowpassCutoff": high,
        "SmoothingFWHM": settings["smoothing_fwhm_mm"],
    }
    path.with_name(path.name.replace(".nii.gz", ".json")).write_text(json.dumps(told))
    return path


def test_ones_own_output_is_taken_as_it_is_where_it_was_made_as_asked(tmp_path: Path) -> None:
    place = _dataset(tmp_path / "d")
    own = _own_output(place)
    mask = _save(tmp_path / "mask.nii.gz", _brain().astype(np.uint8))
    found = _found(tmp_path / "d")
    (image,) = found.images.values()
    assert image.image == own
    # the very file: its values, and so the scores, are the same
    assert conform_scan(image, mask, _settings(), tmp_path / "out") == image
    # another grid, or other denoising, begins with the series before it
    for values in ({"confounds": "none"}, {"smoothing_fwhm_mm": 5}, {"band_pass_hz": (0.01, 0.1)}):
        (image,) = _found(tmp_path / "d", **values).images.values()
        assert image.image.name == FMRIPREP
