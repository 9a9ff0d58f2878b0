"""Where the head lay in every volume, how the field stretches it, and where its T1w image lies."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter

from bidsapp.errors import BadData
from bidsapp.intake.images import read_numbers
from bidsapp.modalities.bold.anatomy import Anatomy
from bidsapp.modalities.bold.boundary import Placed, onto_boundary
from bidsapp.modalities.bold.confounds import steady_start
from bidsapp.modalities.bold.coregister import coregister, refuse_turned
from bidsapp.modalities.bold.field import Susceptibility, fitted_field, none_because
from bidsapp.modalities.bold.motion import Motion, estimate_motion
from bidsapp.modalities.bold.reading import Run
from bidsapp.modalities.bold.susceptibility import Displacement, fit_to_t1w
from bidsapp.modalities.bold.white_matter import white_matter_boundary

if TYPE_CHECKING:
    import torch

# A series whose brain is a smaller share of the T1w image's misses a part of it.
_LEAST_BRAIN = 0.65
# Per cent of a brain that a T1w image may have at 0, as noise and vessels do.
_MOST_BELOW = 0.5
_Five = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Aligned:
    """A series whose motion and place are known.

    Attributes
    ----------
    motion
        Of the head during the series.
    mask
        Its brain on its own voxels.
    brain
        The T1w image's brain on the same voxels, where the field had not displaced it.
    place
        Where the T1w image lies in the reference, and by what that was found.
    steady
        Number of the first volume in steady state.
    field
        How the field displaces it.
    """

    motion: Motion
    mask: np.ndarray
    brain: np.ndarray
    place: Placed
    steady: int
    field: Susceptibility

    @property
    def to_series(self) -> np.ndarray:
        """4 × 4, RAS mm of the T1w image to RAS mm of the reference."""
        return self.place.to_series


def align(
    run: Run,
    anatomy: Anatomy,
    measured: Callable[[np.ndarray], Susceptibility] | None,
    *,
    seed: int,
    device: "torch.device",
    nthreads: int,
) -> Aligned:
    """Find the head's motion during a series, how it is stretched, and where it lies.

    It is registered to the T1w image by mutual information, and from there to the boundary of white
    matter where that is sure.

    Parameters
    ----------
    run, anatomy
        The series, and the person's T1w image.
    measured
        Finds the displacement of a mean volume by images of the field, which is used where the
        volume then fits the T1w image at least as well; None where nothing is to be corrected.
        Else the series is bent to the T1w image, if that helps.
    seed, device, nthreads
        Of the registrations.
    """
    steady = steady_start(run.data)
    if run.data.shape[-1] - steady < run.data.shape[-1] / 2:
        steady = 0  # that is no beginning, but a drift or a fault; the measures tell of it
    rough = brain_mask(run.data[..., steady:].mean(axis=-1), run.affine)
    motion = kept_masked(estimate_motion(run.data, run.affine, rough, device), run.data)
    image, inside, affine = read_head(anatomy)
    brain = np.where(inside, image, 0)
    boundary = white_matter_boundary(brain, affine)

    def images(displacement: Displacement | None) -> _Five:
        mean = motion.reference
        if displacement is not None:
            mean = displacement.undistorted(mean)
        return mean, run.affine, brain_mask(mean, run.affine), brain, affine

    def placed(displacement: Displacement | None) -> Placed:
        own = images(displacement)
        try:
            start = coregister(*own, seed=seed, nthreads=nthreads)
        except BadData as error:
            raise BadData(_why_not_placed(images(None), error)) from error
        return onto_boundary(own[0], run.affine, boundary, start)

    def seen(at: Placed) -> tuple[np.ndarray, np.ndarray]:
        share = inside.astype(np.float32)
        there = at.to_series
        return on_series(image, affine, there, run), on_series(share, affine, there, run)

    def fit(displacement: Displacement | None) -> float:
        assert run.phase is not None
        try:
            at = place if displacement is None else placed(displacement)
        except BadData:  # a displacement that is wrong ends nobody: it is left out
            return -np.inf
        places[id(displacement)] = at
        mean = motion.reference
        if displacement is not None:
            mean = displacement.undistorted(mean)
        return fit_to_t1w(mean, *seen(at), run.voxel_sizes, run.phase[0])

    place, places = placed(None), dict[int, Placed]()
    refuse_turned(*images(None), place.to_series, seed=seed, nthreads=nthreads)
    field = none_because("") if measured is None else measured(motion.reference)
    if field.displacement is not None:
        field = field.judged(fit(None), fit)
    if measured is not None and field.displacement is None and run.phase is not None:
        field = fitted_field(run, motion.reference, boundary, place, field)
        if field.displacement is not None:
            field = field.judged(fit(None), fit)
    place = places.get(id(field.displacement), place)
    mask, share = brain_mask(motion.reference, run.affine), seen(place)[1]
    return Aligned(motion, mask, share > 0.5, place, steady, field)


def read_head(anatomy: Anatomy) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read a T1w image as its normalisation took it.

    Its place is that of its mask, as a header can hold two; what is no number is the brain's
    median; and where a brain has values at or below 0, as one has that was standardised, it is
    moved above, as 0 is taken for what lies around it.

    Returns
    -------
    image
        float32, finite, shape (X, Y, Z).
    inside
        The brain, booleans.
    affine
        4 × 4, voxel indices to RAS mm.
    """
    share, affine = read_numbers(anatomy.mask)
    inside = share > 0.5
    image = read_numbers(anatomy.image)[0].reshape(inside.shape)
    known = np.isfinite(image)
    if not known.all():
        image = np.where(known, image, np.where(inside, np.median(image[inside & known]), 0))
    low, high = np.percentile(image[inside], (_MOST_BELOW, 99.9))
    if low <= 0:
        image = np.maximum(image - low, 0) + np.float32(0.05 * (high - low))
    return image.astype(np.float32), inside, affine


def kept_masked(motion: Motion, data: np.ndarray) -> Motion:
    """Leave the mean volume at 0 where the series (X, Y, Z, T) is 0 in every volume.

    Splines ring where a mask has set voxels to 0, and the brain's mask (`brain_mask`) goes by the
    histogram of what is not 0.
    """
    masked = ~data.any(axis=-1)
    return replace(motion, reference=np.where(masked, np.float32(0), motion.reference))


def _why_not_placed(images: _Five, error: BadData) -> str:
    """Say whether there is too little of a brain in the series to find its place."""
    _, affine, mask, brain, brain_affine = images
    own, whole = (
        float(inside.sum() * abs(np.linalg.det(matrix[:3, :3]))) / 1000
        for inside, matrix in ((mask, affine), (brain > 0, brain_affine))
    )
    if own > _LEAST_BRAIN * whole:
        return str(error)
    return (
        f"The brain of the series has {own:.0f} ml, that of the T1w image {whole:.0f} ml: a mask "
        "or the field of view misses a part of it. Look at the series, or leave it out. "
        f"({error})"
    )


def on_series(
    values: np.ndarray, affine: np.ndarray, to_series: np.ndarray, run: Run
) -> np.ndarray:
    """Read an image of the T1w image's space at the voxels of a series, float32, linearly."""
    from scipy.ndimage import map_coordinates

    shape = run.data.shape[:3]
    grid = np.moveaxis(np.indices(shape), 0, -1).reshape(-1, 3)
    way = np.linalg.inv(affine) @ np.linalg.inv(to_series) @ run.affine
    at = grid @ way[:3, :3].T + way[:3, 3]
    # a voxel of the series holds several of the T1w image: their mean is read
    size = float(np.sqrt((affine[:3, :3] ** 2).sum(axis=0)).mean())
    wide = 0.425 * np.sqrt(np.maximum(run.voxel_sizes.mean() ** 2 - size**2, 0)) / size
    read = map_coordinates(gaussian_filter(values.astype(np.float32), wide), at.T, order=1)
    return np.asarray(read.reshape(shape))


def brain_mask(volume: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Find the brain in a mean volume, booleans (X, Y, Z), by nilearn's mask of EPI.

    Raises
    ------
    BadData
        There is nothing in it.
    """
    import nibabel as nib
    from nilearn.masking import compute_epi_mask

    try:
        found = compute_epi_mask(nib.Nifti1Image(volume, affine), opening=1, exclude_zeros=True)
    except Exception as error:  # nilearn has exceptions of its own for masks
        raise BadData(f"No brain was found in the mean volume: {error}") from error
    mask = np.asarray(found.dataobj) > 0
    if not mask.any():
        raise BadData("No brain was found in the mean volume.")
    return mask
