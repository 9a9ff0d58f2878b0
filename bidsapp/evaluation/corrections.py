"""p values corrected for their number."""

import numpy as np


def _with_missing(p: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    values = np.asarray(p, dtype=float)
    known = np.flatnonzero(np.isfinite(values))
    return np.full(values.shape, np.nan), known, values[known]


def bonferroni(p: np.ndarray) -> np.ndarray:
    """Multiply by the number of tests that have a p value; NaN stays NaN."""
    out, known, values = _with_missing(p)
    out[known] = np.minimum(1, values * len(values))
    return out


def holm(p: np.ndarray) -> np.ndarray:
    """Step-down Bonferroni (Holm 1979): valid whatever the dependence, never weaker."""
    out, known, values = _with_missing(p)
    order = np.argsort(values, kind="stable")
    scaled = values[order] * (len(values) - np.arange(len(values)))
    out[known[order]] = np.minimum(1, np.maximum.accumulate(scaled))
    return out


def false_discovery_rate(p: np.ndarray) -> np.ndarray:
    """Benjamini-Hochberg 1995, for independent or positively dependent tests."""
    out, known, values = _with_missing(p)
    order = np.argsort(values, kind="stable")[::-1]
    scaled = values[order] * len(values) / (len(values) - np.arange(len(values)))
    out[known[order]] = np.minimum(1, np.minimum.accumulate(scaled))
    return out
