"""The phantom as a BIDS dataset: images, tables, and the truth beside them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bidsapp.errors import CannotCreateOutput, NoInput, UsageError
from bidsapp.intake.json_text import read_own_json
from bidsapp.phantom.anatomy import Anatomy, draw_anatomy
from bidsapp.phantom.head import ORIENTATIONS, Head, scan, template_head
from bidsapp.phantom.region import RIGHT_INSULA, Region, plant_cuboid

# A folder that neither pybids nor the validator reads.
TRUTH = Path("sourcedata", "phantom", "truth.json")


def make_phantom(
    folder: Path,
    *,
    participants: int = 12,
    seed: int = 0,
    effect: float = 0.3,
    volume_effect: float = 0.0,
    region: Region = RIGHT_INSULA,
    resolution_mm: float = 2.0,
    noise: float = 0.02,
    warp_mm: float = 3.0,
    orientations: Sequence[str] = ORIENTATIONS,
    prevalence: float = 0.5,
    gamma: float = 1.0,
) -> Path:
    """Write a valid BIDS dataset of T1w heads whose answer is known.

    Every head is the embedded template inside a synthetic skull, scalp, face and neck, deformed,
    moved and sized at random, with a bias field and Rician noise. Those with ``chronic_pain`` 1,
    half of them, carry the planted effect; age and sex are matched pair by pair (at another
    prevalence they are drawn alike). The truth lies in
    ``sourcedata/phantom/truth.json``, which neither pybids nor the validator reads.

    Parameters
    ----------
    folder
        Where to write; must be empty or not there yet.
    participants
        How many, at least 2.
    seed
        The same seed gives the same bytes.
    effect
        Relative change of T1w intensity in the region: 0.3 is 30 % brighter, 0 is none.
    volume_effect
        Relative change of local volume at the region's centre, above −1; 0 is none.
    region
        Where the effect is planted, in MNI coordinates.
    resolution_mm
        Voxel size.
    noise
        Standard deviation of the noise, as a share of white matter's intensity.
    warp_mm
        Root mean square of the random deformation's velocity; about its displacement.
    orientations
        How the images lie on the disk, in turn: three axis letters, or ``oblique``.
    prevalence
        Share of people with the outcome, 0 to 1, rounded to whole people.
    gamma
        Power of the tissues' intensities, relative to white matter: another scanner's contrast.
        1 is the template's, −1 turns it round, as in a T2-weighted image.

    Returns
    -------
    Path
        `folder`.

    Raises
    ------
    UsageError
        A value is out of its range.
    CannotCreateOutput
        `folder` is not empty or cannot be written.
    """
    from scipy.ndimage import gaussian_filter

    if participants < 2:
        raise UsageError(f"participants is {participants}; a phantom needs at least 2.")
    if effect <= -1 or volume_effect <= -1:
        raise UsageError("effect and volume_effect are relative changes and must be above -1.")
    if not 0.5 <= resolution_mm <= 4:
        raise UsageError(f"resolution_mm is {resolution_mm}; it must lie between 0.5 and 4.")
    if not 0 <= prevalence <= 1:
        raise UsageError(f"prevalence is {prevalence}; it must lie between 0 and 1.")
    if not 0.2 <= abs(gamma) <= 5:
        raise UsageError(f"gamma is {gamma}; it must lie between 0.2 and 5, or their negatives.")
    _make_empty(folder)

    people = _draw_people(participants, np.random.default_rng(seed), prevalence)
    head = template_head()
    # A voxel averages over its extent; without this, 1 mm detail would alias.
    blur = 0.425 * np.sqrt(max(resolution_mm**2 - 1, 0))
    heads = {
        patient: Head(gaussian_filter(data, blur), head.affine)
        for patient, data in (
            (0, head.data),
            (1, plant_cuboid(head.data, head.affine, region.centre_mm, region.size_mm, effect)),
        )
    }
    _write_tables(folder, people)
    truth = {
        "space": "MNI152NLin2009aSym",
        "region": vars(region),
        "effect": effect,
        "volume_effect": volume_effect,
        "seed": seed,
        **({} if gamma == 1 else {"gamma": gamma}),
        "warp_mm": warp_mm,
        "participants": {person["participant_id"]: person["chronic_pain"] for person in people},
    }
    _write_json(folder / TRUTH, truth)
    for index, person in enumerate(people):
        label, patient = person["participant_id"], person["chronic_pain"]
        anatomy = known_anatomy(folder, label)
        data, affine = scan(
            heads[patient],
            anatomy,
            resolution_mm,
            orientations[index % len(orientations)],
            np.random.default_rng([seed, index, 1]),
            noise,
            gamma,
        )
        _write_image(folder / label / "anat" / f"{label}_T1w.nii.gz", data, affine)
    return folder


def known_anatomy(folder: Path, participant_id: str) -> Anatomy:
    """Give the deformation that a phantom's participant was made with.

    Parameters
    ----------
    folder
        A dataset that `make_phantom` wrote.
    participant_id
        As in its ``participants.tsv``: ``sub-01``.

    Raises
    ------
    NoInput
        The folder holds no phantom, or not that participant.
    """
    try:
        truth = read_own_json(folder / TRUTH)
        people = truth["participants"]
        index = list(people).index(participant_id)
    except (OSError, ValueError, KeyError) as error:
        raise NoInput(f"{folder / TRUTH} does not describe {participant_id}.") from error
    planted = truth["region"]
    region = Region(planted["name"], tuple(planted["centre_mm"]), tuple(planted["size_mm"]))
    growth = truth["volume_effect"] if people[participant_id] else 0.0
    rng = np.random.default_rng([truth["seed"], index, 0])
    return draw_anatomy(rng, truth["warp_mm"], region, growth)


def _make_empty(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        full = any(folder.iterdir())
    except OSError as error:
        raise CannotCreateOutput(
            f"The phantom's folder {folder} cannot be made: {error}"
        ) from error
    if full:
        raise CannotCreateOutput(f"{folder} is not empty; name a new folder for the phantom.")


def _draw_people(
    count: int, rng: np.random.Generator, prevalence: float = 0.5
) -> list[dict[str, Any]]:
    """Pairs of one patient and one control, of one sex and of ages within two years.

    At another prevalence than one half the patients are so many of the people, drawn at random.
    """
    people = []
    for index in range(count):
        pair = index // 2
        if index % 2 == 0:
            age = int(rng.integers(20, 65))
        people.append(
            {
                "age": age + int(rng.integers(0, 3)),
                "sex": "FM"[pair % 2],
                "chronic_pain": index % 2,
            }
        )
    if prevalence != 0.5:
        patients = rng.permutation(count)[: round(count * prevalence)]
        for index, person in enumerate(people):
            person["chronic_pain"] = int(index in patients)
    order = rng.permutation(count)
    width = max(2, len(str(count)))
    return [
        {"participant_id": f"sub-{place + 1:0{width}d}", **people[index]}
        for place, index in enumerate(order)
    ]


def _write_tables(folder: Path, people: list[dict[str, Any]]) -> None:
    columns = list(people[0])
    rows = ["\t".join(columns), *("\t".join(str(p[c]) for c in columns) for p in people)]
    (folder / "participants.tsv").write_text("\n".join(rows) + "\n")
    _write_json(
        folder / "participants.json",
        {
            "age": {"Description": "Age", "Units": "year"},
            "sex": {"Description": "Sex", "Levels": {"F": "female", "M": "male"}},
            "chronic_pain": {
                "Description": "Whether the pain stayed (invented)",
                "Levels": {"0": "pain resolved", "1": "chronic pain"},
            },
        },
    )
    _write_json(
        folder / "dataset_description.json",
        {
            "Name": "NociCast phantom: synthetic heads with a known answer",
            "BIDSVersion": "1.10.0",
            "DatasetType": "raw",
            "License": "That of the ICBM 2009a template, from which the heads are made",
            "GeneratedBy": [{"Name": "nocicast", "Description": "python -m bidsapp.phantom"}],
            "ReferencesAndLinks": ["https://doi.org/10.1016/j.neuroimage.2010.07.033"],
        },
    )
    (folder / "README.md").write_text(
        "# A phantom\n\n"
        "Nobody was scanned for this dataset. Each image is the ICBM 2009a brain template inside a "
        "synthetic skull, scalp, face and neck, deformed, moved and sized at random, with a bias "
        "field and noise. Ages, sexes and outcomes are invented; patients and controls are matched "
        "in age and sex.\n\n"
        "In those with `chronic_pain` 1 one region may differ. Which, and how much, is written in "
        f"`{TRUTH.as_posix()}`; an effect of 0 is none.\n\n"
        "The images lie on the disk in different orientations, as those of real scanners do.\n"
    )


def _write_json(file: Path, content: dict[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content, indent=2) + "\n")


def _write_image(file: Path, data: np.ndarray, affine: np.ndarray) -> None:
    import nibabel as nib

    image = nib.Nifti1Image(data, affine)
    image.header.set_xyzt_units("mm", "sec")
    image.set_qform(affine, code=1)
    image.set_sform(affine, code=1)
    file.parent.mkdir(parents=True, exist_ok=True)
    nib.save(image, file)
