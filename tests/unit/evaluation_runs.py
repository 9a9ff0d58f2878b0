"""State files of invented runs, for the tests and the benchmark of evaluation."""

from pathlib import Path

import numpy as np
import pandas as pd

COHORT = ["participant_id", "session_id", "group", "outcome", "image", "sha256", "quality"]


def logistic(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


def write_run(
    folder: Path,
    *,
    n: int = 48,
    folds: int = 8,
    repeats: int = 1,
    sessions: int = 1,
    effect: float = 1.5,
    variants: tuple[str, ...] = ("axial", "coronal", "sagittal"),
    covariates: dict[str, list[object]] | None = None,
    seed: int = 0,
) -> Path:
    """Write cohort, exclusions, splits and scores; outcomes alternate, folds are stratified."""
    rng = np.random.default_rng(seed)
    outcome = np.arange(n) % 2
    people = [f"sub-{number:04d}" for number in range(n)]
    visits = [f"ses-{s + 1}" for s in range(sessions)] if sessions > 1 else ["n/a"]
    extra = covariates or {}
    cohort = [
        (
            who,
            visit,
            "n/a",
            y,
            f"{who}.nii.gz",
            f"{i:064x}",
            "pass",
            *[c[i] for c in extra.values()],
        )
        for i, (who, y) in enumerate(zip(people, outcome, strict=True))
        for visit in visits
    ]
    shared = rng.normal(size=n)
    splits, scores = [], []
    for repeat in range(1, repeats + 1):
        fold = np.empty(n, dtype=int)
        for label in (0, 1):
            members = rng.permutation(np.flatnonzero(outcome == label))
            fold[members] = np.arange(len(members)) % folds + 1
        for k in range(1, folds + 1):
            roles = np.where(fold == k, "test", "train")
            splits += [(repeat, k, who, role) for who, role in zip(people, roles, strict=True)]
        for variant in variants:
            noise = rng.normal(size=(n, len(visits)))
            score = logistic(effect * (outcome - 0.5) + 0.7 * shared + 0.7 * noise.T).T
            scores += [
                (people[i], visit, variant, repeat, fold[i], outcome[i], score[i, s])
                for i in range(n)
                for s, visit in enumerate(visits)
            ]
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "cohort.tsv", [*COHORT, *extra], cohort)
    _write(folder / "exclusions.tsv", ["participant_id", "session_id", "reason"], [])
    _write(folder / "splits.tsv", ["repeat", "fold", "participant_id", "role"], splits)
    _write(
        folder / "scores.tsv",
        ["participant_id", "session_id", "variant", "repeat", "fold", "outcome", "probability"],
        scores,
    )
    return folder


def become_positive_later(folder: Path) -> None:
    """Make the outcome of a run with two sessions one of the scan: nobody is positive at ses-1."""
    for name in ("cohort.tsv", "scores.tsv"):
        table = pd.read_csv(folder / name, sep="\t", dtype=str, keep_default_na=False)
        first = table["session_id"] == "ses-1"
        table.assign(outcome=table["outcome"].mask(first, "0")).to_csv(
            folder / name, sep="\t", index=False
        )


def _write(path: Path, columns: list[str], rows: list[tuple[object, ...]]) -> None:
    pd.DataFrame(rows, columns=columns).to_csv(path, sep="\t", index=False)
