"""Saliency of an invented run, written as the group's maps are, with a planted ball."""

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

SHAPE, ORIGIN, VOXEL = (79, 95, 79), (-78.0, -112.0, -70.0), 2.0
BALL_MM = (36.0, 8.0, 4.0)  # in the right hemisphere, near the insula


def grid_affine(voxel: float = VOXEL) -> np.ndarray:
    affine = np.diag([voxel, voxel, voxel, 1.0])
    affine[:3, 3] = ORIGIN
    return affine


def ball_map(centre: tuple[float, ...] = BALL_MM, voxel: float = VOXEL) -> np.ndarray:
    """A smooth ball of height 2 at `centre`, and one of −1 on the other side, in a wide slab."""
    shape = SHAPE if voxel == VOXEL else (157, 189, 156)
    places = np.indices(shape).reshape(3, -1).T * voxel + np.array(ORIGIN)
    distance = np.linalg.norm(places - np.array(centre), axis=1)
    mirrored = np.linalg.norm(places - np.array(centre) * [-1, 1, 1], axis=1)
    values = 2 * np.exp(-((distance / 9) ** 2)) - np.exp(-((mirrored / 9) ** 2))
    values[np.abs(places[:, 2] - centre[2]) > 32] = 0
    return values.reshape(shape).astype(np.float32)


def write_saliency(
    run: Path, variant: str, *, verdict: str = "pass", voxel: float = VOXEL, **changes: Any
) -> Path:
    """Write ``saliency/<variant>`` of a run; gives its folder."""
    folder = run / "saliency" / variant
    folder.mkdir(parents=True)
    maps = {}
    for cell, scale in (("true_positives", 1.0), ("positives", 0.5)):
        name = f"group_of-{cell.replace('_', '')}_desc-gradient_statmap"
        image = nib.Nifti1Image(scale * ball_map(voxel=voxel), grid_affine(voxel))
        nib.save(image, folder / f"{name}.nii.gz")
        about = {"Description": f"Mean saliency over held-out people: {cell}.", "Units": "1"}
        (folder / f"{name}.json").write_text(json.dumps(about))
        maps[cell] = f"{name}.nii.gz"
    rows = ["index\tname\tmean\tpeak\tx\ty\tz", "1\tright <insula>\t0.41\t1.98\t36\t8\t4"]
    (folder / "regions.tsv").write_text("\n".join(rows) + "\n")
    sentences = ["Maps of networks with random weights are unlike these (correlation 0.08)."]
    summary = {
        "variant": variant,
        "method": "gradient",
        "target": "logit",
        "units": "1/SD",
        "threshold": 0.5,
        "of": "true_positives",
        "n": {"true_positives": 21, "positives": 24},
        "channels": ["t1w"],
        "default": maps["true_positives"],
        "maps": maps,
        "tables": {"regions": "regions.tsv", "peaks": "peaks.tsv"},
        "smoothing_fwhm_mm": 7.0,
        "sanity": {"verdict": verdict, "sentences": sentences, "checks": {"weights": "pass"}},
        "notes": [],
    }
    (folder / "summary.json").write_text(json.dumps(summary | changes))
    return folder
