"""Times of volumes and slices: what is believed, what is refused, what is corrected."""

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bidsapp.errors import BadData
from bidsapp.modalities.bold.reading import MIN_VOLUMES, read_run
from bidsapp.modalities.bold.slice_times import correct_slice_times, shift_matrix
from bidsapp.modalities.bold.timing import AT_ONCE, Timing, timing_of

SHAPE = (20, 22, 12, 40)
SECONDS, MILLISECONDS = 8, 16


def _timing(metadata: dict[str, Any], header: float = 2.0, unit: int = SECONDS) -> Timing:
    return timing_of("bold.nii.gz", metadata, SHAPE, header, unit)


@pytest.mark.parametrize(
    ("metadata", "header", "unit", "note"),
    [
        ({"RepetitionTime": 2.0}, 2.0, SECONDS, ""),
        ({"RepetitionTime": 2}, 0.0, 0, ""),
        ({"RepetitionTime": 2.0}, 2000.0, MILLISECONDS, ""),
        ({"RepetitionTime": 2.0}, 2.004, SECONDS, ""),
        ({"RepetitionTime": 2.0}, float("nan"), SECONDS, ""),
        ({"RepetitionTime": 2.0}, 2000.0, SECONDS, "units of the header are wrong"),
        ({"RepetitionTime": 2.0}, 1.0, 0, "without a unit"),
        ({}, 2.0, SECONDS, "header's 2 s were used"),
        ({}, 2000.0, MILLISECONDS, "header's 2 s were used"),
    ],
)
def test_a_repetition_time_that_can_be_believed(
    metadata: dict[str, Any], header: float, unit: int, note: str
) -> None:
    found = _timing(metadata, header, unit)
    assert found.tr == pytest.approx(2.0, abs=0.005)
    told = [one for one in found.notes if "slices" not in one]
    assert len(told) == bool(note)
    assert note in "".join(told)


@pytest.mark.parametrize(
    ("metadata", "header", "unit", "message"),
    [
        ({}, 0.0, SECONDS, "neither its JSON .* nor its header"),
        ({}, 2.0, 0, "of no unit"),
        ({}, 2000.0, SECONDS, "2000 seconds"),
        ({"RepetitionTime": 2.0}, 3.0, SECONDS, "2 s .* header 3 s"),
        ({"RepetitionTime": 2.0}, 1.0, SECONDS, "2 s .* header 1 s"),
        ({"RepetitionTime": 2000}, 2.0, SECONDS, "looks like milliseconds: write 2"),
        ({"RepetitionTime": 0}, 2.0, SECONDS, "0 s in its JSON"),
        ({"RepetitionTime": -2}, 2.0, SECONDS, "-2 s in its JSON"),
        ({"RepetitionTime": "2"}, 2.0, SECONDS, "'2' in its JSON"),
        ({"RepetitionTime": True}, 2.0, SECONDS, "True in its JSON"),
        ({"RepetitionTime": float("nan")}, 2.0, SECONDS, "nan in its JSON"),
        ({"VolumeTiming": [0, 2, 5]}, 2.0, SECONDS, "VolumeTiming"),
    ],
)
def test_a_repetition_time_that_is_not_guessed(
    metadata: dict[str, Any], header: float, unit: int, message: str
) -> None:
    with pytest.raises(BadData, match=message) as caught:
        _timing(metadata, header, unit)
    assert str(caught.value).startswith("bold.nii.gz: ")
    assert caught.value.exit_code == 65


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"SliceTiming": [0.1] * 11}, "11 times, the image has 12 slices along k"),
        ({"SliceTiming": [0.1] * 12, "SliceEncodingDirection": "j"}, "22 slices along j"),
        ({"SliceTiming": [0.0] * 11 + [2.1]}, r"0 to 2.1 s; .* of 2 s is expected\.$"),
        ({"SliceTiming": [0.0] * 11 + [-0.1]}, "from -0.1"),
        ({"SliceTiming": [150.0 * n for n in range(12)]}, "look like milliseconds"),
        ({"SliceTiming": ["a"] * 12}, r"holds 'a' in its JSON \(time 1 of 12\); a list of numbers"),
        ({"SliceTiming": ["0.0", "1.5"] * 6}, r"SliceTiming holds '0.0' .* of seconds is expected"),
        ({"SliceTiming": [0.5] * 5 + [True] * 7}, r"holds True in its JSON \(time 6 of 12\)"),
        ({"SliceTiming": [None] * 12}, r"holds None in its JSON \(time 1 of 12\)"),
        ({"SliceTiming": [[0.1] * 12]}, r"holds \[0.1, .*\(time 1 of 1\)"),
        ({"SliceTiming": [0.5] * 11 + [float("nan")]}, r"holds nan in its JSON \(time 12 of 12\)"),
        ({"SliceTiming": []}, r"SliceTiming is \[\] in its JSON; a list of numbers of seconds"),
        ({"SliceTiming": "0.5"}, "SliceTiming is '0.5' in its JSON; a list of numbers of seconds"),
        ({"SliceTiming": 0.5}, "SliceTiming is 0.5 in its JSON; a list of numbers of seconds"),
        ({"SliceTiming": True}, "SliceTiming is True in its JSON; a list of numbers of seconds"),
        (
            {"SliceTiming": [0.1] * 12, "SliceEncodingDirection": "k--"},
            "one of i, j, k, i-, j-, k-",
        ),
        ({"SliceTiming": [0.1] * 12, "SliceEncodingDirection": "up"}, "SliceEncodingDirection"),
        ({"SliceTiming": [0.1] * 12, "SliceEncodingDirection": 3}, "SliceEncodingDirection"),
    ],
)
def test_times_of_slices_that_cannot_be(more: dict[str, Any], message: str) -> None:
    with pytest.raises(BadData, match=message):
        _timing({"RepetitionTime": 2.0, **more})


@pytest.mark.parametrize("time", [0, 0.0, 0.4])
def test_slices_of_one_time_were_acquired_at_once(time: float) -> None:
    """As of 3D and simultaneous acquisition: a statement, and nothing to be corrected."""
    found = _timing({"RepetitionTime": 2.0, "SliceTiming": [time] * 12})
    assert (found.apart, found.middle, found.notes) == (False, time, (AT_ONCE,))
    assert _timing({"RepetitionTime": 2.0, "SliceTiming": [time] * 11 + [0.5]}).apart


def test_a_reversed_encoding_direction_reverses_the_times() -> None:
    times = [0.1 * n for n in range(12)]
    found = _timing({"RepetitionTime": 2.0, "SliceTiming": times, "SliceEncodingDirection": "k-"})
    assert found.slices is not None
    assert found.slices.tolist() == times[::-1]
    assert found.middle == pytest.approx(0.55)


def _sine(moments: np.ndarray, frequency: float) -> np.ndarray:
    return 100 + np.sin(2 * np.pi * frequency * moments + 0.3)


@settings(max_examples=25, deadline=None)
@given(
    st.floats(0.008, 0.1),
    st.floats(0.8, 3.0),
    st.permutations(range(6)),
    st.sampled_from((1, 2, 3)),  # slices at once, as multiband takes them
)
def test_a_sine_of_known_phase_is_brought_to_the_middle_of_the_volume(
    frequency: float, tr: float, order: list[int], at_once: int
) -> None:
    if frequency * tr > 0.25:  # half of what can be sampled
        frequency = 0.25 / tr
    times = np.array(order) // at_once * at_once * tr / 6
    starts = np.arange(60) * tr
    data = np.zeros((3, 2, 6, 60), np.float32)
    for place, time in enumerate(times):
        data[:, :, place] = _sine(starts + time, frequency)
    timing = Timing(tr, times, 2)
    found = correct_slice_times(data, timing)
    wanted = _sine(starts + timing.middle, frequency)
    assert np.abs(found - wanted)[..., 8:-8].max() < 0.01  # of an amplitude of 1
    assert np.abs(found - wanted).max() < 0.8  # the ends are mirrored, not lost


def test_slices_along_any_axis_are_corrected() -> None:
    times = np.linspace(0, 1.5, 5)
    starts = np.arange(40) * 2.0
    data = np.stack([_sine(starts + time, 0.05) for time in times]).astype("f4")
    for axis in range(3):
        shape = [1, 1, 1, 40]
        shape[axis] = 5
        found = correct_slice_times(data.reshape(shape), Timing(2.0, times, axis))
        wanted = _sine(starts + 0.75, 0.05)
        assert np.abs(found - wanted)[..., 8:-8].max() < 0.01


def test_without_times_nothing_changes() -> None:
    data = np.random.default_rng(0).standard_normal((3, 3, 3, 20)).astype("f4")
    assert correct_slice_times(data, Timing(2.0, None, 2)) is data
    assert correct_slice_times(data, Timing(2.0, np.full(3, 0.4), 2)) is data


@settings(max_examples=20, deadline=None)
@given(st.integers(20, 60), st.floats(-1, 1))
def test_a_shift_in_time_keeps_a_constant(volumes: int, shift: float) -> None:
    assert shift_matrix(volumes, shift).sum(axis=1) == pytest.approx(1)


def _write(folder: Path, data: np.ndarray, affine: np.ndarray, tr: float = 2.0) -> Path:
    image = nib.Nifti1Image(data, affine)
    image.header.set_xyzt_units("mm", "sec")
    image.header["pixdim"][4] = tr
    path = folder / "sub-01_task-rest_bold.nii.gz"
    image.to_filename(path)
    return path


def _series(volumes: int = MIN_VOLUMES) -> np.ndarray:
    rng = np.random.default_rng(0)
    return (100 + rng.standard_normal((16, 18, 14, volumes))).astype("f4")


AFFINE = np.diag([4.0, 4, 5, 1])


def test_slices_keep_their_times_when_the_image_is_turned_to_ras(tmp_path: Path) -> None:
    data = _series()
    data[:, :, 3] += 50
    flipped = np.diag([-4.0, 4, -5, 1])
    times = [0.1 * n for n in range(14)]
    metadata = {
        "RepetitionTime": 2.0,
        "SliceTiming": times,
        "PhaseEncodingDirection": "j-",
    }
    run = read_run(_write(tmp_path, data, flipped), metadata)
    assert run.timing.slices is not None
    bright = int(run.data.mean(axis=(0, 1, 3)).argmax())
    assert run.timing.slices[bright] == pytest.approx(0.3)
    assert run.phase == (1, -1)
    assert (np.diag(run.affine)[:3] > 0).all()
    # Axes that change places take slices and phase along.
    turned = np.moveaxis(data, (0, 1, 2), (2, 0, 1))
    affine = np.zeros((4, 4))
    affine[0, 2], affine[1, 0], affine[2, 1], affine[3, 3] = 4, 4, -5, 1
    metadata |= {"SliceEncodingDirection": "j", "PhaseEncodingDirection": "i"}
    run = read_run(_write(tmp_path, turned, affine), metadata)
    assert run.data.shape == data.shape
    assert run.timing.axis == 2
    assert run.timing.slices is not None
    bright = int(run.data.mean(axis=(0, 1, 3)).argmax())
    assert run.timing.slices[bright] == pytest.approx(0.3)
    assert run.phase == (1, 1)


@pytest.mark.parametrize("told", ["AP", "j--", "J", 2, ["j"]])
def test_a_phase_that_is_none_is_named_with_what_is_expected(told: Any, tmp_path: Path) -> None:
    path = _write(tmp_path, _series(), AFFINE)
    run = read_run(path, {"RepetitionTime": 2.0, "PhaseEncodingDirection": told})
    assert run.phase is None
    why = f"PhaseEncodingDirection is {told!r} in its JSON; one of i, j, k, i-, j-, k- is expected."
    assert why in run.notes
    plain = read_run(path, {"RepetitionTime": 2.0})
    assert not [note for note in plain.notes if "PhaseEncodingDirection" in note]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (_series()[..., 0], "one volume"),
        (_series()[..., :3], "3 volumes; .* at least 20"),
        (_series()[:4], "4 × 18 × 14 voxels"),
        (np.full((16, 18, 14, 20), 7, "i2"), "does not change"),
        (_series()[..., None, :], "four dimensions"),
    ],
)
def test_what_is_no_series_of_a_brain_is_refused(
    tmp_path: Path, data: np.ndarray, message: str
) -> None:
    with pytest.raises(BadData, match=message):
        read_run(_write(tmp_path, data, AFFINE), {"RepetitionTime": 2.0})


def test_voxels_without_numbers_are_set_to_0_or_refused(tmp_path: Path) -> None:
    data = _series()
    data[0, 0, 0] = np.nan
    run = read_run(_write(tmp_path, data, AFFINE), {"RepetitionTime": 2.0})
    assert np.isfinite(run.data).all()
    assert any("1 voxels" in note for note in run.notes)
    data[1, 1, 1, 6] = np.inf
    with pytest.raises(BadData, match="volumes 7 "):
        read_run(_write(tmp_path, data, AFFINE), {"RepetitionTime": 2.0})
