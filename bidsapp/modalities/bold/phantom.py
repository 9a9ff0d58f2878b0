"""``python -m bidsapp.modalities.bold.phantom FOLDER``: people at rest with a known answer.

Heads are those of ``python -m bidsapp.phantom``; in their raw series eight networks have courses of
their own, the head moves, slices are taken one after the other, the signal drifts, and the field
stretches the brain above the sinuses. In responders one network is stronger. The truth, and maps of
the networks in standard space, lie in ``sourcedata/phantom``, which neither pybids nor the
validator reads.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bidsapp.errors import CannotCreateOutput, UsageError
from bidsapp.intake.json_text import read_own_json
from bidsapp.modalities.bold.synthetic import (
    NETWORKS,
    NON_STEADY,
    SHAPE,
    TR,
    VOXEL_MM,
    Rest,
    acquire,
    draw_rest,
    network_maps,
    slice_times,
    stretch,
)
from bidsapp.phantom import Anatomy
from bidsapp.phantom.anatomy import draw_anatomy
from bidsapp.phantom.command import make_and_tell, phantom_parser
from bidsapp.phantom.head import ORIENTATIONS, Head, scan, template_head
from bidsapp.phantom.region import RIGHT_INSULA

TRUTH = Path("sourcedata", "phantom", "truth.json")
MAPS = Path("sourcedata", "phantom", "networks.nii.gz")
PLANTED = "salience"
LEAST_VOLUMES = 20
READOUT_S = 0.03
"""BIDS' TotalReadoutTime of the series."""
_FIELD_MM = 3.0
ECHOES_S = (0.00492, 0.00738)
"""Echo times of the phases that are taken of the field."""
_FIELDS = ("none", "reversed", "map", "phases")
_T1W_MM, _WARP_MM, _T1W_NOISE = 2.0, 3.0, 0.02


def make_rest_phantom(
    folder: Path,
    participants: int = 16,
    seed: int = 0,
    *,
    effect: float = 1.0,
    volumes: int = 100,
    stretch_mm: float = 6.0,
    field: str = "none",
) -> Path:
    """Write a BIDS dataset of people at rest, half of them responders.

    Parameters
    ----------
    folder
        Must be empty or new.
    participants
        How many, at least 2.
    seed
        The same seed gives the same bytes.
    effect
        How much stronger the network `PLANTED` is in responders: 1 is twice as strong, 0 as in
        all others.
    volumes
        Volumes of a series, 3 s apart, at least 20.
    stretch_mm
        Mean over people of the largest displacement by the field, 0 for none.
    field
        What is taken of the field besides: ``none``, ``reversed`` (volumes with the phase
        reversed), ``map`` (of the field, in Hz), or ``phases`` (difference of two echoes' phases).

    Returns
    -------
    Path
        `folder`.

    Raises
    ------
    UsageError
        A value is out of its range.
    CannotCreateOutput
        The folder holds something, or cannot be made.
    """
    if participants < 2 or volumes < LEAST_VOLUMES:
        raise UsageError(
            f"{participants} participants of {volumes} volumes; a phantom needs at least 2 of "
            f"{LEAST_VOLUMES}."
        )
    if effect <= -1 or not 0 <= stretch_mm <= 15:
        raise UsageError(
            f"effect is {effect}, stretch_mm {stretch_mm}; above -1 and 0 to 15 are expected."
        )
    if field not in _FIELDS:
        raise UsageError(f"field is {field}; one of {', '.join(_FIELDS)} is expected.")
    _start(folder)
    people = _people(participants, seed)
    truth: dict[str, Any] = {
        "networks": list(NETWORKS),
        "planted": PLANTED,
        "effect": effect,
        "seed": seed,
        "volumes": volumes,
        "stretch_mm": stretch_mm,
        "participants": people,
    }
    _json(folder / TRUTH, truth)
    _image(folder / MAPS, *_maps())
    _tables(folder, truth, np.random.default_rng([seed, 5]))
    for index, label in enumerate(people):
        _write_person(folder, label, index, field, *known_person(folder, label))
    return folder


def known_person(folder: Path, participant_id: str) -> tuple[Anatomy, Rest]:
    """Give what a phantom's participant was made with.

    Parameters
    ----------
    folder
        A dataset that `make_rest_phantom` wrote.
    participant_id
        ``sub-01``.
    """
    truth = read_own_json(folder / TRUTH)
    index = list(truth["participants"]).index(participant_id)
    seed = (int(truth["seed"]), index)
    anatomy = draw_anatomy(np.random.default_rng([*seed, 0]), _WARP_MM, RIGHT_INSULA, 0.0)
    rest = draw_rest(
        np.random.default_rng([*seed, 1]),
        bool(truth["participants"][participant_id]),
        truth["planted"],
        truth["effect"],
        truth["volumes"],
        truth["stretch_mm"],
        seed,
    )
    return anatomy, rest


def _people(count: int, seed: int) -> dict[str, int]:
    """Say who responds: one of each two that follow one another."""
    rng = np.random.default_rng([seed, 4])
    width = max(2, len(str(count)))
    pairs = [rng.permutation([0, 1]) for _ in range(-(-count // 2))]
    return {f"sub-{n + 1:0{width}d}": int(pairs[n // 2][n % 2]) for n in range(count)}


def _write_person(
    folder: Path, label: str, index: int, field: str, anatomy: Anatomy, rest: Rest
) -> None:
    from scipy.ndimage import gaussian_filter

    head = template_head()
    blurred = Head(gaussian_filter(head.data, 0.425 * np.sqrt(_T1W_MM**2 - 1)), head.affine)
    orientation = ORIENTATIONS[index % len(ORIENTATIONS)]
    rng = np.random.default_rng([*rest.seed, 3])
    t1w = scan(blurred, anatomy, _T1W_MM, orientation, rng, _T1W_NOISE)
    _image(folder / label / "anat" / f"{label}_T1w.nii.gz", *t1w)
    stem = f"{label}_task-rest_bold"
    data, affine = acquire(anatomy, rest)
    _image(folder / label / "func" / f"{stem}.nii.gz", data, affine, TR)
    if field == "none":
        return
    place, told = folder / label / "fmap", {"IntendedFor": f"bids::{label}/func/{stem}.nii.gz"}
    if field == "reversed":
        for name, sense in (("PA", 1), ("AP", -1)):
            some, _ = acquire(anatomy, rest, sense, range(NON_STEADY, NON_STEADY + 3))
            path = place / f"{label}_dir-{name}_epi"
            _image(path.with_suffix(".nii.gz"), some, affine, TR)
            phase = {"PhaseEncodingDirection": "j" if sense > 0 else "j-"}
            _json(path.with_suffix(".json"), told | phase | {"TotalReadoutTime": READOUT_S})
        return
    grid = np.moveaxis(np.indices(SHAPE), 0, -1).reshape(-1, 3)
    points = grid @ affine[:3, :3].T + affine[:3, 3]
    hertz = stretch(anatomy, rest, points).reshape(SHAPE) / (VOXEL_MM * READOUT_S)
    magnitude = data[..., NON_STEADY].astype(np.int16)
    if field == "phases":
        turned = np.angle(np.exp(2j * np.pi * hertz * (ECHOES_S[1] - ECHOES_S[0]) + 2j))
        air = magnitude < 0.1 * np.percentile(magnitude, 99)
        turned[air] = rng.uniform(-np.pi, np.pi, np.count_nonzero(air))
        path = place / f"{label}_phasediff"
        stored = np.rint(turned / np.pi * 4095).astype(np.int16)
        _image(path.with_suffix(".nii.gz"), stored, affine)
        echoes = {"EchoTime1": ECHOES_S[0], "EchoTime2": ECHOES_S[1]}
        _json(path.with_suffix(".json"), told | echoes)
        _image(place / f"{label}_magnitude1.nii.gz", magnitude, affine)
        return
    path = place / f"{label}_fieldmap"
    _image(path.with_suffix(".nii.gz"), hertz.astype(np.float32), affine)
    _json(path.with_suffix(".json"), told | {"Units": "Hz"})
    _image(place / f"{label}_magnitude.nii.gz", magnitude, affine)


def _maps() -> tuple[np.ndarray, np.ndarray]:
    maps = network_maps()
    return np.moveaxis(maps.fields, 0, -1), maps.affine


def _tables(folder: Path, truth: Mapping[str, Any], rng: np.random.Generator) -> None:
    """Write who responded, clinical columns that tell nothing, and what the files are."""
    rows: list[tuple[Any, ...]] = [
        ("participant_id", "age", "sex", "lidocaine_response", "nrs_pre", "nrs_post", *_NOISE)
    ]
    for number, (label, responder) in enumerate(truth["participants"].items()):
        before = int(rng.integers(4, 10))
        after = round(before * rng.uniform(*((0.2, 0.6) if responder else (0.8, 1.1))), 1)
        named = "responder" if responder else "non-responder"
        drawn = [round(float(rng.normal(mean, sd)), 1) for mean, sd in _NOISE.values()]
        person = (label, int(rng.integers(35, 75)), "FM"[number // 2 % 2], named, before, after)
        rows.append((*person, *drawn))
    table = "".join("\t".join(map(str, row)) + "\n" for row in rows)
    (folder / "participants.tsv").write_text(table, encoding="utf-8")
    said = {
        "age": {"Description": "Age (invented)", "Units": "year"},
        "lidocaine_response": {
            "Description": "Whether pain fell by 30 % (invented)",
            "Levels": {"responder": "it did", "non-responder": "it did not"},
        },
        "nrs_pre": {"Description": "Pain before, 0 to 10 (invented)"},
        "nrs_post": {"Description": "Pain after, 0 to 10 (invented)"},
    }
    _json(folder / "participants.json", said)
    names = "".join(f"{number}\t{name}\n" for number, name in enumerate(NETWORKS, start=1))
    path = folder / MAPS
    path.with_name("networks.tsv").write_text("index\tname\n" + names, encoding="utf-8")
    _json(
        folder / "task-rest_bold.json",
        {
            "TaskName": "rest",
            "RepetitionTime": TR,
            "EchoTime": 0.03,
            "SliceTiming": slice_times().tolist(),
            "PhaseEncodingDirection": "j",
            "TotalReadoutTime": READOUT_S,
        },
    )
    _json(
        folder / "dataset_description.json",
        {
            "Name": "NociCast phantom: synthetic people at rest with a known answer",
            "BIDSVersion": "1.10.0",
            "DatasetType": "raw",
            "License": "That of the ICBM 2009a template, from which the heads are made",
            "ReferencesAndLinks": ["https://doi.org/10.1016/j.neuroimage.2010.07.033"],
        },
    )


# Clinical columns that hold nothing: mean and standard deviation.
_NOISE = {"pain_duration": (6.0, 2.0), "hba1c": (7.5, 1.0), "bmi": (29.0, 4.0)}


def _start(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        full = any(folder.iterdir())
    except OSError as error:
        raise CannotCreateOutput(f"{folder} cannot be made: {error.strerror or error}.") from error
    if full:
        raise CannotCreateOutput(f"{folder} is not empty; name a new folder.")


def _image(path: Path, data: np.ndarray, affine: np.ndarray, tr: float = 0.0) -> None:
    import nibabel as nib

    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(data, affine)
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    image.header.set_xyzt_units("mm", "sec")
    if tr:
        image.header["pixdim"][4] = tr
    nib.save(image, path)


def _json(path: Path, content: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Make people at rest from the command line; the exit code."""
    parser = phantom_parser("bidsapp.modalities.bold.phantom", __doc__, 16)
    parser.add_argument(
        "--effect",
        type=float,
        default=1.0,
        metavar="X",
        help=f"how much stronger the {PLANTED} network is in responders (1: twice; 0: none)",
    )
    parser.add_argument("--volumes", type=int, default=100, metavar="N", help="of a series")
    parser.add_argument(
        "--stretch", type=float, default=6.0, metavar="MM", help="by the field, at most (0: none)"
    )
    parser.add_argument(
        "--field", choices=_FIELDS, default="none", help="what is taken of the field besides"
    )
    asked = parser.parse_args(arguments)
    return make_and_tell(
        lambda: make_rest_phantom(
            asked.folder,
            asked.participants,
            asked.seed,
            effect=asked.effect,
            volumes=asked.volumes,
            stretch_mm=asked.stretch,
            field=asked.field,
        ),
        f"{asked.participants} people at rest: {asked.folder}",
    )


if __name__ == "__main__":
    sys.exit(main())
