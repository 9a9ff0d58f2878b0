"""When a model does not answer: limits on how unlike training people are and how unsure it is."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Self

from bidsapp.errors import BadData

if TYPE_CHECKING:
    import numpy as np

SIGNALS = ("features", "intensities", "texture", "quality")
"""By what a person is compared with the training people: what the network's last layer is given,
what the network is given (in blocks), how rough that is, and the numbers of the preparation's
quality."""
UNLIKE, UNSURE = "unlike", "unsure"
_EDGE = 1e-6


@dataclass(frozen=True)
class Limits:
    """From when on a model does not answer, as fitted on held-out people of its training run.

    Attributes
    ----------
    centre, spread
        Of the logarithm of each signal's distance among held-out people: median, and how far
        above it the signal's own limit lies (in bundles of earlier versions a median absolute
        deviation).
    unlike
        The unlikeness above which there is no answer: 1 (in earlier versions another; None where
        too few people were held out).
    unlike_share
        The largest share of people like those of training who are turned away by that.
    sure
        The distance of the logit from that of the threshold below which there is no answer; None
        where no limit keeps the error rate.
    error_rate
        The share of wrong answers that `sure` keeps to among people like those of training.
    threshold
        The probability from which on the answer is positive.
    people
        Held-out people that the limits were fitted on.
    notes
        What cannot be promised, and why.
    refitted
        Whether they were fitted anew on people whom the model was recalibrated on; the threshold
        is that of the mean of the fold models then, before the recalibration.
    """

    centre: Mapping[str, float]
    spread: Mapping[str, float]
    unlike: float | None
    unlike_share: float
    sure: float | None
    error_rate: float
    threshold: float
    people: int
    notes: tuple[str, ...] = field(default_factory=tuple)
    refitted: bool = False

    def unlikeness(self, distances: "Mapping[str, np.ndarray]") -> "np.ndarray":
        """Give the largest of the signals' distances, in spreads above the held-out median: (n,).

        At 1 a signal's own limit is reached, at 0 the usual distance of a held-out person.

        Parameters
        ----------
        distances
            Signal to (n,) distances, 0 or more, NaN where somebody's is not known; signals without
            limits are passed over.
        """
        import numpy as np

        return np.asarray(np.fmax.reduce(list(self._scaled(distances).values())))

    def most_unlike(self, distances: "Mapping[str, np.ndarray]") -> list[str]:
        """Name the signal in which each person is the most unlike."""
        import numpy as np

        scaled = self._scaled(distances)
        places = np.argmax([np.nan_to_num(one, nan=-np.inf) for one in scaled.values()], axis=0)
        return [list(scaled)[k] for k in places]

    def _scaled(self, distances: "Mapping[str, np.ndarray]") -> "dict[str, np.ndarray]":
        import numpy as np

        return {
            name: (np.log(np.maximum(distances[name], _EDGE)) - self.centre[name])
            / self.spread[name]
            for name in self.centre
            if name in distances
        }

    def sureness(self, probability: "np.ndarray") -> "np.ndarray":
        """Give the distance of each logit from that of the threshold, (n,)."""
        import numpy as np

        p = np.clip(np.asarray(probability, float), _EDGE, 1 - _EDGE)
        t = np.clip(self.threshold, _EDGE, 1 - _EDGE)
        return np.abs(np.log(p) - np.log1p(-p) - np.log(t) + np.log1p(-t))

    def reasons(
        self, distances: "Mapping[str, np.ndarray]", probability: "np.ndarray"
    ) -> list[str]:
        """Say for each person why there is no answer: `UNLIKE`, `UNSURE`, or empty where there is.

        Parameters
        ----------
        distances
            As in `unlikeness`.
        probability
            (n,) mean of the fold models, before any recalibration.
        """
        unlike, sure = self.unlikeness(distances), self.sureness(probability)
        return [
            UNLIKE
            if self.unlike is not None and u > self.unlike
            else UNSURE
            if self.sure is not None and s < self.sure
            else ""
            for u, s in zip(unlike, sure, strict=True)
        ]

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self) | {"notes": list(self.notes)}

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        """Read what `plain` gave.

        Raises
        ------
        BadData
            A key is missing, or a value cannot be.
        """
        try:
            numbers = {
                key: None if told[key] is None else float(told[key]) for key in ("unlike", "sure")
            }
            found = cls(
                {str(k): float(v) for k, v in told["centre"].items()},
                {str(k): float(v) for k, v in told["spread"].items()},
                numbers["unlike"],
                float(told["unlike_share"]),
                numbers["sure"],
                float(told["error_rate"]),
                float(told["threshold"]),
                int(told["people"]),
                tuple(map(str, told["notes"])),
                bool(told.get("refitted", False)),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BadData(f"limits of abstention cannot be used: {error!r}") from error
        known = set(found.centre) == set(found.spread) and set(found.centre) <= set(SIGNALS)
        if not known or not found.centre or min(found.spread.values()) <= 0:
            raise BadData("limits of abstention cannot be used: centre and spread do not fit")
        return found
