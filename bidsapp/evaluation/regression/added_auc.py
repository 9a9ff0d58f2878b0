"""ROC of nested logistic regressions by cross-validation: how much people are told apart better."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from bidsapp.errors import BadData
from bidsapp.evaluation.estimates import AucDifference, AucEstimate, difference_of, estimate_aucs
from bidsapp.evaluation.held_out import inflation_of
from bidsapp.evaluation.intervals import LEVEL
from bidsapp.evaluation.regression.nested import Rows
from bidsapp.recipes.learning import Protocol
from bidsapp.training.splits import make_splits


@dataclass(frozen=True)
class AddedAuc:
    """Held-out AUC of the smaller and the larger model, on the same folds.

    Attributes
    ----------
    smaller, larger
        AUCs over all rows, with the variance of people, not rows.
    gain
        Larger minus smaller.
    folds
        How many there were; a person is in one of them with all rows.
    """

    smaller: AucEstimate
    larger: AucEstimate
    gain: AucDifference
    folds: int


def added_auc(rows: Rows, folds: int, seed: int = 0, level: float = LEVEL) -> AddedAuc:
    """Cross-validate both models and compare their AUCs.

    People stay in one fold with all their rows, positives are spread over the folds. Columns are
    scaled to one variance in the training fold; no penalty. DeLong's variance is by person
    (Obuchowski 1997) and multiplied as that of every cross-validated AUC of this app
    (`held_out.inflation_of`).

    Parameters
    ----------
    rows
        Of a logistic regression, as `nested.complete_rows` gives them.
    folds
        At least 2.

    Raises
    ------
    BadData
        A training fold has one class only.
    UsageError
        Fewer people of a class than folds.
    """
    cohort = pd.DataFrame(
        {"participant_id": rows.person.astype(str), "outcome": rows.outcome.astype(int)}
    )
    protocol = Protocol(kind="kfold", folds=folds, stratified=True, seed=seed)
    splits = make_splits(cohort, protocol)
    scores = np.stack([_held_out(rows, size, splits) for size in (rows.base, len(rows.names))])
    (smaller, larger), correlation = estimate_aucs(
        rows.outcome > 0, scores, rows.person.astype(str), inflation=inflation_of(splits)
    )
    gain = difference_of(larger, smaller, float(correlation[0, 1]), level)
    return AddedAuc(smaller, larger, gain, folds)


def _held_out(rows: Rows, size: int, splits: pd.DataFrame) -> np.ndarray:
    """(n,) log odds of every row by the model of the fold that holds its person out."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    scores = np.zeros(len(rows.outcome))
    if not size:
        return scores
    tested = splits[splits["role"] == "test"].set_index("participant_id")["fold"]
    fold = pd.Series(rows.person.astype(str)).map(tested).to_numpy()
    for number in np.unique(fold):
        train, test = fold != number, fold == number
        if len(np.unique(rows.outcome[train])) < 2:
            raise BadData(f"Fold {number} trains on one class only; ask for fewer --folds.")
        model = make_pipeline(StandardScaler(), LogisticRegression(C=np.inf, max_iter=1000))
        model.fit(rows.design[train, :size], rows.outcome[train])
        scores[test] = model.decision_function(rows.design[test, :size])
    return scores
