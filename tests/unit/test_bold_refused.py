"""Raw series that cannot be used: each fault with its message and code, from files to the node."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch

from bidsapp.cli import main
from bidsapp.contracts.job import Job
from bidsapp.contracts.modality import modality_named
from bidsapp.contracts.prepared import Provenance
from bidsapp.contracts.product import OutputNames
from bidsapp.contracts.scan import Scan, SourceFile
from bidsapp.errors import BadData, NociCastError, NoInput
from bidsapp.modalities.bold.alignment import Aligned
from bidsapp.modalities.bold.anatomy import Anatomy
from bidsapp.modalities.bold.boundary import Placed
from bidsapp.modalities.bold.field import none_because
from bidsapp.modalities.bold.field_files import check_fields
from bidsapp.modalities.bold.files import write_rigid
from bidsapp.modalities.bold.motion import Motion
from bidsapp.modalities.bold.reading import Run
from bidsapp.modalities.bold.run_checks import check_runs
from bidsapp.modalities.bold.settings import BoldPreparation
from bidsapp.modalities.bold.steps import Standard, confounds_in, to_standard
from bidsapp.modalities.bold.strategies import STRATEGIES
from bidsapp.modalities.bold.timing import Timing
from bidsapp.modalities.bold.write import WriteSeries

SHAPE, AFFINE = (16, 18, 14), np.diag([8.0, 8, 8, 1])
NAME = "sub-01_task-rest_bold"
SPACE = "space-MNI152NLin2009aSym"
T1W_FILES = (
    "desc-brain_mask.nii.gz",
    f"{SPACE}_res-2_desc-preproc_T1w.nii.gz",
    f"{SPACE}_res-2_desc-brain_mask.nii.gz",
    "from-T1w_to-MNI152NLin2009aSym_mode-image_xfm.h5",
)


def _image(path: Path, data: np.ndarray, tr: float = 2.0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(data, AFFINE)
    image.header.set_xyzt_units("mm", "sec")
    if data.ndim == 4:
        image.header["pixdim"][4] = tr
    image.to_filename(path)


def _series(volumes: int = 24) -> np.ndarray:
    rng = np.random.default_rng(0)
    return (1000 + 10 * rng.standard_normal((*SHAPE, volumes))).astype("f4")


def _dataset(root: Path, **sidecar: Any) -> None:
    """One person, whose T1w image has been normalised."""
    _image(root / "bids/sub-01/func" / f"{NAME}.nii.gz", _series())
    _image(root / "bids/sub-01/anat/sub-01_T1w.nii.gz", _series()[..., 0])
    told = {"Name": "x", "BIDSVersion": "1.10.0", "DatasetType": "raw"}
    (root / "bids/dataset_description.json").write_text(json.dumps(told))
    (root / "bids/README").write_text("x")
    told = {"RepetitionTime": 2.0, "TaskName": "rest"} | sidecar
    (root / "bids/sub-01/func" / f"{NAME}.json").write_text(json.dumps(told))
    for tail in T1W_FILES:
        path = root / "out/sub-01/anat" / f"sub-01_{tail}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    quality = {"Quality": {"verdict": "pass", "reasons": []}}
    path = root / "out/sub-01/anat" / f"sub-01_{SPACE}_res-2_desc-preproc_T1w.json"
    path.write_text(json.dumps(quality))


def _node(root: Path) -> WriteSeries:
    modality = modality_named("bold")

    def file(datatype: str, name: str, **entities: str) -> SourceFile:
        relative = f"sub-01/{datatype}/{name}"
        return SourceFile(root / "bids" / relative, relative, {"subject": "01", **entities})

    files = {
        "bold": (file("func", f"{NAME}.nii.gz", task="rest"),),
        "t1w": (file("anat", "sub-01_T1w.nii.gz"),),
    }
    labels = {"space": "MNI152NLin2009aSym", "res": "4"}
    settings = BoldPreparation(resolution=4).model_dump(mode="json")
    entities = {"subject": "01", "task": "rest"}
    names = OutputNames(root / "out", entities, labels, modality.products_for(settings), "func")
    job = Job("bold", Scan("01", None, files), "", names, Provenance({}, "", settings))
    return WriteSeries(job=job.plain(), template_mask=str(root / "bids/README"))


Change = Callable[[Path], None]


def _bold(data: np.ndarray, tr: float = 2.0) -> Change:
    return lambda root: _image(root / "bids/sub-01/func" / f"{NAME}.nii.gz", data, tr)


def _told(**values: Any) -> Change:
    return lambda root: _dataset(root, **values)


def _gone(place: str) -> Change:
    return lambda root: (root / place).unlink()


FAULTS: dict[str, tuple[Change, type[NociCastError], str]] = {
    "3 volumes": (_bold(_series(3)), BadData, "holds 3 volumes; BOLD at rest needs at least 20"),
    "3D": (_bold(_series()[..., 0]), BadData, "is one volume"),
    "constant": (_bold(np.full((*SHAPE, 24), 7, "f4")), BadData, "does not change over time"),
    "TR of another series": (_told(RepetitionTime=3.0), BadData, "3 s lie between .* header 2 s"),
    "TR in milliseconds": (_told(RepetitionTime=2000.0), BadData, "milliseconds: write 2"),
    "TR nowhere": (_told(RepetitionTime=0), BadData, "RepetitionTime is 0 s"),
    "slice times beyond the TR": (
        _told(SliceTiming=[0.0] * 13 + [2.5]), BadData, "runs from 0 to 2.5 s"
    ),
    "slice times in milliseconds": (
        _told(SliceTiming=[140.0 * n for n in range(14)]), BadData, "divide them by 1000"
    ),
    "slice times as texts": (
        _told(SliceTiming=["0.0", "1.5"] * 7), BadData, r"bold.nii.gz: SliceTiming holds '0.0' in"
    ),
    "slice times that are true": (
        _told(SliceTiming=[True] * 14), BadData, "holds True in its JSON .* numbers of seconds is"
    ),
    "slice times of another image": (
        _told(SliceTiming=[0.1] * 9), BadData, "has 9 times, the image has 14 slices"
    ),
    "no numbers": (_bold(_series() * np.nan), BadData, "does not change over time"),
    "no normalised T1w image": (
        _gone(f"out/sub-01/anat/sub-01_{T1W_FILES[3]}"), NoInput, "its normalisation is not in"
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_the_node_of_a_series_says_what_is_wrong_with_it(fault: str, tmp_path: Path) -> None:
    change, kind, message = FAULTS[fault]
    _dataset(tmp_path)
    change(tmp_path)
    before = sorted((tmp_path / "out").rglob("*"))
    with pytest.raises(kind, match=message) as caught:
        _node(tmp_path)._work(tmp_path)
    assert caught.value.exit_code == {BadData: 65, NoInput: 66}[kind]  # type: ignore[index]
    assert "sub-01" in str(caught.value)
    assert sorted((tmp_path / "out").rglob("*")) == before


OF_THE_HEADER = [
    fault
    for fault in FAULTS
    if fault.startswith(("3", "TR", "slice times"))
]  # fmt: skip


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lay the template once for all commands."""
    return tmp_path_factory.mktemp("work")


@pytest.mark.parametrize("fault", OF_THE_HEADER)
def test_the_command_refuses_a_header_before_the_t1w_image_is_prepared(
    fault: str, tmp_path: Path, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, kind, message = FAULTS[fault]
    _dataset(tmp_path)
    change(tmp_path)
    asked = ["participant", "--recipe", "teh2022", "--skip-bids-validation", "-w", str(work)]
    found = main([str(tmp_path / "bids"), str(tmp_path / "new"), *asked])
    said = "".join(capsys.readouterr())
    assert re.search(message, said, re.DOTALL), said
    assert found == kind.exit_code
    assert "sub-01" in said
    assert not list((tmp_path / "new").glob("sub-01/*"))


@pytest.mark.parametrize(
    ("volumes", "message"),
    [
        (30, "30 volumes; preparation.band_pass_hz needs at least 34"),
        (
            60,
            r"60 volumes, and 22 confounds and the band-pass leave 0 degrees",
        ),
    ],
)
def test_a_series_too_short_for_its_denoising_is_refused_before_the_t1w_image_is_prepared(
    volumes: int, message: str, tmp_path: Path, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _dataset(tmp_path)
    _bold(_series(volumes))(tmp_path)
    asked = ["participant", "--recipe", "teh2022", "--skip-bids-validation", "-w", str(work)]
    assert main([str(tmp_path / "bids"), str(tmp_path / "new"), *asked]) == 65
    said = "".join(capsys.readouterr())
    assert re.search(message, said), said
    assert not list((tmp_path / "new").glob("sub-01/*"))


@pytest.mark.parametrize(
    ("suffix", "text", "message"),
    [
        ("fieldmap", "{", r"sub-01/fmap/sub-01_fieldmap.json: a JSON object was expected"),
        ("epi", "[1]", r"sub-01/fmap/sub-01_epi.json: a JSON object was expected, got a list"),
        ("phasediff", "\xff", r"sub-01/fmap/sub-01_phasediff.json: a JSON object was expected"),
        ("fieldmap", '{"Units": 5}', r"sub-01_fieldmap.nii.gz: Units in its JSON is 5; a text"),
        (
            "epi",
            '{"TotalReadoutTime": "0.03"}',
            r"sub-01_epi.nii.gz: TotalReadoutTime in its JSON is '0.03'; a number is expected",
        ),
        (
            "fieldmap",
            '{"IntendedFor": {"run": 1}}',
            r"sub-01_fieldmap.nii.gz: IntendedFor .* a text, or a list of texts, is expected",
        ),
    ],
)
def test_a_field_whose_json_is_broken_is_refused_before_the_t1w_image_is_prepared(
    suffix: str,
    text: str,
    message: str,
    tmp_path: Path,
    work: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Read as empty it would leave the field out, or serve a series that it is not for."""
    _dataset(tmp_path)
    _bold(_series(200))(tmp_path)
    place = tmp_path / f"bids/sub-01/fmap/sub-01_{suffix}"
    _image(place.with_suffix(".nii.gz"), _series()[..., 0])
    place.with_suffix(".json").write_text(text, encoding="latin-1")
    asked = ["participant", "--recipe", "teh2022", "--skip-bids-validation", "-w", str(work)]
    assert main([str(tmp_path / "bids"), str(tmp_path / "new"), *asked]) == 65
    said = "".join(capsys.readouterr())
    assert re.search(message, said), said
    assert not list((tmp_path / "new").glob("sub-01/*"))


@pytest.mark.parametrize(
    ("place", "susceptibility", "code"),
    [("func", "auto", 65), ("fmap", "auto", 65), ("func", "none", 0), ("fmap", "none", 0)],
)
def test_a_phase_that_is_none_is_refused_where_the_field_is_to_be_corrected(
    place: str, susceptibility: str, code: int, tmp_path: Path
) -> None:
    """Read as missing it would leave a series stretched that can be corrected."""
    of_series = {"PhaseEncodingDirection": "AP"} if place == "func" else {}
    _dataset(tmp_path, **of_series)
    _bold(_series(200))(tmp_path)
    epi = tmp_path / "bids/sub-01/fmap/sub-01_epi.nii.gz"
    _image(epi, _series()[..., 0])
    of_field = {"PhaseEncodingDirection": "j" if place == "func" else "AP"}
    epi.with_name("sub-01_epi.json").write_text(json.dumps(of_field))
    names = ("sub-01/func/sub-01_task-rest_bold.nii.gz", "sub-01/fmap/sub-01_epi.nii.gz")
    files = [SourceFile(tmp_path / "bids" / one, one, {"subject": "01"}) for one in names]
    scan = Scan("01", None, {"bold": (files[0],), "reversed": (files[1],)})
    settings = BoldPreparation(susceptibility=susceptibility)  # type: ignore[arg-type]
    if not code:
        check_runs(scan, settings)
        return
    expected = r": PhaseEncodingDirection in its JSON is 'AP'; one of i, j, k, i-, j-, k- is exp"
    with pytest.raises(BadData, match=names[place == "fmap"] + expected) as caught:
        check_runs(scan, settings)
    assert caught.value.exit_code == code


def test_too_little_of_a_tissue_is_told_as_that() -> None:
    """Of the app's own series nobody can make the derivatives again: the T1w image is at fault."""
    rng = np.random.default_rng(0)
    mask = np.ones((6, 6, 6), bool)
    every, none = np.ones(216, bool), np.zeros(216, bool)
    series = (900 + rng.standard_normal((60, 216))).astype("f4")
    standard = Standard(mask, np.diag([8.0, 8, 8, 1]), series, every, every, none, every)
    motion = Motion(np.tile(np.eye(4), (60, 1, 1)), mask.astype("f4"), np.zeros(3))
    aligned = Aligned(motion, mask, mask, Placed(np.eye(4)), 0, none_because(""))
    message = r"sub-01_bold: 0 voxels of 8 mm are white .* 216 fluid .*w_comp_cor_00.*resolution"
    with pytest.raises(BadData, match=message):
        confounds_in(standard, aligned, 2.0, STRATEGIES["conn"], "sub-01_bold")


def _two_runs(root: Path) -> None:
    for run in (1, 2):
        stem = root / f"bids/sub-01/func/sub-01_task-rest_run-{run}_bold"
        _image(stem.with_suffix(".nii.gz"), _series())
        stem.with_suffix(".json").write_text('{"RepetitionTime": 2.0, "TaskName": "rest"}')
    for tail in ("nii.gz", "json"):
        (root / f"bids/sub-01/func/{NAME}.{tail}").unlink()


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        (_gone("bids/sub-01/anat/sub-01_T1w.nii.gz"), 18, "no T1w"),
        (_two_runs, 64, "run-1.*run-2"),
        (_gone(f"bids/sub-01/func/{NAME}.nii.gz"), 18, "no .*bold"),
    ],
)
def test_a_person_without_the_files_is_refused_before_any_work(
    change: Change, code: int, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _dataset(tmp_path)
    change(tmp_path)
    out = tmp_path / "new"
    asked = [str(tmp_path / "bids"), str(out), "participant", "--recipe", "teh2022"]
    found = main([*asked, "--skip-bids-validation", "-w", str(tmp_path / "work")])
    said = capsys.readouterr().err
    assert re.search(message, said, re.DOTALL), said
    assert found == code
    assert not list(out.glob("sub-*"))


def test_a_field_of_view_with_less_than_half_the_brain_is_refused(tmp_path: Path) -> None:
    affine = np.diag([8.0, 8, 8, 1])
    affine[:3, 3] = -60, -68, -52
    grid = np.moveaxis(np.indices(SHAPE), 0, -1) @ affine[:3, :3] + affine[:3, 3]
    mask = (grid**2).sum(axis=-1) < 50**2
    file = tmp_path / "mask.nii"
    nib.Nifti1Image(mask.astype(np.uint8), affine).to_filename(file)
    write_rigid(tmp_path / "x.h5", np.eye(4))
    anatomy = Anatomy(file, file, file, file, tmp_path / "x.h5")
    data = _series()
    motion = Motion(np.tile(np.eye(4), (24, 1, 1)), data.mean(axis=-1), np.zeros(3))
    aligned = Aligned(motion, mask, mask, Placed(np.eye(4)), 0, none_because(""))
    moved = affine.copy()
    moved[2, 3] += 64  # it begins above the middle of the brain
    run = Run(data, moved, Timing(2.0, None, 2), None, [])
    with pytest.raises(BadData, match=r"\d+% of the template's brain lie in the field of view"):
        to_standard(run, aligned, anatomy, tmp_path / "mask.nii", torch.device("cpu"))


def test_a_field_that_is_meant_for_other_images_is_not_judged(tmp_path: Path) -> None:
    _dataset(tmp_path)
    bids, field = tmp_path / "bids", "sub-01/fmap/sub-01_epi"
    _image(bids / f"{field}.nii.gz", _series()[..., 0])
    main_file, reversed_file = (
        SourceFile(bids / name, name, {"subject": "01"})
        for name in (f"sub-01/func/{NAME}.nii.gz", f"{field}.nii.gz")
    )
    scan = Scan("01", None, {"bold": (main_file,), "reversed": (reversed_file,)})

    def told(meant: str) -> None:
        content = {"IntendedFor": meant, "EchoTime": "0.08"}
        (bids / f"{field}.json").write_text(json.dumps(content))

    told("dwi/sub-01_dwi.nii.gz")
    check_fields(scan, {})
    told(f"func/{NAME}.nii.gz")
    with pytest.raises(BadData, match=r"sub-01_epi.nii.gz: EchoTime in its JSON is '0.08'"):
        check_fields(scan, {})
