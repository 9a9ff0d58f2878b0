"""A right knee from formulas: three bones and their cartilages, deformed and thinned at will.

No person's anatomy, and no more than tests and demonstrations need: condyles that differ, a
trochlea whose lateral side is the higher, two plates on a tibia, a patella with a ridge.
"""

from dataclasses import dataclass, field

import numpy as np

NAMES = (
    "background",
    "femur",
    "femoral_cartilage",
    "tibia",
    "medial_tibial_cartilage",
    "lateral_tibial_cartilage",
    "patella",
    "patellar_cartilage",
)
"""Names of the label map's numbers, from 0."""
_LOW, _HIGH = np.array([-52.0, -52.0, -62.0]), np.array([52.0, 62.0, 74.0])
_THICKNESS = {"femur": 2.2, "medial": 2.4, "lateral": 2.6, "patella": 2.9}
_DEFORMED_MM = 3.0
_LESION = 0.18  # of the plate's area, about: a mean over the plate tells little of it


@dataclass(frozen=True)
class Person:
    """How one knee differs from the plain one.

    Attributes
    ----------
    scale
        Size of the bones.
    thickness
        Factor of all cartilage.
    plates
        Factor of the medial and of the lateral tibial plate's cartilage beside.
    thinned
        Share of the medial tibial plate's thickness that is lost in its middle, 0 to 1.
    deformation
        (3, 4, 4, 4) mm at the nodes of a coarse grid, 0 for none.
    """

    scale: float = 1.0
    thickness: float = 1.0
    plates: tuple[float, float] = (1.0, 1.0)
    thinned: float = 0.0
    deformation: np.ndarray = field(default_factory=lambda: np.zeros((3, 4, 4, 4)))


def random_person(rng: np.random.Generator, thinned: float = 0.0) -> Person:
    """Draw a knee: size by 4 %, cartilage by 8 %, smoothly deformed by `_DEFORMED_MM`.

    Each tibial plate differs by another 10 %, so that its mean says less than the place of a loss.
    """
    scale, thickness = 1 + 0.04 * rng.normal(), np.exp(0.08 * rng.normal())
    deformation = _DEFORMED_MM * rng.normal(size=(3, 4, 4, 4))
    medial, lateral = np.exp(0.1 * rng.normal(size=2))
    return Person(
        scale=float(scale),
        thickness=float(thickness),
        plates=(float(medial), float(lateral)),
        thinned=thinned,
        deformation=deformation,
    )


def knee_labels(
    person: Person | None = None, spacing: tuple[float, float, float] = (0.9, 0.7, 0.7)
) -> np.ndarray:
    """(lateral, anterior, superior) uint8 label map of a right knee, numbers as in `NAMES`.

    Parameters
    ----------
    person
        The plain knee where absent.
    spacing
        Millimetres between voxels. Voxel 0 lies at `origin`.
    """
    who = person or Person()
    points = _undeformed(_places(spacing), who)
    femur, tibia, patella = _femur(points), _tibia(points), _patella(points)
    labels = np.zeros(points[0].shape, np.uint8)
    x, y, z = points
    depth = {
        name: _distance(bone, spacing) / who.scale
        for name, bone in (("femur", femur), ("tibia", tibia), ("patella", patella))
    }
    condyle = (z < 24) & (np.abs(np.abs(x) - 21) < 12) & (y < 26)
    trochlea = (y > 14) & (z > 4) & (z < 44) & (np.abs(x) < 22)
    _lay(labels, 2, depth["femur"], _THICKNESS["femur"] * who.thickness, condyle | trochlea)
    plates = ((4, "medial", -21.0), (5, "lateral", 21.0))
    for (number, name, middle), factor in zip(plates, who.plates, strict=True):
        away = ((x - middle) / 14) ** 2 + ((y + 4) / (19 if name == "medial" else 16)) ** 2
        thick = _THICKNESS[name] * who.thickness * factor * np.sqrt(np.clip(1 - away**2, 0, 1))
        if name == "medial":
            thick = thick * (1 - who.thinned * np.exp(-away / _LESION))
        _lay(labels, number, depth["tibia"], thick, (away < 1) & (z > -12))
    away = ((x - 3) / 18) ** 2 + ((z - 26) / 16) ** 2
    thick = _THICKNESS["patella"] * who.thickness * np.sqrt(np.clip(1 - away**2, 0, 1))
    _lay(labels, 7, depth["patella"], thick, (away < 1) & (y < _PATELLA[1]))
    for number, bone in ((1, femur), (3, tibia), (6, patella)):
        labels[bone] = number
    return labels


def origin() -> np.ndarray:
    """(3,) mm of voxel 0 in the frame (lateral, anterior, superior) of the joint's middle."""
    return _LOW.copy()


_PATELLA = (3.0, 45.0, 26.0)


def _places(spacing: tuple[float, float, float]) -> np.ndarray:
    axes = [
        np.arange(low, high, step) for low, high, step in zip(_LOW, _HIGH, spacing, strict=True)
    ]
    return np.stack(np.meshgrid(*axes, indexing="ij")).astype(np.float32)


def _undeformed(places: np.ndarray, who: Person) -> np.ndarray:
    """Where in the plain knee the voxels of this one come from."""
    from scipy.ndimage import zoom

    moved = places / np.float32(who.scale)
    if not who.deformation.any():
        return moved
    shape = places.shape[1:]
    for axis, nodes in enumerate(who.deformation):
        coarse = zoom(nodes.astype(np.float32), 4, order=3)
        factors = [n / m for n, m in zip(shape, coarse.shape, strict=True)]
        moved[axis] += zoom(coarse, factors, order=1)[: shape[0], : shape[1], : shape[2]]
    return moved


def _ellipsoid(
    points: np.ndarray, centre: tuple[float, ...], radii: tuple[float, ...]
) -> np.ndarray:
    return np.asarray(
        sum(((p - c) / r) ** 2 for p, c, r in zip(points, centre, radii, strict=True)) < 1
    )


def _femur(points: np.ndarray) -> np.ndarray:
    x, y, z = points
    bone = _ellipsoid(points, (-21, -6, 25), (15, 31, 22))
    bone |= _ellipsoid(points, (21, -4, 24), (16, 28, 21))
    bone |= _ellipsoid(points, (0, 6, 34), (30, 20, 22))
    bone |= _ellipsoid(points, (14, 16, 34), (13, 14, 18))
    bone |= _ellipsoid(points, (-13, 14, 33), (12, 12, 15))
    bone |= (z > 30) & ((x / (17 + 300 / np.maximum(z + 1, 1))) ** 2 + ((y + 1) / 16) ** 2 < 1)
    return _rounded(bone)


def _tibia(points: np.ndarray) -> np.ndarray:
    x, y, z = points
    taper = np.clip((z + 12) / 60, -1, 0)  # 0 at the plateau, -1 far below
    wide = (x / (38 + 18 * taper)) ** 2 + ((y + 4) / (25 + 9 * taper)) ** 2 < 1
    ridge = 3.5 * np.exp(-((x / 6) ** 2) - ((y + 4) / 12) ** 2)
    bowl = -1.5 * np.exp(-(((x + 21) / 10) ** 2) - ((y + 4) / 14) ** 2)
    return _rounded(wide & (z < -5.5 + ridge + bowl))


def _patella(points: np.ndarray) -> np.ndarray:
    bone = _ellipsoid(points, _PATELLA, (22, 9, 20))
    bone |= _ellipsoid(points, (1.0, 42.0, 26.0), (9, 9.5, 16))  # its ridge
    return _rounded(bone)


def _rounded(mask: np.ndarray) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    return np.asarray(gaussian_filter(mask.astype(np.float32), 2) > 0.5)


def _distance(mask: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    from scipy.ndimage import distance_transform_edt

    # From the edge of the bone: half a voxel before the first centre outside.
    return np.asarray(distance_transform_edt(~mask, sampling=spacing)) - min(spacing) / 2


def _lay(
    labels: np.ndarray,
    number: int,
    depth: np.ndarray,
    thick: np.ndarray | float,
    where: np.ndarray,
) -> None:
    labels[(depth <= thick) & where & (labels == 0)] = number
