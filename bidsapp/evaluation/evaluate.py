"""Evaluate a run from its state files alone: every table, and the numbers behind every figure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from bidsapp.contracts.unit import unit_columns
from bidsapp.evaluation.added_value_tables import added_sentences, added_values
from bidsapp.evaluation.baseline_models import BASELINES
from bidsapp.evaluation.baselines import baseline_scores
from bidsapp.evaluation.best_fold import best_fold_table
from bidsapp.evaluation.calibration import calibration_points
from bidsapp.evaluation.cohort_table import held_out_people, positives_and_negatives
from bidsapp.evaluation.comparisons import compare_variants
from bidsapp.evaluation.confounding_columns import with_columns
from bidsapp.evaluation.confounds import confound_check
from bidsapp.evaluation.curves import decision_curve, precision_recall_points, roc_points
from bidsapp.evaluation.ensembles import with_ensembles
from bidsapp.evaluation.findings import findings
from bidsapp.evaluation.held_out import HeldOut, held_out, splits_behind
from bidsapp.evaluation.image_flags import with_flags
from bidsapp.evaluation.metric_table import metric_table, variant_generator
from bidsapp.evaluation.missing_outcomes import missing_outcomes
from bidsapp.evaluation.other_runs import other_runs, tried
from bidsapp.evaluation.permutation import permute_outcomes, pipeline_test, read_permuted
from bidsapp.evaluation.placement import placement_tables
from bidsapp.evaluation.planning import planning_table
from bidsapp.evaluation.prevalence import sample_at
from bidsapp.evaluation.printed import compare_with_print
from bidsapp.evaluation.run_answers import run_answers
from bidsapp.evaluation.sample import (
    Sample,
    absent_columns,
    from_scores,
    subgroup_masks,
    subgroups_by,
)
from bidsapp.evaluation.searched import search_tables
from bidsapp.evaluation.separation import separation_table
from bidsapp.evaluation.settings import EvaluationSettings, settings_of_run
from bidsapp.evaluation.sites import site_table
from bidsapp.evaluation.stamp import stamp
from bidsapp.evaluation.state import RunState, read_state
from bidsapp.evaluation.thresholds import cutoffs
from bidsapp.evaluation.tsv import as_written, write_table
from bidsapp.evaluation.unusual import unusual_images
from bidsapp.training.permute_outcomes import labels_of

_CURVE_RESAMPLES = 1000


@dataclass(frozen=True)
class EvaluationResult:
    """Everything an evaluation found.

    Attributes
    ----------
    metrics
        Rows of `metrics.tsv`: networks, ensembles and baselines.
    tables
        Name -> table, as written under `tables/`.
    figures
        Name -> the numbers behind a figure, as written under `figures/`.
    """

    metrics: pd.DataFrame
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    figures: dict[str, pd.DataFrame] = field(default_factory=dict)


def evaluate(run_folder: Path, settings: EvaluationSettings | None = None) -> EvaluationResult:
    """Recompute everything that follows from the scores, and write it into the run's folder.

    Reads `recipe.yaml`, `cohort.tsv`, `exclusions.tsv`, `splits.tsv`, `scores.tsv`; writes
    `metrics.tsv`, `tables/*.tsv` and `figures/*.tsv`. The same files and settings give the same
    numbers. Beside them it counts the other runs of the output folder on the same people.

    Parameters
    ----------
    run_folder
        ``<output_dir>/group/<run label>``.
    settings
        Absent, they are read from the folder's `recipe.yaml`.

    Raises
    ------
    NoInput, BadData
        A state file is missing or wrong; see `state.read_state`.
    """
    folder = Path(run_folder)
    plan = settings or settings_of_run(folder)
    result = evaluate_state(read_state(folder), plan)
    write_table(result.metrics, folder / "metrics.tsv")
    for name, table in result.tables.items():
        write_table(table, folder / "tables" / f"{name}.tsv")
    for name, table in result.figures.items():
        write_table(table, folder / "figures" / f"{name}.tsv")
    return result


def evaluate_state(state: RunState, plan: EvaluationSettings) -> EvaluationResult:
    """Evaluate a run that was read; nothing is written."""
    networks = with_ensembles(state.scores, plan.ensembles, plan.threshold)
    variants = [str(name) for name in networks["variant"].drop_duplicates()]
    lacking = absent_columns(list(state.cohort.columns), plan.subgroups)
    columns = [name for name in plan.subgroups if subgroups_by(name) not in lacking]
    subgroup = subgroup_masks(state.cohort, networks, columns)
    fitted, unfitted = baseline_scores(
        state.measured, state.splits, plan.baselines, plan.predictors, plan.site, plan.base
    )
    skipped = {f"baseline {name}": why for name, why in unfitted.items()}
    skipped |= lacking
    baselines = [str(name) for name in fitted["variant"].drop_duplicates()]
    scores = pd.concat([networks, fitted], ignore_index=True) if baselines else networks
    inner = None
    if state.inner is not None:
        inner = with_ensembles(state.inner, _whole(plan.ensembles, state.inner), plan.threshold)
    metrics = metric_table(networks, state.splits, plan, subgroup, state.groups, inner)
    if baselines:
        own = metric_table(fitted, state.splits, plan, groups=state.groups)
        metrics = pd.concat([metrics, own], ignore_index=True)
    layouts = {
        str(name): held_out(rows, splits_behind(state.splits, str(name), plan), state.groups)
        for name, rows in scores.groupby("variant", sort=False)
    }
    added = added_values(state, plan, layouts)
    if len(added.scores):
        own = metric_table(added.scores, state.splits, plan, groups=state.groups)
        metrics = pd.concat([metrics, own], ignore_index=True)
    skipped |= added.skipped
    permutations, null = _permutations(networks, state.cohort, plan, layouts)
    pipeline, pipeline_null = pipeline_test(networks, read_permuted(state), plan, layouts)
    pairs = _pairs(variants, baselines)
    tests = list(dict.fromkeys((*plan.tests, "delong")))  # baselines are judged by the AUC
    compared = compare_variants(
        scores, tests, plan.threshold, plan.level, pairs, layouts, baselines
    )
    confounds, rivals = (
        confound_check(scores, compared, variants, _of_kind(baselines, kind), plan.level, layouts)
        for kind in (True, False)
    )
    known = with_flags(state.cohort, state.measured)
    alone = separation_table(known, plan.level)
    confounds = with_columns(confounds, known, state, networks, variants, alone, plan, layouts)
    best = _best_folds(networks, plan)
    people = state.cohort.groupby("participant_id")["outcome"].max()  # as before training
    positives = int(people.sum())
    beside = other_runs(state.folder, state.cohort)
    tables: dict[str, pd.DataFrame] = {
        "findings": findings(
            *(as_written(metrics), variants, scores, as_written(confounds), as_written(rivals)),
            *((as_written(permutations), as_written(pipeline)), skipped, plan, layouts),
            *(tried(beside), as_written(alone), as_written(compared)),
            added_sentences(as_written(added.table), plan),
        ),
        "comparisons": compared[compared["test"].isin(plan.tests)],
        "permutations": _together(permutations, pipeline),
        "columns": alone,
        "confounds": confounds,
        "baselines": rivals,
        "cohort": positives_and_negatives(state.cohort, state.covariates),
        **held_out_people(
            state.cohort, splits_behind(state.splits, variants[0], plan), state.covariates
        ),
        "planning": planning_table(
            positives, len(people) - positives, plan.level, _inflation(layouts, variants, plan)
        ),
        "printed": compare_with_print(
            plan.reported,
            metrics,
            best,
            cutoffs=cutoffs(networks, lambda name: plan.of(name).fitted_threshold, inner),
        ),
        "ensemble_scores": networks[~networks["variant"].isin(state.scores["variant"])],
        "baseline_scores": fitted,
        "other_runs": beside,
    }
    tables |= added.tables
    if len(sites := site_table(state, plan)):
        tables["sites"] = sites
    lost, told = missing_outcomes(state, networks, plan)
    placed, sentences = placement_tables(state, networks, plan)
    tables |= lost | placed
    unusual, named = unusual_images(state.measured, state.splits)
    tables |= unusual
    answers, coverage, abstained = run_answers(state, plan)
    tables |= answers
    searches, settled = search_tables(state.folder, state.scores)
    tables |= searches
    further = [*(("placement", text) for text in sentences), *[("lost", told)] * bool(told)]
    further += [("unusual", text) for text in named]
    further += [("abstain", text) for text in abstained]
    further += [("search", text) for _, text in settled]
    if further:
        more = pd.DataFrame(further, columns=pd.Index(["kind", "text"]))
        tables["findings"] = pd.concat([tables["findings"], more], ignore_index=True)
    if best is not None:
        tables["best_fold"] = best
    figures = {
        "roc": _curves(scores, roc_points, plan),
        "precision_recall": _curves(scores, precision_recall_points, plan),
        "calibration": _curves(
            scores,
            partial(calibration_points, level=plan.level, prevalence=plan.prevalence),
            plan,
        ),
        "decision_curve": _decision_curves(scores, plan),
        "permutation_null": null,
        **coverage,
    }
    if len(pipeline_null):
        figures["pipeline_null"] = pipeline_null
    return EvaluationResult(
        stamp(metrics, plan),
        {n: table if n == "findings" else stamp(table, plan) for n, table in tables.items()},
        {name: stamp(table, plan) for name, table in figures.items()},
    )


def _whole(ensembles: Mapping[str, Any], inner: pd.DataFrame) -> dict[str, Any]:
    """Ensembles of which every member has scores of an inner split."""
    there = set(inner["variant"])
    return {name: (of, rule) for name, (of, rule) in ensembles.items() if set(of) <= there}


def _inflation(
    layouts: Mapping[str, HeldOut], variants: Sequence[str], plan: EvaluationSettings
) -> float:
    """Give the inflation of the variant that a report leads with."""
    return layouts[plan.base if plan.base in variants else variants[0]].inflation


def _of_kind(names: Sequence[str], confound: bool) -> list[str]:
    kind = {name: BASELINES[name.rpartition("/")[2]] for name in names}
    return [
        name
        for name, baseline in kind.items()
        if baseline.confound == confound and not name.endswith("majority")
    ]


def _pairs(variants: Sequence[str], baselines: Sequence[str]) -> list[tuple[str, str]]:
    rivals = [name for name in baselines if not name.endswith("majority")]
    pairs = [(a, b) for i, a in enumerate(variants) for b in variants[i + 1 :]]
    return pairs + [(variant, rival) for variant in variants for rival in rivals]


def _permutations(
    scores: pd.DataFrame,
    cohort: pd.DataFrame,
    plan: EvaluationSettings,
    layouts: Mapping[str, HeldOut],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Table of p values, and the AUCs under permutation of each variant."""
    records, nulls = [], []
    labels = labels_of(cohort, plan.permute_within)
    if labels is not None:
        unit = unit_columns(cohort)
        keyed = labels.set_axis(pd.MultiIndex.from_frame(cohort[unit]))
        labels = keyed.reindex(pd.MultiIndex.from_frame(scores[unit])).set_axis(scores.index)
    named = ", ".join(plan.permute_within)
    if "permutation" in plan.tests:
        for variant, rows in scores.groupby("variant", sort=False):
            rng = variant_generator(plan.seed + 1, str(variant))
            how = layouts[str(variant)]
            found = permute_outcomes(rows, plan.permutations, rng, how, labels, named)
            records.append(
                (variant, found.observed, found.p, len(found.null), found.method, found.note)
            )
            nulls.append(pd.DataFrame({"variant": variant, "auc": found.null}))
    names = ["variant", "auc", "p", "permutations", "method", "note"]
    empty = pd.DataFrame(columns=pd.Index(["variant", "auc"]))
    table = pd.DataFrame(records, columns=pd.Index(names))
    return table, pd.concat(nulls, ignore_index=True) if nulls else empty


def _together(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """One below the other; the first alone where the second is empty."""
    return pd.concat([first, second], ignore_index=True) if len(second) else first


def _best_folds(scores: pd.DataFrame, plan: EvaluationSettings) -> pd.DataFrame | None:
    tables = []
    for variant, rows in scores.groupby("variant", sort=False):
        own = plan.of(str(variant))
        if own.best_fold:
            rng = variant_generator(plan.seed + 2, str(variant))
            table = best_fold_table(rows, own.threshold, plan.permutations, rng)
            tables.append(table.assign(variant=variant, scope="best_fold"))
    return pd.concat(tables, ignore_index=True) if tables else None


def _curves(
    scores: pd.DataFrame, points: Callable[[Sample], pd.DataFrame], plan: EvaluationSettings
) -> pd.DataFrame:
    """Points of a pooled curve for every variant and baseline."""
    tables = [
        points(from_scores(rows, plan.threshold)).assign(variant=variant)
        for variant, rows in scores.groupby("variant", sort=False)
    ]
    return pd.concat(tables, ignore_index=True)


def _decision_curves(scores: pd.DataFrame, plan: EvaluationSettings) -> pd.DataFrame:
    tables = []
    for variant, rows in scores.groupby("variant", sort=False):
        rng = variant_generator(plan.seed + 3, str(variant))
        sample = from_scores(rows, plan.threshold)
        prevalence = plan.prevalence if 0 < sample.positives < sample.n else None
        if prevalence is not None:
            sample = sample_at(sample, prevalence)
        resamples = min(plan.resamples, _CURVE_RESAMPLES)
        table = decision_curve(
            sample, resamples=resamples, rng=rng, level=plan.level, prevalence=prevalence
        )
        tables.append(table.assign(variant=variant))
    return pd.concat(tables, ignore_index=True)
