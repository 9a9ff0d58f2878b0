"""Small studies: tables, normalised images, and the cohort that is built of them."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel as nib
import numpy as np

from bidsapp.dataset.cohort import Cohort, build_cohort
from bidsapp.dataset.normalized import Wanted
from bidsapp.modalities.t1w.modality import MODALITY

SPACE = "MNI152NLin2009aSym"


def heads(space: str = SPACE, res: str = "2") -> Wanted:
    """T1w images of a space and voxel size."""
    return Wanted(MODALITY, {"space": space, "res": res})


def rule(
    column: str | None = None,
    positive: Any = None,
    expression: str | None = None,
    *,
    negative: Any = None,
    missing: Any = None,
) -> Any:
    values = {"positive": positive, "negative": negative, "missing": missing}
    known = {"rows": None, "order": None} | values
    return SimpleNamespace(column=column, expression=expression, **known)


CHRONIC = rule("chronic", [1, "chronic"])


def save(path: Path, seed: int = 0, dtype: type = np.float32) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    voxels = np.random.default_rng(seed).integers(0, 200, (4, 5, 6)).astype(dtype)
    nib.save(nib.Nifti1Image(voxels, np.eye(4)), path)
    return path


def normalise(
    out: Path,
    who: str,
    seed: int,
    verdict: str | None = "pass",
    jacobian: bool = True,
    res: str = "2",
) -> Path:
    """Write what the participant level writes for ``sub-01`` or ``sub-01_ses-1``."""
    folder = out.joinpath(*who.split("_"), "anat")
    stem = f"{who}_space-{SPACE}_res-{res}_desc"
    image = save(folder / f"{stem}-preproc_T1w.nii.gz", seed)
    save(folder / f"{stem}-brain_mask.nii.gz", 1, np.uint8)
    if jacobian:
        save(folder / f"{stem}-logjacobian_statmap.nii.gz", seed)
    if verdict is not None:
        quality = {"verdict": verdict, "reasons": [] if verdict == "pass" else ["NCC 0.4 < 0.65"]}
        (folder / f"{stem}-preproc_T1w.json").write_text(json.dumps({"Quality": quality}))
    return image


def study(root: Path, table: str, folders: tuple[str, ...] = ()) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    (root / "participants.tsv").write_text(table.replace(" ", "\t"))
    for name in folders:
        (root / name).mkdir()
    return root


def build(tmp_path: Path, outcome: Any = CHRONIC, **options: Any) -> Cohort:
    return build_cohort(tmp_path / "bids", tmp_path / "out", outcome, wanted=heads(), **options)


def reasons(cohort: Cohort) -> Mapping[str, str]:
    ids = cohort.exclusions["participant_id"] + cohort.exclusions["session_id"].fillna("")
    return dict(zip(ids, cohort.exclusions["reason"], strict=True))
