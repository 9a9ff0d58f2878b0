"""What weighing gives back where a third of the people are lost, by a column that is known or not.

Run as ``python -m tests.benchmarks.missing_outcomes``. People's outcome goes with age, the score
tells more of the old, and the young are lost. Weights are made by age, or by a column that has
nothing to do with it.
"""

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from bidsapp.evaluation.missing_outcomes import kept_weights, weighted_auc

STUDIES = 300


def study(people: int, known: bool, seed: int) -> tuple[float, ...]:
    """Errors of AUC and share of positives, without and with weights; the share of people lost."""
    rng = np.random.default_rng([seed, people])
    age = rng.normal(size=people)
    outcome = rng.random(people) < 1 / (1 + np.exp(-age))
    score = outcome * np.where(age > 0, 1.5, 0.2) + rng.normal(size=people)
    inside = rng.random(people) < 1 / (1 + np.exp(-0.8 - age))
    column = age if known else rng.normal(size=people)
    weights = kept_weights(pd.DataFrame({"c": [f"{v:.3f}" for v in column]}), inside, ["c"])
    truth, kept, values = roc_auc_score(outcome, score), outcome[inside] * 1.0, score[inside]
    return (
        weighted_auc(kept, values, np.ones(len(kept))) - truth,
        weighted_auc(kept, values, weights) - truth,
        kept.mean() - outcome.mean(),
        weights @ kept / weights.sum() - outcome.mean(),
        1 - inside.mean(),
    )


def main() -> None:
    """Print a line for each size of study."""
    print("people  by age  AUC  weighted  positive  weighted  lost  (mean ± standard error)")
    for known in (True, False):
        for people in (150, 600):
            found = np.array([study(people, known, k) for k in range(STUDIES)])
            errors = found.std(axis=0) / np.sqrt(STUDIES)
            cells = [f"{m:+.3f} ± {e:.3f}" for m, e in zip(found.mean(axis=0), errors, strict=True)]
            print(people, known, *cells, sep="  ")


if __name__ == "__main__":
    main()
