"""What steps that subtract and divide per channel share: checks of their numbers, and their use."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import numpy as np

from bidsapp.contracts.fitted import FittedStep, Images
from bidsapp.contracts.fitted_offers import AskedStep
from bidsapp.errors import BadData, UsageError

LEAST = 1e-6
"""Below it, a spread is none: a channel does not vary."""


@dataclass(frozen=True)
class ChannelNumbers(ABC):
    """Subtract one number and divide by another, a pair for each channel.

    With scope ``image`` each image has a pair of its own, and nothing is fitted.

    Attributes
    ----------
    asked
        The step as the recipe asks for it.
    low_, spread_
        After `fit`: what is subtracted and what is divided by, float64, shape (C,); empty where
        nothing is fitted across images.
    """

    names: ClassVar[tuple[str, str]] = ("low", "spread")
    """What the two numbers are called in files."""

    asked: AskedStep
    low_: np.ndarray = field(default_factory=lambda: np.empty(0))
    spread_: np.ndarray = field(default_factory=lambda: np.empty(0))

    @abstractmethod
    def over(self, images: Images, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Take both numbers of each channel over all voxels of some images: float64, (C,) each."""

    def declares(self) -> tuple[FittedStep, ...]:
        """Say on whom it is fitted."""
        return (self.asked.declares(),)

    def channels(self, given: tuple[str, ...]) -> tuple[str, ...]:
        """Give the channels as they are."""
        return given

    def fit(self, images: Images, rows: np.ndarray, outcome: np.ndarray | None) -> Self:
        """Take the numbers; see `Fitted.fit`.

        Raises
        ------
        BadData
            If a channel is constant over all images.
        """
        if self.asked.scope == "image":
            return self
        low, spread = self.over(images, rows)
        if not np.all(spread > LEAST):
            raise BadData(
                f"{self.asked.key}: a channel is constant over the {len(rows)} images fitted"
            )
        return replace(self, low_=low, spread_=spread)

    def numbers(self, images: Images, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Give both numbers for each of some images: float32, (rows, C) each."""
        if not len(rows):
            return np.zeros((0, 0), np.float32), np.ones((0, 0), np.float32)
        if self.asked.scope == "image":
            found = [self.over(images, np.array([row])) for row in rows]
            low, spread = (np.array(part) for part in zip(*found, strict=True))
            return low.astype(np.float32), np.where(spread > LEAST, spread, 1).astype(np.float32)
        given = len(images[int(rows[0])])
        if len(self.low_) != given:
            raise UsageError(f"{self.asked.key}: fitted on {len(self.low_)} channels, got {given}")
        shape = (len(rows), len(self.low_))
        low, spread = (
            np.broadcast_to(part.astype(np.float32), shape).copy()
            for part in (self.low_, self.spread_)
        )
        return low, spread

    def transform(self, images: Images, rows: np.ndarray) -> Iterator[np.ndarray]:
        """Give these images one by one, float32, (C, X, Y, Z)."""
        for row in rows:
            image = np.asarray(images[int(row)], np.float32)
            low, spread = (part[0] for part in self.numbers(images, np.array([row])))
            wide = (-1, *[1] * (image.ndim - 1))
            yield (image - low.reshape(wide)) / spread.reshape(wide)

    def state(self) -> dict[str, np.ndarray]:
        """Give the numbers."""
        return dict(zip(self.names, (self.low_, self.spread_), strict=True))

    def with_state(self, state: Mapping[str, np.ndarray]) -> Self:
        """Take the numbers that `state` gave.

        Raises
        ------
        BadData
            If one is missing, or cannot be.
        """
        try:
            low, spread = (np.array(state[name], float) for name in self.names)
        except (KeyError, TypeError, ValueError) as error:
            raise BadData(f"{self.asked.key}: its numbers cannot be used: {error!r}") from error
        cannot = f"{self.asked.key}: its numbers cannot be used:"
        if low.ndim != 1 or low.shape != spread.shape:
            raise BadData(f"{cannot} {' and '.join(self.names)} differ in length")
        if not (np.isfinite(low).all() and np.isfinite(spread).all() and (spread > 0).all()):
            raise BadData(f"{cannot} not finite, or {self.names[1]} not above 0")
        if (self.asked.scope == "image") != (len(low) == 0):
            raise BadData(
                f"{cannot} {self.names[0]} has {len(low)} numbers, and the recipe says that "
                f"they are of {self.asked.scope}"
            )
        return replace(self, low_=low, spread_=spread)
