"""People who were scanned and whose outcome is missing: who they are, and what weighing tells."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from bidsapp.dataset.covariates import user_name, users_column
from bidsapp.drawing.wording import joined
from bidsapp.evaluation.baseline_models import BASELINES, design_table, in_fold_model
from bidsapp.evaluation.cohort_table import cohort_table, identifies
from bidsapp.evaluation.sample import pool
from bidsapp.evaluation.settings import EvaluationSettings
from bidsapp.evaluation.state import RunState
from bidsapp.evaluation.tsv import is_missing, read_table, unusable

FILE = "missing_outcomes.tsv"
COLUMNS = (
    "variant",
    "measure",
    "value",
    "weighted",
    "ci_low",
    "ci_high",
    "n",
    "n_effective",
    "lost",
    "weighted_by",
    "note",
)
FEWEST = 5
"""With fewer lost people, or kept ones, nothing is compared or weighed."""
_RESAMPLES = 500
_TRUNCATED = (1, 99)
_NOTE = "weights taken as known; models were trained on the people kept"


def missing_outcomes(
    state: RunState, networks: pd.DataFrame, plan: EvaluationSettings
) -> tuple[dict[str, pd.DataFrame], str]:
    """Compare people without an outcome with those who have one, and weigh the latter.

    Weights are those of inverse probability (Seaman & White 2013, doi:10.1177/0962280210395740):
    the share of people kept over each one's probability of being kept by a penalised logistic
    regression on the columns that the recipe names (``clinical``, ``predictors``) and age and sex;
    cut at their 1st and 99th percentile. What makes people go and stands in no column is not
    weighed away: it is a sensitivity analysis.

    Parameters
    ----------
    state
        The run; ``missing_outcomes.tsv`` lies in its folder where somebody was lost.
    networks
        Held-out scores of networks and ensembles.
    plan
        Its settings.

    Returns
    -------
    tables, sentence
        ``lost`` (`cohort_table` of lost against kept) and ``weighted`` (`COLUMNS`); empty, and no
        sentence, where nobody was lost.
    """
    path = state.folder / FILE
    if not path.is_file():
        return {}, ""
    lost = read_table(path, ("participant_id", "reason")).drop_duplicates("participant_id")
    kept = state.cohort.drop_duplicates("participant_id")
    lost = lost[~lost["participant_id"].isin(kept["participant_id"])]
    if not len(lost):
        return {}, ""
    both = pd.concat([kept, lost], ignore_index=True)
    inside = np.arange(len(both)) < len(kept)
    columns = [
        name for name in state.covariates if name in lost and not _useless(both[name], inside)
    ]
    table = cohort_table(both, ~inside, columns)
    table = table.assign(column=table["column"].map(user_name))
    share = len(lost) / len(both)
    text = f"{len(lost)} of {len(both)} people with a prepared scan have no outcome ({share:.0%})"
    text += _differ(table) if len(lost) >= FEWEST else "; too few to compare"
    names = _weighed_by(plan, both, columns)
    if min(len(lost), len(kept)) < FEWEST or not names:
        why = "" if names else "; no column to weigh by is known of both (evaluation.clinical)"
        return {"lost": table}, f"{text}{why}."
    weights = dict(zip(kept["participant_id"], kept_weights(both, inside, names), strict=True))
    weighted = _weighted(networks, weights, plan, len(lost), [user_name(n) for n in names])
    auc = weighted[weighted["measure"] == "auc"]
    told = [
        f"{row['variant']} {row['weighted']:.2f} ({row['ci_low']:.2f} to {row['ci_high']:.2f}) "
        f"instead of {row['value']:.2f}"
        for row in auc.to_dict("records")
    ]
    by = joined([user_name(name) for name in names])
    text += f". Those kept, weighted by {by} to stand for all, give an AUC of: {'; '.join(told)}."
    return {"lost": table, "weighted": weighted}, text


def kept_weights(both: pd.DataFrame, inside: np.ndarray, columns: Sequence[str]) -> np.ndarray:
    """Weigh people so that, by their columns, they stand for those who were lost too.

    Parameters
    ----------
    both
        Everybody, a row each.
    inside
        (n,) who was kept.
    columns
        Of `both`.

    Returns
    -------
    numpy.ndarray
        Weights of those kept, mean 1.
    """
    table, numbers, categories = design_table(both, columns)
    model = in_fold_model(BASELINES["logistic"].estimator(), numbers, categories)
    chance = model.fit(table, inside).predict_proba(table[inside])[:, 1]
    weights = inside.mean() / chance
    weights = np.clip(weights, *np.percentile(weights, _TRUNCATED))
    return np.asarray(weights / weights.mean())


def weighted_auc(outcome: np.ndarray, probability: np.ndarray, weights: np.ndarray) -> float:
    """Share of pairs that are in order, each pair with the product of its weights; ties a half."""
    order = np.argsort(probability, kind="stable")
    sorted_p, w, y = probability[order], weights[order], outcome[order].astype(bool)
    edges = np.flatnonzero(np.r_[True, np.diff(sorted_p) > 0])
    positive = np.add.reduceat(np.where(y, w, 0.0), edges)
    negative = np.add.reduceat(np.where(y, 0.0, w), edges)
    below = np.cumsum(negative) - negative
    total = positive.sum() * negative.sum()
    return float(positive @ (below + negative / 2) / total) if total else float("nan")


def _brier(outcome: np.ndarray, probability: np.ndarray, weights: np.ndarray) -> float:
    return float(weights @ (probability - outcome) ** 2 / weights.sum())


def _positive(outcome: np.ndarray, _probability: np.ndarray, weights: np.ndarray) -> float:
    return float(weights @ outcome / weights.sum())


_MEASURES: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], float]] = {
    "auc": weighted_auc,
    "brier": _brier,
    "positive": _positive,
}


def _weighted(
    networks: pd.DataFrame,
    weights: dict[str, float],
    plan: EvaluationSettings,
    lost: int,
    names: Sequence[str],
) -> pd.DataFrame:
    records = []
    tails = 100 * np.array([(1 - plan.level) / 2, (1 + plan.level) / 2])
    for variant, rows in networks.groupby("variant", sort=False):
        scans = pool(rows)
        outcome = scans["outcome"].to_numpy(dtype=float)
        probability = scans["probability"].to_numpy(dtype=float)
        w = scans["participant_id"].map(weights).to_numpy(dtype=float)
        people, code = np.unique(scans["participant_id"].to_numpy(str), return_inverse=True)
        rng = np.random.default_rng(plan.seed)
        drawn = [
            np.bincount(rng.integers(len(people), size=len(people)), minlength=len(people))[code]
            for _ in range(_RESAMPLES)
        ]
        ones = np.ones(len(w))
        for name, measure in _MEASURES.items():
            values = np.array([measure(outcome, probability, w * times) for times in drawn])
            low, high = np.nanpercentile(values, tails)
            records.append(
                {
                    "variant": variant,
                    "measure": name,
                    "value": measure(outcome, probability, ones),
                    "weighted": measure(outcome, probability, w),
                    "ci_low": low,
                    "ci_high": high,
                    "n": len(people),
                    "n_effective": float(w.sum() ** 2 / (w @ w)) * len(people) / len(w),
                    "lost": lost,
                    "weighted_by": ", ".join(names),
                    "note": _NOTE,
                }
            )
    return pd.DataFrame(records, columns=pd.Index(COLUMNS))


def _weighed_by(plan: EvaluationSettings, both: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    there = list(map(str, both.columns))
    asked = [users_column(there, name) for name in (*plan.clinical, *plan.predictors)]
    asked += BASELINES["age_sex"].columns(there, (), None)
    return list(dict.fromkeys(name for name in columns if name in asked))


def _useless(values: pd.Series, inside: np.ndarray) -> bool:
    """Whether a column names each person, cannot be read, or is missing in all of one group."""
    absent = values.map(is_missing).to_numpy(dtype=bool)
    empty = absent[inside].all() or absent[~inside].all()
    return bool(empty or identifies(values) or unusable(values))


def _differ(table: pd.DataFrame) -> str:
    """Name the column in which lost and kept people differ most."""
    known = table[table["standardised_difference"].notna()]
    if not len(known):
        return ""
    most = known.iloc[int(known["standardised_difference"].abs().to_numpy().argmax())]
    size = abs(float(most["standardised_difference"]))
    return f"; they differ most in {most['column']} (standardised difference {size:.2f})"
