"""How far the field displaces a series along its phase: by a map, or by a reversed phase."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

# Millimetres between the knots of a displacement, and FWHM of the smoothing, coarse to fine.
_KNOTS_MM, _FWHM_MM = 14.0, (12.0, 6.0)
_ITERATIONS = 14
# How much a field may bend: weight of its squared slope beside the images' difference.
_STIFF_PAIR = 0.05
# Half width in mm of the surroundings in which series and T1w image are compared.
_AROUND_MM, _MARGIN_MM = 10.0, 20.0
# By which the mean local correlation has to rise with a field reversed for its sense to be doubted.
LEAST_GAIN = 0.005


@dataclass(frozen=True)
class Displacement:
    """How far the points of a head are displaced along the phase.

    Attributes
    ----------
    voxels
        float32, shape (X, Y, Z), along `axis`: what lies at voxel ``x`` of the head is seen at
        ``x + voxels``.
    axis
        Of the series' array, 0 to 2.
    """

    voxels: np.ndarray
    axis: int

    def undistorted(self, volume: np.ndarray) -> np.ndarray:
        """Read a volume where the field put its points, times how far they were pulled apart."""
        image = _along(volume, self.axis)
        moved = _along(self.voxels, self.axis)
        return np.asarray(_back(_corrected(image, moved).numpy(), self.axis))

    @property
    def reverse(self) -> "Displacement":
        """The displacement by a field of the other sign."""
        return Displacement(-self.voxels, self.axis)

    def at(self, points: np.ndarray, affine: np.ndarray) -> np.ndarray:
        """Give the displacement in RAS mm at points (N, 3) in RAS mm; shape (N, 3)."""
        from scipy.ndimage import map_coordinates

        inverse = np.linalg.inv(affine)
        there = (points @ inverse[:3, :3].T + inverse[:3, 3]).T
        along = map_coordinates(self.voxels, there, order=1, mode="nearest")
        return np.asarray(along[:, None] * affine[:3, self.axis])


def of_field(hertz: np.ndarray, readout_s: float, axis: int, sense: int) -> Displacement:
    """Turn a map of the field into a displacement.

    Parameters
    ----------
    hertz
        The field on the series' grid, shape (X, Y, Z).
    readout_s
        BIDS' TotalReadoutTime of the series.
    axis, sense
        Of its phase; -1 where it runs towards lower indices.
    """
    return Displacement((sense * readout_s * hertz).astype(np.float32), axis)


def of_reversed(
    forwards: np.ndarray, backwards: np.ndarray, sizes: np.ndarray, axis: int
) -> Displacement:
    """Find the field that displaces one image forwards and the other backwards.

    Parameters
    ----------
    forwards, backwards
        Images of the same head whose phases run towards higher and lower indices, shape (X, Y, Z).
    sizes
        Of voxels in mm, shape (3,).
    axis
        Of the phase.

    Returns
    -------
    Displacement
        Of `forwards`.

    References
    ----------
    Andersson et al. (2003), doi:10.1016/S1053-8119(03)00336-7: both images, read where the field
    put their points and scaled by how far it pulled them apart, are the same.
    """
    scale = float(np.percentile(forwards, 98)) or 1.0

    def pair(fwhm: float) -> Callable[[torch.Tensor], torch.Tensor]:
        one, two = (
            _smoothed(_along(image / scale, axis), _turned(sizes, axis), fwhm)
            for image in (forwards, backwards)
        )

        def cost(moved: torch.Tensor) -> torch.Tensor:
            return ((_corrected(one, moved) - _corrected(two, -moved)) ** 2).mean() * 100

        return cost

    shape = forwards.shape
    found = fitted(pair, shape, sizes, axis, _STIFF_PAIR)
    return Displacement(found, axis)


def fit_to_t1w(
    mean: np.ndarray, t1w: np.ndarray, share: np.ndarray, sizes: np.ndarray, axis: int
) -> float:
    """Mean local correlation of a mean volume with the T1w image.

    Displacements are judged by it, and none is fitted by it: any bend can make two images more
    alike. Of twelve labelled heads and four synthetic people it was higher with the true field than
    without in all, and lower with that reversed.

    Parameters
    ----------
    mean
        Mean volume, shape (X, Y, Z).
    t1w
        T1w image on its grid, where it is registered to `mean`.
    share
        Of the brain in each voxel, 0 to 1.
    sizes
        Of voxels in mm, shape (3,).
    axis
        Of the phase.

    Notes
    -----
    The T1w image is given the contrast of the series by a polynomial of its intensities, and both
    are compared by local correlation (Avants et al. 2008, doi:10.1016/j.media.2007.06.004).
    """
    from scipy.ndimage import binary_dilation

    brain = share > 0.5
    box = _around(brain, sizes)
    turned, fwhm = _turned(sizes, axis), _FWHM_MM[-1]
    scale = float(np.median(mean[brain])) or 1.0
    one, two = (
        _smoothed(_along(image[box] / scale, axis), turned, fwhm)
        for image in (mean, alike(mean, t1w, share))
    )
    near = _along(binary_dilation(brain[box], iterations=2).astype(np.float32), axis)
    local = _local_correlation(one, two, _box_means(tuple(near.shape), turned))
    return float((local * near).sum() / near.sum())


def _around(brain: np.ndarray, sizes: np.ndarray) -> tuple[slice, ...]:
    """Box of the brain and what surrounds it: nothing is compared beyond."""
    places, margin = np.argwhere(brain), np.ceil(_MARGIN_MM / sizes).astype(int)
    low = np.maximum(places.min(axis=0) - margin, 0)
    high = np.minimum(places.max(axis=0) + margin + 1, brain.shape)
    return tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))


def alike(reference: np.ndarray, t1w: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Give a T1w image the contrast of a series: cubic in its intensity, nothing but the brain.

    The cubic is that of voxels away from the brain's edge, where those are dark in both.
    """
    from scipy.ndimage import binary_erosion

    inside = binary_erosion(share > 0.99, iterations=2)
    if not inside.any():
        inside = share > 0.5
    values = t1w.astype(np.float64) / (np.percentile(t1w[inside], 98) or 1.0)
    low, high = np.percentile(values[inside], (0.5, 99.5))
    values = np.clip(values, low, high)
    weights = np.polyfit(values[inside], reference[inside].astype(np.float64), 3)
    made = np.polyval(weights, values) * share
    return np.asarray(made, np.float32)


def fitted(
    costs: Callable[[float], Callable[[torch.Tensor], torch.Tensor]],
    shape: tuple[int, ...],
    sizes: np.ndarray,
    axis: int,
    stiff: float,
    *,
    knots_mm: float = _KNOTS_MM,
    fwhm_mm: tuple[float, ...] = _FWHM_MM,
) -> np.ndarray:
    """Find the displacement of least cost along an axis, voxels (X, Y, Z), as cubic B-splines.

    Parameters
    ----------
    costs
        Gives for a smoothing in mm what a displacement costs, which has its axis last.
    shape, sizes
        Of the series, and of its voxels in mm.
    axis
        Along which it bends.
    stiff
        Weight of its mean squared slope.
    knots_mm, fwhm_mm
        Millimetres between knots; smoothings, coarse to fine.
    """
    turned, long = _turned(sizes, axis), _turned(np.array(shape), axis)
    bases = [
        torch.as_tensor(_basis(int(count), knots_mm / size), dtype=torch.float32)
        for count, size in zip(long, turned, strict=True)
    ]
    knots = torch.zeros([basis.shape[1] for basis in bases], requires_grad=True)

    def displaced() -> torch.Tensor:
        return torch.einsum("abc,xa,yb,zc->xyz", knots, *bases)

    def settle(cost: Callable[[torch.Tensor], torch.Tensor]) -> None:
        steps = torch.optim.LBFGS(
            [knots], max_iter=_ITERATIONS, history_size=10, line_search_fn="strong_wolfe"
        )

        def closure() -> torch.Tensor:
            steps.zero_grad()
            moved = displaced()
            total = cost(moved) + stiff * _slope(moved, turned)
            total.backward()
            return total

        steps.step(closure)

    for fwhm in fwhm_mm:
        settle(costs(fwhm))
    with torch.no_grad():
        return np.asarray(_back(displaced().numpy(), axis), np.float32)


def _slope(moved: torch.Tensor, turned: np.ndarray) -> torch.Tensor:
    """Mean squared slope of a displacement, mm per mm."""
    along = float(turned[-1])
    parts = [
        (torch.diff(moved, dim=dim) * along / float(turned[dim])).square().mean()
        for dim in range(3)
    ]
    return torch.stack(parts).sum()


def _corrected(image: torch.Tensor, moved: torch.Tensor) -> torch.Tensor:
    """Read images (A, B, N) at their last axis plus `moved`, times how far points are apart."""
    count = image.shape[-1]
    at = (torch.arange(count) + moved).clamp(0, count - 1.001)
    low = at.floor()
    share = at - low
    first = low.to(torch.int64)
    read = image.gather(-1, first) * (1 - share) + image.gather(-1, first + 1) * share
    (apart,) = torch.gradient(moved, dim=-1)
    return read * (1 + apart).clamp(0.1, 4)


def _local_correlation(
    one: torch.Tensor, two: torch.Tensor, means: list[torch.Tensor]
) -> torch.Tensor:
    """Correlation of two images within a box around every voxel, -1 to 1."""
    values = torch.stack([one, two, one * one, two * two, one * two])
    near = means[1] @ (values @ means[2].T)
    near = (means[0] @ near.reshape(len(values), one.shape[0], -1)).reshape(values.shape)
    centre_one, centre_two, square_one, square_two, product = near
    spread_one, spread_two = square_one - centre_one**2, square_two - centre_two**2
    shared = product - centre_one * centre_two
    return shared / (spread_one.clamp(min=0) * spread_two.clamp(min=0) + 1e-7).sqrt()


def _box_means(shape: tuple[int, ...], turned: np.ndarray) -> list[torch.Tensor]:
    """Matrices that average over a box around every voxel, one for each axis."""
    found = []
    for count, size in zip(shape, turned, strict=True):
        places, half = np.arange(count), max(1, round(_AROUND_MM / float(size)))
        near = (np.abs(places[:, None] - places) <= half).astype(np.float32)
        found.append(torch.as_tensor(near / near.sum(axis=1, keepdims=True)))
    return found


def _smoothed(image: torch.Tensor, turned: np.ndarray, fwhm_mm: float) -> torch.Tensor:
    from scipy.ndimage import gaussian_filter

    sigma = fwhm_mm / np.sqrt(8 * np.log(2)) / turned
    return torch.as_tensor(gaussian_filter(image.numpy(), sigma))


def _basis(count: int, spacing: float) -> np.ndarray:
    """Cubic B-splines at voxels, shape (count, knots), knots `spacing` voxels apart."""
    from scipy.interpolate import BSpline

    number = max(1, int(np.ceil((count - 1) / spacing)))
    step = max(count - 1, 1) / number
    edges = np.arange(-3, number + 4) * step
    places = np.clip(np.arange(count), 0, count - 1 - 1e-9)
    return np.asarray(BSpline.design_matrix(places, edges, 3).toarray())


def _along(volume: np.ndarray, axis: int) -> torch.Tensor:
    """Put the phase's axis last."""
    return torch.as_tensor(np.ascontiguousarray(np.moveaxis(volume, axis, -1), np.float32))


def _back(volume: np.ndarray, axis: int) -> np.ndarray:
    return np.moveaxis(volume, -1, axis)


def _turned(values: np.ndarray, axis: int) -> np.ndarray:
    """Order three values as `_along` orders axes."""
    return np.append(np.delete(values, axis), values[axis])
