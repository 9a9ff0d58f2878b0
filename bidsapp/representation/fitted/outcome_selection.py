"""Components that differ most between positives and negatives of the people it is fitted on."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from bidsapp.contracts.fitted import Images
from bidsapp.contracts.fitted_offers import AskedStep, FittedOffer
from bidsapp.representation.components.kept_channels import KeptChannels
from bidsapp.representation.components.selection import by_outcome, difference

OFFER = FittedOffer(
    name="outcome_selection",
    title="Selection by the outcome",
    verb="selected",
    found="t tests between the outcome's groups",
    scopes=("train_fold", "dataset"),
    uses_outcome=True,
    settings={"count": 8},
    least={"count": 1},
    chooses="count",
    maps=True,
)


def build(asked: AskedStep) -> "OutcomeSelection":
    """Give the step, unfitted."""
    return OutcomeSelection(asked)


@dataclass(frozen=True)
class OutcomeSelection(KeptChannels):
    """Keep the channels whose strength differs most between the groups, by a t test each.

    Numbers of every channel given: ``p`` of Student's t test, and ``r``, the correlation with the
    outcome.
    """

    columns: ClassVar[Mapping[str, str]] = {"p": "p", "r": "r"}

    def fit(self, images: Images, rows: np.ndarray, outcome: np.ndarray | None) -> Self:
        """Compare the groups channel by channel.

        A person's strength is the slope of their map on the mean map of the people fitted on.

        Raises
        ------
        BadData
            A group has fewer than two people; there are fewer channels than are to be kept.
        """
        assert outcome is not None
        mean = np.sum([_flat(images, row) for row in rows], axis=0) / len(rows)
        centred = mean - mean.mean(axis=1, keepdims=True)
        weights = centred / np.maximum((centred**2).sum(axis=1, keepdims=True), 1e-12)
        strength = np.array([(_flat(images, row) * weights).sum(axis=1) for row in rows])
        self.asked.require_enough(strength.shape[1], "channels in the images")
        found = difference(strength, outcome)
        chosen = by_outcome(found, self._count)
        return replace(self, chosen_=chosen, numbers_={"p": found.p, "r": found.r})


def _flat(images: Images, row: int) -> np.ndarray:
    image = np.asarray(images[int(row)], np.float64)
    return image.reshape(len(image), -1)
