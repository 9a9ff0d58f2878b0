"""Series that another pipeline brought to standard space, onto the recipe's grid and denoised."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bidsapp.dataset.left_out import conformed_files
from bidsapp.derivatives import atomic_path
from bidsapp.derivatives.sealed import is_whole, seal
from bidsapp.errors import BadData
from bidsapp.intake.images import open_image, read_numbers
from bidsapp.modalities.bold.elsewhere import Foreign, foreign_of, is_finished
from bidsapp.modalities.bold.steps import denoise

if TYPE_CHECKING:
    from bidsapp.dataset.cohort import Cohort
    from bidsapp.dataset.normalized import NormalizedImage

# Of the template's brain, what has to change over time for there to be a series at all.
_LEAST_COVERED = 0.4
# Centres that are so much of a voxel apart are one: headers hold seven digits.
_SAME_VOXEL = 1e-3
# What an earlier way of reading series left in a working folder is not taken up.
_READ = "at its millimetres"
_SHAPING = ("confounds", "band_pass_hz", "smoothing_fwhm_mm")


def conform_cohort(
    cohort: "Cohort", mask: Path, settings: Mapping[str, Any], folder: Path
) -> "Cohort":
    """Resample and denoise what does not come from this app's own output folder.

    Parameters
    ----------
    cohort
        Its `files` name the series.
    mask
        The template's brain mask on the recipe's grid.
    settings
        Of the preparation: ``confounds``, ``band_pass_hz``, ``smoothing_fwhm_mm``.
    folder
        Where the conformed series go, named by what went into them.

    Returns
    -------
    Cohort
        The same people, with files that lie on the grid; without those who have no such file.
    """
    return conformed_files(
        cohort, partial(conform_scan, mask=mask, settings=settings, folder=folder)
    )


def conform_scan(
    scan: "NormalizedImage", mask: Path, settings: Mapping[str, Any], folder: Path
) -> "NormalizedImage":
    """Give a scan whose series lies on the recipe's grid, denoised and smoothed as it asks.

    What this app denoised in just that way is taken as it is.
    """
    if is_finished(scan.image, settings) and _same_grid(scan.image, mask):
        return scan
    path = conform_series(scan.image, _root(scan.image, scan.uri), mask, settings, folder)
    return replace(scan, image=path, channels={**scan.channels, "bold": path})


def conform_series(
    image: Path, root: Path, mask: Path, settings: Mapping[str, Any], folder: Path
) -> Path:
    """Resample, denoise and smooth one series in standard space.

    Raises
    ------
    BadData
        It cannot be read or denoised, or less than 40 % of the brain change over time.
    """
    from bidsapp.modalities.bold.files import write_series

    foreign = foreign_of(image, root, settings)
    target = _target(foreign, mask, settings, folder)
    if is_whole(target):
        return target
    values, affine = read_numbers(mask)
    inside = values > 0.5
    series = _on_grid(image, inside, affine)
    covered = np.ptp(series, axis=0) > 0
    if covered.mean() < _LEAST_COVERED:
        raise BadData(
            f"{image}: {covered.mean():.0%} of the template's brain hold a series that changes; at "
            f"least {_LEAST_COVERED:.0%} are needed. Look at its registration, or leave it out."
        )
    wanted = dict(settings)
    if foreign.denoised:
        wanted |= {"confounds": "none", "band_pass_hz": (None, None)}
    if foreign.smoothed:
        wanted["smoothing_fwhm_mm"] = 0.0
    cleaned = denoise(
        series, covered, inside, affine, foreign.table, foreign.tr, wanted, image.name
    )
    with atomic_path(target) as temporary:
        write_series(temporary, cleaned.series, inside, affine, foreign.tr)
    seal(target)
    return target


def _same_grid(image: Path, mask: Path) -> bool:
    """Whether a series lies on the grid of the mask."""
    one, two = open_image(image), open_image(mask)
    return one.shape[:3] == two.shape[:3] and np.allclose(one.affine, two.affine, atol=1e-3)


def _on_grid(image: Path, inside: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Read a series where the voxels of a mask lie, float32, shape (T, V); 0 beyond its own.

    Its own voxels as they are where they have the same centres, in whatever order they are stored;
    linearly between them elsewhere.
    """
    from scipy.ndimage import map_coordinates

    values, own = read_numbers(image)
    if not np.isfinite(values).all():
        raise BadData(f"{image} holds NaN or infinite values.")
    centres = np.argwhere(inside) @ affine[:3, :3].T + affine[:3, 3]
    places = np.linalg.inv(own)[:3] @ np.column_stack([centres, np.ones(len(centres))]).T
    nearest = np.rint(places).astype(int)
    found = np.zeros((values.shape[3], len(centres)), np.float32)
    if np.abs(places - nearest).max() < _SAME_VOXEL:
        size = np.array(values.shape[:3])[:, None]
        there = ((nearest >= 0) & (nearest < size)).all(axis=0)
        voxels = tuple(nearest[:, there])
        for volume in range(len(found)):
            found[volume, there] = values[..., volume][voxels]
        return found
    for volume in range(len(found)):
        map_coordinates(values[..., volume], places, found[volume], order=1)
    return found


def _root(image: Path, uri: str) -> Path:
    """Find the dataset of a series by its BIDS URI."""
    inside = uri.split(":", 2)[-1]
    return image.parents[len(Path(inside).parts) - 1]


def _target(foreign: Foreign, mask: Path, settings: Mapping[str, Any], folder: Path) -> Path:
    """Name a conformed series by what went into it."""
    image = foreign.image
    told = {
        "image": [str(image), image.stat().st_mtime_ns, image.stat().st_size],
        "mask": [str(mask), mask.stat().st_mtime_ns],
        "read": _READ,
        "tr": foreign.tr,
        "confounds": hashlib.sha256(foreign.table.to_csv().encode()).hexdigest(),
        "settings": {key: settings[key] for key in _SHAPING},
    }
    name = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:20]
    return folder / f"{image.name.split('.')[0]}_{name}.nii.gz"
