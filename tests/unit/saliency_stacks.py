"""Stacks of maps with a known answer."""

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd

from bidsapp.saliency.aggregate import TOP_SHARE, top_voxels
from bidsapp.saliency.stack import MapStack
from bidsapp.spaces.volume import Volume, slab

SHAPE = (24, 28, 24)
AFFINE = np.array([[2, 0, 0, -24], [0, 2, 0, -28], [0, 0, 2, -24], [0, 0, 0, 1.0]])
# In the full grid; inside the slab of `axial`.
PLANTED = (slice(5, 9), slice(14, 18), slice(9, 13))


def axial(slices: int = 12) -> Volume:
    """An axial slab of the small grid."""
    return slab(SHAPE, AFFINE, "axial", slices)


def brain() -> np.ndarray:
    """An ellipsoid in the full grid, bool."""
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
    return x**2 + y**2 + z**2 < 0.9


def planted() -> np.ndarray:
    """The planted cuboid in the full grid, bool."""
    region = np.zeros(SHAPE, bool)
    region[PLANTED] = True
    return region


def write_mask(path: Path, mask: np.ndarray | None = None, affine: np.ndarray = AFFINE) -> Path:
    """Write a mask on the full grid, by default `brain`."""
    data = (brain() if mask is None else mask).astype(np.uint8)
    nib.save(nib.Nifti1Image(data, affine), path)
    return path


def rows_of(
    n: int = 24, folds: int = 4, repeats: int = 1, accuracy: float = 0.8, seed: int = 0
) -> pd.DataFrame:
    """Held-out people, half of them positive; `accuracy` of them predicted rightly."""
    rng = np.random.default_rng(seed)
    outcome = np.arange(n) % 2
    records: list[dict[str, Any]] = []
    for repeat in range(repeats):
        fold = rng.permutation(n) % folds
        for i in range(n):
            right = rng.random() < accuracy
            called = outcome[i] if right else 1 - outcome[i]
            records.append(
                {
                    "participant_id": f"sub-{i:02d}",
                    "session_id": "",
                    "repeat": repeat,
                    "fold": int(fold[i]),
                    "outcome": int(outcome[i]),
                    "probability": 0.25 + 0.5 * called + 0.2 * (rng.random() - 0.5),
                    "model_sha256": f"{repeat}{fold[i]}",
                }
            )
    return pd.DataFrame(records)


def make_stack(
    rows: pd.DataFrame | None = None,
    window: Volume | None = None,
    effect: float = 1.0,
    channels: tuple[str, ...] = ("t1w",),
    seed: int = 1,
    **about: Any,
) -> MapStack:
    """Noise everywhere, and `effect` in the planted cuboid of positives."""
    rows = rows_of() if rows is None else rows
    window = axial() if window is None else window
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((len(rows), len(channels), *window.shape)).astype(np.float32)
    region = window.cut(planted())
    values[:, 0, region] += effect * rows["outcome"].to_numpy(np.float32)[:, None]
    facts = {
        "variant": "axial",
        "method": "gradient",
        "target": "logit",
        "units": "logit per unit of input",
        "threshold": 0.5,
    }
    return MapStack(rows, values, channels, window, facts | about)


def top_share_inside(
    values: np.ndarray, region: np.ndarray, inside: np.ndarray, top: float = TOP_SHARE
) -> float:
    """Share of a map's top voxels that lie in a region; NaN where the map is 0 throughout.

    Parameters
    ----------
    values
        Map of any shape.
    region, inside
        bool of the same shape: where the signal is, and which voxels count (mask and window).
    top
        Share of the voxels that are the top, by magnitude.
    """
    chosen = top_voxels(values[inside], top)
    return float(region[inside][chosen].mean()) if chosen.any() else float("nan")
