"""A head from its file into a box of its own space, and what can be said of it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bidsapp.contracts.measure import judged
from bidsapp.modalities.t1w.brainmask import extract_brain
from bidsapp.modalities.t1w.bright import bright_share
from bidsapp.modalities.t1w.measures import BY_KEY
from bidsapp.modalities.t1w.native.face import face_share, tissue_of
from bidsapp.modalities.t1w.native.grid import BoxGrid, box_grid, into_box
from bidsapp.modalities.t1w.native.measures import FACED, NATIVE_MEASURES
from bidsapp.modalities.t1w.native.settings import AS_ACQUIRED, NativePreparation
from bidsapp.modalities.t1w.quality import cut_faces
from bidsapp.modalities.t1w.reading import Head, read_head
from bidsapp.modalities.t1w.resampling import scale_intensity
from bidsapp.modalities.t1w.speeds import speed_named
from bidsapp.modalities.t1w.steps import STRIPPED, measured

if TYPE_CHECKING:
    import torch

UNSURE = "The header does not say what is left and right."
TWO_FORMS = (
    "Both orientations of the header are sound and disagree (sform and qform); the sform was "
    "believed, as without a template none of them can be tested."
)


@dataclass(frozen=True)
class Boxed:
    """A head in its box.

    Attributes
    ----------
    grid
        The box.
    values, brain
        (*box) float32, scaled, and bool: intensities and brain mask.
    quality
        What was measured, with verdict and reasons.
    notes
        What was repaired, or is doubtful.
    facts
        For the sidecars.
    """

    grid: BoxGrid
    values: np.ndarray
    brain: np.ndarray
    quality: dict[str, Any]
    notes: list[str]
    facts: dict[str, Any] = field(default_factory=dict)


def prepare(path: Path, settings: NativePreparation, device: "torch.device") -> Boxed:
    """Read a T1w image, find its brain, and lay it into the box.

    Raises
    ------
    NoInput, BadData
        As `read_head` and `extract_brain` do.
    """
    head = read_head(path)
    brain = extract_brain(head, device, grid=speed_named(settings.speed).mask_grid)
    return boxed(head, measured(head, brain, f"{path}: "), settings)


def boxed(head: Head, brain: np.ndarray, settings: NativePreparation) -> Boxed:
    """Lay a head into its box and judge it.

    Parameters
    ----------
    head
        As read, in RAS order.
    brain
        Its brain mask.
    settings
        Of the preparation.
    """
    stripped = any(note.startswith(STRIPPED) for note in head.notes)
    tissue = brain | tissue_of(head.data, brain, head.voxel_sizes)
    extracted = settings.brain == "extracted"
    spacing = None if settings.spacing == AS_ACQUIRED else float(settings.spacing)
    grid = box_grid(
        head.affine,
        head.data.shape,
        settings.axes,
        spacing,
        settings.box,
        _corners(brain if extracted else tissue, head.affine),
        _corners(brain, head.affine),
    )
    kept = np.where(brain, head.data, np.float32(0)) if extracted else head.data
    values = np.maximum(into_box(kept, head.affine, settings.axes, grid), 0)
    mask = into_box(brain, head.affine, settings.axes, grid, labels=True)
    quality: dict[str, Any] = {
        "brain_volume_ml": round(float(np.count_nonzero(brain)) * _ml(head.affine), 1),
        "brain_outside": _outside(brain, head, settings.axes, grid),
    }
    if not extracted:
        face = None if stripped else face_share(head.data, brain, head.affine)
        quality |= {
            "head_outside": _outside(tissue, head, settings.axes, grid),
            "face_share": None if face is None else round(face, 3),
            "defaced": None if face is None else face < FACED,
        }
    quality |= {
        "bright_share": round(bright_share(head.data[brain]), 5),
        "cut_faces": [] if stripped else list(cut_faces(brain, head.affine)),
    }
    doubts = [*head.doubts, *([] if head.orientation_known else [UNSURE])]
    doubts += [] if head.qform_affine is None else [TWO_FORMS]
    own = {measure.key: measure for measure in NATIVE_MEASURES}
    verdict, reasons = judged([(BY_KEY | own)[key] for key in quality], quality, doubts)
    return Boxed(
        grid,
        scale_intensity(values, settings.intensity, head.unit),
        mask,
        quality | {"verdict": verdict, "reasons": list(reasons)},
        [*head.notes, *_said(quality)],
        {
            "intensity_maximum": float(values.max()) / head.unit,
            "padded": [list(pair) for pair in grid.padded],
            "cropped": [list(pair) for pair in grid.cropped],
        },
    )


def _said(quality: dict[str, Any]) -> list[str]:
    """Say that a face was removed, or that it cannot be told."""
    if quality.get("defaced"):
        return [
            f"The face was removed from this image ({quality['face_share']:.0%} of it is there). A "
            "network that is given the whole head sees that."
        ]
    if "defaced" in quality and quality["defaced"] is None:
        return [
            "Whether the face was removed cannot be told: too little below the frontal lobes, or "
            "nothing but the brain, is in the image."
        ]
    return []


def _ml(affine: np.ndarray) -> float:
    return float(abs(np.linalg.det(affine[:3, :3]))) / 1000


def _corners(inside: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """(8, 3) corners, in mm, of the box of voxels around a mask; of everything where it is empty.

    Of 1 in 200 of its voxels at either end nothing hangs, so that a speck of noise does not.
    """
    places = np.nonzero(inside)
    ends = [
        np.percentile(found, (0.5, 99.5)) if found.size else (0, size - 1)
        for found, size in zip(places, inside.shape, strict=True)
    ]
    corners = np.array(np.meshgrid(*ends, indexing="ij")).reshape(3, -1)
    return np.asarray((affine[:3, :3] @ corners + affine[:3, 3:]).T)


def _outside(mask: np.ndarray, head: Head, axes: str, grid: BoxGrid) -> float:
    """Share of the voxels of a mask that lie outside of the box."""
    points = np.argwhere(mask)
    if not len(points):
        return 0.0
    to_box = np.linalg.inv(grid.affine) @ head.affine
    places = points @ to_box[:3, :3].T + to_box[:3, 3]
    inside = np.all((places >= -0.5) & (places <= np.array(grid.shape) - 0.5), axis=1)
    return round(float(1 - inside.mean()), 5)
