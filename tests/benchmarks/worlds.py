"""Studies drawn by the hundred, for the benchmark of claims: images, learners, splits, scores."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import ndtr

PERSON_COLUMNS = ("participant_id", "session_id")
Fold = tuple[int, int, np.ndarray]  # repeat, fold, who is tested


@dataclass(frozen=True)
class Learned:
    """Scores of one learner in many studies.

    Attributes
    ----------
    probability
        (studies, tested rows), in the order of `Design.rows`.
    truth
        (studies,) mean over the models of their AUC in new people of the same kind.
    """

    probability: np.ndarray
    truth: np.ndarray


@dataclass(frozen=True)
class Design:
    """Who is tested when, in every study alike.

    Attributes
    ----------
    outcome
        (n,) 0 or 1.
    folds
        Repeat, fold and (n,) True for whoever is tested in it; the others are trained on.
    """

    outcome: np.ndarray
    folds: tuple[Fold, ...]

    @property
    def rows(self) -> pd.DataFrame:
        """Columns of scores.tsv but for the probability, fold by fold."""
        parts = [
            pd.DataFrame({"participant_id": name_of(np.flatnonzero(test)), "repeat": r, "fold": k})
            for r, k, test in self.folds
        ]
        tested = np.concatenate([np.flatnonzero(test) for _, _, test in self.folds])
        whole = pd.concat(parts, ignore_index=True)
        return whole.assign(session_id="n/a", outcome=self.outcome[tested], variant="network")

    @property
    def splits(self) -> pd.DataFrame:
        """As splits.tsv."""
        people = name_of(np.arange(len(self.outcome)))
        parts = [
            pd.DataFrame(
                {
                    "repeat": r,
                    "fold": k,
                    "participant_id": people,
                    "role": np.where(test, "test", "train"),
                }
            )
            for r, k, test in self.folds
        ]
        return pd.concat(parts, ignore_index=True)


def name_of(places: np.ndarray) -> list[str]:
    """Names of people by their place."""
    return [f"sub-{place:04d}" for place in places]


def stratified(outcome: np.ndarray, folds: int, rng: np.random.Generator) -> np.ndarray:
    """Fold of everybody, the classes spread evenly."""
    fold = np.empty(len(outcome), dtype=int)
    for label in (0, 1):
        members = rng.permutation(np.flatnonzero(outcome == label))
        fold[members] = np.arange(len(members)) % folds
    return fold


def cross_validation(
    outcome: np.ndarray, folds: int, rng: np.random.Generator, repeats: int = 1
) -> Design:
    """Stratified k-fold cross-validation, drawn anew in every repeat."""
    drawn: list[Fold] = []
    for repeat in range(repeats):
        fold = stratified(outcome, folds, rng)
        drawn += [(repeat, k, fold == k) for k in range(folds)]
    return Design(outcome, tuple(drawn))


def hold_outs(outcome: np.ndarray, share: float, times: int, rng: np.random.Generator) -> Design:
    """Hold-outs of a share of the people, drawn anew each time."""
    drawn: list[Fold] = []
    for repeat in range(times):
        test = np.zeros(len(outcome), dtype=bool)
        for label in (0, 1):
            members = rng.permutation(np.flatnonzero(outcome == label))
            test[members[: round(share * len(members))]] = True
        drawn.append((repeat, 0, test))
    return Design(outcome, tuple(drawn))


def sites(shares: Sequence[float], n: int) -> tuple[Design, np.ndarray]:
    """Each site held out once; the site of everybody."""
    size = n // len(shares)
    site = np.repeat(np.arange(len(shares)), size)
    outcome = np.concatenate([(np.arange(size) < round(size * s)).astype(int) for s in shares])
    return Design(outcome, tuple((0, k, site == k) for k in range(len(shares)))), site


def images(
    outcome: np.ndarray, features: int, distance: float, studies: int, rng: np.random.Generator
) -> np.ndarray:
    """(studies, n, features) of which the first tells the classes apart by `distance` SD."""
    drawn = rng.normal(size=(studies, len(outcome), features))
    drawn[..., 0] += distance * outcome
    return drawn


def discriminant(image: np.ndarray, outcome: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights and offsets of a discriminant analysis in every study."""
    weight, offset = means(image, outcome)
    centred = image - image.mean(axis=1, keepdims=True)
    covariance = np.einsum("bni,bnj->bij", centred, centred) / (image.shape[1] - 1)
    covariance += 0.1 * np.eye(image.shape[2])
    solved = np.linalg.solve(covariance, weight[..., None])[..., 0]
    return solved, -(solved * offset).sum(axis=1)


def means(image: np.ndarray, outcome: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Difference of the class means, and the point half-way between them."""
    positive, negative = (image[:, outcome == label].mean(axis=1) for label in (1, 0))
    return positive - negative, (positive + negative) / 2


def nearest_mean(image: np.ndarray, outcome: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights and offsets of the nearest class mean in every study."""
    weight, middle = means(image, outcome)
    return weight, -(weight * middle).sum(axis=1)


def shaken(weight: np.ndarray, jitter: float, rng: np.random.Generator) -> np.ndarray:
    """Add noise of a length in lengths of the weights: what a network's random numbers do.

    Two such models of the same people agree by a correlation of 1 / (1 + jitter²).
    """
    length = np.linalg.norm(weight, axis=1, keepdims=True) / np.sqrt(weight.shape[1])
    return weight + jitter * length * rng.normal(size=weight.shape)


LEARNERS = {"discriminant": discriminant, "nearest mean": nearest_mean}


def learn(
    design: Design,
    image: np.ndarray,
    distance: float,
    learner: str = "discriminant",
    rng: np.random.Generator | None = None,
    jitter: float = 0.0,
) -> Learned:
    """Train on every fold of every study, and score whoever is held out.

    Parameters
    ----------
    jitter
        Length of the noise on a model's weights, in lengths of the weights: what a network's own
        random numbers do.
    """
    scored, truth = [], []
    for _, _, test in design.folds:
        weight, offset = LEARNERS[learner](image[:, ~test], design.outcome[~test])
        if jitter and rng is not None:
            weight = shaken(weight, jitter, rng)
        scored.append(ndtr(np.einsum("bnd,bd->bn", image[:, test], weight) + offset[:, None]))
        length = np.sqrt(2) * np.linalg.norm(weight, axis=1)
        truth.append(ndtr(weight[:, 0] * distance / length))
    return Learned(np.concatenate(scored, axis=1), np.mean(truth, axis=0))


def tables(design: Design, *learned: Learned) -> Iterator[pd.DataFrame]:
    """Scores of one study after the other: ``network``, and ``rival`` below it."""
    rows, names = design.rows, ("network", "rival", "third")
    whole = pd.concat([rows.assign(variant=name) for name, _ in zip(names, learned, strict=False)])
    whole = whole.reset_index(drop=True)
    for probability in zip(*(one.probability for one in learned), strict=True):
        yield whole.assign(probability=np.concatenate(probability))
