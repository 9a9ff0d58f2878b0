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
    settings={"voxels": ("all", "nonzero")},
    found_words={"voxels": {"nonzero": "over voxels that are not 0"}},
)


def build(asked: AskedStep) -> "ZScore":
    """Give the step, unfitted."""
    return ZScore(asked)


@dataclass(frozen=True)
class ZScore(ChannelNumbers):
    """Mean and standard deviation over every voxel of the window, or over those that are not 0.

    All voxels are transformed alike: a background of 0 becomes one value below the rest. Of several
    images each counts alike, however many of its voxels are not 0.
    """

    names: ClassVar = ("mean", "sd")

    def over(self, images: Images, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Take mean and SD of each channel; whatever the order of rows, the same numbers."""
        nonzero = self.asked.settings.get("voxels") == "nonzero"
        means, squares = zip(*(_moments(images[int(row)], nonzero) for row in rows), strict=True)
        mean = np.mean(means, axis=0)
        variance = np.mean(squares, axis=0) - mean**2
        return mean, np.sqrt(np.maximum(variance, 0))


def _moments(sample: np.ndarray, nonzero: bool) -> tuple[np.ndarray, np.ndarray]:
    """Mean and mean square of each channel, (C,) each; 0 where no voxel is taken."""
    values = np.asarray(sample, np.float64).reshape(len(sample), -1)
    if nonzero:
        count = np.maximum(np.count_nonzero(values, axis=1), 1)
        return values.sum(axis=1) / count, (values**2).sum(axis=1) / count
    return values.mean(axis=1), (values**2).mean(axis=1)
