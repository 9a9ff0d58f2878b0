"""A trained model judged on new people: every table of an external validation, from its files."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bidsapp.contracts.abstention import Limits
from bidsapp.contracts.recalibration import KINDS, Recalibration
from bidsapp.contracts.unit import unit_columns
from bidsapp.dataset.covariates import user_name, users_columns
from bidsapp.errors import BadData
from bidsapp.evaluation.abstention import COVERAGE, KEPT, coverage_curve, kept_errors
from bidsapp.evaluation.aggregates import compare_with_aggregates
from bidsapp.evaluation.calibration import calibration_points
from bidsapp.evaluation.case_mix import Drop, explain_drop
from bidsapp.evaluation.cohort_table import positives_and_negatives
from bidsapp.evaluation.curves import decision_curve, precision_recall_points, roc_points
from bidsapp.evaluation.describe import describe_sample
from bidsapp.evaluation.intended_use import intended_use
from bidsapp.evaluation.intervals import normal_quantile
from bidsapp.evaluation.membership import membership_from_aggregates
from bidsapp.evaluation.metric_table import COLUMNS, flag_small, variant_generator
from bidsapp.evaluation.metrics import METRICS
from bidsapp.evaluation.recalibration import cross_validated, fit_recalibration
from bidsapp.evaluation.sample import (
    Sample,
    absent_columns,
    at_threshold,
    from_scores,
    subgroup_masks,
    subgroups_by,
)
from bidsapp.evaluation.separation import is_of_scanner
from bidsapp.evaluation.settings import EvaluationSettings, settings_of_run
from bidsapp.evaluation.state import RunState, read_applied
from bidsapp.evaluation.thresholds import FITTED
from bidsapp.evaluation.tsv import as_written, is_missing, read_table, write_table
from bidsapp.evaluation.validation_clinic import added_here, clinical_rows, combined_sentence
from bidsapp.evaluation.validation_files import fold_models, people_of, read_facts
from bidsapp.evaluation.validation_words import findings

_MOST_SITES = 12
_CURVE_RESAMPLES = 1000
RECALIBRATED = ("kind", "intercept", "slope", "people", "folds", "variant", "note")


def evaluate_validation(folder: Path) -> None:
    """Compute everything that follows from the scores of a validation, and write it.

    Reads `validation.json`, `recipe.yaml`, `cohort.tsv`, `scores.tsv`, `measures.tsv`; writes
    `metrics.tsv`, `tables/*.tsv` and `figures/*.tsv`. Intervals of the model as it is are those
    of people it never saw: DeLong's holds as printed. ``<model>-intercept`` and
    ``<model>-slope`` are its recalibrations, each judged by people that they were not fitted on.

    Parameters
    ----------
    folder
        ``<output_dir>/group/<label>`` of the validation.

    Raises
    ------
    NoInput, BadData
        A file is missing or wrong.
    """
    folder = Path(folder)
    facts, state, plan = read_facts(folder), read_applied(folder), settings_of_run(folder)
    held = dict(facts.get("training_cohort", {}).get("held_out", {}))
    own = _own(state.scores, facts)
    tried, table = _recalibrations(own, plan.seed)
    model = str(facts["model"]["name"])
    alone, both = clinical_rows(state.scores, model)
    more, combined = _recalibrations(both, plan.seed) if len(both) else ([], table.iloc[:0])
    also, columns = _recalibrations(alone, plan.seed) if len(alone) else ([], table.iloc[:0])
    parts = [own, *tried, alone, both, *more, *also]
    scores = pd.concat(parts, ignore_index=True)
    added = added_here(scores, model, plan)
    _keep_scores(folder, scores, state)
    recalibration = _recalibrated_before(facts)
    fitted = held.get("threshold_fitted")
    if recalibration is not None and isinstance(fitted, int | float):
        fitted = float(recalibration.apply(fitted))  # the same people are called positive
    metrics = _metrics(scores, state, plan, fitted)
    sample = from_scores(own, plan.threshold)
    drop = _drop(held, own, fold_models(folder), metrics, plan)
    people = people_of(folder).drop(columns="participant_id")
    case_mix = compare_with_aggregates(facts.get("training_cohort", {}).get("columns", ()), people)
    use = intended_use(facts, case_mix, state)
    tables = {
        "recalibration": table,
        "case_mix": case_mix.assign(column=case_mix["column"].map(user_name)),
        "drop": drop.table,
        "intended_use": use,
        "cohort": positives_and_negatives(state.cohort, state.covariates),
    }
    kept, coverage = answered(folder, facts, own)
    tables["answers"] = kept
    tables["membership"] = _membership(folder, facts, people)
    if len(added):
        tables |= {"added_value": added, "recalibration_combined": combined}
        tables["recalibration_clinical"] = columns
    told = as_written(metrics)
    sentence = combined_sentence(model, facts, told, as_written(added), as_written(combined))
    tables["findings"] = findings(facts, told, sample, drop, tables, plan, sentence)
    write_table(metrics, folder / "metrics.tsv")
    for name, one in tables.items():
        write_table(one, folder / "tables" / f"{name}.tsv")
    for name, one in (_figures(scores, plan) | {"coverage": coverage}).items():
        write_table(one, folder / "figures" / f"{name}.tsv")


def _recalibrated_before(facts: dict[str, Any]) -> Recalibration | None:
    """Give the recalibration that the validated bundle had already."""
    told = facts.get("recalibration")
    return Recalibration.of(told) if told else None


def _own(scores: pd.DataFrame, facts: dict[str, Any]) -> pd.DataFrame:
    """Give the rows of the model as it is."""
    name = str(facts["model"]["name"])
    rows = scores[scores["variant"] == name]
    if rows.empty:
        raise BadData(f"scores.tsv holds no score of {name}; run the validation again")
    return rows


def _recalibrations(own: pd.DataFrame, seed: int) -> tuple[list[pd.DataFrame], pd.DataFrame]:
    """Recalibrate by cross-validation, each way; with the coefficients of all people."""
    tried, records = [], []
    name = str(own["variant"].iloc[0])
    outcome, probability = own["outcome"].to_numpy(int), own["probability"].to_numpy(float)
    people = own["participant_id"].nunique()
    for kind in KINDS:
        new = f"{name}-{kind}"
        try:
            rows = cross_validated(own, kind, seed).assign(variant=new)
            found = fit_recalibration(outcome, probability, kind)
        except ValueError as error:
            records.append((kind, np.nan, np.nan, people, 0, "", f"not done: {error}"))
            continue
        tried.append(rows)
        folds = rows["fold"].nunique()
        note = f"fitted on all {people}; judged by {folds}-fold cross-validation among them"
        records.append((kind, found.intercept, found.slope, people, folds, new, note))
    return tried, pd.DataFrame(records, columns=pd.Index(RECALIBRATED))


def _keep_scores(folder: Path, scores: pd.DataFrame, state: RunState) -> None:
    """Write the scores of the recalibrations behind those of the model."""
    if set(scores["variant"]) != set(state.scores["variant"]):
        write_table(scores, folder / "scores.tsv")


def _metrics(
    scores: pd.DataFrame, state: RunState, plan: EvaluationSettings, fitted: object
) -> pd.DataFrame:
    """Rows of metrics.tsv: pooled, and the subgroups and sites of the model as it is."""
    tables = []
    lead = str(scores["variant"].iloc[0])
    for variant, rows in scores.groupby("variant", sort=False):
        rng = variant_generator(plan.seed, str(variant))
        of_network = str(variant).startswith(lead)
        parts = {"pooled": _described(rows, plan, rng, fitted if of_network else None)}
        if variant == lead:
            for name, inside in _groups(state, rows, plan).items():
                if inside.any():
                    part = _described(rows[inside], plan, rng, None)
                    parts[f"subgroup:{name}"] = flag_small(part, rows[inside])
        tables += [part.assign(variant=variant, scope=scope) for scope, part in parts.items()]
    return pd.concat(tables, ignore_index=True)[list(COLUMNS)]


def _groups(state: RunState, rows: pd.DataFrame, plan: EvaluationSettings) -> dict[str, pd.Series]:
    """Subgroups of the recipe, sites, scanners and quality, as far as these people have them."""
    lacking = absent_columns(list(state.cohort.columns), plan.subgroups)
    asked = [name for name in plan.subgroups if subgroups_by(name) not in lacking]
    several = [
        user_name(name)
        for name in users_columns(state.cohort.columns)
        if is_of_scanner(name) and 2 <= state.cohort[name].nunique(dropna=False) <= _MOST_SITES
    ]
    masks = subgroup_masks(state.cohort, rows, list(dict.fromkeys([*asked, *several])))
    quality = state.cohort.get("quality")
    if quality is not None and quality.nunique() >= 2:
        keyed = dict(zip(_keys(state.cohort), quality.astype(str), strict=True))
        verdict = pd.Series([keyed[key] for key in _keys(rows)], index=rows.index)
        masks |= {f"quality={value}": verdict == value for value in sorted(set(verdict))}
    return masks


def _keys(table: pd.DataFrame) -> list[tuple[str, ...]]:
    return list(table[unit_columns(table)].astype(str).itertuples(index=False, name=None))


def _described(
    rows: pd.DataFrame, plan: EvaluationSettings, rng: np.random.Generator, fitted: object
) -> pd.DataFrame:
    """Every metric, what external validations add, and decisions at training's own threshold."""
    sample = from_scores(rows, plan.threshold)
    found = [describe_sample(sample, tuple(METRICS), plan, rng), _further(sample, plan, rng)]
    if isinstance(fitted, int | float) and 0 < fitted < 1:
        decisions = tuple(name for name, one in METRICS.items() if one.decision)
        second = at_threshold(sample, float(fitted))
        table = describe_sample(second, decisions, plan, rng)
        gain = _further(second, plan, rng)
        table = pd.concat([table, gain[gain["metric"] == "net_benefit"]], ignore_index=True)
        note = f"at {float(fitted):.3g}, the threshold of the held-out people of training"
        notes = ["; ".join(filter(None, [note, str(text)])) for text in table["note"]]
        found.append(table.assign(metric=table["metric"] + FITTED, note=notes))
    return pd.concat(found, ignore_index=True)


def _further(sample: Sample, plan: EvaluationSettings, rng: np.random.Generator) -> pd.DataFrame:
    """Observed to expected, and the net benefit at the threshold."""
    events, expected = sample.positives, float(sample.probability.sum())
    ratio, low, high, note = float("nan"), float("nan"), float("nan"), "no positives"
    if events and expected > 0:
        ratio = events / expected
        half = normal_quantile(plan.level) * np.sqrt((1 - events / sample.n) / events)
        low, high = ratio * np.exp(-half), ratio * np.exp(half)
        note = "positives observed for each that the probabilities expect; 1 is ideal"
    rows: list[tuple[Any, ...]] = [
        ("observed_expected", ratio, low, high, "log (Debray)", sample.n, note)
    ]
    cut = float(np.median(sample.threshold)) if sample.n else 0.5
    if 0 < cut < 1 and sample.n:
        draws = min(plan.resamples, _CURVE_RESAMPLES)
        curve = decision_curve(sample, np.array([cut]), draws, rng, plan.level).iloc[0]
        best = max(float(curve["treat_all"]), 0.0)
        about = (
            f"at {cut:.3g}: calling everybody positive gives {curve['treat_all']:.3f}, nobody 0; "
            f"{'above' if curve['net_benefit'] > best else 'not above'} the better of them"
        )
        ends = (float(curve["ci_low"]), float(curve["ci_high"]))
        method = "percentile bootstrap" if draws else ""
        rows.append(("net_benefit", float(curve["net_benefit"]), *ends, method, sample.n, about))
    names = ["metric", "value", "ci_low", "ci_high", "ci_method", "n", "note"]
    return pd.DataFrame(rows, columns=pd.Index(names))


def _drop(
    held: dict[str, Any],
    own: pd.DataFrame,
    models: pd.DataFrame,
    metrics: pd.DataFrame,
    plan: EvaluationSettings,
) -> Drop:
    row = metrics[(metrics["scope"] == "pooled") & (metrics["metric"] == "auc")].iloc[0]
    observed = (float(row["value"]), float(row["ci_low"]), float(row["ci_high"]))
    keys = pd.MultiIndex.from_tuples(_keys(own), names=models.index.names)
    per_model = models.loc[keys].to_numpy(float)
    return explain_drop(held, per_model, own["outcome"].to_numpy(), observed, plan.seed, plan.level)


def answered(
    folder: Path, facts: dict[str, Any], own: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Count errors among those about whom the model answers, and by how many it answers about.

    Who is turned away is as the fold models say; what counts as an error is the answer that is
    given, which a recalibration may have changed.

    Parameters
    ----------
    folder, facts
        Of the validation.
    own
        The model's scores, a row per unit: its answer in ``probability``.

    Returns
    -------
    kept
        Columns `abstention.KEPT`; empty where the bundle carries no limits.
    coverage
        Columns `abstention.COVERAGE`, the surest first, and those first about whom the fold models
        agree the most.
    """
    told = facts.get("limits")
    if not told:
        return pd.DataFrame(columns=pd.Index(KEPT)), pd.DataFrame(columns=pd.Index(COVERAGE))
    limits = Limits.of(told)
    table = read_table(folder / "answers.tsv", ("participant_id", "no_answer", "disagreement"))
    table = table.set_index(unit_columns(table))
    rows = table.loc[pd.MultiIndex.from_tuples(_keys(own), names=unit_columns(own))]
    outcome, answers = own["outcome"].to_numpy(), own["probability"].to_numpy(float)
    why = ["" if is_missing(one) else str(one) for one in rows["no_answer"]]
    apart = pd.to_numeric(rows["disagreement"], errors="coerce").to_numpy(float)
    if limits.refitted:  # its threshold is that of the fold models' mean, before recalibration
        answers = Recalibration.of(facts["recalibration"]).undo(answers)
    person = own["participant_id"].to_numpy()
    orders = {"sure": limits.sureness(answers)}
    if np.isfinite(apart).all():
        orders["agreed"] = -apart
    curve = coverage_curve(outcome, answers, person, limits.threshold, orders)
    return kept_errors(why, outcome, answers, person, limits), curve


def _membership(folder: Path, facts: dict[str, Any], people: pd.DataFrame) -> pd.DataFrame:
    """Read how different the cohorts are by their people, or tell it from the aggregates."""
    path = folder / "tables" / "membership.tsv"
    if path.is_file():
        return read_table(path, ("auc", "note"))
    return membership_from_aggregates(facts.get("training_cohort", {}), people)


def _figures(scores: pd.DataFrame, plan: EvaluationSettings) -> dict[str, pd.DataFrame]:
    """Give the numbers behind the curves, of the model and of its recalibrations."""
    made: dict[str, list[pd.DataFrame]] = {}
    for variant, rows in scores.groupby("variant", sort=False):
        sample = from_scores(rows, plan.threshold)
        rng = variant_generator(plan.seed + 3, str(variant))
        curves: dict[str, Callable[[Sample], pd.DataFrame]] = {
            "roc": roc_points,
            "precision_recall": precision_recall_points,
            "calibration": partial(calibration_points, level=plan.level),
            "decision_curve": partial(
                decision_curve,
                resamples=min(plan.resamples, _CURVE_RESAMPLES),
                rng=rng,
                level=plan.level,
            ),
        }
        for name, points in curves.items():
            made.setdefault(name, []).append(points(sample).assign(variant=variant))
    return {name: pd.concat(parts, ignore_index=True) for name, parts in made.items()}
