"""The z-score: mean and standard deviation per channel, fitted in the scope the recipe says."""

from dataclasses import dataclass, field

import numpy as np

from bidsapp.errors import BadData, UsageError


@dataclass
class ZScore:
    """Subtract a mean and divide by a standard deviation, one pair per channel.

    Both are taken over every voxel of the window, background included, and over all images of
    the scope. With scope ``image`` each image has a pair of its own; with ``none`` nothing changes.

    Attributes
    ----------
    scope
        ``none``, ``image``, ``train_fold`` or ``dataset``.
    mean_, sd_
        After `fit`: float64 arrays of shape (C,); empty where nothing is fitted across images.
    """

    scope: str
    name: str = "representation.zscore"
    uses_outcome: bool = False
    mean_: np.ndarray = field(default_factory=lambda: np.empty(0))
    sd_: np.ndarray = field(default_factory=lambda: np.empty(0))

    def fit(self, array: np.ndarray, train_rows: np.ndarray) -> "ZScore":
        """Take mean and standard deviation; whatever the order of rows, the same numbers.

        Parameters
        ----------
        array
            The cohort, shape (N, C, X, Y, Z).
        train_rows
            Row numbers of the training fold; with scope ``dataset`` all rows are used instead.

        Raises
        ------
        BadData
            If a channel is constant over all images.
        """
        if self.scope in ("none", "image"):
            return self
        if self.scope not in ("train_fold", "dataset"):
            raise UsageError(f"{self.name}: scope {self.scope!r} does not exist")
        rows = np.arange(len(array)) if self.scope == "dataset" else np.unique(train_rows)
        means, squares = zip(*(_moments(array[row]) for row in rows), strict=True)
        self.mean_ = np.mean(means, axis=0)
        variance = np.mean(squares, axis=0) - self.mean_**2
        self.sd_ = np.sqrt(np.maximum(variance, 0))
        if not np.all(self.sd_ > 1e-6):
            raise BadData(f"{self.name}: a channel is constant over the {len(rows)} images fitted")
        return self

    def numbers(self, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation for each of these images.

        Parameters
        ----------
        samples
            Images of shape (N, C, X, Y, Z).

        Returns
        -------
        mean, sd
            float32 arrays of shape (N, C).
        """
        n, channels = samples.shape[:2]
        if self.scope == "none":
            return np.zeros((n, channels), np.float32), np.ones((n, channels), np.float32)
        if self.scope == "image":
            moments = [_moments(sample) for sample in samples]
            mean = np.array([m for m, _ in moments]).reshape(n, channels)
            square = np.array([s for _, s in moments]).reshape(n, channels)
            sd = np.sqrt(np.maximum(square - mean**2, 0))
            return mean.astype(np.float32), np.where(sd > 1e-6, sd, 1).astype(np.float32)
        if self.mean_.shape != (channels,):
            raise UsageError(f"{self.name}: fitted on {len(self.mean_)} channels, got {channels}")
        return (
            np.broadcast_to(self.mean_.astype(np.float32), (n, channels)).copy(),
            np.broadcast_to(self.sd_.astype(np.float32), (n, channels)).copy(),
        )

    def to_dict(self) -> dict[str, object]:
        """Plain numbers, for JSON."""
        return {"scope": self.scope, "mean": self.mean_.tolist(), "sd": self.sd_.tolist()}

    @classmethod
    def from_dict(cls, values: dict) -> "ZScore":
        """Read what `to_dict` wrote.

        Raises
        ------
        BadData
            If a key is missing, or a number is not finite and positive where it must be.
        """
        try:
            mean, sd = (np.array(values[key], float) for key in ("mean", "sd"))
            step = cls(str(values["scope"]), mean_=mean, sd_=sd)
        except (KeyError, TypeError, ValueError) as error:
            raise BadData(f"the numbers of the z-score cannot be used: {error!r}") from error
        if mean.ndim != 1 or mean.shape != sd.shape:
            raise BadData("the numbers of the z-score cannot be used: mean and sd differ in length")
        if not (np.isfinite(mean).all() and np.isfinite(sd).all() and (sd > 0).all()):
            raise BadData(
                "the numbers of the z-score cannot be used: not finite, or sd not above 0"
            )
        return step


def _moments(sample: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    values = np.asarray(sample, np.float64).reshape(len(sample), -1)
    return values.mean(axis=1), (values**2).mean(axis=1)
