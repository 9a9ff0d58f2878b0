"""Near-duplicates: one scan that is in a cohort under two names, though not one byte is the same.

Everybody is compared with everybody by what is their own: the normalised image on a grid of 4 mm
(finer where less than a head is seen), without slow changes of intensity, less the cohort's mean
image and what sharpness, contrast and place make of it. Unrelated heads share nothing of that; a
copy shares nearly all, also with noise, mirrored, on another grid, or normalised again.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bidsapp.dataset.alike_pairs import Likeness, alike_pairs
from bidsapp.dataset.image_prints import Prints, signs_of
from bidsapp.errors import BadData
from bidsapp.intake.images import read_numbers, read_with_intent

FEWEST = 3
"""Scans that a mean image needs; of fewer, each is the other's opposite."""

_MM = 4.0
_LEAST = 2500
"""Cells of the grid: it is finer than `_MM` where a mask of it would hold fewer. Of the 49 cells of
4 mm in a picture of 30 mm, unrelated people agree by chance (.93 among 288 synthetic necks)."""
_SLOW = 1.0  # standard deviation of the Gaussian that is taken off, in steps of the grid
_PRESENT = 0.95
_BRAIN = 0.5
_EXTREME = 4.0
_BLOCK = 512


def find_near_duplicates(
    images: Sequence[Path], people: Sequence[str], template_mask: Path, threads: int = 1
) -> Likeness | None:
    """Compare the normalised images of everybody with those of everybody else.

    Parameters
    ----------
    images
        Brain-extracted, on one upright grid, 0 outside of the brain.
    people
        Whose each is; scans of one participant are not compared with each other.
    template_mask
        The template's brain mask on that grid.
    threads
        How many images are read at once.

    Returns
    -------
    Likeness or None
        None with fewer than `FEWEST` scans or one participant.

    Raises
    ------
    BadData
        An image lies on another grid than the mask.

    Notes
    -----
    Memory grows with the number of scans: 125 KB each in a brain of 31,000 voxels. How all pairs
    are compared, and what it costs, is said in `alike_pairs`.
    """
    if len(images) < FEWEST or len(set(people)) < 2:
        return None
    grid = _Grid.of(template_mask)
    own = np.empty((len(images), grid.voxels), np.float32)
    total, count = np.zeros((2, grid.voxels))
    with ThreadPoolExecutor(max(1, threads)) as pool:
        for place, (values, fine, there) in enumerate(pool.map(grid.read, images)):
            own[place] = fine
            total += np.where(there, values, 0)
            count += there
    mean = (total / np.maximum(count, 1)).astype(np.float32)
    centre = _residuals(own, grid, mean)
    names = {name: number for number, name in enumerate(dict.fromkeys(people))}
    found = alike_pairs(own, np.array([names[name] for name in people]), grid.mirror)
    return replace(found, prints=Prints(mean, centre, signs_of(own), found.limit))


def find_again(
    prints: Prints, images: Sequence[Path], template_mask: Path, threads: int = 1
) -> list[tuple[float, bool]]:
    """Look for scans of an earlier cohort among images, by its prints.

    Parameters
    ----------
    prints
        Of the earlier cohort.
    images, template_mask, threads
        As in `find_near_duplicates`.

    Returns
    -------
    list
        For each image how alike it is to the most alike scan of that cohort (a correlation, with
        the error of `Prints`), and whether it is that one's mirror image. From `prints.limit` on
        it is taken for the same scan.

    Raises
    ------
    BadData
        The prints are of images on another grid, or an image lies on another than the mask.
    """
    grid = _Grid.of(template_mask)
    if len(prints.mean) != grid.voxels:
        raise BadData(
            f"the prints of the training scans have {len(prints.mean)} places, the grid of these "
            f"images {grid.voxels}: they are on another grid"
        )
    own = np.empty((len(images), grid.voxels), np.float32)
    with ThreadPoolExecutor(max(1, threads)) as pool:
        for place, (_, fine, _) in enumerate(pool.map(grid.read, images)):
            own[place] = fine
    _residuals(own, grid, prints.mean, prints.centre)
    found = []
    for plain, mirrored in zip(
        prints.most_alike(signs_of(own)),
        prints.most_alike(signs_of(own[:, grid.mirror])),
        strict=True,
    ):
        found.append((max(plain, mirrored), mirrored > plain))
    return found


@dataclass(frozen=True)
class _Grid:
    """A coarse grid over the brain, the same on both sides of the middle.

    Attributes
    ----------
    shape, affine
        Voxels of the fine grid and where they lie; an affine of None is each person's own affair.
    start, step, sigma
        First voxel and step along each axis, and the Gaussian before, in voxels of the fine grid.
    sides
        Steps on either side of the middle.
    across
        Axis of stored images that runs from left to right, or back; it comes first here.
    brain
        (x, y, z) bool on the coarse grid.
    mirror
        (n,) for each voxel of the brain that of the other side.
    """

    shape: tuple[int, ...]
    affine: np.ndarray | None
    start: tuple[int, int, int]
    step: tuple[int, int, int]
    sigma: tuple[float, float, float]
    sides: int
    across: int
    brain: np.ndarray
    mirror: np.ndarray

    @classmethod
    def of(cls, template_mask: Path) -> "_Grid":
        """Lay it over a template's brain mask on the fine grid, in any order of axes."""
        values, affine, intent = read_with_intent(template_mask)
        # what says its intent is a box about each person's own head (`spaces.nifti.OWN_GRID`)
        fine = values.shape, None if intent else affine
        mask = values > 0
        across = int(np.argmax(np.abs(affine[0, :3])))
        affine = affine[:, [across, *(axis for axis in range(3) if axis != across), 3]]
        mask = np.moveaxis(mask, across, 0)
        size = np.linalg.norm(affine[:3, :3], axis=0)
        mm = min(_MM, _fine_enough(mask, size))
        step = tuple(int(max(1, round(mm / one))) for one in size)
        sigma = tuple(float(mm / 2 / one) for one in size)
        middle = min(max(round(-affine[0, 3] / affine[0, 0]), 0), mask.shape[0] - 1)
        sides = min(middle, mask.shape[0] - 1 - middle) // step[0]
        start = (middle - sides * step[0], 0, 0)
        bare = cls(*fine, start, step, sigma, sides, across, mask, np.empty(0, int))  # type: ignore[arg-type]
        brain = bare.coarse(mask.astype(np.float32)) > _BRAIN
        brain &= brain[::-1]
        places = np.zeros(brain.shape, int)
        places[brain] = np.arange(np.count_nonzero(brain))
        mirror = places[::-1][brain]
        return cls(*fine, start, step, sigma, sides, across, brain, mirror)  # type: ignore[arg-type]

    @property
    def voxels(self) -> int:
        """How many voxels of the coarse grid lie in the brain."""
        return int(np.count_nonzero(self.brain))

    def coarse(self, volume: np.ndarray) -> np.ndarray:
        """Smooth a volume of the fine grid and take every so many voxels."""
        from scipy.ndimage import gaussian_filter

        smooth = gaussian_filter(volume, self.sigma)
        x = slice(self.start[0], self.start[0] + 2 * self.sides * self.step[0] + 1, self.step[0])
        return smooth[x, :: self.step[1], :: self.step[2]]

    def read(self, path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Give (n,) each: intensities, what is fast in them with norm 1, where the image has brain.

        Where a field of view or a mask leaves nothing, nothing is compared.
        """
        volume, affine = read_numbers(path)
        apart = self.affine is not None and not np.allclose(affine, self.affine, atol=1e-3)
        if volume.shape[:3] != self.shape or apart:
            raise BadData(
                f"{path} lies on a grid of {volume.shape[:3]}, the template's brain mask on one of "
                f"{self.shape}{' at another place' if apart else ''}; prepare the cohort with one "
                "recipe, and leave the files as they were written"
            )
        volume = np.nan_to_num(volume)
        if volume.ndim == 4:  # a series: how much each voxel changes is a person's own as well
            volume = volume.std(axis=-1)
        volume = np.moveaxis(volume, self.across, 0)
        there = (self.coarse((volume != 0).astype(np.float32)) > _PRESENT) & self.brain
        values = self.coarse(volume)
        inside = values[there]
        sd = float(inside.std()) if inside.size else 0.0
        values = (values - (inside.mean() if inside.size else 0)) / (sd or 1.0)
        values = np.clip(values, -_EXTREME, _EXTREME) * there
        fine = self.fast(values, there)
        return values[self.brain], _unit(fine[self.brain]), there[self.brain]

    def fast(self, values: np.ndarray, there: np.ndarray) -> np.ndarray:
        """Take off what changes slowly, as bias fields and large lesions do; 0 elsewhere."""
        from scipy.ndimage import gaussian_filter

        weight = there.astype(np.float32)
        slow = gaussian_filter(values * weight, _SLOW)
        return (values - slow / np.maximum(gaussian_filter(weight, _SLOW), 1e-3)) * weight


def _fine_enough(mask: np.ndarray, size: np.ndarray) -> float:
    """Give the step in mm at which a mask holds `_LEAST` cells; an image of one slice has areas."""
    wide = np.array(mask.shape) > 1
    extent = float(np.count_nonzero(mask) * np.prod(size[wide]))
    return float((extent / _LEAST) ** (1 / max(int(wide.sum()), 1)))


def _residuals(
    own: np.ndarray, grid: _Grid, mean: np.ndarray, centre: np.ndarray | None = None
) -> np.ndarray:
    """Take off what is the cohort's, in place: its mean, and what moves, blurs or brightens it.

    Two people of another scanner or pipeline than the others' are alike in these alone. Gives the
    mean that was taken off first; that of these images, or the one given.
    """
    from scipy.ndimage import gaussian_filter, gaussian_gradient_magnitude, laplace

    whole = np.zeros(grid.brain.shape, np.float32)
    whole[grid.brain] = mean
    sharper = laplace(whole)
    shapes: tuple[np.ndarray, ...] = (
        whole,
        whole**2,
        whole**3,
        sharper,
        laplace(sharper),
        gaussian_filter(whole, 1),
    )
    shapes = (*shapes, gaussian_gradient_magnitude(whole, 1.0))
    # an image of one slice has no change across it
    shapes += tuple(np.gradient(whole, axis=axis) for axis in range(3) if whole.shape[axis] > 1)
    changes = np.stack([grid.fast(one, grid.brain)[grid.brain] for one in shapes])
    basis = np.linalg.qr(changes.T.astype(np.float64))[0].astype(np.float32)
    empty = own == 0
    if centre is None:
        centre = own.sum(axis=0) / np.maximum(len(own) - np.count_nonzero(empty, axis=0), 1)
    own -= centre
    for start in range(0, len(own), _BLOCK):
        block, absent = own[start : start + _BLOCK], empty[start : start + _BLOCK]
        block[absent] = 0
        block -= (block @ basis) @ basis.T
        block[absent] = 0
        block[:] = _unit(block)
    return np.asarray(centre)


def _unit(values: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(values, axis=-1, keepdims=True)
    return values / np.where(length > 0, length, 1)
