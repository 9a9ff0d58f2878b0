"""The field's stretch: found by reversed phase, by a map and by the T1w image, and left if not."""

import json
import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, map_coordinates

from bidsapp.contracts.scan import Scan, SourceFile
from bidsapp.errors import BadData
from bidsapp.modalities.bold import synthetic
from bidsapp.modalities.bold.alignment import align, brain_mask
from bidsapp.modalities.bold.anatomy import Anatomy as Normalised
from bidsapp.modalities.bold.boundary import Placed
from bidsapp.modalities.bold.field import (
    Susceptibility,
    fitted_field,
    measured_field,
    none_because,
)
from bidsapp.modalities.bold.field_files import (
    DIFFERENCE,
    FIELD_MAP,
    MAGNITUDE,
    PHASE1,
    PHASE2,
    REVERSED,
)
from bidsapp.modalities.bold.reading import Run
from bidsapp.modalities.bold.readout import readout_of
from bidsapp.modalities.bold.runs import told_of
from bidsapp.modalities.bold.susceptibility import (
    Displacement,
    fit_to_t1w,
    of_field,
    of_reversed,
)
from bidsapp.modalities.bold.timing import Timing
from bidsapp.phantom import RIGHT_INSULA
from bidsapp.phantom.anatomy import Anatomy, draw_anatomy
from bidsapp.templates.embedded import packaged
from bidsapp.templates.space import filled_brain

CPU, SIZES = torch.device("cpu"), np.array([4.0, 4.0, 4.0])
READOUT = 0.03


@cache
def _anatomy() -> Anatomy:
    return draw_anatomy(np.random.default_rng([1, 0]), 3.0, RIGHT_INSULA, 0.0)


@cache
def _taken(stretch_mm: float, sense: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean of two volumes, the affine, and the true displacement in mm."""
    rng = np.random.default_rng([1, 1])
    rest = synthetic.draw_rest(rng, False, "salience", 0.0, 20, stretch_mm, (1, 0))
    data, affine = synthetic.acquire(_anatomy(), rest, sense, only=(3, 4))
    grid = np.moveaxis(np.indices(synthetic.SHAPE), 0, -1).reshape(-1, 3)
    points = grid @ affine[:3, :3].T + affine[:3, 3]
    truth = synthetic.stretch(_anatomy(), rest, points).reshape(synthetic.SHAPE)
    return data.mean(axis=-1).astype("f4"), affine, truth


@cache
def _brain() -> tuple[np.ndarray, np.ndarray]:
    """T1w intensities and share of brain, where the head lies in the series."""
    rng = np.random.default_rng([1, 1])
    rest = synthetic.draw_rest(rng, False, "salience", 0.0, 20, 0.0, (1, 0))
    image = nib.Nifti1Image.from_filename(packaged("t1"))
    values = np.asarray(image.dataobj, np.float32)
    grid = np.moveaxis(np.indices(synthetic.SHAPE), 0, -1).reshape(-1, 3)
    affine = synthetic.bold_affine(rest)
    points = grid @ affine[:3, :3].T + affine[:3, 3]
    inverse = np.linalg.inv(rest.matrices[3])
    there = _anatomy().to_template(points @ inverse[:3, :3].T + inverse[:3, 3])
    at = (there - image.affine[:3, 3]).T
    made = [
        map_coordinates(gaussian_filter(one.astype("f4"), 1.5), at, order=1)
        for one in (values, filled_brain(values))
    ]
    return made[0].reshape(synthetic.SHAPE), made[1].reshape(synthetic.SHAPE)


def _run(stretch_mm: float) -> Run:
    image, affine, _ = _taken(stretch_mm, 1)
    return Run(np.stack([image, image], axis=-1), affine, Timing(3.0, None, 2), (1, 1), [])


def _error(found: Displacement, truth: np.ndarray) -> tuple[float, float]:
    """Root mean square in mm where the field stretches the brain, and what it was."""
    inside = (_brain()[1] > 0.5) & (truth > 0.3 * truth.max())
    left = (found.voxels * synthetic.VOXEL_MM - truth)[inside]
    return float(np.sqrt((left**2).mean())), float(np.sqrt((truth[inside] ** 2).mean()))


def test_a_series_without_a_boundary_of_white_matter_is_not_bent() -> None:
    for place in (Placed(np.eye(4)), Placed(np.eye(4), "boundary")):
        found = fitted_field(_run(7.0), _taken(7.0, 1)[0], None, place, none_because("No map."))
        assert found.displacement is None
        assert found.sentence == (
            "Susceptibility was not corrected: No map. The boundary of white matter, onto which it "
            "could be bent, was not found in it."
        )
        assert found.plain(np.eye(4), np.ones((2, 2, 2), bool))["Method"] == "none"


def test_two_senses_of_the_phase_without_a_field_give_none() -> None:
    pair = of_reversed(_taken(0.0, 1)[0], _taken(0.0, -1)[0], SIZES, 1)
    assert np.abs(pair.voxels).max() * synthetic.VOXEL_MM < 0.3


def _save(path: Path, data: np.ndarray, affine: np.ndarray, **told: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.Nifti1Image(data.astype("f4"), affine).to_filename(path)
    path.with_name(path.name.removesuffix(".nii.gz") + ".json").write_text(json.dumps(told))


def _scan(root: Path, **sources: list[str]) -> Scan:
    def file(relative: str) -> SourceFile:
        return SourceFile(root / relative, relative, {"subject": "01"})

    files = {name: tuple(map(file, some)) for name, some in sources.items()}
    return Scan("01", None, {"bold": (file("sub-01/func/sub-01_task-rest_bold.nii.gz"),), **files})


MAP = "sub-01/fmap/sub-01_fieldmap.nii.gz"
BACK = "sub-01/fmap/sub-01_dir-AP_epi.nii.gz"
SERIES = {"PhaseEncodingDirection": "j", "TotalReadoutTime": READOUT}


def test_a_map_of_the_field_is_taken_as_bids_means_it(tmp_path: Path) -> None:
    _, affine, truth = _taken(7.0, 1)
    hertz = truth / (synthetic.VOXEL_MM * READOUT)
    meant = "bids::sub-01/func/sub-01_task-rest_bold.nii.gz"
    _save(tmp_path / MAP, hertz, affine, Units="Hz", IntendedFor=meant)
    scan = _scan(tmp_path, **{FIELD_MAP: [MAP]})
    found = measured_field(_run(7.0), _taken(7.0, 1)[0], scan, SERIES, CPU)
    assert found.method == "map"
    assert found.displacement is not None
    assert _error(found.displacement, truth)[0] < 0.01
    assert found.sentence.startswith("Susceptibility was corrected: A map of the field")


DIFFERENCE_NAME = "sub-01/fmap/sub-01_phasediff.nii.gz"
MAGNITUDE_NAME = "sub-01/fmap/sub-01_magnitude1.nii.gz"
ECHOES = (0.004, 0.009)


def _phases(offset: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Phases of two echoes as a scanner stores them, the magnitude, and the affine.

    The head's phase is not 0 where the field is; both turn over within the head, and air is noise.
    """
    image, affine, truth = _taken(7.0, 1)
    rng = np.random.default_rng(0)
    hertz = truth / (synthetic.VOXEL_MM * READOUT)
    air = image < 0.1 * np.percentile(image, 99)
    stored = []
    for echo in ECHOES:
        phase = 2 * np.pi * hertz * echo + offset * echo / ECHOES[1]
        phase += 0.03 * rng.standard_normal(phase.shape)
        phase[air] = rng.uniform(-np.pi, np.pi, int(air.sum()))
        stored.append(np.rint(np.angle(np.exp(1j * phase)) / np.pi * 4095))
    return stored[0], stored[1], image, affine


@pytest.mark.parametrize("kind", ["phasediff", "rad", "phase1"])
def test_phases_of_two_echoes_are_unwrapped_to_the_field(kind: str, tmp_path: Path) -> None:
    one, two, magnitude, affine = _phases(4.5)
    _save(tmp_path / MAGNITUDE_NAME, magnitude, affine)
    names = {MAGNITUDE: [MAGNITUDE_NAME]}
    if kind == "phase1":
        for number, (phase, echo) in enumerate(zip((one, two), ECHOES, strict=True), start=1):
            name = f"sub-01/fmap/sub-01_phase{number}.nii.gz"
            _save(tmp_path / name, phase, affine, EchoTime=echo, Units="arbitrary")
            names[PHASE1 if number == 1 else PHASE2] = [name]
    else:
        turned = np.angle(np.exp(1j * (two - one) / 4095 * np.pi))
        stored = turned if kind == "rad" else np.rint(turned / np.pi * 2047 + 2047)
        more = {"EchoTime1": ECHOES[0], "EchoTime2": ECHOES[1]}
        units = {"Units": "rad"} if kind == "rad" else {}
        _save(tmp_path / DIFFERENCE_NAME, stored, affine, **more, **units)
        names[DIFFERENCE] = [DIFFERENCE_NAME]
    found = measured_field(_run(7.0), _taken(7.0, 1)[0], _scan(tmp_path, **names), SERIES, CPU)
    assert found.method == "phases"
    assert found.displacement is not None
    truth = _taken(7.0, 1)[2]
    inside = _brain()[1] > 0.5
    left = (found.displacement.voxels * synthetic.VOXEL_MM - truth)[inside]
    # a shift of the whole head is the registration's to find
    left = left - np.median(left)
    assert float(np.sqrt((left**2).mean())) < 0.15
    assert float(truth[inside].max()) > 5
    assert found.facts["EchoTimeDifference"] == 0.005
    assert "phases of two echoes" in found.sentence


@pytest.mark.parametrize(
    ("told", "magnitude", "message"),
    [
        ({}, True, "needs EchoTime1 and EchoTime2 in seconds in its JSON"),
        ({"EchoTime1": 4.92, "EchoTime2": 7.38}, True, "look like milliseconds"),
        ({"EchoTime1": 0.00738, "EchoTime2": 0.00492}, True, "0.2 to 20 ms are expected"),
        ({"EchoTime1": 0.0049, "EchoTime2": 0.0074}, False, "without sub-01_magnitude1.nii.gz"),
        ({"EchoTime1": 0.0049, "EchoTime2": 0.0074, "Units": "Hz"}, True, "rad or arbitrary"),
    ],
)
def test_phases_that_tell_no_field_are_said(
    told: dict[str, Any], magnitude: bool, message: str, tmp_path: Path
) -> None:
    phase = np.arange(64.0).reshape(4, 4, 4)
    _save(tmp_path / DIFFERENCE_NAME, phase, np.diag([60.0, 60, 60, 1]), **told)
    _save(tmp_path / MAGNITUDE_NAME, phase, np.diag([60.0, 60, 60, 1]))
    names = {DIFFERENCE: [DIFFERENCE_NAME]} | ({MAGNITUDE: [MAGNITUDE_NAME]} if magnitude else {})
    found = measured_field(_run(0.0), _taken(0.0, 1)[0], _scan(tmp_path, **names), SERIES, CPU)
    assert found.method == "none"
    assert message in found.why


@pytest.mark.parametrize("which", ["magnitude1", "phase2"])
def test_phases_and_magnitude_of_other_voxels_tell_no_field(which: str, tmp_path: Path) -> None:
    one, two, magnitude, affine = _phases(4.5)
    images = {"phase1": one, "phase2": two, "magnitude1": magnitude}
    for name, data in images.items():
        path = tmp_path / f"sub-01/fmap/sub-01_{name}.nii.gz"
        image = nib.Nifti1Image(data, affine)
        if name == which:  # the same head in the same place, stored from right to left
            image = image.as_reoriented([[0, -1], [1, 1], [2, 1]])
        told = {} if name == "magnitude1" else {"EchoTime": ECHOES[int(name[-1]) - 1]}
        _save(path, np.asarray(image.dataobj), image.affine, **told)
    names = dict(zip((PHASE1, PHASE2, MAGNITUDE), images, strict=True))
    sources = {source: [f"sub-01/fmap/sub-01_{name}.nii.gz"] for source, name in names.items()}
    found = measured_field(_run(7.0), _taken(7.0, 1)[0], _scan(tmp_path, **sources), SERIES, CPU)
    assert found.method == "none"
    assert re.search(rf"sub-01_{which}\.nii\.gz lies up to \d+\.\d mm away from", found.why), (
        found.why
    )


def test_a_phase_that_is_none_is_not_said_to_be_missing(tmp_path: Path) -> None:
    run = replace(_run(0.0), phase=None)
    for told, why in (
        ({}, "PhaseEncodingDirection is not in its JSON."),
        ({"PhaseEncodingDirection": "AP"}, "is 'AP' in its JSON; one of i, j, k, i-, j-, k- is"),
    ):
        found = measured_field(run, run.data[..., 0], _scan(tmp_path), told, CPU)
        assert why in found.sentence


def test_reversed_images_are_found_by_their_phase(tmp_path: Path) -> None:
    backwards, affine, truth = _taken(7.0, -1)
    _save(tmp_path / BACK, backwards, affine, PhaseEncodingDirection="j-", TotalReadoutTime=READOUT)
    scan = _scan(tmp_path, **{REVERSED: [BACK]})
    found = measured_field(_run(7.0), _taken(7.0, 1)[0], scan, SERIES, CPU)
    assert found.method == "reversed"
    assert found.displacement is not None
    left, was = _error(found.displacement, truth)
    assert was > 2.5
    assert left < 0.25


@pytest.mark.parametrize(
    ("told", "series", "message"),
    [
        ({"Units": "T"}, SERIES, "Units in its JSON are 'T'; Hz is expected"),
        ({"Units": "Hz"}, {"PhaseEncodingDirection": "j"}, "needs TotalReadoutTime"),
        ({"Units": "Hz", "IntendedFor": ["func/other.nii.gz"]}, SERIES, "There is no field map"),
    ],
)
def test_what_cannot_serve_is_said(
    told: dict[str, Any], series: dict[str, Any], message: str, tmp_path: Path
) -> None:
    _save(tmp_path / MAP, np.zeros((4, 4, 4)), np.diag([60.0, 60, 60, 1]), **told)
    scan = _scan(tmp_path, **{FIELD_MAP: [MAP]})
    found = measured_field(_run(0.0), _taken(0.0, 1)[0], scan, series, CPU)
    assert (found.method, found.displacement) == ("none", None)
    assert message in found.why


@pytest.mark.parametrize(
    ("told", "seconds", "assumed"),
    [
        ({"TotalReadoutTime": 0.03}, 0.03, ""),
        ({"EffectiveEchoSpacing": 0.0005}, 0.0005 * 59, ""),
        ({"TotalReadoutTime": 0.0295, "EffectiveEchoSpacing": 0.0005}, 0.0295, ""),
        ({"TotalReadoutTime": 0.03, "ReconMatrixPE": 60}, 0.03, ""),
        ({"TotalReadoutTime": 0.03, "ReconMatrixPE": 1.3}, 0.03, ""),
        # of 120 lines at first: a field shifts by the same share of the field of view
        ({"TotalReadoutTime": 0.0595, "ReconMatrixPE": 120}, 0.0295, "ReconMatrixPE is 120"),
        ({"EffectiveEchoSpacing": 0.0005, "ReconMatrixPE": 120}, 0.0295, "ReconMatrixPE is 120"),
        # times that contradict each other tell of no lines: the time is defined by the spacing
        (
            {"TotalReadoutTime": 0.04, "EffectiveEchoSpacing": 0.0005},
            0.0295,
            "0.04 s is not EffectiveEchoSpacing times lines less one (0.0005 s × 59 = 0.0295 s)",
        ),
        (
            {"TotalReadoutTime": 0.04, "EffectiveEchoSpacing": 0.0005, "ReconMatrixPE": 60},
            0.0295,
            "the spacing was kept, as BIDS defines the time by it",
        ),
    ],
)
def test_the_read_out_is_counted_in_the_lines_that_there_are(
    told: dict[str, Any], seconds: float, assumed: str
) -> None:
    found, words = readout_of(told, 60)
    assert found == pytest.approx(seconds, rel=1e-6)
    assert assumed in words
    assert bool(words) == bool(assumed)
    assert ("resampled" in words) == ("ReconMatrixPE" in assumed)


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({}, "needs TotalReadoutTime, or EffectiveEchoSpacing"),
        ({"TotalReadoutTime": 30}, "milliseconds: write 0.03"),
        ({"TotalReadoutTime": 0}, "TotalReadoutTime is 0"),
        ({"EffectiveEchoSpacing": "0.0005"}, "EffectiveEchoSpacing is '0.0005'"),
        ({"EffectiveEchoSpacing": 0.5}, "read out in 29.5 s"),
    ],
)
def test_a_read_out_that_cannot_be_is_said(told: dict[str, Any], message: str) -> None:
    with pytest.raises(BadData, match=message):
        readout_of(told, 60)


def test_a_resampled_series_is_displaced_by_as_many_millimetres() -> None:
    """The same field, the same JSON of 60 lines of 4 mm: read on 30 lines of 8 mm."""
    _, _, truth = _taken(7.0, 1)
    hertz = truth / (synthetic.VOXEL_MM * READOUT)
    told = {"TotalReadoutTime": READOUT, "ReconMatrixPE": synthetic.SHAPE[1]}
    half, _ = readout_of(told, synthetic.SHAPE[1] // 2)
    found = of_field(hertz[:, ::2], half, 1, 1).voxels * 2 * synthetic.VOXEL_MM
    # 29 spacings for 59: BIDS counts lines less one
    assert found == pytest.approx(truth[:, ::2], rel=0.02, abs=1e-6)


class _Fits:
    """How well a series fits with a displacement, by what is put in."""

    def __init__(self, with_it: float, reversed_: float) -> None:
        self.given = {1.0: with_it, -1.0: reversed_}
        self.asked: list[float] = []

    def __call__(self, displacement: Displacement) -> float:
        self.asked.append(float(displacement.voxels.max()))
        return self.given[self.asked[-1]]


@pytest.mark.parametrize(
    ("with_it", "reversed_", "used", "words"),
    [
        (0.96, 0.9, True, "as well or better (mean local correlation 0.960, 0.950 without)."),
        (0.95, 0.9, True, ""),
        (0.94, 0.93, False, "less well than without (mean local correlation 0.940 and 0.950)"),
        (0.94, 0.97, False, "With its sense reversed it would fit better (0.970): look whether"),
        (-np.inf, 0.9, False, "With it the mean volume cannot be registered to the T1w image, so"),
        (-np.inf, 0.97, False, "With its sense reversed it would fit better (0.970): look whether"),
        (0.94, -np.inf, False, "less well than without (mean local correlation 0.940 and 0.950)"),
    ],
)
def test_a_measured_field_is_used_where_the_series_then_fits_as_well(
    with_it: float, reversed_: float, used: bool, words: str
) -> None:
    ones = Displacement(np.ones((2, 2, 2), np.float32), 1)
    given = Susceptibility(ones, "map", "A map said it.", {"TotalReadoutTime": 0.03})
    found = given.judged(0.95, _Fits(with_it, reversed_))
    assert (found.displacement is ones) == used
    assert (found.method, found.sentence.startswith("Susceptibility was corrected")) == (
        ("map", True) if used else ("none", False)
    )
    assert words in found.sentence
    told = json.loads(json.dumps(dict(found.facts), allow_nan=False))  # what JSON can hold
    assert (told["FitBefore"], told.get("FitAfter", -np.inf)) == (0.95, with_it)


def test_a_true_field_fits_the_t1w_image_better_and_its_reverse_worse() -> None:
    """On a head whose field is known, by the correlation that decides."""
    image, _, truth = _taken(7.0, 1)
    t1w, share = _brain()
    right = Displacement((truth / synthetic.VOXEL_MM).astype("f4"), 1)

    def fit(displacement: Displacement | None) -> float:
        mean = image if displacement is None else displacement.undistorted(image)
        return fit_to_t1w(mean, t1w, share, SIZES, 1)

    assert fit(right) > fit(None) + 0.005
    assert fit(right.reverse) < fit(None) - 0.005
    kept = Susceptibility(right, "map", "", {}).judged(fit(None), fit)
    assert kept.displacement is right
    turned = Susceptibility(right.reverse, "map", "", {}).judged(fit(None), fit)
    assert turned.displacement is None
    assert "PhaseEncodingDirection has the right sign" in turned.why


@pytest.mark.slow
def test_a_displacement_with_which_nothing_can_be_registered_ends_nobody(tmp_path: Path) -> None:
    """A map that moves the head out of the image: it is left out, and the person is prepared."""
    rest = synthetic.draw_rest(
        np.random.default_rng([1, 1]), False, "salience", 0.0, 20, 0.0, (1, 0)
    )
    data, affine = synthetic.acquire(_anatomy(), rest, 1, only=range(3, 9))
    run = Run(data.astype("f4"), affine, Timing(3.0, None, 2), (1, 1), [])
    anatomy = _files_of_t1w(tmp_path, affine)
    away = Displacement(np.full(synthetic.SHAPE, 500.0, np.float32), 1)
    given = Susceptibility(away, "map", "A map said it.", {"TotalReadoutTime": 0.03})
    found = align(run, anatomy, lambda mean: given, seed=0, device=CPU, nthreads=1)
    assert re.search(
        "With it the mean volume (cannot be registered to|fits) the T1w image", found.field.why
    )
    assert found.field.displacement is None or found.field.method == "registration"
    assert np.abs(found.to_series[:3, 3]).max() < 5
    json.dumps(found.field.plain(run.affine, found.mask), allow_nan=False)


def test_the_largest_displacement_is_the_brains_and_no_noise_around_it(tmp_path: Path) -> None:
    """Far values where the series is bright and no brain is, as phases in sinuses have."""
    rest = synthetic.draw_rest(
        np.random.default_rng([1, 1]), False, "salience", 0.0, 20, 7.0, (1, 0)
    )
    data, affine = synthetic.acquire(_anatomy(), rest, 1, only=range(3, 9))
    run = Run(data.astype("f4"), affine, Timing(3.0, None, 2), (1, 1), [])
    anatomy = _files_of_t1w(tmp_path, affine)
    truth, brain = _taken(7.0, 1)[2], _brain()[1]
    bright = brain_mask(run.data.mean(axis=-1), affine)
    outside = np.argwhere(bright & (brain < 0.1))
    noisy = truth / synthetic.VOXEL_MM
    noisy[tuple(outside[:: max(1, len(outside) // 20)].T)] = 10  # 40 mm
    given = Susceptibility(Displacement(noisy.astype("f4"), 1), "map", "A map said it.", {})
    found = align(run, anatomy, lambda mean: given, seed=0, device=CPU, nthreads=1)
    assert found.field.method == "map"
    assert np.abs(noisy[found.mask]).max() == 10
    told = told_of(run, found)["SusceptibilityDistortion"]["LargestDisplacement"]
    assert told == pytest.approx(truth[brain > 0.5].max(), rel=0.05)


def _files_of_t1w(folder: Path, affine: np.ndarray) -> Normalised:
    """The T1w image and its mask, where the head lies in the series."""
    for name, values in zip(("t1w", "mask"), _brain(), strict=True):
        nib.Nifti1Image(values.astype("f4"), affine).to_filename(folder / f"{name}.nii")
    return Normalised(folder / "t1w.nii", folder / "mask.nii", *[folder / "none"] * 3)


@pytest.mark.parametrize(
    ("source", "identifier", "meant", "taken"),
    [
        ("map0", "map0", "func/other.nii.gz", True),  # IntendedFor is not looked at
        (["map1", "map0"], ["map0"], None, True),
        ("map0", "map1", None, False),
        ("map0", None, "bids::sub-01/func/sub-01_task-rest_bold.nii.gz", False),
        (None, "map0", "func/other.nii.gz", False),
    ],
)
def test_a_series_names_its_field_by_b0fieldsource(
    source: Any, identifier: Any, meant: str | None, taken: bool, tmp_path: Path
) -> None:
    told = {"B0FieldIdentifier": identifier, "IntendedFor": meant, "Units": "T"}
    own = {key: value for key, value in told.items() if value is not None}
    _save(tmp_path / MAP, np.zeros((4, 4, 4)), np.diag([60.0, 60, 60, 1]), **own)
    scan = _scan(tmp_path, **{FIELD_MAP: [MAP]})
    series = SERIES | ({"B0FieldSource": source} if source else {})
    found = measured_field(_run(0.0), _taken(0.0, 1)[0], scan, series, CPU)
    # what is taken is then refused for its unit
    assert ("Units in its JSON" in found.why) == taken


@pytest.mark.parametrize("told", [[0.03], "fast", -0.03, {}, "\u202e", [1, 2]])
def test_a_read_out_that_is_no_time_is_said_with_its_file(told: Any, tmp_path: Path) -> None:
    image, affine, _ = _taken(7.0, -1)
    _save(tmp_path / BACK, image, affine, PhaseEncodingDirection="j-", TotalReadoutTime=told)
    scan = _scan(tmp_path, **{REVERSED: [BACK]})
    found = measured_field(_run(7.0), image, scan, SERIES, CPU)
    if told == {}:  # tells nothing
        assert found.method == "reversed"
        return
    assert found.method == "none"
    assert f"{BACK}: TotalReadoutTime is {told!r} in its JSON; seconds are expected" in found.why


def test_a_phase_of_the_same_sense_is_no_reversed_one(tmp_path: Path) -> None:
    image, affine, _ = _taken(7.0, 1)
    _save(tmp_path / BACK, image, affine, PhaseEncodingDirection="j", TotalReadoutTime=READOUT)
    scan = _scan(tmp_path, **{REVERSED: [BACK]})
    found = measured_field(_run(7.0), image, scan, SERIES, CPU)
    assert found.method == "none"
    assert "along the same axis, reversed" in found.why
