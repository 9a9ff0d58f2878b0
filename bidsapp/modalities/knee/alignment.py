"""Where echoes lie beside the image that was segmented: from the headers, then by information.

The scanner's coordinates hold for a knee that did not move between the two acquisitions. A small
rigid step raises normalised mutual information (Studholme et al. 1999,
doi:10.1016/S0031-3203(98)00091-0) of image and first echo around the cartilage. It is sought
twice, on two halves of the places, and taken where both halves say the same.
"""

from dataclasses import dataclass

import numpy as np

from bidsapp.modalities.knee.echoes import Echoes

FARTHEST = 8.0
"""Millimetres, and degrees, beyond which no step is taken."""
AGREE_MM = 0.8
"""How far apart the two halves may put cartilage."""
_PLACES = 16_000
_MARGIN_MM = 12.0
_BINS = 32
_SMOOTH_MM = (2.0, 1.0)


@dataclass(frozen=True)
class Placement:
    """How echoes lie beside the image.

    Attributes
    ----------
    motion
        (4, 4) from the scanner's millimetres of the image to those at which echoes are read.
    moved_mm
        Mean distance by which it moves cartilage; 0 where headers are kept.
    note
        A sentence where the step was not taken; else empty.
    """

    motion: np.ndarray
    moved_mm: float = 0.0
    note: str = ""


@dataclass(frozen=True)
class _Fixed:
    """Places of the image, the middle of the joint, and the image's values in bins."""

    places: np.ndarray
    centre: np.ndarray
    bins: np.ndarray


def place_echoes(
    echoes: Echoes, image: np.ndarray, affine: np.ndarray, cartilage: np.ndarray, seed: int = 0
) -> Placement:
    """Find the rigid step from the headers' coordinates to where the first echo fits the image.

    Parameters
    ----------
    image
        (i, j, k) that was segmented.
    affine
        Its 4 × 4, voxel indices to RAS mm.
    cartilage
        (n, 3) places of cartilage in the scanner, RAS mm.
    seed
        Of the places that are compared.

    Returns
    -------
    Placement
        The headers' own where the two halves of the places disagree or the step would be longer
        than any knee moves; with a note then.
    """
    rng = np.random.default_rng(seed)
    low, high = cartilage.min(0) - _MARGIN_MM, cartilage.max(0) + _MARGIN_MM
    places = _inside(rng.uniform(low, high, (6 * _PLACES, 3)), affine, image.shape)
    places = _inside(places, echoes.affine, echoes.signals.shape[:3])[: 2 * _PLACES]
    if len(places) < _PLACES:
        return _kept("too little of the image lies within the echoes")
    image, affine = _around(image, affine, low, high)
    centre = cartilage.mean(0)
    first = echoes.signals[..., 0]
    steps = np.zeros((2, 6))
    for smooth in _SMOOTH_MM:
        fixed = _smoothed(image, affine, smooth)
        moving = _smoothed(first, echoes.affine, smooth)
        for half in (0, 1):
            own = places[half::2]
            known = _Fixed(own, centre, _binned(_values(fixed, affine, own)))
            steps[half] = _best(steps[half], known, moving, echoes.affine)
    one, other = (_moved(cartilage, _matrix(step, centre)) for step in steps)
    apart = float(np.linalg.norm(one - other, axis=1).mean())
    if apart > AGREE_MM:
        return _kept(f"two halves of the places put cartilage {apart:.1f} mm apart")
    step = steps.mean(0)
    far, turned = np.linalg.norm(step[:3]), np.linalg.norm(step[3:])
    if max(far, turned) > FARTHEST:
        return _kept(f"the best place is {far:.0f} mm and {turned:.0f} degrees away, too far")
    motion = _matrix(step, centre)
    moved = np.linalg.norm(_moved(cartilage, motion) - cartilage, axis=1).mean()
    return Placement(motion, float(moved))


def _kept(why: str) -> Placement:
    note = f"The echoes lie as their headers say: {why}. Look at T2 over the image."
    return Placement(np.eye(4), note=note)


def _around(
    image: np.ndarray, affine: np.ndarray, low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Cut out what lies around a box of the scanner; with the cut's own affine."""
    corners = np.stack(np.meshgrid(*zip(low, high, strict=True)), -1).reshape(-1, 3)
    places = _moved(corners, np.linalg.inv(affine))
    margin = 3 * max(_SMOOTH_MM) / np.linalg.norm(affine[:3, :3], axis=0)
    size = np.array(image.shape)
    first = np.clip(np.floor(places.min(0) - margin), 0, size - 2).astype(int)
    last = np.clip(np.ceil(places.max(0) + margin) + 1, first + 2, size).astype(int)
    own = affine.copy()
    own[:3, 3] = _moved(first[None].astype(float), affine)[0]
    return image[tuple(map(slice, first, last))], own


def _best(
    start: np.ndarray, fixed: _Fixed, moving: np.ndarray, moving_affine: np.ndarray
) -> np.ndarray:
    """(6,) millimetres and degrees of the step with the most information in common."""
    from scipy.optimize import minimize

    def loss(step: np.ndarray) -> float:
        there = _moved(fixed.places, _matrix(step, fixed.centre))
        return -_information(fixed.bins, _values(moving, moving_affine, there))

    limit = FARTHEST + 2
    found = minimize(
        loss, start, method="Powell", bounds=[(-limit, limit)] * 6,
        options={"xtol": 0.02, "ftol": 1e-5, "maxiter": 6},
    )  # fmt: skip
    return np.asarray(found.x)


def _matrix(step: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """(4, 4) of shifts in mm and a turn in degrees about the centre."""
    from scipy.spatial.transform import Rotation

    found = np.eye(4)
    found[:3, :3] = Rotation.from_rotvec(np.deg2rad(step[3:])).as_matrix()
    found[:3, 3] = centre + step[:3] - found[:3, :3] @ centre
    return found


def _moved(points: np.ndarray, motion: np.ndarray) -> np.ndarray:
    return np.asarray(points @ motion[:3, :3].T + motion[:3, 3])


def _smoothed(values: np.ndarray, affine: np.ndarray, sd_mm: float) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    sds = np.where(spacing < 2 * sd_mm, sd_mm / spacing, 0)
    return np.asarray(gaussian_filter(np.nan_to_num(values).astype(np.float32), sds, truncate=3))


def _values(volume: np.ndarray, affine: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(n,) values by linear interpolation; the border's beyond it."""
    from scipy.ndimage import map_coordinates

    places = _moved(points, np.linalg.inv(affine))
    return np.asarray(
        map_coordinates(volume, places.T, order=1, mode="nearest", prefilter=False), np.float32
    )


def _inside(points: np.ndarray, affine: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    places = _moved(points, np.linalg.inv(affine))
    return points[((places >= 0) & (places <= np.array(shape) - 1)).all(1)]


def _binned(values: np.ndarray) -> np.ndarray:
    """(n,) place between 0 and the last bin, by the values' 1st and 99th percentile."""
    low, high = np.percentile(values, [1, 99])
    return np.clip((values - low) / max(high - low, 1e-9), 0, 1) * (_BINS - 1)


def _information(fixed: np.ndarray, values: np.ndarray) -> float:
    """Normalised mutual information, (H(a) + H(b)) / H(a, b), each value shared by two bins."""
    moving = _binned(values)
    a, b = fixed.astype(np.intp), moving.astype(np.intp)
    share_a, share_b = fixed - a, moving - b
    joint = np.zeros((_BINS + 1) ** 2)
    for up, weight in ((0, 1 - share_a), (1, share_a)):
        for right, other in ((0, 1 - share_b), (1, share_b)):
            index = (a + up) * (_BINS + 1) + b + right
            joint += np.bincount(index, weight * other, len(joint))
    table = joint.reshape(_BINS + 1, _BINS + 1) / len(values)
    return (_entropy(table.sum(0)) + _entropy(table.sum(1))) / max(_entropy(table.ravel()), 1e-9)


def _entropy(shares: np.ndarray) -> float:
    known = shares[shares > 0]
    return float(-(known * np.log(known)).sum())
