"""The synthetic head, and the image that a scanner would take of it."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from bidsapp.phantom.anatomy import Anatomy

# White matter's intensity in the template; the synthetic tissues are shares of it.
_WHITE = 230.0
_SKULL_MM, _SCALP_MM = 5.0, 12.0
ORIENTATIONS = ("RAS", "LAS", "PSR", "oblique")


@dataclass(frozen=True)
class Head:
    """The template with a synthetic skull, scalp, face and neck, 1 mm, on its own grid."""

    data: np.ndarray
    affine: np.ndarray


@cache
def template_head() -> Head:
    """Put the embedded brain template into a skull, a scalp, a face and a neck.

    It is the same for every phantom; what differs between people is their deformation.
    """
    import nibabel as nib
    from scipy.ndimage import distance_transform_edt, gaussian_filter

    from bidsapp.templates.embedded import packaged
    from bidsapp.templates.space import filled_brain

    image = nib.Nifti1Image.from_filename(packaged("t1"))
    pad = ((12, 12), (8, 8), (45, 0))
    brain = np.pad(np.asarray(image.dataobj, dtype=np.float32), pad)
    affine = image.affine.copy()
    affine[:3, 3] -= [before for before, _ in pad]
    mask = filled_brain(brain)

    x, y, z = np.meshgrid(
        *(np.arange(n) + affine[k, 3] for k, n in enumerate(brain.shape)),
        indexing="ij",
        sparse=True,
    )
    distance = distance_transform_edt(~mask)
    face = (x / 62) ** 2 + ((y - 28) / 62) ** 2 + ((z + 52) / 62) ** 2 < 1
    neck = ((x / 58) ** 2 + ((y + 30) / 62) ** 2 < 1) & (z < -30)
    head = (distance < _SCALP_MM) | face | neck
    depth = distance_transform_edt(head)

    texture = np.random.default_rng(0).standard_normal(brain.shape, dtype=np.float32)
    muscle = 0.45 + 0.12 * _unit(gaussian_filter(texture, 3))
    tissue = np.where(depth < 5, 0.95, muscle)
    tissue[distance < _SKULL_MM] = 0.06
    tissue[~head] = 0.0
    outside = gaussian_filter((tissue * _WHITE).astype(np.float32), 0.7)
    return Head(np.where(mask, brain, outside).astype(np.float32), affine)


def _unit(values: np.ndarray) -> np.ndarray:
    return values / values.std()


def scan(
    head: Head,
    anatomy: Anatomy,
    resolution_mm: float,
    orientation: str,
    rng: np.random.Generator,
    noise: float,
    gamma: float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Take the image of one head.

    Parameters
    ----------
    head, anatomy
        What is imaged.
    resolution_mm
        Voxel size.
    orientation
        How it lies on the disk: three axis letters, or ``oblique``.
    rng
        For the bias field, the gain and the noise.
    noise
        Standard deviation of the Rician noise, as a share of white matter's intensity.
    gamma
        Power of the intensities, relative to white matter; below 0 they turn round.

    Returns
    -------
    data : numpy.ndarray
        int16, as it lies on the disk.
    affine : numpy.ndarray
        4 × 4, from voxel indices to RAS millimetres.
    """
    import nibabel as nib
    from scipy.ndimage import map_coordinates
    from scipy.spatial.transform import Rotation

    extent = np.array([212.0, 252.0, 232.0])
    shape = tuple(int(n) for n in np.ceil(extent / resolution_mm))
    affine = np.diag([resolution_mm] * 3 + [1.0])
    if orientation == "oblique":
        tilt = Rotation.from_euler("xyz", (14, -6, 9), degrees=True)
        affine[:3, :3] = tilt.as_matrix() * resolution_mm
    centre = np.array([0.0, -18.0, -4.0])
    affine[:3, 3] = centre - affine[:3, :3] @ ((np.array(shape) - 1) / 2)

    points = np.indices(shape, dtype=float).reshape(3, -1).T @ affine[:3, :3].T + affine[:3, 3]
    at = (anatomy.to_template(points) - head.affine[:3, 3]).T
    tissue = map_coordinates(head.data, at, order=1, mode="constant").reshape(shape)

    if gamma != 1:
        share = np.clip(tissue / _WHITE, 0, None)
        dark = np.clip(1.25 - share, 0, None) * (share > 0.03)  # the air stays dark
        tissue = (share**gamma if gamma > 0 else dark**-gamma) * _WHITE
    # The bias belongs to the coil, so it is laid out in scanner space.
    unit = (points - centre) / (extent / 2)
    slope, curve = rng.uniform(-0.12, 0.12, 3), rng.uniform(-0.12, 0.12, 3)
    bias = np.exp(unit @ slope + (unit**2) @ curve).reshape(shape)
    signal = tissue * bias * rng.uniform(3.0, 5.0)
    sigma = noise * _WHITE * 4
    real, imaginary = (rng.standard_normal(shape) * sigma for _ in range(2))
    measured = np.hypot(signal + real, imaginary)

    image = nib.Nifti1Image(np.clip(np.rint(measured), 0, 32767).astype(np.int16), affine)
    if orientation != "oblique":
        wanted = nib.orientations.axcodes2ornt(tuple(orientation))
        image = image.as_reoriented(
            nib.orientations.ornt_transform(nib.io_orientation(affine), wanted)
        )
    return np.asarray(image.dataobj), image.affine
