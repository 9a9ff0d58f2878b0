"""Functional connectomes: how the time courses of regions or components go together."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from bidsapp.errors import BadData

Kind = Literal["correlation", "partial correlation", "tangent"]


class Connectome:
    """Region-by-region connectivity as a row of numbers a person.

    Covariances are shrunk (Ledoit and Wolf); those of kind ``tangent`` are seen from the mean of
    the training people, which is what is fitted (Varoquaux et al. 2010,
    doi:10.1007/978-3-642-15705-9_25). nilearn does the work.

    Attributes
    ----------
    kind
        ``correlation`` (Fisher's z), ``partial correlation`` or ``tangent``.
    regions_
        How many regions it was fitted on.
    """

    def __init__(self, kind: Kind = "tangent") -> None:
        self.kind = kind
        self.regions_ = 0
        self._measure: Any = None

    def fit(self, courses: Sequence[np.ndarray]) -> "Connectome":
        """Fit on the training people's time courses, each of shape (T, R); T may differ.

        Raises
        ------
        BadData
            A region does not change in somebody, or fewer than two people are given.
        """
        from nilearn.connectome import ConnectivityMeasure

        if len(courses) < 2:
            raise BadData("a connectome is fitted on at least two people")
        self._measure = ConnectivityMeasure(
            kind=self.kind, vectorize=True, discard_diagonal=True, standardize=True
        ).fit([_checked(course) for course in courses])
        self.regions_ = courses[0].shape[1]
        return self

    def transform(self, courses: Sequence[np.ndarray]) -> np.ndarray:
        """Give one row a person, float64, shape (N, R (R - 1) / 2)."""
        if any(course.shape[1] != self.regions_ for course in courses):
            raise BadData(f"time courses of {self.regions_} regions are expected")
        checked = [_checked(course) for course in courses]
        # Each person's row is their own; nilearn refuses to look at one person alone.
        values = self._measure.transform(checked + checked[:1])[: len(checked)]
        if self.kind == "tangent":
            return np.asarray(values)
        return np.arctanh(np.clip(values, -0.999999, 0.999999))


def _checked(course: np.ndarray) -> np.ndarray:
    values = np.asarray(course, np.float64)
    still = np.flatnonzero(~(values.std(axis=0) > 0))
    if len(still) or not np.isfinite(values).all():
        raise BadData(
            f"time courses that do not change, or are no numbers, in region(s) "
            f"{', '.join(str(number + 1) for number in still[:5]) or 'unknown'}: the mask or the "
            "field of view may miss them"
        )
    return values
