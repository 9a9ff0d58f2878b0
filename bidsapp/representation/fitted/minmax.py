"""Min-max scaling: each channel from 0 to 1 between its smallest and its largest value."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bidsapp.contracts.fitted import Images
from bidsapp.contracts.fitted_offers import AskedStep, FittedOffer
from bidsapp.representation.per_channel import ChannelNumbers

OFFER = FittedOffer(
    name="minmax",
    title="Min-max",
    verb="scaled to 0..1 per channel",
    found="minimum and maximum",
    unit="range of the images",
    scopes=("train_fold", "image", "dataset"),
)


def build(asked: AskedStep) -> "MinMax":
    """Give the step, unfitted."""
    return MinMax(asked)


@dataclass(frozen=True)
class MinMax(ChannelNumbers):
    """Smallest and largest value over every voxel; values of new people may leave 0..1."""

    names: ClassVar = ("minimum", "range")

    def over(self, images: Images, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Take minimum and range of each channel."""
        ends = []
        for row in rows:
            values = np.asarray(images[int(row)], np.float64)
            values = values.reshape(len(values), -1)
            ends.append((values.min(axis=1), values.max(axis=1)))
        low = np.min([one for one, _ in ends], axis=0)
        return low, np.max([one for _, one in ends], axis=0) - low
