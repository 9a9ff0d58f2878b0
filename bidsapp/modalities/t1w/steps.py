"""The steps of a normalisation on values in memory; the nodes call them on files."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bidsapp.contracts.measure import FAIL
from bidsapp.drawing.geometry import bounding_box, cropped_affine, from_itk, to_itk
from bidsapp.errors import BadData
from bidsapp.intake.header import turn_degrees
from bidsapp.modalities.t1w.bias import correct_bias
from bidsapp.modalities.t1w.brainmask import extract_brain
from bidsapp.modalities.t1w.bright import bright_share, tissue_top
from bidsapp.modalities.t1w.intensity import require_measured
from bidsapp.modalities.t1w.measures import EDGE_MM2
from bidsapp.modalities.t1w.orientation import tilts, upright
from bidsapp.modalities.t1w.quality import Quality, judge
from bidsapp.modalities.t1w.reading import Head, canonical
from bidsapp.modalities.t1w.registration import register
from bidsapp.modalities.t1w.resampling import resample_brain
from bidsapp.modalities.t1w.speeds import Speed
from bidsapp.modalities.t1w.transform import SpatialMap

if TYPE_CHECKING:
    import SimpleITK as sitk
    import torch

_MARGIN_MM = 10.0
STRIPPED = "The image is skull-stripped already"
NO_BIAS_FIELD = (
    "No bias field could be fitted, as the brain's intensities do not tell tissues apart: they "
    "were not corrected for non-uniformity."
)


@dataclass(frozen=True)
class Target:
    """The template's brain: on the grid of the registration, and on 2 mm for judging."""

    fixed: "sitk.Image"
    at_2mm: "sitk.Image"


@dataclass(frozen=True)
class Fit:
    """A participant's brain and where it lies in the template."""

    corrected: "sitk.Image"
    mask: "sitk.Image"
    spatial: SpatialMap


def measured(head: Head, mask: np.ndarray, where: str = "") -> np.ndarray:
    """Keep of a brain mask what was measured, and say where that is not all of the brain.

    Parameters
    ----------
    head
        As read; gets a doubt where the brain ends at what was not measured.
    mask
        Brain mask (x, y, z).
    where
        What a message begins with.

    Returns
    -------
    ndarray
        The mask without what is background for lack of a number.

    Raises
    ------
    BadData
        Numbers are missing inside the brain.
    """
    if head.holes is not None:
        lost = int(np.count_nonzero(mask & head.holes))
        require_measured(lost, int(np.count_nonzero(mask)), where)
    if head.outside is None:
        return mask
    kept = mask & ~head.outside
    if not kept.any():
        raise BadData("No brain was found in the image.")
    area = sum(
        np.count_nonzero(np.diff(kept.astype(np.int8) - head.outside, axis=axis) ** 2 == 4)
        * np.prod(np.delete(head.voxel_sizes, axis))
        for axis in range(3)
    )
    stripped = any(note.startswith(STRIPPED) for note in head.notes)
    if area > EDGE_MM2 and not stripped:
        head.doubts.append(
            f"The brain ends at voxels that were not measured, on {area / 100:.0f} cm²."
        )
    return kept


def correct(head: Head, mask: np.ndarray, speed: Speed) -> tuple["sitk.Image", "sitk.Image"]:
    """Crop a head to its brain with a margin of 10 mm and correct the bias field.

    The head gets a note where no field could be fitted.

    Returns
    -------
    corrected, mask : SimpleITK.Image
        float32 and uint8, on the cropped grid.
    """
    box = bounding_box(mask, np.ceil(_MARGIN_MM / head.voxel_sizes))
    affine = cropped_affine(head.affine, box)
    brain = to_itk(mask[box], affine)
    corrected, fitted = correct_bias(to_itk(head.data[box], affine), brain, speed.bias_grid_mm)
    if not fitted:
        head.notes.append(NO_BIAS_FIELD)
    return corrected, brain


def fit(
    corrected: "sitk.Image",
    mask: "sitk.Image",
    target: Target,
    speed: Speed,
    *,
    seed: int,
    nthreads: int,
    rotations: tuple[np.ndarray, ...] = (),
) -> Fit:
    """Register a bias-corrected brain to the template."""
    import SimpleITK as sitk

    brain = sitk.Mask(corrected, mask)
    if not sitk.GetArrayViewFromImage(brain).any():
        raise BadData("The brain is empty: no voxel of the mask is above zero.")
    values = sitk.GetArrayViewFromImage(corrected)[sitk.GetArrayViewFromImage(mask) > 0]
    if bright_share(values):  # else vessels would be laid on the template's brightest tissue
        brain = sitk.Minimum(brain, tissue_top(values))
    spatial = register(
        target.fixed, brain, speed, seed=seed, nthreads=nthreads, rotations=rotations
    )
    return Fit(corrected, mask, spatial)


def assess(
    found: Fit,
    target: Target,
    head: Head,
    native_mask: np.ndarray,
    *,
    affine: np.ndarray | None = None,
    rescued: bool = False,
) -> Quality:
    """Judge a fit on the 2 mm grid.

    Parameters
    ----------
    found, target
        The fit and what it was fitted to.
    head, native_mask
        The image as it was fitted and its brain mask (x, y, z).
    affine
        Template to participant where `found` is not in the header's own millimetres.
    rescued
        Whether the header's orientation was set aside.
    """
    import SimpleITK as sitk

    image, moved = resample_brain(
        found.corrected, found.mask, found.spatial, target.at_2mm, smooth=False
    )
    template, _ = from_itk(target.at_2mm)
    brain = sitk.Resample(
        target.at_2mm, found.spatial.field, sitk.Transform(), sitk.sitkNearestNeighbor
    )
    inside = sitk.GetArrayViewFromImage(brain).T > 0
    doubts = tuple(head.doubts)
    if not head.orientation_known:
        doubts += ("The header does not say what is left and right.",)
    return judge(
        image=image,
        template=template,
        moved_mask=moved,
        native_mask=native_mask,
        native_affine=head.affine,
        affine=found.spatial.affine if affine is None else affine,
        determinant=found.spatial.determinant()[inside],
        doubts=doubts,
        rescued=rescued,
        stripped=any(note.startswith(STRIPPED) for note in head.notes),
    )


def told_bright(quality: Quality) -> str:
    """Say that a brain was placed and judged without its brightest voxels."""
    return (
        f"{quality.bright_share:.1%} of the brain is brighter than any tissue, as vessels with "
        "contrast agent are; it was placed and judged without them."
    )


@dataclass(frozen=True)
class Again:
    """A second attempt that passed the gate.

    Attributes
    ----------
    head
        The image as it was placed: `fit` is in the millimetres of its affine.
    mask
        Brain mask (x, y, z) of it.
    fit, quality
        The attempt and its verdict.
    notes
        A sentence each on what was set aside.
    """

    head: Head
    mask: np.ndarray
    fit: Fit
    quality: Quality
    notes: list[str]


# Begins the note on an image that was normalised by its qform.
FORMS_DISAGREE = "The header's sform and qform disagree"
_BY_QFORM = (
    "{} by {:.0f}°. By the sform the image could not be normalised, by the qform it could: the "
    "qform was used{}. What is written in the participant's space is in the millimetres of the "
    "qform. Repair the sform."
)


def by_qform(
    head: Head,
    target: Target,
    speed: Speed,
    device: "torch.device",
    *,
    seed: int,
    nthreads: int,
) -> Again | None:
    """Try again with the header's other form; None where there is none, or where it fails too."""
    if head.qform_affine is None:
        return None
    placed = canonical(head.data, head.qform_affine)
    placed = replace(
        placed,
        orientation_known=head.orientation_known,
        unit=head.unit,
        doubts=list(head.doubts),
    )
    try:
        mask = extract_brain(placed, device, grid=speed.mask_grid)
        corrected, cropped = correct(placed, mask, speed)
        found = fit(corrected, cropped, target, speed, seed=seed, nthreads=nthreads)
    except BadData:
        return None
    quality = assess(found, target, placed, mask)
    if quality.verdict == FAIL:
        return None
    degrees = turn_degrees(head.affine, head.qform_affine)
    sides = ", so left and right are known" if head.orientation_known else ""
    told = _BY_QFORM.format(FORMS_DISAGREE, degrees, sides)
    notes = [told, *(note for note in placed.notes if note not in head.notes)]
    return Again(placed, mask, found, quality, notes)


def rescue(
    head: Head,
    target: Target,
    speed: Speed,
    device: "torch.device",
    *,
    seed: int,
    nthreads: int,
) -> Again | None:
    """Try again without believing the header's orientation; None where this fails too.

    The fit is in the header's millimetres, whatever these are worth. The verdict is never
    ``pass``, as left and right cannot be verified.
    """
    try:
        turned, turn, correction = upright(head, device)
        mask = extract_brain(turned, device, grid=speed.mask_grid)
        corrected, cropped = correct(turned, mask, speed)
        found = fit(
            corrected, cropped, target, speed, seed=seed, nthreads=nthreads, rotations=tilts()
        )
    except BadData:
        return None
    quality = assess(found, target, turned, mask, rescued=True)
    if quality.verdict == FAIL:
        return None
    notes = [note for note in turned.notes if note not in head.notes]
    return Again(head, turn.undo(mask), _believed(found, correction), quality, notes)


def _believed(found: Fit, correction: np.ndarray) -> Fit:
    """Express a fit in the header's millimetres."""
    images = []
    for image in (found.corrected, found.mask):
        data, affine = from_itk(image)
        images.append(to_itk(np.ascontiguousarray(data), correction @ affine))
    return Fit(images[0], images[1], found.spatial.rotated(correction))
