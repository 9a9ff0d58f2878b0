"""Several runs of one person: each prepared by itself, joined by a rule, refused where it fails."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from bidsapp.cli import main
from bidsapp.contracts.prepared import Made, Prepared, Provenance, UnitPage
from bidsapp.contracts.product import OutputNames
from bidsapp.intake.images import read_numbers
from bidsapp.modalities.bold.alignment import Aligned
from bidsapp.modalities.bold.boundary import Placed
from bidsapp.modalities.bold.cleaning import Cleaned
from bidsapp.modalities.bold.confounds import MOTION, Confounds
from bidsapp.modalities.bold.field import Susceptibility, none_because
from bidsapp.modalities.bold.files import write_map, write_series, write_table
from bidsapp.modalities.bold.measures import MEASURES
from bidsapp.modalities.bold.motion import Motion
from bidsapp.modalities.bold.page import write_series_page
from bidsapp.modalities.bold.phantom import make_rest_phantom
from bidsapp.modalities.bold.products import PRODUCTS
from bidsapp.modalities.bold.reading import Run
from bidsapp.modalities.bold.runs import PreparedRun, _quality, _table, joined, told_of
from bidsapp.modalities.bold.settings import BoldPreparation
from bidsapp.modalities.bold.steps import Standard
from bidsapp.modalities.bold.susceptibility import Displacement
from bidsapp.modalities.bold.timing import Timing, timing_of
from bidsapp.modalities.bold.words import series_words
from tests.unit.report_pages import Page

STEM = "sub-01/func/sub-01_task-rest"
SIDES_UNKNOWN = "The header does not say what is left and right."


def _bold(path: Path, tr: float = 2.0, volumes: int = 200) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(np.ones((16, 18, 14, volumes), "f4"), np.diag([8.0, 8, 8, 1]))
    image.header.set_xyzt_units("mm", "sec")
    image.header["pixdim"][4] = tr
    image.to_filename(path)
    told = json.dumps({"RepetitionTime": tr, "TaskName": "rest"})
    path.with_name(path.name.replace(".nii.gz", ".json")).write_text(told)


def _command(root: Path, *more: str, out: str = "out") -> int:
    words = [str(root / "bids"), str(root / out), "participant", "--recipe", "teh2022"]
    words += ["-w", str(root / "work"), "--nprocs", "1", "--nipype-plugin", "Linear"]
    return main([*words, "--skip-bids-validation", *more])


@pytest.mark.parametrize(
    ("second", "tr", "asked", "code", "message"),
    [
        ("_run-2", 2.0, (), 64, "--set preparation.runs=join joins runs"),
        ("_run-2", 3.0, ("--set", "preparation.runs=join"), 65, "3 s lie between volumes, 2 s in"),
        ("_acq-x_run-2", 2.0, ("--set", "preparation.runs=join"), 64, "these differ in acquisi"),
    ],
)
def test_runs_that_cannot_be_joined_are_refused_before_any_work(
    second: str,
    tr: float,
    asked: tuple[str, ...],
    code: int,
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _bold(tmp_path / f"bids/{STEM}_run-1_bold.nii.gz")
    _bold(tmp_path / f"bids/{STEM}{second}_bold.nii.gz", tr)
    _bold(tmp_path / "bids/sub-01/anat/sub-01_T1w.nii.gz")
    told = {"Name": "x", "BIDSVersion": "1.10.0", "DatasetType": "raw"}
    (tmp_path / "bids/dataset_description.json").write_text(json.dumps(told))
    assert _command(tmp_path, *asked) == code
    assert message in "".join(capsys.readouterr())
    assert not list((tmp_path / "out").glob("sub-*"))


def test_confounds_of_runs_stand_one_below_the_other() -> None:
    one, two = (
        pd.DataFrame(
            {
                "trans_x": np.arange(4.0) + 10 * n,
                "trans_x_derivative1": [np.nan, 1, 1, 1],
                "non_steady_state_outlier00": [1.0, 0, 0, 0],
                "motion_outlier00": [0.0, 0, 1, 0],
            }
        )
        for n in (1, 2)
    )
    found = _table([one, two])
    assert found["trans_x"].tolist() == [10, 11, 12, 13, 20, 21, 22, 23]
    assert np.isnan(found["trans_x_derivative1"][0])
    assert found["trans_x_derivative1"][4] == 0
    assert found.iloc[1:].notna().all(axis=None)
    spikes = {name: found[name].to_numpy().nonzero()[0].tolist() for name in found if "out" in name}
    assert spikes == {
        "non_steady_state_outlier00": [0],
        "non_steady_state_outlier01": [4],
        "motion_outlier00": [2],
        "motion_outlier01": [6],
    }


def test_of_joined_runs_times_add_up_and_the_worst_fit_counts() -> None:
    good: dict[str, Any] = {
        "fd_mean": 0.1, "displacement_max": 1.0, "fd_over": 0.0, "minutes_left": 5.0,
        "freedom": 40, "std_dvars": 1.0, "tsnr": 60.0, "brain_dice": 0.97, "template_dice": 0.95,
        "mutual_information": 1.1, "coverage": 0.99, "ghosting": None,
    }  # fmt: skip
    other = good | {"fd_mean": 0.4, "brain_dice": 0.7, "displacement_max": 2.0, "ghosting": 0.02}
    found = _quality([good, other], [100, 300])
    assert found["fd_mean"] == pytest.approx(0.325)
    assert (found["minutes_left"], found["freedom"]) == (10.0, 80)
    assert (found["brain_dice"], found["displacement_max"], found["ghosting"]) == (0.7, 2.0, 0.02)
    assert found["verdict"] == "fail"
    assert any("Dice" in reason for reason in found["reasons"])


def _prepared(noise: np.ndarray, gain: float, kept: np.ndarray) -> PreparedRun:
    covered = np.ones(noise.shape[1], bool)
    covered[0] = False
    levels = np.linspace(600, 1000, noise.shape[1], dtype="f4")
    series = (gain * (levels + 5 * noise)).astype("f4")
    cleaned = Cleaned((gain * 5 * noise[kept]).astype("f4"), kept, 10)
    standard: Any = Standard(
        np.ones(0, bool), np.eye(4), series, covered, covered, covered, covered
    )
    confounds = Confounds(pd.DataFrame({"trans_x": np.zeros(len(noise))}), {})
    whole: Any = None
    return PreparedRun(whole, whole, standard, confounds, cleaned, {}, [], {}, (len(noise),))


def test_a_run_of_another_gain_weighs_as_much_as_the_first_and_rounds_it_no_more(
    tmp_path: Path,
) -> None:
    mask = np.zeros((12, 12, 12), bool)
    mask[2:10, 2:10, 2:10] = True
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((70, int(mask.sum()))).astype("f4")
    kept = [np.arange(2, 40), np.arange(1, 30)]
    runs = [_prepared(noise[:40], 1, kept[0]), _prepared(noise[40:], 2, kept[1])]
    one = joined(runs)
    assert one.kept_of_runs() == (38, 29)
    assert any("times 1.000, 0.5" in note for note in one.notes)
    inside = one.standard.covered
    spread = [part[:, inside].std() for part in np.split(one.cleaned.series, [38])]
    assert spread[1] / spread[0] == pytest.approx(1, abs=0.02)
    levels = [part[:, inside].mean() for part in np.split(one.standard.series, [40])]
    assert levels[1] / levels[0] == pytest.approx(1, abs=0.002)
    # without a common level what is written of the first run may still lose no more to rounding
    runs[1].standard.series[:] += 400
    apart = np.concatenate([run.standard.series for run in runs])
    write_series(tmp_path / "s.nii.gz", apart, mask, np.eye(4), 2.0, (40, 30))
    lost = read_numbers(tmp_path / "s.nii.gz")[0][mask].T[:40] - runs[0].standard.series
    assert lost.var() < 0.005 * 25


def test_a_run_without_a_number_lends_its_volumes_to_no_other() -> None:
    blocks: list[dict[str, Any]] = [{"fd_mean": value} for value in (None, 0.1, 0.4)]
    assert _quality(blocks, [1000, 100, 300])["fd_mean"] == pytest.approx(0.325)


def _run(
    field: Susceptibility, sliced: bool, place_mm: float, method: str = "information"
) -> PreparedRun:
    """A run of 30 volumes of 27 voxels, with what its own steps found."""
    rng = np.random.default_rng(int(place_mm))
    every, series = np.ones(27, bool), rng.standard_normal((30, 27)).astype("f4")
    mask = np.ones((3, 3, 3), bool)
    timing = Timing(2.0, np.linspace(0, 1.8, 3) if sliced else None, 2)
    run = Run(np.zeros((3, 3, 3, 0), "f4"), np.eye(4), timing, (1, 1), [])
    motion = Motion(np.tile(np.eye(4), (30, 1, 1)), np.ones((3, 3, 3), "f4"), np.zeros(3))
    to_series = np.eye(4)
    to_series[0, 3] = place_mm
    aligned = Aligned(motion, mask, mask, Placed(to_series, method), 0, field)
    quality = dict.fromkeys((one.key for one in MEASURES), None) | {"brain_dice": place_mm / 10}
    about = {"Method": "aCompCor", "Mask": "CSF", "Retained": True, "SingularValue": place_mm}
    return PreparedRun(
        *(run, aligned, Standard(mask, np.eye(4), series, *[every] * 4)),
        Confounds(pd.DataFrame({"trans_x": np.zeros(30)}), {"c_comp_cor_00": about}),
        Cleaned(series, np.arange(30), 20),
        *(quality, [], {}, (30,), (told_of(run, aligned, f"run {place_mm:g}", quality),)),
        means=(series.mean(axis=0),),
    )


def _sidecars(made: PreparedRun) -> dict[str, dict[str, Any]]:
    facts = {
        "timing": {"tr": 2.0},
        "runs": made.told,
        "volumes": made.volumes,
        "confounds": "conn",
        "kept": [],
        "about_confounds": made.confounds.about,
    }
    settings = BoldPreparation().model_dump(mode="json")
    about = Made(_names(), Provenance({}, "", settings), facts)
    return {
        one.key: json.loads(json.dumps(one.sidecar(about)))
        for one in PRODUCTS
        if one.key in ("denoised", "preproc", "to_t1w", "confounds", "run_means")
    }


def _names() -> OutputNames:
    labels = {"space": "MNI152NLin2009aSym", "res": "2"}
    return OutputNames(Path("out"), {"subject": "01", "task": "rest"}, labels, PRODUCTS, "func")


def _words(*sidecars: dict[str, Any]) -> str:
    every = {"Quality": {"verdict": "pass"}, "Settings": BoldPreparation().model_dump(mode="json")}
    made = [Prepared("bold", _names(), one | every) for one in sidecars]
    return " ".join(series_words(made)["BOLD processing"])


def test_of_joined_runs_each_is_told_for_itself() -> None:
    """A map of the field is meant for the first run alone, and the second has no times."""
    ones = Displacement(np.ones((3, 3, 3), np.float32), 1)
    mapped = _run(Susceptibility(ones, "map", "A map.", {}), True, 1, "boundary")
    bare = _run(none_because("There is no field map."), False, 2)
    both = _sidecars(joined([mapped, bare]))
    told = both["denoised"]
    assert [one["SusceptibilityDistortion"]["Method"] for one in told["Runs"]] == ["map", "none"]
    assert [one["SliceTimingCorrected"] for one in told["Runs"]] == [True, False]
    assert [one["RegistrationToT1w"]["Method"] for one in told["Runs"]] == [
        "boundary",
        "information",
    ]
    shared = {"SusceptibilityDistortion", "RegistrationToT1w", "SliceTimingCorrected", "StartTime"}
    assert not shared & set(told)
    assert told["VolumesOfRuns"] == [30, 30]
    assert [np.array(one)[0, 3] for one in both["to_t1w"]["T1wToSeries"]] == [1, 2]
    assert "this is the transform of the first" in both["to_t1w"]["Description"]
    assert "boundary of white matter" in both["to_t1w"]["Software"]
    alone = _sidecars(joined([bare]))
    assert not alone["denoised"]["SliceTimingCorrected"]
    assert "Runs" not in alone["denoised"]
    assert "T1wToSeries" not in alone["to_t1w"]
    assert alone["to_t1w"]["RegistrationToT1w"]["Method"] == "information"
    assert alone["to_t1w"]["Software"] == "picsl-greedy"
    assert [one["Quality"]["brain_dice"] for one in told["Runs"]] == [0.1, 0.2]
    assert [one["Source"] for one in told["Runs"]] == ["run 1", "run 2"]
    assert not {"Quality", "Source"} & {*told, *alone["denoised"]}
    assert both["run_means"]["VolumesOfRuns"] == [30, 30]
    words = _words(told, alone["denoised"])
    assert "In 1 of 3 runs all slices were brought" in words
    assert "corrected in 1 of 3 runs by a map of the field, in" in words
    assert "in 1 of 3 runs, to where its contrast across the boundary of white matter" in words
    assert "greve2009" not in _words(alone["denoised"])
    assert "In 1 of 1 series all slices" in _words(_sidecars(mapped)["denoised"])
    same = _sidecars(joined([bare, bare]))["denoised"]
    assert same["SusceptibilityDistortion"]["Method"] == "none"  # of both


def test_slices_that_were_acquired_at_once_are_not_said_to_be_corrected() -> None:
    bare, sliced = (_run(none_because(""), one, place) for place, one in ((1, False), (2, True)))
    timing = timing_of("x", {"RepetitionTime": 2.0, "SliceTiming": [0] * 3}, (3, 3, 3, 30), 2.0, 8)
    run = replace(bare.run, timing=timing)
    at_once = replace(bare, run=run, told=(told_of(run, bare.aligned, "run 1"),))
    at_once.notes.extend(timing.notes)
    alone, both = _sidecars(at_once), _sidecars(joined([at_once, sliced]))
    assert alone["denoised"]["SliceTimingCorrected"] is False
    assert "corrected for motion, resampled" in alone["preproc"]["Description"]
    runs = both["denoised"]["Runs"]
    assert [one["SliceTimingCorrected"] for one in runs] == [False, True]
    assert (
        "the times of slices (not in all runs: Runs) and for mot" in both["preproc"]["Description"]
    )
    assert "for the times of slices and for mot" in _sidecars(sliced)["preproc"]["Description"]
    notes = {"Notes": at_once.notes}
    words = _words(alone["denoised"] | notes)
    assert "The times of slices were not corrected. In 1 of 1 series all slices are said" in words
    words = _words(both["denoised"] | {"Notes": joined([at_once, sliced]).notes})
    assert "In 1 of 2 runs all slices were brought" in words
    assert "In 1 of 2 runs all slices are said to have been acquired at once" in words
    assert "at once" not in _words(_sidecars(sliced)["denoised"])


def test_the_json_of_joined_confounds_says_what_each_run_had() -> None:
    """What is the same of both once, what differs run by run, and what one of them lacks."""
    runs = [_run(none_because(""), False, place) for place in (1.0, 2.0)]
    more = {"Method": "aCompCor", "Mask": "CSF", "Retained": True, "SingularValue": 0.5}
    runs[1].confounds.about["c_comp_cor_01"] = more
    told = _sidecars(joined(runs))["confounds"]
    same = {"Method": "aCompCor", "Mask": "CSF", "Retained": True}
    each = [{"SingularValue": 1.0}, {"SingularValue": 2.0}]
    assert told["c_comp_cor_00"] == same | {"Runs": each}
    assert told["c_comp_cor_01"] == more | {"Runs": [None, {}]}
    assert told["VolumesOfRuns"] == [30, 30]
    assert told["Description"].startswith("2 runs one below the other")
    alone = _sidecars(joined(runs[:1]))["confounds"]
    assert alone == {"c_comp_cor_00": same | {"SingularValue": 1.0}}


def _page(folder: Path, fits: list[float], *doubts: str) -> Page:
    """Write the page of a series whose last run lies 16 mm to the side of where it should."""
    shape, affine = (20, 24, 20), np.diag([8.0, 8, 8, 1])
    affine[:3, 3] = -80, -108, -72
    grid = np.moveaxis(np.indices(shape), 0, -1) @ affine[:3, :3] + affine[:3, 3]
    mask = ((grid / [66, 82, 62]) ** 2).sum(axis=-1) < 1
    head = np.where(mask, 600 + grid[..., 1] + 2 * grid[..., 0], 0).astype("f4")
    means = [np.roll(head, 2 * (n == len(fits) - 1), axis=0)[mask] for n in range(len(fits))]
    rng = np.random.default_rng(0)
    series = np.concatenate([one + rng.standard_normal((30, mask.sum())) for one in means])
    names = replace(_names(), output_dir=folder)
    names.folder.mkdir(parents=True)
    write_series(names.path("denoised"), series - series.mean(axis=0), mask, affine, 2.0)
    write_map(names.path("boldref"), np.mean(means, axis=0), mask, affine)
    write_map(names.path("run_means"), np.stack(means), mask, affine)
    names_of_columns = (*MOTION, "framewise_displacement", "std_dvars", "global_signal")
    table = pd.DataFrame({one: rng.random(len(series)) for one in names_of_columns})
    write_table(names.path("confounds"), table)
    write_map(folder / "mask.nii.gz", mask[mask], mask, affine)
    write_map(folder / "t1w.nii.gz", head[mask], mask, affine)
    runs = [
        {
            "Source": f"bids:raw:run-{n}",
            "Quality": {"brain_dice": fit, "fd_mean": "?", "minutes_left": 1.0},
        }
        for n, fit in enumerate(fits, start=1)
    ]
    facts: dict[str, Any] = {"seconds": {}, "software": {}, "kept": range(len(series))}
    facts |= {"timing": {"tr": 2.0}, "runs": runs, "volumes": [30] * len(fits)}
    provenance = Provenance({"bids:raw:run-1": ""}, "", {})
    quality = {"verdict": "warn" if doubts else "pass", "reasons": doubts}
    unit = UnitPage(names, provenance, quality, facts, names.folder, "")
    write_series_page(unit, folder / "t1w.nii.gz", folder / "mask.nii.gz", folder / "page.html")
    return Page((folder / "page.html").read_text())


def test_the_page_of_joined_runs_shows_the_one_that_fits_worst(tmp_path: Path) -> None:
    """Not the first, nor the mean of all, in which a run that lies elsewhere is a faint shade."""
    page = _page(tmp_path / "runs", [0.97, 0.81])
    assert "The pictures show the one that fits the T1w image worst: run 2" in page.text
    assert "run-1 30 0.97 – – 1.0 min – –" in page.text  # too short alone, which nobody is
    assert "run-2 30 0.81 look – – 1.0 min" in page.text
    assert "sub-01 rest (2 runs)" in page.text
    alone = _page(tmp_path / "one", [0.81])  # the second run by itself
    assert "fits the T1w image worst" not in alone.text
    seen, wanted = ([tile.sources for tile in one.mosaics["registration"]] for one in (page, alone))
    assert seen == wanted
    first = _page(tmp_path / "first", [0.81, 0.97])
    assert "worst: run 1" in first.text
    assert [tile.sources for tile in first.mosaics["registration"]] != wanted


def test_a_run_whose_sides_are_not_known_is_named_in_the_verdict_of_all(tmp_path: Path) -> None:
    sure, unsure = (_run(none_because(""), False, place) for place in (9, 9))
    unsure = replace(unsure, doubts=(SIDES_UNKNOWN,))
    assert joined([sure, sure]).quality["reasons"] == []
    found = joined([sure, unsure, unsure]).quality
    told = [f"Run 2: {SIDES_UNKNOWN}", f"Run 3: {SIDES_UNKNOWN}"]
    assert (found["verdict"], found["reasons"]) == ("warn", told)
    every = joined([unsure, unsure])
    assert (every.quality["reasons"], every.doubts) == ([SIDES_UNKNOWN], (SIDES_UNKNOWN,))
    page = _page(tmp_path / "runs", [0.97, 0.96], *told)
    assert told[0] in page.text
    assert "compare with the DICOM files" in page.text


@pytest.mark.slow
def test_joined_runs_are_those_of_each_run_alone(tmp_path: Path) -> None:
    make_rest_phantom(tmp_path / "bids", 2, volumes=80, stretch_mm=0)
    path = tmp_path / f"bids/{STEM}_bold.nii.gz"
    image = nib.Nifti1Image.load(path)
    data = np.asarray(image.dataobj)
    for number, part in enumerate((data[..., :44], data[..., 40:]), start=1):
        one = nib.Nifti1Image(part, None, image.header)
        if number == 2:  # the sform is used, and the qform says that it is mirrored
            one.set_qform(np.diag([-1.0, 1, 1, 1]) @ image.affine, 1)
        one.to_filename(path.with_name(f"sub-01_task-rest_run-{number}_bold.nii.gz"))
    path.unlink()
    words = ["--participant-label", "01", "--set", "preparation.resolution=4"]
    words += ["preparation.confounds=simple"]
    assert _command(tmp_path, *words, "preparation.runs=join") == 0
    for number in (1, 2):
        chosen = tmp_path / f"{number}.json"
        chosen.write_text(json.dumps({"bold": {"run": number}}))
        assert _command(tmp_path, *words, "--bids-filter-file", str(chosen)) == 0
    folder = tmp_path / "out/sub-01/func"
    tail = "space-MNI152NLin2009aSym_res-4_desc-denoised_bold"
    whole: Any = nib.load(folder / f"sub-01_task-rest_{tail}.nii.gz")
    parts: list[Any] = [
        nib.load(folder / f"sub-01_task-rest_run-{n}_{tail}.nii.gz") for n in (1, 2)
    ]
    wanted = np.concatenate([one.get_fdata() for one in parts], axis=-1)
    # as written: each file has a step of its own, a tenth of its noise
    step = sum(float(one.dataobj.slope) for one in (whole, *parts))
    assert whole.shape == wanted.shape
    # what one run does not reach is left out of all
    reached = np.logical_and.reduce([one.get_fdata().any(axis=-1) for one in parts])
    assert (whole.get_fdata().any(axis=-1) == reached).all()
    assert reached.sum() > 0.999 * wanted.any(axis=-1).sum()
    assert np.abs(whole.get_fdata() - wanted)[reached].max() <= step
    told = json.loads((folder / f"sub-01_task-rest_{tail}.json").read_text())
    own = [
        json.loads((folder / f"sub-01_task-rest_run-{n}_{tail}.json").read_text()) for n in (1, 2)
    ]
    assert told["VolumesOfRuns"] == [44, 40]
    assert told["VolumesKept"] == own[0]["VolumesKept"] + [44 + k for k in own[1]["VolumesKept"]]
    assert told["Quality"]["minutes_left"] == pytest.approx(
        sum(one["Quality"]["minutes_left"] for one in own)
    )
    for one, doubts in zip(
        (*own, told), ([], [SIDES_UNKNOWN], [f"Run 2: {SIDES_UNKNOWN}"]), strict=True
    ):
        assert [why for why in one["Quality"]["reasons"] if "left and right" in why] == doubts
    table = pd.read_csv(folder / "sub-01_task-rest_desc-confounds_timeseries.tsv", sep="\t")
    assert len(table) == 84
    _three_series_have_three_pages(tmp_path, words, whole.shape)


def _three_series_have_three_pages(root: Path, words: list[str], shape: tuple[int, ...]) -> None:
    """Both runs alone and the two joined, in one folder; none is prepared again for another."""
    out = root / "out"
    tail = "space-MNI152NLin2009aSym_res-4"
    means, _ = read_numbers(out / f"sub-01/func/sub-01_task-rest_{tail}_desc-runs_boldref.nii.gz")
    stem = out / "sub-01/func/sub-01_task-rest"
    own = [read_numbers(Path(f"{stem}_run-{n}_{tail}_boldref.nii.gz"))[0] for n in (1, 2)]
    assert means.shape == (*shape[:3], 2)
    for place, one in enumerate(own):
        assert means[..., place] == pytest.approx(one, rel=1e-5, abs=1e-3)
    names = [f"sub-01{run}_func.html" for run in ("", "_task-rest_run-1", "_task-rest_run-2")]
    pages = {name: (out / name).read_text() for name in names}
    worst = "The pictures show the one that fits the T1w image worst"
    assert [worst in pages[name] for name in names] == [True, False, False]
    assert all(name in (out / "quality.html").read_text() for name in names)
    before = {path: path.stat().st_mtime_ns for path in out.glob("sub-01/func/*_bold.nii.gz")}
    for number in (1, 2):
        chosen = str(root / f"{number}.json")
        assert _command(root, *words, "--bids-filter-file", chosen) == 0
    assert _command(root, *words, "preparation.runs=join") == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before
