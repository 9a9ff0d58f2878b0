"""What a model's probability is worth among people like those of training, with an interval."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from bidsapp.contracts.recalibration import EDGE
from bidsapp.errors import BadData

if TYPE_CHECKING:
    import numpy as np

_LARGEST = 1e6


class Range(NamedTuple):
    """Probabilities of a positive outcome, (n,) each, with the limits of their interval."""

    value: "np.ndarray"
    low: "np.ndarray"
    high: "np.ndarray"


@dataclass(frozen=True)
class Calibrated:
    """A straight line from the logit of a model's probability to that of the outcome.

    Attributes
    ----------
    intercept, slope
        Of the line; the slope is above 0.
    variance
        Of the intercept, of both together, and of the slope.
    level
        Of the interval.
    people
        Whom it was fitted on; the model had seen none of them.
    """

    intercept: float
    slope: float
    variance: tuple[float, float, float]
    level: float
    people: int

    def of(self, probability: "np.ndarray | float") -> Range:
        """Give how many of people with such a probability have the outcome, 0 to 1.

        Parameters
        ----------
        probability
            (n,) mean of the fold models, before any recalibration.
        """
        from statistics import NormalDist

        import numpy as np

        inside = np.clip(np.atleast_1d(np.asarray(probability, float)), EDGE, 1 - EDGE)
        x = np.log(inside) - np.log1p(-inside)
        first, both, second = self.variance
        half = NormalDist().inv_cdf(0.5 + self.level / 2) * np.sqrt(
            np.maximum(first + 2 * both * x + second * x**2, 0.0)
        )
        middle = self.intercept + self.slope * x
        ends = (middle, middle - half, middle + half)
        return Range(*(np.asarray(np.exp(-np.logaddexp(0.0, -one))) for one in ends))

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self) | {"variance": list(self.variance)}

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> Self:
        """Read what `plain` gave.

        Raises
        ------
        BadData
            A key is missing, or a value cannot be.
        """
        try:
            first, both, second = map(float, told["variance"])
            found = cls(
                float(told["intercept"]),
                float(told["slope"]),
                (first, both, second),
                float(told["level"]),
                int(told["people"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise BadData(f"the calibrated probability cannot be used: {error!r}") from error
        finite = abs(found.intercept) < _LARGEST and 0 < found.slope < _LARGEST
        variance = 0 < first < _LARGEST and 0 < second < _LARGEST and both**2 <= first * second
        if not finite or not variance or not 0 < found.level < 1:
            raise BadData(f"the calibrated probability cannot be used: {dict(told)}")
        return found
