"""A synthetic head at rest, and the BOLD series that a scanner would take of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from bidsapp.phantom import Anatomy

if TYPE_CHECKING:
    import torch

SHAPE, VOXEL_MM = (52, 60, 38), 4.0
"""Voxels of a volume, x, y and z, and their size; slices lie along z."""
TR, NON_STEADY = 3.0, 2
# Grid of what the head holds, before it is measured.
_SCENE_MM = 3.0
_EXTENT_MM, _CENTRE = (212.0, 252.0, 210.0), (0.0, -18.0, 2.0)
_WHITE = 230.0  # of white matter in the template
_WAVES, _BAND_HZ = 30, (0.01, 0.08)
_WIDTH_MM = 9.0  # standard deviation of a network's parts
# Change of the signal where a network is strongest, of fluid, of drift, and of noise.
_NETWORK, _FLUID, _DRIFT, _NOISE = 0.012, 0.015, 0.01, 0.012
_GLOBAL, _SCALP = 0.003, 0.1

NETWORKS: dict[str, tuple[tuple[float, float, float], ...]] = {
    "default mode": ((0, -54, 28), (0, 50, 2), (-46, -66, 32), (48, -64, 32)),
    "visual": ((-10, -84, 4), (10, -84, 4), (0, -72, 10)),
    "sensorimotor": ((-40, -24, 54), (40, -24, 54), (0, -20, 60)),
    "left frontoparietal": ((-42, 26, 32), (-44, -52, 46)),
    "right frontoparietal": ((42, 26, 32), (46, -52, 46)),
    "salience": ((-36, 16, 2), (38, 16, 2), (0, 20, 36)),
    "auditory": ((-54, -20, 6), (56, -18, 6)),
    "cerebellum": ((-26, -64, -32), (26, -64, -32)),
}
"""Networks by name, and the MNI coordinates of their parts in mm."""
# Where the air of the sinuses bends the field: centre in MNI, width in mm, share of the stretch.
_AIR = (
    ((0.0, 46.0, -22.0), 18.0, 1.0),
    ((48.0, -14.0, -30.0), 15.0, 0.7),
    ((-48.0, -14.0, -30.0), 15.0, 0.7),
)


@dataclass(frozen=True)
class Scene:
    """What a head holds, in standard space or where it lay for the T1w image.

    Attributes
    ----------
    fields
        float32, shape (2 + C, X, Y, Z): brightness, share of fluid, then the networks, each at
        most 1.
    affine
        4 × 4, voxel indices to RAS mm.
    """

    fields: np.ndarray
    affine: np.ndarray


@dataclass(frozen=True)
class Rest:
    """One person at rest.

    Attributes
    ----------
    responder
        Whether the planted difference is theirs.
    amplitudes
        Of the networks, shape (C,); 1 for everybody's mean.
    matrices
        Where the head lay in each volume: from where it lay for the T1w image, RAS mm, shape
        (T, 4, 4).
    tilt
        Radians by which the slices are turned about x.
    stretch_mm
        Largest displacement along the phase.
    seed
        Of courses and noise.
    """

    responder: bool
    amplitudes: np.ndarray
    matrices: np.ndarray
    tilt: float
    stretch_mm: float
    seed: tuple[int, ...] = field(default=(0,))


def draw_rest(
    rng: np.random.Generator,
    responder: bool,
    planted: str,
    effect: float,
    volumes: int,
    stretch_mm: float,
    seed: tuple[int, ...],
) -> Rest:
    """Draw one person's networks and motion.

    Parameters
    ----------
    rng
        Draws.
    responder
        Whether they carry the difference.
    planted, effect
        The network that is stronger in responders, and by how much (1 is twice as strong).
    volumes
        Number of volumes, T.
    stretch_mm
        Mean of people's largest displacement along the phase; 0 for none.
    seed
        Of courses and noise.
    """
    from scipy.spatial.transform import Rotation

    amplitudes = np.exp(0.15 * rng.standard_normal(len(NETWORKS)))
    if responder:
        amplitudes[list(NETWORKS).index(planted)] *= 1 + effect
    scale = rng.uniform(0.6, 1.6)
    steps = rng.standard_normal((volumes, 6)) * scale * [0.03, 0.04, 0.05, 4e-4, 3e-4, 3e-4]
    steps[rng.integers(5, volumes, 2)] *= 6  # a sudden move or two
    steps[0] = rng.standard_normal(6) * [1.5, 1.5, 1.5, 0.02, 0.02, 0.02]
    parameters = np.cumsum(steps, axis=0)
    turns = Rotation.from_euler("xyz", parameters[:, 3:]).as_matrix()
    matrices = np.tile(np.eye(4), (volumes, 1, 1))
    centre = np.array(_CENTRE)
    matrices[:, :3, :3] = turns
    matrices[:, :3, 3] = parameters[:, :3] + centre - turns @ centre
    tilt = float(np.radians(rng.uniform(-10, 10)))
    return Rest(
        responder, amplitudes, matrices, tilt, stretch_mm * float(rng.uniform(0.7, 1.3)), seed
    )


@cache
def standard_scene() -> Scene:
    """Lay brightness, fluid and networks into the template's brain, on a grid of 3 mm."""
    import nibabel as nib
    from scipy.ndimage import gaussian_filter

    from bidsapp.templates.embedded import packaged
    from bidsapp.templates.space import filled_brain

    image = nib.Nifti1Image.from_filename(packaged("t1"))
    share = np.asarray(image.dataobj, np.float32) / _WHITE
    inside = filled_brain(share)
    step = int(_SCENE_MM)
    every = (slice(None, None, step),) * 3
    # Weighted by T2*: fluid is bright, white matter dark, the fat of the scalp suppressed.
    scalp = _SCALP * (gaussian_filter(inside.astype(np.float32), 8.0) > 0.1)
    bright = np.where(inside, 1.15 - 0.45 * np.clip(share, 0, 1.1), scalp)
    fluid = inside & (share < 0.45)
    blurred = [gaussian_filter(one.astype(np.float32), 1.6)[every] for one in (bright, fluid)]
    affine = image.affine @ np.diag([step, step, step, 1.0])
    brain = gaussian_filter(inside.astype(np.float32), 1.6)[every]
    points = _points(brain.shape, affine)
    for parts in NETWORKS.values():
        away = [((points - part) ** 2).sum(axis=-1) for part in parts]
        bells = np.exp(-0.5 * np.min(away, axis=0) / _WIDTH_MM**2)
        blurred.append((bells * brain).astype(np.float32))
    return Scene(np.stack(blurred), affine)


def network_maps() -> Scene:
    """Give the networks alone, in standard space."""
    scene = standard_scene()
    return Scene(scene.fields[2:], scene.affine)


def place(anatomy: Anatomy) -> Scene:
    """Bring the standard scene to where one person's head lay for the T1w image."""
    from scipy.ndimage import map_coordinates

    scene = standard_scene()
    shape = tuple(int(extent / _SCENE_MM) for extent in _EXTENT_MM)
    affine = np.diag([_SCENE_MM] * 3 + [1.0])
    affine[:3, 3] = np.array(_CENTRE) - _SCENE_MM * (np.array(shape) - 1) / 2
    points = anatomy.to_template(_points(shape, affine).reshape(-1, 3))
    at = _voxels(points, scene.affine).T
    fields = [map_coordinates(one, at, order=1).reshape(shape) for one in scene.fields]
    return Scene(np.stack(fields).astype(np.float32), affine)


def bold_affine(rest: Rest) -> np.ndarray:
    """Place the slices: 4 × 4, voxel indices to RAS mm."""
    from scipy.spatial.transform import Rotation

    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("x", rest.tilt).as_matrix() * VOXEL_MM
    affine[:3, 3] = np.array(_CENTRE) - affine[:3, :3] @ ((np.array(SHAPE) - 1) / 2)
    return affine


def slice_times() -> np.ndarray:
    """Give the second at which each slice is taken: odd ones first, then even ones."""
    order = np.r_[np.arange(0, SHAPE[2], 2), np.arange(1, SHAPE[2], 2)]
    times = np.empty(SHAPE[2])
    times[order] = np.arange(SHAPE[2]) * TR / SHAPE[2]
    return np.round(times, 4)


def stretch(anatomy: Anatomy, rest: Rest, points: np.ndarray) -> np.ndarray:
    """Say how far the field displaces points of the head along the phase, in mm.

    Parameters
    ----------
    anatomy, rest
        The person.
    points
        RAS mm in the scanner, at the first volume, shape (N, 3).
    """
    inverse = np.linalg.inv(rest.matrices[0])
    there = anatomy.to_template(points @ inverse[:3, :3].T + inverse[:3, 3])
    total = np.zeros(len(points))
    for centre, width, share in _AIR:
        away = ((there - centre) ** 2).sum(axis=1)
        total += share * np.exp(-0.5 * away / width**2)
    return rest.stretch_mm * total


def acquire(
    anatomy: Anatomy, rest: Rest, sense: int = 1, only: Sequence[int] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Take the series of one person.

    Parameters
    ----------
    anatomy, rest
        The person.
    sense
        1 where the phase runs from front to back of the head in such a way that what the field
        displaces goes forwards (``j``); -1 for the reverse (``j-``).
    only
        Numbers of the volumes that are taken; all where not given.

    Returns
    -------
    data : numpy.ndarray
        int16, shape (X, Y, Z, T).
    affine : numpy.ndarray
        4 × 4, voxel indices to RAS mm.
    """
    import torch

    from bidsapp.modalities.bold.splines import fit_splines

    rng = np.random.default_rng([*rest.seed, 2])
    numbers = np.arange(len(rest.matrices)) if only is None else np.asarray(only)
    affine = bold_affine(rest)
    points = _points(SHAPE, affine).reshape(-1, 3)
    sources, density = _undistorted(anatomy, rest, points, affine, sense)
    scene = place(anatomy)
    bright = fit_splines(scene.fields[:1], torch.device("cpu"))
    changing = torch.as_tensor(scene.fields[1:])[None]
    slices = np.tile(np.arange(SHAPE[2]), SHAPE[0] * SHAPE[1])
    courses = _courses(rng, rest)
    slope = rng.standard_normal(2) * _DRIFT
    data = np.empty((*SHAPE, len(numbers)), np.int16)
    for place_, number in enumerate(numbers):
        inverse = np.linalg.inv(rest.matrices[number])
        at = _voxels(sources @ inverse[:3, :3].T + inverse[:3, 3], scene.affine)
        head = bright.at(torch.as_tensor(at, dtype=torch.float32)[None])[0].numpy()
        there = _read(changing, at)
        course = courses(number * TR + slice_times())[:, slices]
        change = (course * there).sum(axis=0)
        change += slope @ [number / len(rest.matrices), np.sin(np.pi * number / 60)]
        if number < NON_STEADY:
            head = head * (1 + 0.35 * 0.3**number)
        signal = np.clip(head, 0, None) * density * (1 + change)
        noise = _NOISE * rng.standard_normal((2, len(signal)), np.float32)
        measured = 1000 * np.hypot(signal + noise[0], noise[1])
        data[..., place_] = np.rint(measured).astype(np.int16).reshape(SHAPE)
    return data, affine


def _courses(rng: np.random.Generator, rest: Rest) -> "_Courses":
    """Draw the courses of fluid and networks, sums of waves that are known at any time."""
    count = len(rest.amplitudes) + 2
    return _Courses(
        rng.uniform(*_BAND_HZ, (count, _WAVES)),
        rng.uniform(0, 2 * np.pi, (count, _WAVES)),
        np.r_[_FLUID, _NETWORK * rest.amplitudes],
    )


@dataclass(frozen=True)
class _Courses:
    hertz: np.ndarray
    phase: np.ndarray
    size: np.ndarray

    def __call__(self, seconds: np.ndarray) -> np.ndarray:
        """Give fluid and networks, shape (1 + C, S), each with what the whole brain shares."""
        turns = 2 * np.pi * self.hertz[..., None] * seconds + self.phase[..., None]
        waves = np.cos(turns).sum(axis=1) * np.sqrt(2 / _WAVES)
        return np.asarray(self.size[:, None] * waves[1:] + _GLOBAL * waves[0])


def _undistorted(
    anatomy: Anatomy, rest: Rest, points: np.ndarray, affine: np.ndarray, sense: int
) -> tuple[np.ndarray, np.ndarray]:
    """Find the points that are seen at the voxels, and how much of the head a voxel gathers."""
    if not rest.stretch_mm:
        return points, np.ones(len(points), np.float32)
    along = affine[:3, 1] / VOXEL_MM
    moved = np.zeros(len(points))
    for _ in range(12):
        moved = sense * stretch(anatomy, rest, points - moved[:, None] * along)
    gathered = 1 - np.gradient(moved.reshape(SHAPE), VOXEL_MM, axis=1).ravel()
    return points - moved[:, None] * along, np.clip(gathered, 0, 4).astype(np.float32)


def _points(shape: Sequence[int], affine: np.ndarray) -> np.ndarray:
    """RAS mm of every voxel, shape (*shape, 3)."""
    grid = np.moveaxis(np.indices(tuple(shape)), 0, -1)
    return np.asarray(grid @ affine[:3, :3].T + affine[:3, 3])


def _voxels(points: np.ndarray, affine: np.ndarray) -> np.ndarray:
    inverse = np.linalg.inv(affine)
    return np.asarray(points @ inverse[:3, :3].T + inverse[:3, 3])


def _read(fields: "torch.Tensor", at: np.ndarray) -> np.ndarray:
    """Read fields (1, C, X, Y, Z) linearly at voxel indices (N, 3), shape (C, N)."""
    import torch
    from torch.nn.functional import grid_sample

    size = np.array(fields.shape[2:])
    # grid_sample counts from -1 to 1, the last axis first
    unit = torch.as_tensor((2 * at / (size - 1) - 1)[:, ::-1].copy(), dtype=torch.float32)
    found = grid_sample(fields, unit[None, :, None, None], align_corners=True)
    return np.asarray(found[0, :, :, 0, 0].numpy())
