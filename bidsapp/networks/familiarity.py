"""How far people are from those that a model was trained on, by each of the signals."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from bidsapp.contracts.abstention import SIGNALS, Limits
from bidsapp.errors import BadData
from bidsapp.networks.image_looks import block_sums, block_texture

FEWEST = 10
"""Training people whose look is told, at least: it is a mean, and shows nobody."""
NO_TEXTURE = (
    "that noise and blur are seen (texture is not looked at: in this bundle, of an earlier "
    "version, it is another measure; a run of this version makes one that has it)"
)
_FLOOR = 0.1


@dataclass(frozen=True)
class Look:
    """Mean and SD of vectors over people.

    Attributes
    ----------
    mean, sd
        float32, (d,). The SD is at least a tenth of the vector's usual one, so that a number in
        which training people hardly differ does not decide alone.
    """

    mean: np.ndarray
    sd: np.ndarray

    @classmethod
    def of(cls, vectors: np.ndarray) -> Self:
        """Describe people by their vectors, (n, d)."""
        values = np.asarray(vectors, np.float64)
        sd = values.std(axis=0, ddof=1)
        usual = float(np.sqrt(np.mean(sd**2))) or 1.0
        return cls(
            values.mean(axis=0).astype(np.float32),
            np.maximum(sd, _FLOOR * usual).astype(np.float32),
        )

    def distance(self, vectors: np.ndarray) -> np.ndarray:
        """Root mean square of the z-scores of people, (n,): about 1 for those described."""
        z = (np.asarray(vectors, np.float64) - self.mean) / self.sd
        return np.asarray(np.sqrt(np.mean(z**2, axis=1)))


@dataclass(frozen=True)
class Familiar:
    """What the training people of each fold model look like, and from when on others are unlike.

    Attributes
    ----------
    looks
        Signal to a `Look` for each fold model; `quality` may be missing, and `texture` of bundles
        of earlier versions.
    names
        The quality numbers, in order.
    limits
        Fitted on people held out; None where there were too few.
    """

    looks: Mapping[str, tuple[Look, ...]]
    names: tuple[str, ...]
    limits: Limits | None

    def distances(
        self,
        features: Sequence[np.ndarray],
        images: np.ndarray,
        quality: Sequence[Mapping[str, float]],
        models: Sequence[int] | None = None,
    ) -> dict[str, np.ndarray]:
        """Give how far people are from those of the fold models, on average over the models.

        Parameters
        ----------
        features
            For each fold model (n, d) that its last layer was given.
        images
            (n, C, …) as the networks are given them, before anything that is fitted.
        quality
            For each person the numbers of the preparation's quality, by name.
        models
            Places of the models that count; all where not given.

        Returns
        -------
        dict
            Signal to (n,); `quality` is NaN for who lacks a number.
        """
        used = range(len(features)) if models is None else models
        blocks = np.stack([block_sums(image) for image in images])
        texture = np.stack([block_texture(image) for image in images])
        numbers = quality_rows(quality, self.names)
        given = {
            "features": lambda k: features[k],
            "intensities": lambda _: blocks,
            "texture": lambda _: texture,
            "quality": lambda _: numbers,
        }
        return {
            name: np.mean([looks[k].distance(given[name](k)) for k in used], axis=0)
            for name, looks in self.looks.items()
        }

    def without_texture(self) -> Self:
        """Look at no texture, as of a bundle in which it is of another definition, and say so."""
        if "texture" not in self.looks:
            return self
        looks = {name: look for name, look in self.looks.items() if name != "texture"}
        limits = self.limits
        if limits is not None and NO_TEXTURE not in limits.notes:
            limits = replace(limits, notes=(*limits.notes, NO_TEXTURE))
        return replace(self, looks=looks, limits=limits)

    def arrays(self) -> dict[str, np.ndarray]:
        """Give the looks as named arrays."""
        return {
            f"{name}.{place}.{part}": np.ascontiguousarray(getattr(look, part))
            for name, looks in self.looks.items()
            for place, look in enumerate(looks)
            for part in ("mean", "sd")
        }

    @classmethod
    def of(
        cls,
        arrays: Mapping[str, np.ndarray],
        names: Sequence[str],
        limits: Limits | None,
        models: int,
    ) -> Self:
        """Read what `arrays` gave.

        Raises
        ------
        BadData
            An array is missing, or holds what cannot be.
        """
        looks = {}
        for name in SIGNALS:
            if f"{name}.0.mean" not in arrays:
                continue
            try:
                looks[name] = tuple(
                    Look(arrays[f"{name}.{place}.mean"], arrays[f"{name}.{place}.sd"])
                    for place in range(models)
                )
            except KeyError as error:
                raise BadData(f"no array {error}") from error
            for look in looks[name]:
                finite = np.isfinite(look.mean).all() and np.isfinite(look.sd).all()
                shaped = look.mean.ndim == 1 and look.mean.shape == look.sd.shape
                if not finite or not shaped or (look.sd <= 0).any():
                    raise BadData(f"the look of {name} holds numbers that cannot be")
        if "features" not in looks or "intensities" not in looks:
            raise BadData("the looks of features and intensities are missing")
        if "quality" in looks and any(len(look.mean) != len(names) for look in looks["quality"]):
            raise BadData("the look of quality has other numbers than it names")
        return cls(looks, tuple(names), limits)


@dataclass(frozen=True)
class Judged:
    """Whether a model answers about people.

    Attributes
    ----------
    distances
        Signal to (n,): how far each person is from the training people, 1 being usual.
    unlikeness
        (n,) as `Limits.unlikeness`; NaN where there are no limits.
    disagreement
        (n,) SD of the logits of the fold models; NaN of a single one.
    reasons
        For each person why there is no answer; empty where there is, or where nothing was fitted.
    most_unlike
        For each person the signal in which they are the most unlike.
    """

    distances: Mapping[str, np.ndarray]
    unlikeness: np.ndarray
    disagreement: np.ndarray
    reasons: list[str]
    most_unlike: list[str]


def judge(
    familiar: Familiar,
    features: Sequence[np.ndarray],
    images: np.ndarray,
    quality: Sequence[Mapping[str, float]],
    per_model: np.ndarray,
    models: Sequence[int] | None = None,
) -> Judged:
    """Say of which people a bundle gives no answer.

    Parameters
    ----------
    familiar, features, images, quality, models
        As in `Familiar.distances`.
    per_model
        (n, M) probabilities of all fold models.
    """
    used = list(range(per_model.shape[1])) if models is None else list(models)
    p = np.clip(per_model[:, used], 1e-6, 1 - 1e-6)
    logits = np.log(p) - np.log1p(-p)
    nobody = np.full(len(p), np.nan)
    disagreement = logits.std(axis=1, ddof=1) if len(used) > 1 else nobody
    distances = familiar.distances(features, images, quality, used)
    limits = familiar.limits
    if limits is None:
        return Judged(distances, nobody, disagreement, [""] * len(p), [""] * len(p))
    reasons = limits.reasons(distances, per_model[:, used].mean(axis=1))
    most = limits.most_unlike(distances)
    return Judged(distances, limits.unlikeness(distances), disagreement, reasons, most)


def quality_rows(quality: Iterable[Mapping[str, object]], names: Sequence[str]) -> np.ndarray:
    """Give the quality numbers of people, (n, k); NaN where somebody lacks one."""

    def number(value: object) -> float:
        return float(value) if isinstance(value, int | float) else float("nan")

    rows = [[number(one.get(name)) for name in names] for one in quality]
    return np.array(rows, float).reshape(len(rows), len(names))
