"""T2 of many voxels at once: S = A exp(-TE / T2) + C by least squares within bounds, in torch.

For a given T2 the best A and C follow from two linear equations (variable projection, Golub &
Pereyra 1973), so that only T2 is searched: on a grid, then between the neighbours of its best
place by golden sections. The minimum is that of a three-parameter Levenberg-Marquardt fit with the
same bounds (Morales et al. 2021 fit so), without its start values and its failures.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bidsapp.errors import BadData

if TYPE_CHECKING:
    import torch

BOUNDS_MS = (1.0, 200.0)
FEWEST_ECHOES = 4
"""With fewer echoes, three parameters say nothing: C is 0."""
_GRID = 48
_SECTIONS = 36
_GOLDEN = (5**0.5 - 1) / 2
_BATCH = {"cpu": 2**14}
_BATCH_ELSEWHERE = 2**21
"""Voxels at once: as many as a core's cache holds; on other devices a whole knee, in 1.3 GB."""


@dataclass(frozen=True)
class T2Fit:
    """What was fitted to each voxel.

    Attributes
    ----------
    t2
        (n,) ms; NaN where the voxel has no signal to fit.
    amplitude, offset
        (n,) A and C, in the units of the signal, 0 or more.
    goodness
        (n,) R², the share of the signal's variance over echoes that the curve explains.
    at_bound
        (n,) bool: T2 is the least or greatest that is allowed, so it is not known.
    """

    t2: np.ndarray
    amplitude: np.ndarray
    offset: np.ndarray
    goodness: np.ndarray
    at_bound: np.ndarray


def fit_t2(
    signals: np.ndarray,
    echo_times: np.ndarray,
    *,
    parameters: int = 3,
    skip_first: bool = False,
    bounds_ms: tuple[float, float] = BOUNDS_MS,
    device: str = "cpu",
) -> T2Fit:
    """Fit T2 to voxels.

    Parameters
    ----------
    signals
        (n, echoes).
    echo_times
        (echoes,) seconds, ascending.
    parameters
        3, or 2 for C = 0. With fewer than `FEWEST_ECHOES` echoes it is 2.
    skip_first
        Leave the first echo out, which stimulated echoes make too weak.
    bounds_ms
        Least and greatest T2.
    device
        Of torch.

    Raises
    ------
    BadData
        Fewer than two echoes are left.
    """
    import torch

    first = int(skip_first)
    times = np.asarray(echo_times, float)[first:] * 1000
    values = np.asarray(signals)[:, first:]
    if len(times) < 2:
        raise BadData(f"{len(times)} echoes are left for T2; at least 2 are needed.")
    offset = parameters == 3 and len(times) >= FEWEST_ECHOES
    usable = np.isfinite(values).all(1) & (values.max(1, initial=0) > 0)
    result = np.full((4, len(values)), np.nan)
    chosen = np.flatnonzero(usable)
    te = torch.as_tensor(times, dtype=torch.float64, device=device)
    size = _BATCH.get(te.device.type, _BATCH_ELSEWHERE)
    fitted = []
    for start in range(0, len(chosen), size):
        part = chosen[start : start + size]
        signal = torch.as_tensor(values[part].astype(np.float64), device=device)
        fitted.append(_fit(signal, te, offset, bounds_ms))
    if fitted:
        result[:, chosen] = torch.cat(fitted, dim=1).cpu().numpy()
    low, high = np.log(bounds_ms)
    with np.errstate(invalid="ignore", divide="ignore"):
        place = (np.log(result[0]) - low) / (high - low)
    at_bound = (place < 1e-4) | (place > 1 - 1e-4)
    return T2Fit(result[0], result[1], result[2], result[3], at_bound)


def _fit(
    signal: "torch.Tensor", times: "torch.Tensor", offset: bool, bounds: tuple[float, float]
) -> "torch.Tensor":
    """(4, n): T2, A, C and R² of (n, echoes) signals."""
    import torch

    scale = signal.amax(1, keepdim=True)
    signal = signal / scale
    low, high = np.log(bounds)
    grid = torch.linspace(low, high, _GRID, dtype=torch.float64, device=signal.device)
    # one place of the grid after the other, so that memory does not grow with it
    least = torch.full_like(scale[:, 0], torch.inf)
    best = torch.zeros_like(least, dtype=torch.int64)
    for place, log_t2 in enumerate(grid):
        cost = _project(signal, times, log_t2.expand(len(signal)), offset)[0]
        lower = cost < least
        least = torch.where(lower, cost, least)
        best = torch.where(lower, place, best)
    left = grid[(best - 1).clamp(min=0)]
    right = grid[(best + 1).clamp(max=_GRID - 1)]
    inner = right - _GOLDEN * (right - left)
    outer = left + _GOLDEN * (right - left)
    inner_cost = _project(signal, times, inner, offset)[0]
    outer_cost = _project(signal, times, outer, offset)[0]
    for _ in range(_SECTIONS):
        lower = inner_cost < outer_cost
        left, right = torch.where(lower, left, inner), torch.where(lower, outer, right)
        new_inner = right - _GOLDEN * (right - left)
        new_outer = left + _GOLDEN * (right - left)
        cost = _project(signal, times, torch.where(lower, new_inner, new_outer), offset)[0]
        inner, outer = torch.where(lower, new_inner, outer), torch.where(lower, inner, new_outer)
        inner_cost, outer_cost = (
            torch.where(lower, cost, outer_cost),
            torch.where(lower, inner_cost, cost),
        )
    middle = (left + right) / 2
    cost, amplitude, base = _project(signal, times, middle, offset)
    spread = (signal - signal.mean(1, keepdim=True)).square().sum(1)
    goodness = 1 - cost / spread.clamp(min=1e-30)
    scale = scale[:, 0]
    return torch.stack([middle.exp(), amplitude * scale, base * scale, goodness])


def _project(
    signal: "torch.Tensor", times: "torch.Tensor", log_t2: "torch.Tensor", offset: bool
) -> tuple["torch.Tensor", "torch.Tensor", "torch.Tensor"]:
    """(n,) sum of squares, A and C, both 0 or more, of the best curve with a given T2."""
    import torch

    decay = torch.exp(-times / log_t2.exp()[:, None])
    ss, se, ee = signal.square().sum(1), (signal * decay).sum(1), decay.square().sum(1)
    amplitude = (se / ee.clamp(min=1e-30)).clamp(min=0)
    base = torch.zeros_like(amplitude)
    if offset:
        n, s, e = len(times), signal.sum(1), decay.sum(1)
        determinant = (n * ee - e * e).clamp(min=1e-30)
        both_a, both_c = (n * se - e * s) / determinant, (ee * s - e * se) / determinant
        flat = both_a < 0
        free = (both_c > 0) & ~flat
        amplitude = torch.where(free, both_a, torch.where(flat, 0, amplitude))
        base = torch.where(free, both_c, torch.where(flat, (s / n).clamp(min=0), base))
        cross = amplitude * se + base * s
        own = amplitude**2 * ee + 2 * amplitude * base * e + n * base**2
        return ss - 2 * cross + own, amplitude, base
    return ss - 2 * amplitude * se + amplitude**2 * ee, amplitude, base
