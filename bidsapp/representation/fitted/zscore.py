"""The z-score: each channel less its mean, over its standard deviation."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bidsapp.contracts.fitted import Images
from bidsapp.contracts.fitted_offers import AskedStep, FittedOffer
from bidsapp.representation.per_channel import ChannelNumbers

OFFER = FittedOffer(
    name="zscore",
    title="Z-score",
    verb="standardised (z-score)",
    found="mean and SD",
    unit="standard deviation of the image",
    scopes=("train_fold", "image", "dataset"),
)


def build(asked: AskedStep) -> "ZScore":
    """Give the step, unfitted."""
    return ZScore(asked)


@dataclass(frozen=True)
class ZScore(ChannelNumbers):
    """Mean and standard deviation over every voxel of the window, background included."""

    names: ClassVar = ("mean", "sd")

    def over(self, images: Images, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Take mean and SD of each channel; whatever the order of rows, the same numbers."""
        means, squares = zip(*(_moments(images[int(row)]) for row in rows), strict=True)
        mean = np.mean(means, axis=0)
        variance = np.mean(squares, axis=0) - mean**2
        return mean, np.sqrt(np.maximum(variance, 0))


def _moments(sample: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    values = np.asarray(sample, np.float64).reshape(len(sample), -1)
    return values.mean(axis=1), (values**2).mean(axis=1)
