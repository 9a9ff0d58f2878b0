"""Steps that keep some channels of an image, with the numbers by which each one was judged."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np

from bidsapp.contracts.fitted import FittedStep, Images
from bidsapp.contracts.fitted_offers import AskedStep
from bidsapp.errors import BadData
from bidsapp.representation.components.series import array_in


@dataclass(frozen=True)
class KeptChannels:
    """Keep the channels that were chosen when it was fitted; how is for each kind to say.

    Attributes
    ----------
    asked
        ``count``: how many are kept.
    chosen_
        Their numbers among the channels given, ascending.
    numbers_
        Of every channel given, by the names of `columns`.
    """

    # Names in the state, and the columns of tables that they are told in.
    columns: ClassVar[Mapping[str, str]]

    asked: AskedStep
    chosen_: np.ndarray | None = None
    numbers_: Mapping[str, np.ndarray] = field(default_factory=dict)

    def declares(self) -> tuple[FittedStep, ...]:
        """Say on whom it is fitted, and whether it looks at the outcome."""
        return (self.asked.declares(),)

    def channels(self, given: tuple[str, ...]) -> tuple[str, ...]:
        """Name the channels that are kept."""
        if self.chosen_ is None:
            return given[: self._count]
        return tuple(given[number] for number in self.chosen_)

    def transform(self, images: Images, rows: np.ndarray) -> Iterator[np.ndarray]:
        """Give the channels that are kept."""
        assert self.chosen_ is not None
        for row in rows:
            yield np.asarray(images[int(row)], np.float32)[self.chosen_]

    def told(self, given: tuple[str, ...]) -> Mapping[str, Mapping[str, float]]:
        """Give the numbers of each channel, and who is kept."""
        assert self.chosen_ is not None
        table = {column: self.numbers_[name] for name, column in self.columns.items()}
        table["kept"] = np.isin(np.arange(len(given)), self.chosen_)
        return {
            name: {column: float(values[number]) for column, values in table.items()}
            for number, name in enumerate(given)
        }

    def state(self) -> Mapping[str, np.ndarray]:
        """Give which are kept, and the numbers of all."""
        return {} if self.chosen_ is None else {"chosen": self.chosen_, **self.numbers_}

    def with_state(self, state: Mapping[str, np.ndarray]) -> Self:
        """Give the step as it was when `state` was written.

        Raises
        ------
        BadData
            It is not the state of such a step.
        """
        chosen, *numbers = (
            array_in(state, key, 1, self.asked.key) for key in ("chosen", *self.columns)
        )
        channels = len(numbers[0])
        uneven = any(len(values) != channels for values in numbers)
        if uneven or not len(chosen) or min(chosen) < 0 or max(chosen) >= channels:
            raise BadData(f"{self.asked.key}: its numbers are not those of channels")
        told = dict(zip(self.columns, numbers, strict=True))
        return replace(self, chosen_=chosen.astype(int), numbers_=told)

    @property
    def _count(self) -> int:
        count: Any = self.asked.settings["count"]
        return int(count)
