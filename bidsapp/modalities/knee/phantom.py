"""``python -m bidsapp.modalities.knee.phantom FOLDER``: synthetic knees with a known answer.

Positives have lost cartilage in the middle of the medial tibial plate. Images, echoes and label
maps are made from formulas; the truth lies beside them in participants.tsv, with the columns that
recipe morales2021 asks for, or, where people have both knees, in phenotype/knees.tsv.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bidsapp.errors import CannotCreateOutput
from bidsapp.modalities.knee.synthetic import NAMES, knee_labels, origin, random_person
from bidsapp.phantom.command import make_and_tell, phantom_parser

SPACING = (1.0, 0.8, 0.8)
ECHO_TIMES = (0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07)
_BRIGHT = (40.0, 120.0, 300.0, 120.0, 300.0, 300.0, 120.0, 300.0)
_T2_MS = (45.0, 30.0, 40.0, 30.0, 40.0, 40.0, 30.0, 40.0)
_ECHO_STEP = (4, 2, 2)  # voxels of the label map in one of the echoes
_NOISE = 6.0


def make_knee_phantom(
    folder: Path,
    participants: int = 12,
    seed: int = 0,
    thinned: float = 0.7,
    spacing: tuple[float, float, float] = SPACING,
    echoes: bool = True,
    both: bool = False,
) -> None:
    """Write a BIDS dataset of synthetic knees, right and left in turn, or both of everybody.

    Parameters
    ----------
    folder
        Must be empty or new.
    participants
        How many; every second one is positive.
    seed
        Of their shapes and noise.
    thinned
        Share of cartilage that positives have lost in the middle of the medial tibial plate.
    spacing
        Millimetres between voxels of images and label maps.
    echoes
        Whether there are MESE echoes.
    both
        Whether everybody has both knees, at one visit; none, the right, the left or both of them
        are positive in turn.

    Raises
    ------
    CannotCreateOutput
        The folder holds something, or cannot be made.
    """
    if folder.exists() and any(folder.iterdir()):
        raise CannotCreateOutput(f"{folder} is not empty; name a new folder.")
    rng = np.random.default_rng(seed)
    labels = folder / "derivatives" / "labels"
    _description(folder, "Synthetic knees", "raw")
    _description(labels, "Labels of synthetic knees", "derivative")
    _write(labels / "desc-knee_dseg.tsv", ["index\tname", *_rows(enumerate(NAMES))])
    heading: tuple[str, ...]
    people: dict[tuple[object, ...], None] = {}
    knees = []
    for number in range(1, participants + 1):
        label = f"{number:02d}"
        who: tuple[object, ...] = ()
        for side in "RL" if both else "RL"[(number - 1) // 2 % 2]:
            positive = number % 2 == 0
            if both:
                positive = number % 4 in ((2, 0) if side == "R" else (3, 0))
            data = knee_labels(random_person(rng, thinned if positive else 0.0), spacing)
            acquired = {"R": "right", "L": "left"}[side] if both else ""
            _write_knee(folder, labels, label, data, side, spacing, rng, echoes, acquired)
            who = who or (f"sub-{label}", int(rng.integers(45, 80)), "FM"[int(rng.integers(2))])
            bmi, *clinic = _clinic(rng, positive)
            if both:
                who = (*who, bmi) if len(who) == len(_PERSON) else who
                people[who] = None
                knees.append((who[0], side, int(positive), *clinic))
            else:
                people[(*who, side, int(positive), bmi, *clinic)] = None
    if both:
        _write(folder / "participants.tsv", ["\t".join((*_PERSON, "bmi")), *_rows(people)])
        (folder / "phenotype").mkdir()
        heading = ("participant_id", "part_id", "chronic_pain", *_CLINIC)
        _write(folder / "phenotype" / "knees.tsv", ["\t".join(heading), *_rows(knees)])
    else:
        heading = (*_PERSON, "knee_side", "chronic_pain", "bmi", *_CLINIC)
        _write(folder / "participants.tsv", ["\t".join(heading), *_rows(people)])


_PERSON = ("participant_id", "age", "sex")
_CLINIC = ("kl_grade", "oarsi_jsn_medial", "oarsi_jsn_lateral", "min_medial_jsw")


def _clinic(rng: np.random.Generator, positive: bool) -> tuple[object, ...]:
    """Draw what a clinic knows: radiographs go with the lost cartilage, but not closely."""
    grade = int(np.clip(np.round(1.2 + 0.9 * positive + 1.1 * rng.normal()), 0, 4))
    medial = int(np.clip(np.round(0.5 + 0.6 * positive + 0.7 * rng.normal()), 0, 3))
    lateral = int(np.clip(np.round(0.4 + 0.7 * rng.normal()), 0, 3))
    width = round(float(4.5 - 0.8 * positive + 0.9 * rng.normal()), 2)
    return round(float(28 + 4 * rng.normal()), 1), grade, medial, lateral, width


def _write_knee(
    folder: Path,
    derivative: Path,
    label: str,
    data: np.ndarray,
    side: str,
    spacing: tuple[float, float, float],
    rng: np.random.Generator,
    echoes: bool,
    acquired: str,
) -> None:
    place, stem = Path(f"sub-{label}") / "anat", f"sub-{label}"
    of = f"{stem}_acq-{acquired}" if acquired else stem
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = origin() + np.array([75.0, 0, 0])
    if side == "L":
        affine = np.diag([-1.0, 1, 1, 1]) @ affine
    image = np.array(_BRIGHT, np.float32)[data] + _NOISE * rng.normal(size=data.shape)
    facts: dict[str, Any] = {"BodyPart": "KNEE", "PulseSequenceType": "DESS"}
    _image(
        folder / place / f"{stem}_acq-DESS{acquired}_T2w.nii.gz",
        image.astype(np.float32),
        affine,
        facts,
    )
    _image(derivative / place / f"{stem}_acq-DESS{acquired}_desc-knee_dseg.nii.gz", data, affine)
    if not echoes:
        return
    coarse = data[tuple(slice(step // 2, None, step) for step in _ECHO_STEP)]
    step = np.diag([*_ECHO_STEP, 1.0])
    step[:3, 3] = [size // 2 for size in _ECHO_STEP]
    t2 = np.array(_T2_MS)[coarse]
    for number, time in enumerate(ECHO_TIMES, start=1):
        signal = np.array(_BRIGHT)[coarse] * np.exp(-1000 * time / t2)
        signal = np.abs(signal + 2 * rng.normal(size=signal.shape)).astype(np.float32)
        path = folder / place / f"{of}_echo-{number}_MESE.nii.gz"
        _image(path, signal, affine @ step, {"BodyPart": "KNEE", "EchoTime": time})


def _image(
    path: Path, data: np.ndarray, affine: np.ndarray, facts: dict[str, Any] | None = None
) -> None:
    import nibabel as nib

    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(data, affine)
    image.header.set_xyzt_units("mm", "sec")
    nib.save(image, path)
    if facts is not None:
        sidecar = path.with_name(path.name.removesuffix(".nii.gz") + ".json")
        sidecar.write_text(json.dumps(facts, indent=2) + "\n")


def _description(folder: Path, name: str, kind: str) -> None:
    told: dict[str, Any] = {"Name": name, "BIDSVersion": "1.10.0", "DatasetType": kind}
    if kind == "derivative":
        told["GeneratedBy"] = [{"Name": "NociCast's synthetic knee"}]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotCreateOutput(f"{folder} cannot be made: {error.strerror or error}.") from error
    (folder / "dataset_description.json").write_text(json.dumps(told, indent=2) + "\n")


def _rows(values: Any) -> list[str]:
    return ["\t".join(map(str, row)) for row in values]


def _write(path: Path, lines: Sequence[str]) -> None:
    path.write_text("\n".join(lines) + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Make synthetic knees from the command line; the exit code."""
    parser = phantom_parser("bidsapp.modalities.knee.phantom", __doc__, 12)
    parser.add_argument(
        "--thinned", type=float, default=0.7, metavar="X", help="share of cartilage that is lost"
    )
    parser.add_argument("--both", action="store_true", help="both knees of everybody at one visit")
    asked = parser.parse_args(arguments)
    given = asked.folder, asked.participants, asked.seed, asked.thinned
    count = asked.participants * (2 if asked.both else 1)
    return make_and_tell(
        lambda: make_knee_phantom(*given, both=asked.both),
        f"{count} synthetic knees: {asked.folder}",
    )


if __name__ == "__main__":
    sys.exit(main())
