"""Whether a face is there: real heads with one, without one, and with one taken away here."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from bidsapp.contracts.modality import modality_named
from bidsapp.modalities.t1w.brainmask import extract_brain
from bidsapp.modalities.t1w.native.face import face_share
from bidsapp.modalities.t1w.native.measures import FACED
from bidsapp.modalities.t1w.native.settings import NativePreparation
from bidsapp.modalities.t1w.native.steps import boxed
from bidsapp.modalities.t1w.reading import Head, read_head


@cache
def head_of(path: Path) -> tuple[Head, np.ndarray]:
    head = read_head(path)
    return head, extract_brain(head, torch.device("cpu"), grid=192)


def cut_away(head: Head, brain: np.ndarray, how: str) -> np.ndarray:
    """Take the face away: all before a plane from brow to chin, or a block of it."""
    data = head.data.copy()
    places = np.nonzero(brain)
    front = int(np.percentile(places[1], 99.5))
    bottom = int(np.percentile(places[2][places[1] > front - 20], 1))
    y, z = np.indices(data.shape[1:])
    if how == "plane":
        gone = (y - front) > 0.7 * (z - bottom) - 4
        gone &= z < bottom - 2
    else:
        gone = (y > front - 22) & (z < bottom - 4)
    data[:, gone] = 0
    return data


@pytest.mark.parametrize(
    "who", ["IXI014", pytest.param("IXI174", marks=pytest.mark.slow), "IXI260"]
)
def test_a_real_face_is_seen_and_missed_once_it_is_cut_away(real_data: Path, who: str) -> None:
    """Two of these have the least of a face of the 48."""
    head, brain = head_of(real_data / f"ixi2mm_dev48/sub-{who}/anat/sub-{who}_T1w.nii.gz")
    share = face_share(head.data, brain, head.affine)
    assert share is not None
    assert share > 0.9
    for how in ("plane", "block"):
        share = face_share(cut_away(head, brain, how), brain, head.affine)
        assert share is not None, how
        assert share < FACED - 0.1, how


@pytest.mark.slow
@pytest.mark.parametrize("who", [f"{k:02d}" for k in range(1, 7)])
def test_real_defaced_heads_are_noticed(real_data: Path, who: str) -> None:
    head, brain = head_of(real_data / f"ds000011/sub-{who}/anat/sub-{who}_T1w.nii.gz")
    share = face_share(head.data, brain, head.affine)
    assert share is not None
    assert share < FACED - 0.1


def test_a_brain_alone_or_a_cut_field_of_view_is_not_called_defaced(real_data: Path) -> None:
    head, brain = head_of(real_data / "ixi2mm_dev48/sub-IXI014/anat/sub-IXI014_T1w.nii.gz")
    assert face_share(np.where(brain, head.data, 0), brain, head.affine) is None
    low = int(np.nonzero(brain)[2].min())
    assert face_share(head.data[..., low:], brain[..., low:], head.affine) in (None, 1.0)


def test_what_is_said_of_a_defaced_head(real_data: Path) -> None:
    head, brain = head_of(real_data / "ixi2mm_dev48/sub-IXI014/anat/sub-IXI014_T1w.nii.gz")
    asked = NativePreparation.model_validate({"spacing": 4.0, "box": (48, 64, 64)})
    whole = boxed(head, brain, asked)
    assert whole.quality["defaced"] is False
    assert whole.quality["verdict"] == "pass"
    gone = Head(cut_away(head, brain, "plane"), head.affine)
    without = boxed(gone, brain, asked)
    assert without.quality["defaced"] is True
    assert "face was removed" in " ".join(without.notes)
    extracted = boxed(gone, brain, asked.model_copy(update={"brain": "extracted"}))
    assert "defaced" not in extracted.quality
    assert not extracted.notes
    columns = {one.key for one in modality_named("t1w").measures if one.confound}
    assert "face_share" in columns


def test_measures_that_need_a_template_are_not_offered() -> None:
    t1w = modality_named("t1w")
    own = {one.key for one in t1w.measures_for({"space": "native", "brain": "whole"})}
    assert {"brain_volume_ml", "cut_faces", "face_share", "defaced", "brain_outside"} <= own
    assert not own & {"ncc", "local_ncc", "affine_scales", "mask_dice", "folded_fraction"}
    assert not {one.key for one in t1w.measures_for({})} & {"face_share", "brain_outside"}


def test_a_box_that_cuts_the_brain_fails(real_data: Path) -> None:
    head, brain = head_of(real_data / "ixi2mm_dev48/sub-IXI014/anat/sub-IXI014_T1w.nii.gz")
    asked = NativePreparation.model_validate({"spacing": "as acquired", "box": (90, 120, 40)})
    found = boxed(head, brain, asked)
    assert found.quality["verdict"] == "fail"
    assert "cuts off" in found.quality["reasons"][0]
