"""A step that no room knows: above and below the mean image, as two channels for each channel."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from bidsapp.contracts.fitted import FittedStep, Images
from bidsapp.contracts.fitted_offers import AskedStep, FittedOffer
from bidsapp.errors import BadData

OFFER = FittedOffer(
    name="everybody",
    title="Above and below",
    verb="divided into what lies above and below it",
    found="the mean image",
    unit="unit of the image",
    scopes=("train_fold", "dataset"),
)


@dataclass(frozen=True)
class Everybody:
    asked: AskedStep
    mean_: np.ndarray | None = None

    def declares(self) -> tuple[FittedStep, ...]:
        return (self.asked.declares(),)

    def channels(self, given: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(f"{name}_{side}" for name in given for side in ("above", "below"))

    def fit(self, images: Images, rows: np.ndarray, outcome: np.ndarray | None) -> "Everybody":
        assert outcome is None
        total = sum(np.asarray(images[row], np.float64) for row in rows)
        return replace(self, mean_=np.asarray(total / len(rows)))

    def transform(self, images: Images, rows: np.ndarray) -> Iterator[np.ndarray]:
        for row in rows:
            rest = images[row] - self.mean_
            both = np.stack([np.maximum(rest, 0), np.minimum(rest, 0)], axis=1)
            yield both.reshape(-1, *rest.shape[1:]).astype(np.float32)

    def state(self) -> Mapping[str, np.ndarray]:
        assert self.mean_ is not None
        return {"mean": self.mean_}

    def with_state(self, state: Mapping[str, np.ndarray]) -> "Everybody":
        if set(state) != {"mean"}:
            raise BadData(f"{self.asked.key}: the mean image is missing")
        return replace(self, mean_=state["mean"])


def build(asked: AskedStep) -> Everybody:
    return Everybody(asked)
