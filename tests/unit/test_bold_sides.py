"""Left and right of a series: what its header and that of its T1w image leave open is a warning."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from bidsapp.contracts.job import Job
from bidsapp.contracts.modality import modality_named
from bidsapp.contracts.prepared import Prepared, Provenance
from bidsapp.contracts.product import OutputNames
from bidsapp.contracts.scan import Scan, SourceFile
from bidsapp.modalities.bold.alignment import Aligned
from bidsapp.modalities.bold.anatomy import anatomy_of
from bidsapp.modalities.bold.boundary import Placed
from bidsapp.modalities.bold.cleaning import Cleaned
from bidsapp.modalities.bold.confounds import MOTION
from bidsapp.modalities.bold.field import none_because
from bidsapp.modalities.bold.motion import Motion
from bidsapp.modalities.bold.quality import measure
from bidsapp.modalities.bold.reading import Run, read_run
from bidsapp.modalities.bold.settings import BoldPreparation
from bidsapp.modalities.bold.steps import Standard
from bidsapp.modalities.bold.timing import Timing
from bidsapp.modalities.bold.words import series_words

SIDES_UNKNOWN = "The header does not say what is left and right."  # as of a T1w image
SHAPE = (16, 18, 14)
RAS = np.diag([4.0, 4, 5, 1])
MIRRORED = np.diag([-4.0, 4, 5, 1])


def _read(folder: Path, sform: tuple[np.ndarray, int], qform: tuple[np.ndarray, int]) -> Run:
    data = 100 + np.random.default_rng(0).standard_normal((*SHAPE, 20)).astype("f4")
    image = nib.Nifti1Image(data, None)
    image.header.set_xyzt_units("mm", "sec")
    image.set_qform(*qform)
    image.set_sform(*sform)
    image.header["pixdim"][1:5] = 4, 4, 5, 2
    path = folder / "sub-01_task-rest_bold.nii"
    image.to_filename(path)
    return read_run(path, {"RepetitionTime": 2.0})


@pytest.mark.parametrize(
    ("sform", "qform", "known"),
    [
        ((RAS, 0), (RAS, 0), False),
        ((RAS, 1), (MIRRORED, 1), False),
        ((RAS, 1), (RAS, 1), True),
        ((RAS, 1), (MIRRORED, 0), True),
        ((MIRRORED, 0), (RAS, 1), True),
    ],
)
def test_a_header_that_does_not_tell_left_from_right_is_a_doubt(
    sform: tuple[np.ndarray, int], qform: tuple[np.ndarray, int], known: bool, tmp_path: Path
) -> None:
    run = _read(tmp_path, sform, qform)
    assert run.doubts == (() if known else (SIDES_UNKNOWN,))
    assert any("left and right" in note for note in run.notes) is not known


def _measured(*doubts: str) -> dict[str, object]:
    """Judge a still series of 200 volumes, in which nothing else is wrong."""
    rng = np.random.default_rng(0)
    mask, every = np.ones((6, 6, 6), bool), np.ones(216, bool)
    series = (1000 + 10 * rng.standard_normal((200, 216))).astype("f4")
    run = Run(np.zeros((6, 6, 6, 0), "f4"), RAS, Timing(2.0, None, 2), None, [])
    motion = Motion(np.tile(np.eye(4), (200, 1, 1)), mask.astype("f4"), np.zeros(3))
    aligned = Aligned(motion, mask, mask, Placed(np.eye(4)), 0, none_because(""))
    standard = Standard(mask, RAS, series, every, every, every, every)
    table = pd.DataFrame(dict.fromkeys((*MOTION, "framewise_displacement"), np.zeros(200)))
    table["std_dvars"] = 1.0
    cleaned = Cleaned(series, np.arange(200), 100)
    return measure(run, aligned, standard, table, cleaned, series[0], doubts)


def test_a_doubt_is_a_warning_where_all_numbers_are_good() -> None:
    assert (_measured()["verdict"], _measured()["reasons"]) == ("pass", [])
    found = _measured(SIDES_UNKNOWN)
    assert (found["verdict"], found["reasons"]) == ("warn", [SIDES_UNKNOWN])


def _job(folder: Path, reasons: list[str]) -> Job:
    """A person whose T1w image has been normalised, with these reasons in its quality."""
    modality = modality_named("bold")
    space = "space-MNI152NLin2009aSym"
    place = folder / "out/sub-01/anat"
    place.mkdir(parents=True)
    for tail in (
        "desc-brain_mask.nii.gz",
        f"{space}_res-2_desc-preproc_T1w.nii.gz",
        f"{space}_res-2_desc-brain_mask.nii.gz",
        "from-T1w_to-MNI152NLin2009aSym_mode-image_xfm.h5",
    ):
        (place / f"sub-01_{tail}").write_bytes(b"x")
    quality = {"Quality": {"verdict": "warn", "reasons": reasons}}
    (place / f"sub-01_{space}_res-2_desc-preproc_T1w.json").write_text(json.dumps(quality))
    relative = "sub-01/anat/sub-01_T1w.nii.gz"
    t1w = SourceFile(folder / relative, relative, {"subject": "01"})
    labels = {"space": "MNI152NLin2009aSym", "res": "2"}
    names = OutputNames(folder / "out", {"subject": "01"}, labels, modality.products_for({}), "")
    return Job("bold", Scan("01", None, {"t1w": (t1w,)}), "", names, Provenance({}, "", {}))


def test_what_a_t1w_image_leaves_open_of_the_sides_its_series_does_too(tmp_path: Path) -> None:
    """Whose brain was turned by a T1w image that may be mirrored may be mirrored as well."""
    rescued = next(one for one in modality_named("t1w").measures if one.key == "rescued")
    for number, reason in enumerate((SIDES_UNKNOWN, rescued.reason_for(True))):
        doubts = anatomy_of(_job(tmp_path / str(number), ["The brain is small.", reason])).doubts
        assert len(doubts) == 1
        assert doubts[0].endswith(reason)
    assert anatomy_of(_job(tmp_path / "small", ["The brain is small."])).doubts == ()


def test_the_methods_text_counts_whose_sides_are_not_known(tmp_path: Path) -> None:
    labels = {"space": "MNI152NLin2009aSym", "res": "2"}
    products = modality_named("bold").products_for({})
    names = OutputNames(tmp_path, {"subject": "01"}, labels, products, "func")
    plain = BoldPreparation().model_dump(mode="json")
    told = [
        {"RepetitionTime": 2.0, "Settings": plain, "Quality": {"verdict": "warn", "reasons": [one]}}
        for one in ("The head moves.", f"Run 2: {SIDES_UNKNOWN}")
    ]
    prepared = [Prepared("bold", names, one) for one in told]
    (text,) = series_words(prepared)["Quality control of BOLD"]
    assert "Of 1 of them left and right could not be verified." in text
    (text,) = series_words(prepared[:1])["Quality control of BOLD"]
    assert "could not be verified" not in text
