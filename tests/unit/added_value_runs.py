"""State files of runs that measured an added value: clinical columns, scores of inner networks."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from tests.unit.evaluation_runs import logistic, write_run

CLINICAL = {"pain": 1.0, "age": 0.0}
Logits = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def noise(outcome: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Logits that know nothing."""
    return rng.normal(size=len(outcome))


def memorised(outcome: np.ndarray, _rng: np.random.Generator) -> np.ndarray:
    """Logits of a network that learned its training people by heart."""
    return np.where(outcome == 1, 1.5, -1.5)


def write_added_run(
    folder: Path,
    *,
    n: int = 64,
    effect: float = 0.0,
    inner: Logits = noise,
    folds: int = 4,
    inner_folds: int = 4,
    sure: float = 1.0,
    pain: float = 1.5,
    variants: tuple[str, ...] = ("base",),
    sessions: int = 1,
    seed: int = 0,
) -> Path:
    """Write a run whose column pain tells the classes apart, with scores of inner networks.

    Parameters
    ----------
    effect
        Distance of the classes in the networks' held-out logits; inner ones have it too.
    inner
        What else stands in the logits of training people.
    sure
        How confident the networks are: by what their logits are multiplied.
    """
    rng = np.random.default_rng(seed + 1)
    outcome = np.arange(n) % 2
    values = pain * outcome + rng.normal(size=n)
    columns = {
        "pain": [f"{v:.3f}" for v in values],
        "age": [f"{v:.0f}" for v in rng.uniform(20, 80, n)],
        "sex": list(rng.choice(["F", "M"], n)),
    }
    write_run(
        folder,
        n=n,
        folds=folds,
        sessions=sessions,
        variants=variants,
        covariates=columns,
        seed=seed,
    )
    scores = pd.read_csv(folder / "scores.tsv", sep="\t", na_filter=False)
    drawn = effect * scores["outcome"].to_numpy() + noise(scores["outcome"].to_numpy(), rng) * sure
    scores.assign(probability=logistic(drawn)).to_csv(folder / "scores.tsv", sep="\t", index=False)
    splits = pd.read_csv(folder / "splits.tsv", sep="\t")
    cohort = pd.read_csv(folder / "cohort.tsv", sep="\t", na_filter=False)
    inside, scored = [], []
    for variant in variants:
        for (repeat, fold), rows in splits.groupby(["repeat", "fold"]):
            people = rows.loc[rows["role"] == "train", "participant_id"].to_numpy()
            part = rng.permutation(len(people)) % inner_folds
            for k in range(inner_folds):
                inside += [
                    (variant, repeat, fold, k, who, "test" if part[i] == k else "train")
                    for i, who in enumerate(people)
                ]
            mine = cohort[cohort["participant_id"].isin(people)]
            truth = mine["outcome"].to_numpy()
            own = effect * truth + inner(truth, rng) * sure
            number = dict(zip(people, part, strict=True))
            scored += [
                (who, visit, variant, repeat, fold, number[who], y, p)
                for who, visit, y, p in zip(
                    mine["participant_id"], mine["session_id"], truth, logistic(own), strict=True
                )
            ]
    _write(folder / "crossfit_splits.tsv", "variant repeat fold inner participant_id role", inside)
    names = "participant_id session_id variant repeat fold inner outcome probability"
    _write(folder / "crossfit_scores.tsv", names, scored)
    return folder


def _write(path: Path, columns: str, rows: list[tuple[object, ...]]) -> None:
    pd.DataFrame(rows, columns=columns.split()).to_csv(path, sep="\t", index=False)
