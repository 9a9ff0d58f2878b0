"""Where a BOLD series lies in the T1w image of the same person: rigid, by mutual information."""

import io
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from bidsapp.derivatives.temporary import temporary_folder
from bidsapp.drawing.geometry import centre_of_mass, to_itk
from bidsapp.errors import BadData
from bidsapp.execution.silence import silent

_ITERATIONS, _COARSE = "100x50x10", "100x0x0"
# A series has voxels of 3 mm: a finer T1w image is averaged to about so many mm, and what lies
# farther from its brain is left out. A narrower rim leaves too little of what is dark in both.
_COARSE_MM, _RIM_MM = 2.0, 16.0
# A head does not move so far between two series of one session, once their centres are one.
_FARTHEST_MM, _FARTHEST_DEGREES = 40.0, 45.0
# A head that is turned by half a turn fits so many times as well once it is turned back. Of a real
# and a synthetic head wrong headers gave 2.2 and 3.6, right ones .5 and less.
_BETTER_TURNED = 1.4
# Every so many voxels of the brain are compared then.
_EVERY = 7
_BINS = 32
_AXES = ("left to right", "back to front", "bottom to top")


def coregister(
    reference: np.ndarray,
    affine: np.ndarray,
    mask: np.ndarray,
    brain: np.ndarray,
    brain_affine: np.ndarray,
    *,
    seed: int = 0,
    nthreads: int = 1,
) -> np.ndarray:
    """Find where each point of the T1w image lies in the series.

    Parameters
    ----------
    reference
        Mean volume of the series, shape (X, Y, Z).
    affine
        Its 4 × 4, voxel indices to RAS mm.
    mask
        Its brain, booleans.
    brain
        T1w image, 0 outside of the brain, shape (X', Y', Z').
    brain_affine
        Its 4 × 4.
    seed
        Of greedy's sampling.
    nthreads
        Threads that greedy may use.

    Returns
    -------
    numpy.ndarray
        4 × 4, RAS mm of the T1w image to RAS mm of the series; rigid.

    Raises
    ------
    BadData
        The two cannot be brought onto one another.

    References
    ----------
    Yushkevich et al. 2016 (greedy); normalised mutual information: Studholme et al. 1999,
    doi:10.1016/S0031-3203(98)00091-0. From starts up to 12 mm and 8 degrees away the same place
    was found to .01 mm.
    """
    brain, brain_affine = _around(brain, brain_affine)
    centre = centre_of_mass(brain > 0, brain_affine)
    start = np.eye(4)
    start[:3, 3] = centre_of_mass(mask, affine) - centre
    fixed, moving = _images(reference, affine, mask, brain, brain_affine)
    return _rigid(_greedy(fixed, moving, start, _ITERATIONS, seed, nthreads), start, centre)


def refuse_turned(
    reference: np.ndarray,
    affine: np.ndarray,
    mask: np.ndarray,
    brain: np.ndarray,
    brain_affine: np.ndarray,
    place: np.ndarray,
    *,
    seed: int = 0,
    nthreads: int = 1,
) -> None:
    """Refuse a series that fits better once it is turned by 180 degrees.

    The registration looks for no such turn, and settles in a place that is none.

    Parameters
    ----------
    reference, affine, mask, brain, brain_affine, seed, nthreads
        As of `coregister`.
    place
        What that found.

    Raises
    ------
    BadData
        It does; about which axis is said.
    """
    brain, brain_affine = _around(brain, brain_affine)
    middle, centre = centre_of_mass(mask, affine), centre_of_mass(brain > 0, brain_affine)
    start = np.eye(4)
    start[:3, 3] = middle - centre
    reached = _shared(reference, affine, brain, brain_affine, place)
    for axis, words in enumerate(_AXES):
        # the series is turned, not the start: greedy gives no numbers for a turn of 180 degrees
        turned = _half_turn(axis, middle) @ affine
        images = _images(reference, turned, mask, brain, brain_affine)
        other = _greedy(*images, start, _COARSE, seed, nthreads)
        if not np.isfinite(other).all():
            continue
        if _shared(reference, turned, brain, brain_affine, other) > _BETTER_TURNED * reached:
            raise BadData(
                "The series fits the T1w image better when it is turned by 180 degrees about the "
                f"axis from {words}: the orientation in one of the two headers is wrong. Convert "
                "both again from the DICOM files."
            )


def mutual_information(one: np.ndarray, two: np.ndarray) -> float:
    """Entropies of two images over their joint entropy, from 32 × 32 bins of equal shares.

    Source: Studholme et al. (1999), doi:10.1016/S0031-3203(98)00091-0.
    """
    ranks = [np.argsort(np.argsort(values)) * _BINS // max(len(values), 1) for values in (one, two)]
    joint = np.histogram2d(ranks[0], ranks[1], bins=_BINS)[0] / max(len(one), 1)

    def entropy(shares: np.ndarray) -> float:
        some = shares[shares > 0]
        return float(-(some * np.log(some)).sum())

    return (entropy(joint.sum(axis=0)) + entropy(joint.sum(axis=1))) / max(entropy(joint), 1e-9)


def _around(brain: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give a brain, 0 outside, and its 4 × 4 on about 2 mm, with as much around it as is needed."""
    sizes = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    steps = np.maximum(1, np.round(_COARSE_MM / sizes)).astype(int)
    if not (brain > 0).any():
        return brain, affine
    places, rim = np.argwhere(brain > 0), np.ceil(_RIM_MM / sizes).astype(int)
    low = np.maximum(places.min(axis=0) - rim, 0)
    high = np.minimum(places.max(axis=0) + rim + 1, brain.shape)
    blocks = (high - low) // steps
    near = brain[
        tuple(slice(a, a + n * step) for a, n, step in zip(low, blocks, steps, strict=True))
    ]
    parts = np.stack([blocks, steps], axis=1).ravel()
    coarse = near.reshape(parts).mean(axis=(1, 3, 5), dtype=np.float32)
    own = affine.copy()
    own[:3, :3] = affine[:3, :3] * steps
    own[:3, 3] += affine[:3, :3] @ (low + (steps - 1) / 2)
    return coarse, own


def _images(
    reference: np.ndarray,
    affine: np.ndarray,
    mask: np.ndarray,
    brain: np.ndarray,
    brain_affine: np.ndarray,
) -> tuple[Any, Any]:
    """Give both brains as SimpleITK's images, that of the T1w image first."""
    moving = np.where(mask, reference, 0).astype(np.float32)
    return to_itk(brain.astype(np.float32), brain_affine), to_itk(moving, affine)


def _greedy(
    fixed: Any, moving: Any, start: np.ndarray, iterations: str, seed: int, nthreads: int
) -> np.ndarray:
    """Run greedy's rigid registration from a start; 4 × 4."""
    from picsl_greedy import Greedy3D

    greedy, said = Greedy3D(), io.StringIO()
    with temporary_folder(Path(tempfile.gettempdir())) as folder, silent():
        path = folder / "start.mat"
        np.savetxt(path, start, fmt="%.17g")
        try:
            greedy.execute(
                f"-d 3 -a -dof 6 -i F M -o found -n {iterations} -ia {path} -seed {seed + 1} "
                f"-threads {nthreads} -V 0 -float -m NMI",
                out=said, err=said, F=fixed, M=moving, found=None,
            )  # fmt: skip
            return np.array(greedy["found"], dtype=np.float64)
        except Exception as error:  # greedy's own exceptions have no common type
            raise BadData(f"The series cannot be registered to the T1w image: {error}") from error


def _half_turn(axis: int, centre: np.ndarray) -> np.ndarray:
    """Turn by 180 degrees about an axis through a point; 4 × 4."""
    turn = np.eye(4)
    signs = np.full(3, -1.0)
    signs[axis] = 1.0
    turn[:3, :3] = np.diag(signs)
    turn[:3, 3] = centre - signs * centre
    return turn


def _shared(
    reference: np.ndarray,
    affine: np.ndarray,
    brain: np.ndarray,
    brain_affine: np.ndarray,
    place: np.ndarray,
) -> float:
    """Normalised mutual information within the T1w image's brain, less the 1 of images apart."""
    from scipy.ndimage import map_coordinates

    points = np.argwhere(brain > 0)[::_EVERY]
    way = np.linalg.inv(affine) @ place @ brain_affine
    at = points @ way[:3, :3].T + way[:3, 3]
    read = map_coordinates(reference.astype(np.float32), at.T, order=1)
    return mutual_information(read, brain[tuple(points.T)]) - 1


def _rigid(found: np.ndarray, start: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Take rounding out of a rotation, and refuse what no head does."""
    if not np.isfinite(found).all():
        raise BadData("The series cannot be registered to the T1w image: they do not overlap.")
    left, _, right = np.linalg.svd(found[:3, :3])
    rigid = found.copy()
    rigid[:3, :3] = left @ right
    degrees = np.degrees(np.arccos(np.clip((np.trace(rigid[:3, :3]) - 1) / 2, -1, 1)))
    away = np.linalg.norm((rigid - start)[:3] @ np.append(centre, 1))
    if degrees > _FARTHEST_DEGREES or away > _FARTHEST_MM:
        raise BadData(
            f"The series lies {away:.0f} mm and {degrees:.0f} degrees away from the T1w image "
            "once their centres are one: the orientation in one of the two headers is wrong, or "
            "they are not of one person. Convert both again from the DICOM files."
        )
    return rigid
