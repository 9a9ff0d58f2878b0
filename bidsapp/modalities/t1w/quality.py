"""Was the normalisation right: numbers, and a verdict with its reasons."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from bidsapp.contracts.measure import judged
from bidsapp.modalities.t1w.bright import bright_share, tissue_top
from bidsapp.modalities.t1w.measures import BY_KEY, EDGE_MM2, LOCAL_RADIUS

# Order in which the reasons of a verdict are given.
_JUDGED = (
    *("ncc", "local_ncc", "brain_volume_ml", "affine_scales"),
    *("cut_faces", "folded_fraction", "rescued"),
)


@dataclass(frozen=True)
class Quality:
    """Quality of one normalisation.

    Attributes
    ----------
    ncc
        Correlation with the template's brain inside the template's mask, at 2 mm; −1 to 1. What
        is brighter than tissue is cut to it before, here and in `local_ncc`.
    local_ncc
        Mean of the same over windows of 10 mm.
    brain_volume_ml
        Volume of the native brain mask.
    affine_scales
        Singular values of the affine, largest first: how much larger the participant is than the
        template along three perpendicular directions.
    mask_dice
        Overlap of the normalised brain mask and the template's; no gate hangs on it, as it stays
        high in most failures.
    folded_fraction
        Share of the template's brain in which the deformation folds.
    bright_share
        Share of the brain that is brighter than any tissue, as vessels with contrast agent are; 0
        where it is below .005.
    cut_faces
        Faces of the field of view that the brain touches (``left``, ``superior``, …).
    rescued
        Whether the header's orientation was set aside to get here.
    verdict
        ``pass``, ``warn`` or ``fail``.
    reasons
        A sentence for each limit that was not kept.
    """

    ncc: float
    local_ncc: float
    brain_volume_ml: float
    affine_scales: tuple[float, float, float]
    mask_dice: float
    folded_fraction: float
    bright_share: float
    cut_faces: tuple[str, ...]
    rescued: bool
    verdict: str
    reasons: tuple[str, ...]

    def plain(self) -> dict[str, Any]:
        """Values for a JSON file, rounded to what is meaningful."""
        content = asdict(self)
        for name in ("ncc", "local_ncc", "mask_dice", "folded_fraction", "bright_share"):
            content[name] = round(content[name], 5)
        content["brain_volume_ml"] = round(self.brain_volume_ml, 1)
        content["affine_scales"] = [round(scale, 4) for scale in self.affine_scales]
        return content


def correlation(image: np.ndarray, template: np.ndarray, inside: np.ndarray) -> float:
    """Pearson correlation over the voxels `inside`; 0 where one of them is constant."""
    one, other = image[inside].astype(np.float64), template[inside].astype(np.float64)
    if one.size < 2 or one.std() == 0 or other.std() == 0:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


def local_correlation(
    image: np.ndarray, template: np.ndarray, inside: np.ndarray, radius: int = LOCAL_RADIUS
) -> float:
    """Mean over the voxels `inside` of the correlation in cubes of 2·radius + 1 voxels.

    A cube in which either image is constant counts as 0.
    """
    from scipy.ndimage import uniform_filter

    size = 2 * radius + 1
    x, y = image.astype(np.float64), template.astype(np.float64)
    x, y = x - x[inside].mean(), y - y[inside].mean()  # else large values cancel badly
    mean_x, mean_y = uniform_filter(x, size), uniform_filter(y, size)
    var_x = uniform_filter(x * x, size) - mean_x**2
    var_y = uniform_filter(y * y, size) - mean_y**2
    covariance = uniform_filter(x * y, size) - mean_x * mean_y
    least = 1e-9  # of the variance over the whole brain: such a cube is constant
    varied = (var_x > least * x[inside].var()) & (var_y > least * y[inside].var()) & inside
    local = covariance[varied] / np.sqrt(var_x[varied] * var_y[varied])
    return float(np.clip(local, -1, 1).sum() / max(int(np.count_nonzero(inside)), 1))


def cut_faces(mask: np.ndarray, affine: np.ndarray) -> tuple[str, ...]:
    """Faces of the field of view on which more than 2 cm² of brain lie.

    Parameters
    ----------
    mask
        Native brain mask (x, y, z) in RAS order.
    affine
        Its affine; only voxel sizes are taken from it.
    """
    sizes = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    names = (("left", "right"), ("posterior", "anterior"), ("inferior", "superior"))
    cut = []
    for axis in range(3):
        area = np.prod(np.delete(sizes, axis))
        for index, name in zip((0, -1), names[axis], strict=True):
            if np.count_nonzero(np.moveaxis(mask, axis, 0)[index]) * area > EDGE_MM2:
                cut.append(name)
    return tuple(cut)


def judge(
    *,
    image: np.ndarray,
    template: np.ndarray,
    moved_mask: np.ndarray,
    native_mask: np.ndarray,
    native_affine: np.ndarray,
    affine: np.ndarray,
    determinant: np.ndarray,
    doubts: tuple[str, ...] = (),
    rescued: bool = False,
    stripped: bool = False,
) -> Quality:
    """Measure a normalisation and say whether it can be used.

    Parameters
    ----------
    image, template, moved_mask
        The normalised brain, the template's brain (0 outside) and the normalised brain mask, on
        one grid of 2 mm.
    native_mask, native_affine
        Brain mask in the participant's space.
    affine
        Template to participant (4 × 4).
    determinant
        Jacobian determinant of the deformation inside the template's brain, any shape.
    doubts
        What makes the result doubtful whatever the numbers say.
    rescued
        Whether the header's orientation was set aside.
    stripped
        Whether the image came without a skull: a tight field of view is then no fault.

    Returns
    -------
    Quality
    """
    inside = template > 0
    voxel_ml = abs(np.linalg.det(native_affine[:3, :3])) / 1000
    volume = float(np.count_nonzero(native_mask)) * voxel_ml
    scales = np.linalg.svd(affine[:3, :3], compute_uv=False)
    values = image[inside & moved_mask]
    tissue = np.minimum(image, tissue_top(values))
    ncc = correlation(tissue, template, inside)
    local = local_correlation(tissue, template, inside)
    folded = float(np.mean(determinant <= 0)) if determinant.size else 0.0
    faces = () if stripped else cut_faces(native_mask, native_affine)
    sizes = int(np.count_nonzero(moved_mask)) + int(np.count_nonzero(inside))
    overlap = 2 * int(np.count_nonzero(moved_mask & inside)) / max(sizes, 1)

    measured: dict[str, Any] = {
        "ncc": ncc,
        "local_ncc": local,
        "brain_volume_ml": volume,
        "affine_scales": (float(scales[0]), float(scales[1]), float(scales[2])),
        "mask_dice": overlap,
        "folded_fraction": folded,
        "bright_share": bright_share(values),
        "cut_faces": faces,
        "rescued": rescued,
    }
    mirrored = ["The affine mirrors the brain."] * bool(np.linalg.det(affine[:3, :3]) < 0)
    verdict, reasons = judged([BY_KEY[key] for key in _JUDGED], measured, doubts, mirrored)
    return Quality(**measured, verdict=verdict, reasons=reasons)
