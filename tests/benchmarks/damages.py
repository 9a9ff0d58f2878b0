"""Ten ways to damage a scan that passes the gate, each from none to strong."""

from collections.abc import Callable

import numpy as np
from scipy.ndimage import gaussian_filter, uniform_filter1d


def damaged(values: np.ndarray, kind: str, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Damage a brain as a scan that passes the gate can be; `strength` from 0 to 1."""
    return np.asarray(_DAMAGED[kind](values, strength, rng))


def _bias(values: np.ndarray, strength: float, _: np.random.Generator) -> np.ndarray:
    slope = np.linspace(-0.8, 0.8, values.shape[1]) * strength
    return np.asarray(values * np.exp(slope)[None, :, None])


def _dark_half(values: np.ndarray, strength: float, _: np.random.Generator) -> np.ndarray:
    dark = np.ones(values.shape[2])
    dark[: len(dark) // 2] = 1 - strength / 2
    return np.asarray(values * dark)


def _ghosts(values: np.ndarray, strength: float, _: np.random.Generator) -> np.ndarray:
    return np.asarray(values + 0.4 * strength * np.roll(values, values.shape[1] // 3, axis=1))


def _motion(values: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Move the head by some voxels while four stretches of lines were acquired."""
    n = values.shape[1]
    moved = np.zeros(n)
    for start in rng.integers(0, n, 4):
        moved[start : start + 6] += rng.normal(0, 10 * strength)
    turned = np.exp(2j * np.pi * np.fft.fftfreq(n) * moved)
    lines = np.fft.fft(values, axis=1) * turned[None, :, None]
    return np.asarray(np.abs(np.fft.ifft(lines, axis=1)))


def _spikes(values: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    grid = np.meshgrid(*map(np.arange, values.shape), indexing="ij", sparse=True)
    wave = sum(k * x for k, x in zip(rng.uniform(0.3, 1.2, 3), grid, strict=True))
    return np.asarray(values + 0.15 * strength * np.cos(wave))


def _fold_over(values: np.ndarray, strength: float, _: np.random.Generator) -> np.ndarray:
    reach = round(16 * strength)
    folded = np.roll(values, reach, axis=0) / 2
    folded[reach:] = 0
    return np.asarray(values + folded)


def _hole(values: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Lose the signal of a cube, as beside metal."""
    reach = round(12 * strength)
    lost = values.copy()
    centre = [int(rng.integers(n // 4, 3 * n // 4)) for n in values.shape]
    lost[tuple(slice(max(c - reach, 0), c + reach) for c in centre)] *= 0.1
    return lost


_DAMAGED: dict[str, Callable[[np.ndarray, float, np.random.Generator], np.ndarray]] = {
    "noise": lambda v, s, rng: v + rng.normal(0, 0.15 * s, v.shape),
    "blur": lambda v, s, _: gaussian_filter(v, 1.5 * s),
    "bias": _bias,
    "dark half": _dark_half,
    "ghosts": _ghosts,
    "motion": _motion,
    "spikes": _spikes,
    "thick slices": lambda v, s, _: uniform_filter1d(v, 1 + round(4 * s), axis=2),
    "fold-over": _fold_over,
    "hole": _hole,
}
DAMAGES = tuple(_DAMAGED)
