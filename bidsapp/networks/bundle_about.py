"""What a bundle carries of its training cohort in aggregates, prints of scans, a recalibration.

Every file here is one that a bundle may lack: earlier versions wrote none of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bidsapp.contracts.recalibration import Recalibration
from bidsapp.dataset.image_prints import Prints
from bidsapp.errors import BadData
from bidsapp.intake.json_text import read_own_json
from bidsapp.networks.clinical_part import ClinicalPart

CLINICAL = Path("configs") / "clinical.json"
COHORT = Path("configs") / "training_cohort.json"
PRINTS = Path("configs") / "training_prints.safetensors"
RECALIBRATION = Path("configs") / "recalibration.json"
ABOUT_COHORT = (
    "The training cohort in aggregates, none of fewer than five people: columns (numbers: mean, "
    "SD, the means of the five lowest and five highest values; categories: counts, small ones "
    "together), correlation (of the numbers), and held_out: the distribution and calibration of "
    "the held-out scores."
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
    recalibration
        What is done to the mean of the fold models; None for the model as it was trained.
    history
        How the bundle came about since it was trained, a record for each update.
    clinical
        Regressions of clinical columns, alone and with the networks' logits; None where the run
        did not ask what the scan adds.
    """

    cohort: Mapping[str, Any] = field(default_factory=dict)
    prints: Prints | None = None
    recalibration: Recalibration | None = None
    history: tuple[Mapping[str, Any], ...] = ()
    clinical: ClinicalPart | None = None


def read_carried(folder: Path, files: Mapping[str, str]) -> Carried:
    """Read what a bundle carries of these, whose files were checked against their hashes.

    Parameters
    ----------
    folder
        The bundle's own folder.
    files
        Those that its manifest lists.

    Raises
    ------
    BadData
        A file cannot be read, or holds what cannot be.
    """
    cohort = _object(folder, COHORT) if str(COHORT) in files else {}
    clinical = None
    if str(CLINICAL) in files:
        try:
            clinical = ClinicalPart.of(_object(folder, CLINICAL))
        except BadData as error:
            raise BadData(f"{CLINICAL}: {error}") from error
    prints = None
    if str(PRINTS) in files:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            prints = Prints.of_arrays(load_file(folder / PRINTS))
        except (SafetensorError, OSError, BadData) as error:
            raise BadData(f"{PRINTS}: {error}") from error
    if str(RECALIBRATION) not in files:
        return Carried(cohort, prints, clinical=clinical)
    told = _object(folder, RECALIBRATION)
    history = told.get("history", [])
    if not isinstance(history, list) or not all(isinstance(one, dict) for one in history):
        raise BadData(f"{RECALIBRATION}: history is no list of records")
    try:
        return Carried(cohort, prints, Recalibration.of(told), tuple(history), clinical)
    except BadData as error:
        raise BadData(f"{RECALIBRATION}: {error}") from error


def _object(folder: Path, name: Path) -> dict[str, Any]:
    try:
        content = read_own_json(folder / name)
    except (OSError, ValueError, RecursionError) as error:
        raise BadData(f"{name} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise BadData(f"{name} holds no JSON object")
    return content
