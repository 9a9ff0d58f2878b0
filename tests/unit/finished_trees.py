"""Output folders of the participant level as sidecars alone, for texts and overviews."""

import json
from pathlib import Path
from typing import Any

from bidsapp.contracts.product import OutputNames
from bidsapp.modalities.t1w.modality import MODALITY
from bidsapp.modalities.t1w.speeds import CHAIN

SETTINGS = {
    "template": "MNI152NLin2009aSym",
    "template_file": "tpl-MNI152NLin2009aSym_res-1_desc-brain_T1w.nii.gz",
    "resolution": 2,
    "box": "spm12",
    "intensity": "minmax",
    "speed": "default",
    "seed": 0,
    "chain": CHAIN,
    "version": "0.1.0",
}
VERSIONS = {
    "python": "3.11.7",
    "nocicast": "0.1.0",
    "SimpleITK": "2.5.7",
    "deepbet": "1.0.2",
    "picsl-greedy": "1.4.0.3",
    "nipype": "1.11.0",
}
QUALITY = {
    "ncc": 0.83,
    "local_ncc": 0.81,
    "brain_volume_ml": 1400.0,
    "affine_scales": [1.02, 0.95, 0.91],
    "mask_dice": 0.98,
    "folded_fraction": 0.0,
    "bright_share": 0.0,
    "cut_faces": [],
    "rescued": False,
    "verdict": "pass",
    "reasons": [],
}


def names_of(out: Path, space: str = "MNI152NLin2009aSym", **entities: str) -> OutputNames:
    """Names of the files of a T1w image at 2 mm."""
    labels = {"space": space, "res": "2"}
    return OutputNames(out, {"subject": "01"} | entities, labels, MODALITY.products_for({}))


def leave_sidecar(out: Path, who: str, *, quality: Any = None, **changes: Any) -> Path:
    """Write the sidecar of ``sub-01`` or ``sub-01_ses-1_acq-x`` as a finished image has it."""
    folder = out.joinpath(*[part for part in who.split("_") if part[:3] in ("sub", "ses")], "anat")
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{who}_space-MNI152NLin2009aSym_res-2_desc-preproc_T1w"
    content = {
        "Sources": [f"bids:raw:{who}/anat/{who}_T1w.nii.gz"],
        "SpatialReference": "https://example.org",
        "Selection": "the only T1w",
        "Quality": QUALITY | (quality or {}),
        "Notes": [],
        "Settings": SETTINGS,
        "SourceSHA256": "ab" * 32,
        "RunKey": "cd" * 32,
        "GeneratedWith": VERSIONS,
        "Device": "cpu",
        "Precision": "bfloat16",
        "Threads": 1,
        "CPUSeconds": {"brain_mask": 1.9, "registration": 2.6, "total": 4.5},
    } | changes
    path = folder / f"{stem}.json"
    path.write_text(json.dumps(content))
    return path
