"""What a bundle carries beside its models: its cohort in aggregates, prints, limits, updates.

Every file here is one that a bundle may lack: earlier versions wrote none of them.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bidsapp.contracts.abstention import Limits
from bidsapp.contracts.calibrated import Calibrated
from bidsapp.contracts.recalibration import Recalibration
from bidsapp.dataset.image_prints import Prints
from bidsapp.errors import BadData
from bidsapp.networks.bundle_files import read_object
from bidsapp.networks.clinical_part import ClinicalPart
from bidsapp.networks.familiarity import Familiar
from bidsapp.networks.image_looks import TEXTURE

CLINICAL = Path("configs") / "clinical.json"
COHORT = Path("configs") / "training_cohort.json"
PRINTS = Path("configs") / "training_prints.safetensors"
LOOKS = Path("configs") / "training_looks.safetensors"
LIMITS = Path("configs") / "limits.json"
CALIBRATED = Path("configs") / "calibrated.json"
RECALIBRATION = Path("configs") / "recalibration.json"
ABOUT_COHORT = (
    "The training cohort in aggregates, none of fewer than five people: columns (numbers: mean, "
    "SD, the means of the five lowest and five highest values; categories: counts, small ones "
    "together), correlation (of the numbers), and held_out: the distribution and calibration of "
    "the held-out scores."
)

ABOUT_LIMITS = (
    "From when on the model does not answer. Distances (means and SDs of the training people of "
    "each fold model are in training_looks.safetensors) above unlike, in spreads of the logarithm "
    "above the held-out median, of any signal (texture: which definition of it); logits nearer to "
    "the threshold than sure. Both hold for people like those of training alone."
)
ABOUT_CALIBRATED = (
    "What the mean of the fold models is worth: a logistic regression of the outcome on its logit "
    "(intercept, slope, and their variance: of the intercept, of both, of the slope) among people "
    "whom no model had seen. It holds for people like them alone."
)


@dataclass(frozen=True)
class Carried:
    """What a bundle carries beside its models.

    Attributes
    ----------
    cohort
        ``columns``, ``held_out`` and what else ``configs/training_cohort.json`` holds; empty
        where there is none.
    prints
        By which scans of the training cohort are known again; None where there are none.
    familiar
        What the training people of each fold model look like, and from when on there is no
        answer; None where that is not told.
    recalibration
        What is done to the mean of the fold models; None for the model as it was trained.
    history
        How the bundle came about since it was trained, a record for each update.
    clinical
        Regressions of clinical columns, alone and with the networks' logits; None where the run
        did not ask what the scan adds.
    clinic_recalibration
        What is done to their means: ``clinical`` to that of the columns alone, ``combined`` to
        that of columns and scan; both or neither.
    recalibrated_on
        Hashes of the prepared images of everybody whom a recalibration was fitted on; None where
        that is not told.
    calibrated
        What the mean of the fold models is worth, with an interval; None where it cannot be had.
    """

    cohort: Mapping[str, Any] = field(default_factory=dict)
    prints: Prints | None = None
    recalibration: Recalibration | None = None
    history: tuple[Mapping[str, Any], ...] = ()
    clinical: ClinicalPart | None = None
    familiar: Familiar | None = None
    clinic_recalibration: Mapping[str, Recalibration] = field(default_factory=dict)
    recalibrated_on: frozenset[str] | None = None
    calibrated: Calibrated | None = None


def read_carried(folder: Path, files: Mapping[str, str], models: int, channels: int) -> Carried:
    """Read what a bundle carries of these, whose files were checked against their hashes.

    Parameters
    ----------
    folder
        The bundle's own folder.
    files
        Those that its manifest lists.
    models
        How many fold models it has.
    channels
        How many the images have that it is asked about.

    Raises
    ------
    BadData
        A file cannot be read, or holds what cannot be.
    """

    def held(name: Path) -> dict[str, Any] | None:
        return read_object(folder, name) if str(name) in files else None

    cohort = held(COHORT) or {}
    clinical, prints, familiar, line = None, None, None, None
    if (told := held(CLINICAL)) is not None:
        with _naming(CLINICAL):
            clinical = ClinicalPart.of(told)
    if str(PRINTS) in files:
        with _naming(PRINTS):
            prints = Prints.of_arrays(_arrays(folder, PRINTS))
    if str(LOOKS) in files and (told := held(LIMITS)) is not None:
        with _naming(LIMITS, LOOKS):
            limits = Limits.of(told["limits"]) if told.get("limits") else None
            names = [str(name) for name in told.get("quality", ())]
            familiar = Familiar.of(_arrays(folder, LOOKS), names, limits, models)
            # of one channel all definitions of it are the same
            if channels > 1 and told.get("texture", 1) != TEXTURE:
                familiar = familiar.without_texture()
    if (told := held(CALIBRATED)) is not None:
        with _naming(CALIBRATED):
            line = Calibrated.read(told)
    if (told := held(RECALIBRATION)) is None:
        return Carried(cohort, prints, clinical=clinical, familiar=familiar, calibrated=line)
    history = told.get("history", [])
    if not isinstance(history, list) or not all(isinstance(one, dict) for one in history):
        raise BadData(f"{RECALIBRATION}: history is no list of records")
    with _naming(RECALIBRATION):
        clinic = {name: Recalibration.of(one) for name, one in told.get("clinic", {}).items()}
        if clinic and clinic.keys() != {"clinical", "combined"}:
            raise BadData(f"clinic has {', '.join(clinic)}, not clinical and combined")
        of_scan, past = Recalibration.of(told), tuple(history)
        seen = frozenset(map(str, told["images_sha256"])) if "images_sha256" in told else None
        return Carried(cohort, prints, of_scan, past, clinical, familiar, clinic, seen, line)


@contextmanager
def _naming(*files: Path) -> Iterator[None]:
    """Put the names of files before what is wrong with their content."""
    try:
        yield
    except BadData as error:
        raise BadData(f"{', '.join(map(str, files))}: {error}") from error


def write_carried(new: Path, about: Carried, *, anonymous: bool) -> None:
    """Write what a bundle of a run carries beside its models; an anonymous one no prints."""
    from safetensors.numpy import save_file

    if about.cohort:
        write_plain(new / COHORT, {"about": ABOUT_COHORT, **about.cohort})
    if about.clinical is not None:
        write_plain(new / CLINICAL, about.clinical.plain())
    if about.prints is not None and not anonymous:
        save_file(about.prints.arrays(), new / PRINTS)
    if about.familiar is not None:
        save_file(about.familiar.arrays(), new / LOOKS)
        limits = about.familiar.limits
        told = {
            "about": ABOUT_LIMITS,
            "limits": None if limits is None else limits.plain(),
            "quality": list(about.familiar.names),
            "texture": TEXTURE,
        }
        write_plain(new / LIMITS, told)
    write_calibrated(new, about.calibrated)


def write_calibrated(new: Path, calibrated: Calibrated | None) -> None:
    """Write what a bundle's probability is worth, or take away what an earlier one says."""
    (new / CALIBRATED).unlink(missing_ok=True)
    if calibrated is not None:
        write_plain(new / CALIBRATED, {"about": ABOUT_CALIBRATED, **calibrated.plain()})


def write_plain(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file of a bundle."""
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _arrays(folder: Path, name: Path) -> dict[str, Any]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return dict(load_file(folder / name))
    except (SafetensorError, OSError) as error:
        raise BadData(str(error)) from error
