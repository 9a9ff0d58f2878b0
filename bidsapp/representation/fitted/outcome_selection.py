"""Components that differ most between positives and negatives of the people it is fitted on."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from bidsapp.contracts.fitted import FittedStep, Images
from bidsapp.contracts.fitted_offers import AskedStep, FittedOffer
from bidsapp.errors import BadData
from bidsapp.representation.components.selection import by_outcome, difference
from bidsapp.representation.components.series import array_in

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
class OutcomeSelection:
    """Keep the channels whose strength differs most between the groups, by a t test each.

    Attributes
    ----------
    asked
        ``count``: how many are kept.
    chosen_
        Their numbers among the channels given, ascending.
    p_, r_
        Of every channel given: Student's t test, and the correlation with the outcome.
    """

    asked: AskedStep
    chosen_: np.ndarray | None = None
    p_: np.ndarray | None = None
    r_: np.ndarray | None = None

    def declares(self) -> tuple[FittedStep, ...]:
        """Say on whom it is fitted, and that it looks at the outcome."""
        return (self.asked.declares(),)

    def channels(self, given: tuple[str, ...]) -> tuple[str, ...]:
        """Name the channels that are kept."""
        if self.chosen_ is None:
            return given[: self._count]
        return tuple(given[number] for number in self.chosen_)

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
        return replace(self, chosen_=by_outcome(found, self._count), p_=found.p, r_=found.r)

    def transform(self, images: Images, rows: np.ndarray) -> Iterator[np.ndarray]:
        """Give the channels that are kept."""
        assert self.chosen_ is not None
        for row in rows:
            yield np.asarray(images[int(row)], np.float32)[self.chosen_]

    def told(self, given: tuple[str, ...]) -> Mapping[str, Mapping[str, float]]:
        """Give the t test of each channel, its correlation with the outcome, and who is kept."""
        assert self.chosen_ is not None
        assert self.p_ is not None
        assert self.r_ is not None
        kept = np.isin(np.arange(len(given)), self.chosen_)
        return {
            name: {"p": float(p), "r": float(r), "kept": float(own)}
            for name, p, r, own in zip(given, self.p_, self.r_, kept, strict=True)
        }

    def state(self) -> Mapping[str, np.ndarray]:
        """Give the numbers kept, p and r."""
        if self.chosen_ is None or self.p_ is None or self.r_ is None:
            return {}
        return {"chosen": self.chosen_, "p": self.p_, "r": self.r_}

    def with_state(self, state: Mapping[str, np.ndarray]) -> Self:
        """Give the step as it was when `state` was written."""
        chosen, p, r = (array_in(state, key, 1, self.asked.key) for key in ("chosen", "p", "r"))
        if len(p) != len(r) or not len(chosen) or min(chosen) < 0 or max(chosen) >= len(p):
            raise BadData(f"{self.asked.key}: its numbers are not those of channels")
        return replace(self, chosen_=chosen.astype(int), p_=p, r_=r)

    @property
    def _count(self) -> int:
        count: Any = self.asked.settings["count"]
        return int(count)


def _flat(images: Images, row: int) -> np.ndarray:
    image = np.asarray(images[int(row)], np.float64)
    return image.reshape(len(image), -1)
