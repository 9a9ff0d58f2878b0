"""Evaluation: the bootstrap against scipy's, and a whole evaluation of 48 people on one core.

Run as ``python -m tests.benchmarks.evaluation``; one thread: ``OMP_NUM_THREADS=1``. With
``--run FOLDER`` (of a group run) that run is evaluated too, as a copy.
"""

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.metrics import roc_auc_score

from bidsapp.evaluation.baseline_models import BASELINES
from bidsapp.evaluation.bootstrap import (
    bootstrap_intervals,
    bootstrap_values,
    percentile_limits,
    strata_of,
)
from bidsapp.evaluation.evaluate import evaluate
from bidsapp.evaluation.metrics import METRICS
from bidsapp.evaluation.sample import make_sample
from bidsapp.evaluation.settings import EvaluationSettings, settings_of_run
from tests.unit.evaluation_runs import write_run

N, RESAMPLES = 2000, 2000
PLANES = ("axial", "coronal", "sagittal")


def timed(work: Callable[[], object], repeats: int = 3) -> tuple[float, object]:
    """Shortest of a few times, in CPU seconds, and the last result."""
    times = []
    result: object = None
    for _ in range(repeats):
        start = time.process_time()
        result = work()
        times.append(time.process_time() - start)
    return min(times), result


def rank_auc(positive: np.ndarray, negative: np.ndarray, axis: int = -1) -> np.ndarray:
    """AUC by ranks along an axis: the fastest that scipy's own vectorised bootstrap can be fed."""
    m, n = positive.shape[axis], negative.shape[axis]
    ranks = stats.rankdata(np.concatenate([positive, negative], axis=axis), axis=axis)
    return (np.take(ranks, range(m), axis=axis).sum(axis=axis) - m * (m + 1) / 2) / (m * n)


def plain_auc(positive: np.ndarray, negative: np.ndarray) -> float:
    """AUC by scikit-learn, as a first script would have it."""
    outcome = np.repeat([1, 0], [len(positive), len(negative)])
    return float(roc_auc_score(outcome, np.concatenate([positive, negative])))


def bootstrap_benchmark() -> None:
    """Percentile interval of the AUC, n = 2000, 2000 resamples, stratified by outcome."""
    rng = np.random.default_rng(0)
    outcome = (np.arange(N) < 0.43 * N).astype(int)
    sample = make_sample(outcome, 1 / (1 + np.exp(-rng.normal(size=N) - outcome)))
    m = sample.positives
    groups = sample.probability[:m], sample.probability[m:]

    def ours() -> tuple[float, float]:
        generator = np.random.default_rng(1)
        values = bootstrap_values(sample, ["auc"], strata_of(sample), RESAMPLES, generator)
        return percentile_limits(values["auc"])

    def scipys(statistic: Callable[..., object], vectorized: bool) -> object:
        return stats.bootstrap(
            groups,
            statistic,
            n_resamples=RESAMPLES,
            method="percentile",
            vectorized=vectorized,
            batch=200,
            rng=np.random.default_rng(1),
        ).confidence_interval

    fast, interval = timed(ours)
    print(f"n {N}, {RESAMPLES} resamples, AUC, percentile: ours {fast:.4f} s {interval}")
    for label, work in (
        ("scipy, scikit-learn's AUC", lambda: scipys(plain_auc, False)),
        ("scipy, vectorised rank AUC", lambda: scipys(rank_auc, True)),
    ):
        slow, interval = timed(work, 1)
        print(f"  {label}: {slow:.2f} s {tuple(interval)}; ours is {slow / fast:.0f} times faster")
    everything, _ = timed(lambda: bootstrap_intervals(sample, list(METRICS), RESAMPLES), 1)
    print(f"  all {len(METRICS)} metrics, BCa: {everything:.2f} s")


def whole_evaluation() -> None:
    """48 people, 3 planes and 2 ensembles, all baselines, 10,000 resamples, 1,000 permutations."""
    rng = np.random.default_rng(2)
    covariates = {
        "age": list(rng.normal(40, 9, 48).round(1)),
        "sex": ["F", "F", "M", "M"] * 12,
        "site": list(rng.choice(["A", "B", "C"], 48)),
        "quality_ncc": list(rng.normal(0.83, 0.02, 48).round(3)),
        **{f"region_{i}": list(rng.normal(size=48).round(3)) for i in range(145)},
    }
    settings = EvaluationSettings(
        tests=("permutation", "delong", "mcnemar"),
        subgroups=("sex", "age"),
        baselines=(
            "majority",
            "age_sex",
            "logistic",
            "random_forest",
            "xgboost",
            "regions",
            "quality",
            "site",
        ),
        predictors=("age", "sex", "quality_ncc"),
        site="site",
        permutations=1000,
        resamples=10_000,
        ensembles={"mean": (PLANES, "mean"), "vote": (PLANES, "vote")},
    )
    with tempfile.TemporaryDirectory() as folder:
        run = write_run(Path(folder), covariates=covariates)
        seconds, result = timed(lambda: evaluate(run, settings), 1)
    rows = len(getattr(result, "metrics", pd.DataFrame()))
    print(f"whole evaluation, 48 people, 8 folds: {seconds:.1f} s, {rows} rows of metrics")


def evaluation_of(folder: Path, site: str) -> None:
    """Evaluate a copy of a real run: all baselines, 10,000 resamples, 1,000 permutations."""
    with tempfile.TemporaryDirectory() as place:
        run = Path(place) / "run"
        shutil.copytree(folder, run)
        columns = list(pd.read_csv(run / "cohort.tsv", sep="\t", nrows=1).columns)
        settings = replace(
            settings_of_run(run),
            tests=("permutation", "delong", "mcnemar"),
            subgroups=tuple(name for name in ("sex", "age") if name in columns),
            baselines=tuple(BASELINES),
            predictors=tuple(name for name in ("age", "sex") if name in columns),
            site=site,
            permutations=1000,
            resamples=10_000,
        )
        seconds, result = timed(lambda: evaluate(run, settings), 1)
        findings = pd.read_csv(run / "tables" / "findings.tsv", sep="\t")["text"]
    rows = getattr(result, "metrics", pd.DataFrame())
    print(f"{folder}: {seconds:.1f} CPU s, {len(rows)} rows of {rows['variant'].nunique()} models")
    print("\n".join(findings))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, help="folder of a group run")
    parser.add_argument("--site", default="site", help="its column of the site")
    asked = parser.parse_args()
    bootstrap_benchmark()
    whole_evaluation()
    if asked.run:
        evaluation_of(asked.run, asked.site)
