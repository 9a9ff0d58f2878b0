"""What is done to a model's probability where it was recalibrated on people of another place."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from bidsapp.errors import BadData

if TYPE_CHECKING:
    import numpy as np

KINDS = ("intercept", "slope")
"""What can be refitted: the intercept, the slope staying 1; or intercept and slope."""
EDGE = 1e-6
"""Probabilities of 0 and 1 are moved so far from the edge before their logit is taken."""


@dataclass(frozen=True)
class Recalibration:
    """Logit of the new probability: intercept + slope × logit of the model's.

    Attributes
    ----------
    kind
        One of `KINDS`.
    intercept, slope
        The coefficients; the slope is 1 where only the intercept was fitted.
    """

    kind: str
    intercept: float
    slope: float = 1.0

    def apply(self, probability: "np.ndarray | float") -> "np.ndarray":
        """Give the recalibrated probabilities, of the same shape."""
        import numpy as np

        inside = np.clip(np.asarray(probability, float), EDGE, 1 - EDGE)
        logit = self.intercept + self.slope * (np.log(inside) - np.log1p(-inside))
        return np.asarray(np.exp(-np.logaddexp(0.0, -logit)))

    def undo(self, probability: "np.ndarray | float") -> "np.ndarray":
        """Give the probabilities that become these by `apply`, of the same shape."""
        import numpy as np

        inside = np.clip(np.asarray(probability, float), EDGE, 1 - EDGE)
        logit = (np.log(inside) - np.log1p(-inside) - self.intercept) / self.slope
        return np.asarray(np.exp(-np.logaddexp(0.0, -logit)))

    def upon(self, before: "Recalibration | None") -> "Recalibration":
        """Join it with an earlier one that was done first; None is none."""
        if before is None:
            return self
        slope = self.slope * before.slope
        shift = self.intercept + self.slope * before.intercept
        return Recalibration("slope" if slope != 1 else self.kind, shift, slope)

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        """Read what `plain` gave.

        Raises
        ------
        BadData
            A key is missing, or a value cannot be; a slope of 0 or less turns the order of
            people round and is no recalibration.
        """
        try:
            found = cls(str(told["kind"]), float(told["intercept"]), float(told["slope"]))
        except (KeyError, TypeError, ValueError) as error:
            raise BadData(f"recalibration cannot be used: {error!r}") from error
        finite = abs(found.intercept) < 1e6 and 0 < found.slope < 1e6
        if found.kind not in KINDS or not finite or (found.kind == KINDS[0] and found.slope != 1):
            raise BadData(f"recalibration cannot be used: {dict(told)}")
        return found
