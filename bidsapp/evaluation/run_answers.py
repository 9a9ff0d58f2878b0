"""How often a run's held-out answers are wrong where it answers, by limits fitted on others."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from bidsapp.contracts.abstention import SIGNALS, UNLIKE, UNSURE, Limits
from bidsapp.contracts.unit import unit_columns
from bidsapp.evaluation.abstention import (
    COVERAGE,
    FEWEST,
    KEPT,
    counted,
    coverage_curve,
    fit_limits,
    kept_errors,
)
from bidsapp.evaluation.settings import EvaluationSettings
from bidsapp.evaluation.state import RunState

ALONE = f"limits need {FEWEST} people in other folds of the same repeat"


def run_answers(
    state: RunState, plan: EvaluationSettings
) -> tuple[dict[str, pd.DataFrame], dict[str, pd.DataFrame], list[str]]:
    """Turn away held-out people by limits that were fitted without them, and count errors.

    The limits of a model bundle are fitted on everybody whom the run held out; to count their
    errors on the same people would flatter them. Here somebody is judged by limits from the people
    of the other folds of the same repeat. What remains is that the networks which scored those
    were trained on the people of this fold (Vovk 2015, cross-conformal prediction,
    doi:10.1007/s10472-013-9368-4, keeps its level nearly, and at worst doubles it).

    Parameters
    ----------
    state
        With `distances`; without, nothing is counted.
    plan
        Of the run.

    Returns
    -------
    tables
        ``held_out_answers``: columns variant and `abstention.KEPT`; nothing without distances.
    figures
        ``coverage``: variant and `abstention.COVERAGE`, the surest and the most alike first.
    sentences
        One for each variant, and one for all of whose held-out people nobody could be judged.
    """
    if state.distances is None:
        return {}, {}, []
    tables, curves = [], []
    sentences, unjudged = list[str](), list[str]()
    for variant, rows in state.scores.groupby("variant", sort=False):
        own = state.distances[state.distances["variant"] == variant]
        if own.empty:
            continue
        threshold = plan.of(str(variant)).threshold
        table, curve = _of_variant(rows, own, unit_columns(state.cohort), threshold, plan.level)
        tables.append(table.assign(variant=variant)[["variant", *KEPT]])
        curves.append(curve.assign(variant=variant)[["variant", *COVERAGE]])
        if (table["note"] == ALONE).all():
            unjudged.append(str(variant))
        else:
            sentences.append(f"{variant}: {sentence(table)}")
    if not tables:
        return {}, {}, []
    if unjudged:
        sentences.append(
            f"{', '.join(unjudged)}: about whom there would be no answer is not judged: {ALONE}."
        )
    return (
        {"held_out_answers": pd.concat(tables, ignore_index=True)},
        {"coverage": pd.concat(curves, ignore_index=True)},
        sentences,
    )


def _of_variant(
    scores: pd.DataFrame,
    distances: pd.DataFrame,
    unit: Sequence[str],
    threshold: float,
    level: float,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    rows, fitted = judged(scores, distances, unit, threshold)
    last = next((one for one in reversed(fitted) if one is not None), None)
    failing = [one for one in fitted if one is None or one.sure is None]
    notes = dict.fromkeys(note for one in failing if one is not None for note in one.notes)
    outcome, probability, person, why, like = _pooled(rows, unit)
    bare = last or Limits({}, {}, None, np.nan, None, np.nan, threshold, 0)
    promised = bare if not failing else replace(bare, sure=None)
    table = kept_errors(why, outcome, probability, person, promised, level)
    if last is None:
        table["note"] = ALONE
    elif failing:
        answered = table["part"] == "answered"
        told = f"nothing is promised: no limit in {len(failing)} of {len(fitted)} folds"
        table.loc[answered, "note"] = "; ".join([told, *list(notes)[:1]])
    orders = {"sure": bare.sureness(probability)}
    if np.isfinite(like).all():
        orders["like"] = like
    return table, coverage_curve(outcome, probability, person, threshold, orders, level)


def judged(
    scores: pd.DataFrame, distances: pd.DataFrame, unit: Sequence[str], threshold: float
) -> tuple[pd.DataFrame, list[Limits | None]]:
    """Judge every held-out score by limits from the other folds of its repeat.

    Parameters
    ----------
    scores, distances
        Of one variant.
    unit
        Columns that name a unit.
    threshold
        Of the answer.

    Returns
    -------
    rows
        `scores` with the signals, ``why`` there is no answer (empty where there is) and ``like``,
        larger for those more like the training people; NaN where no limits could be fitted.
    limits
        Of each fold of each repeat; None where there are too few other people.
    """
    signals = [name for name in SIGNALS if name in distances and distances[name].notna().all()]
    key = [*unit, "repeat", "fold"]
    rows = scores.merge(distances[[*key, *signals]], on=key, how="inner").reset_index(drop=True)
    rows["why"], rows["like"] = "", np.nan
    fitted: list[Limits | None] = []
    for _, repeat in rows.groupby("repeat"):
        for _, held in repeat.groupby("fold"):
            limits = _fitted(repeat.drop(index=held.index), signals, threshold)
            fitted.append(limits)
            if limits is None:
                continue
            apart = {name: held[name].to_numpy(float) for name in signals}
            rows.loc[held.index, "why"] = limits.reasons(apart, held["probability"].to_numpy())
            rows.loc[held.index, "like"] = -limits.unlikeness(apart)
    return rows, fitted


def _fitted(others: pd.DataFrame, signals: Sequence[str], threshold: float) -> Limits | None:
    if others.empty:
        return None
    apart = {name: others[name].to_numpy(float) for name in signals}
    scores = others["outcome"].to_numpy(), others["probability"].to_numpy(float)
    return fit_limits(apart, *scores, others["participant_id"].to_numpy(), threshold)


def _pooled(
    rows: pd.DataFrame, unit: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[str], np.ndarray]:
    """Give outcome, mean probability, person, reason and likeness of each unit over the repeats.

    Somebody is answered who is in more than half of the repeats; else the more frequent reason
    stands.
    """
    units = rows.groupby(list(unit), sort=False)
    why = []
    for _, one in units:
        counts = one["why"].value_counts()
        reason = max((UNLIKE, UNSURE), key=lambda name: counts.get(name, 0))
        why.append("" if counts.get("", 0) > len(one) / 2 else reason)
    means = units[["outcome", "probability"]].mean()
    like = units["like"].mean().to_numpy(float)
    outcome = means["outcome"].to_numpy()
    person = means.index.get_level_values("participant_id").to_numpy()
    return outcome, means["probability"].to_numpy(float), person, why, like


def sentence(table: pd.DataFrame) -> str:
    """Say of how many held-out people there is no answer, and how often the others are wrong.

    Parameters
    ----------
    table
        Columns `abstention.KEPT`, of one variant.
    """
    rows = {str(row["part"]): row for row in table.to_dict("records")}
    every, kept = rows["everybody"], rows["answered"]
    everybody, away = counted(rows, "held-out ")
    told = (
        f"by limits fitted on other people there is no answer about {away} of {everybody} "
        f"({rows['unlike']['forecasts']} unlike the training people, "
        f"{rows['unsure']['forecasts']} too near to the threshold)"
    )
    if kept["people"]:
        told += (
            f"; of the other {kept['forecasts']} {kept['error_rate']:.0%} are answered wrongly "
            f"({kept['ci_low']:.0%} to {kept['ci_high']:.0%}; of everybody "
            f"{every['error_rate']:.0%})"
        )
    promise = float(kept["promise"])
    ending = f", {promise:.0%} were promised: {kept['note']}" if promise == promise else ""
    return f"{told}{ending or '; ' + str(kept['note'])}."
