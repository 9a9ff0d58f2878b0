"""A sample seen under many sets of weights at once, and the counts every metric is made of."""

from functools import cached_property

import numpy as np

from bidsapp.evaluation.sample import Sample


class Resampled:
    """B weighted views of one sample; every metric is a function of this.

    A bootstrap resample is a row of counts, a jackknife sample a row of ones with a zero, the
    sample itself a row of ones; so one definition of a metric serves all of them, vectorised.

    Parameters
    ----------
    sample
        n observations, positives first.
    weights
        (B, n) how often each observation is drawn; a row of ones if absent.
    """

    def __init__(self, sample: Sample, weights: np.ndarray | None = None) -> None:
        self.sample = sample
        self.weights = np.ones((1, sample.n)) if weights is None else weights

    @property
    def positive_weights(self) -> np.ndarray:
        """(B, m) weights of the positives, ascending in score."""
        return self.weights[:, : self.sample.positives]

    @property
    def negative_weights(self) -> np.ndarray:
        """(B, n - m) weights of the negatives, ascending in score."""
        return self.weights[:, self.sample.positives :]

    @cached_property
    def confusion(self) -> np.ndarray:
        """(B, 4) true positives, false negatives, false positives, true negatives."""
        truth, call = self.sample.outcome, self.sample.decision
        cells = [truth & call, truth & ~call, ~truth & call, ~truth & ~call]
        return self.weights @ np.stack(cells, axis=1).astype(self.weights.dtype)

    @property
    def tp(self) -> np.ndarray:
        """(B,) true positives."""
        return self.confusion[:, 0]

    @property
    def fn(self) -> np.ndarray:
        """(B,) false negatives."""
        return self.confusion[:, 1]

    @property
    def fp(self) -> np.ndarray:
        """(B,) false positives."""
        return self.confusion[:, 2]

    @property
    def tn(self) -> np.ndarray:
        """(B,) true negatives."""
        return self.confusion[:, 3]

    @cached_property
    def positives(self) -> np.ndarray:
        """(B,) weight of the positives."""
        return self.tp + self.fn

    @cached_property
    def negatives(self) -> np.ndarray:
        """(B,) weight of the negatives."""
        return self.fp + self.tn

    @cached_property
    def total(self) -> np.ndarray:
        """(B,) weight of all."""
        return self.positives + self.negatives


def class_weights(sample: Sample, weights: np.ndarray, prevalence: float) -> np.ndarray:
    """(B, n) weights in which positives have a given share of the total, which stays as it was.

    NaN for a resample without positives or without negatives.
    """
    m = sample.positives
    total = weights.sum(axis=1, keepdims=True)
    positive, negative = weights[:, :m], weights[:, m:]
    wanted = (prevalence * total, (1 - prevalence) * total)
    parts = [
        part * ratio(share, part.sum(axis=1, keepdims=True))
        for part, share in zip((positive, negative), wanted, strict=True)
    ]
    return np.concatenate(parts, axis=1)


def odds_factor(positives: float, negatives: float, prevalence: float) -> float:
    """Give what odds are multiplied by where the share of positives becomes `prevalence`."""
    return float(prevalence / (1 - prevalence) * negatives / positives)


def times_odds(probability: np.ndarray, factor: float) -> np.ndarray:
    """Probability whose odds are `factor` times those of `probability`."""
    p = np.asarray(probability, dtype=float)
    return np.asarray(p * factor / (p * factor + 1 - p))


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Quotient, NaN wherever the divisor is zero."""
    out = np.full(np.broadcast_shapes(np.shape(above), np.shape(below)), np.nan)
    return np.divide(above, below, out=out, where=np.asarray(below) != 0)
