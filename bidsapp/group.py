"""The group level: cohort, splits, folds, held-out scores, evaluation, model; top to bottom."""

import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bidsapp.contracts.modality import modality_named
from bidsapp.derivatives import prepare_output
from bidsapp.errors import joint_code
from bidsapp.execution.failures import find_failure, forget_failures
from bidsapp.execution.run import Running, configure, run_workflow
from bidsapp.execution.status import StatusLine
from bidsapp.execution.work import (
    alone,
    begin_work,
    keep_shared_work,
    work_place,
)
from bidsapp.group_checks import check_before_work
from bidsapp.group_cohort import (
    as_images_were_made,
    check_images,
    cohort_of,
    on_one_grid,
    recorded,
    tell_columns,
)
from bidsapp.group_conclude import evaluate_run, tell_summary, write_report, write_words
from bidsapp.group_duplicates import TABLE as NEAR_DUPLICATES
from bidsapp.group_duplicates import settle_near_duplicates
from bidsapp.group_files import (
    state_files,
    write_distances,
    write_models,
    write_saliency_checks,
    write_scores,
)
from bidsapp.group_sites import by_sites
from bidsapp.group_stages import stage_outcomes
from bidsapp.group_weights import refuse_seen
from bidsapp.options import RunOptions
from bidsapp.recipes import Recipe, by_preparation, load_recipe, reach_variants

if TYPE_CHECKING:
    import pandas as pd

    from bidsapp.dataset.cohort import Cohort
    from bidsapp.saliency.group_test import VoxelNull
    from bidsapp.training.run import TrainingRun
    from bidsapp.training.stages import Outcomes
    from bidsapp.training.task import FoldTask

# What runs of all labels share in the work folder.
_SHARED_WORK = ("conformed", "template", "templateflow")


def run_group_level(options: RunOptions) -> int:
    """Train, test and evaluate across the cohort.

    Parameters
    ----------
    options
        What was asked for.

    Returns
    -------
    int
        0 where every fold is trained; else the exit code of the folds that failed.

    Raises
    ------
    NociCastError
        Nothing could be begun; the message says why.
    """
    from bidsapp.training.crossfit import crossfit_splits
    from bidsapp.training.permute_outcomes import labels_of
    from bidsapp.training.run import run_splits
    from bidsapp.training.search import check_searches

    if options.simulate:
        return _simulated(options)
    if options.model is not None:
        from bidsapp.group_validation import validate_model

        return validate_model(options)
    recipe = load_recipe(options.recipe, options.overrides, options.variants)
    label = recipe.simulation.run_label(options.run_label or recipe.name)
    folder = options.output_dir / "group" / label
    if options.boilerplate_only:
        return write_words(folder)
    if options.reports_only:
        return write_report(folder)
    if options.evaluate_only:
        return _evaluate_only(folder, options)
    variants, ensembles = recipe.selected(options.variants)
    if "all" in options.variants:
        from bidsapp.training.variants import sharing_variants

        variants, ensembles, apart = sharing_variants(recipe, variants, ensembles)
        for sentence in apart:
            print(sentence, file=sys.stderr)
    recipe, notes = reach_variants(recipe, options.overrides, variants)
    stages = recipe.stages(variants)
    for sentence in notes:
        print(sentence, file=sys.stderr)
    if options.plan:
        from bidsapp.group_plan import plan_cohort

        return plan_cohort(recipe, variants, options, lambda: cohort_of(recipe, variants, options))
    recipe = recipe.with_values({"run": [*variants, *ensembles]})
    check_before_work(recipe, variants, stages, options)
    cohort = cohort_of(recipe, variants, options)
    recipe = refuse_seen(recipe, (*stages, *variants), cohort, options)
    own_outcomes = stage_outcomes(recipe, stages, cohort, options)
    tell_columns(recipe, cohort)
    recipe = as_images_were_made(recorded(recipe, cohort), variants, cohort)
    recipe, cohort = by_sites(recipe, variants, cohort, options)
    # refused now, if they are
    splits = run_splits(recipe, variants, cohort.table, options.splits)
    crossfit_splits(recipe, variants, cohort.table, splits)
    begun = {name: own_outcomes.get(name) for name in stages}
    check_searches(recipe, variants, cohort.table, splits, begun)
    labels_of(cohort.table, recipe.evaluation.permute_within)
    begin_work(options, _SHARED_WORK)
    check_images(recipe, variants, cohort, options)
    # what is asked for can be done: only now is anything written
    prepare_output(options.output_dir, options.bids_dir, options.work_dir, options.derivatives)
    with alone(folder), keep_shared_work(options):
        if options.clean_workdir:
            shutil.rmtree(work_place(options, "group") / folder.name, ignore_errors=True)
        return _whole_run(recipe, variants, cohort, own_outcomes, folder, options)


def _simulated(options: RunOptions) -> int:
    """Run the pipeline with a cuboid of each contrast, and draw what it found."""
    from bidsapp.reports.run.sensitivity import draw_sensitivity
    from bidsapp.simulation import simulate

    code, curve = simulate(options, run_group_level)
    for figure in draw_sensitivity(curve) if curve else ():
        print(f"Drawn: {figure}")
    return code


def _whole_run(
    recipe: Recipe,
    variants: Sequence[str],
    people: "Cohort",
    own_outcomes: "Mapping[str, Outcomes]",
    folder: Path,
    options: RunOptions,
) -> int:
    """Do everything from the people to the report; gives the exit code."""
    from bidsapp.dataset.tables import write_table
    from bidsapp.dataset.unchanged import require_unchanged
    from bidsapp.representation.measures import write_measures
    from bidsapp.saliency.missing_maps import note_finished, note_unfinished
    from bidsapp.simulation import simulated_cohort
    from bidsapp.training.crossfit import crossfit, crossfit_cost
    from bidsapp.training.placement import write_placements
    from bidsapp.training.search_run import search_cost, search_settings

    cohort, masks = on_one_grid(people, recipe, variants, options)
    template_mask = masks[variants[0]]
    place = work_place(options, "group") / folder.name
    cohort, alike, prints = settle_near_duplicates(
        cohort, recipe, variants, template_mask, options.splits, place, options.nprocs
    )
    cohort = simulated_cohort(cohort, recipe, variants, place / "planted")
    training, splits = state_files(recipe, variants, cohort, folder, options)
    training = replace(training, stage_outcomes=own_outcomes)
    write_table(folder / NEAR_DUPLICATES, alike)
    (note_unfinished if options.saliency else note_finished)(folder)
    modality = modality_named(recipe.with_variant(variants[0]).preparation.modality)
    write_measures(cohort, template_mask, folder, recipe.evaluation.baselines, modality)
    tasks = _tasks(training, cohort, splits, masks, options)
    for read in (people, *people.beside.values()):
        require_unchanged(read.files)
    if cost := crossfit_cost(recipe, variants, [task.variant for task in tasks]):
        print(cost, flush=True)
    groups = int(cohort.table["group"].nunique()) if "group" in cohort.table else 0
    if cost := search_cost(recipe, training.trained, groups):
        print(cost, flush=True)
    tasks, unsettled = search_settings(training, tasks, options, folder)
    failed = unsettled | (_train(training, tasks, options, folder) if tasks else {})
    done = [t for t in tasks if t.variant in training.variants and t.variant not in failed]
    if not done:
        return _tell_failures(failed)
    write_scores(training, done, folder)
    write_placements(done, cohort, options.bids_dir, place / "placements", folder)
    familiar = write_distances(done, cohort, folder)
    without = crossfit(training, done, cohort.table, splits, options, folder)
    code = evaluate_run(folder) or _tell_failures(without, "the added value of {} is not measured")
    anonymous = options.anonymous_bundle
    write_models(training, done, cohort, folder, prints, familiar, anonymous=anonymous)
    if options.saliency:
        code = _explain(training, done, cohort, masks, options) or code
        note_finished(folder)
    write_saliency_checks(sorted({task.variant for task in done}), folder)
    if recipe.evaluation.pipeline_permutations:  # last, as they take the longest
        code = _permute(training, done, cohort, masks, options) or code
    tell_summary(folder)
    write_words(folder)
    write_report(folder)
    return _tell_failures(failed) or code


def _evaluate_only(folder: Path, options: RunOptions) -> int:
    """Compute again what follows from the scores of a run, with the settings that it keeps."""
    from bidsapp.training.earlier_run import require_run

    require_run(folder, options.overrides, options.variants)
    with alone(folder):
        code = evaluate_run(folder)
        tell_summary(folder)
        return write_words(folder) or write_report(folder) or code


def _tasks(
    training: "TrainingRun",
    cohort: "Cohort",
    splits: "pd.DataFrame",
    masks: Mapping[str, Path],
    options: RunOptions,
) -> list["FoldTask"]:
    from bidsapp.dataset.beside import seen_by
    from bidsapp.representation.sample import cohort_rows
    from bidsapp.training.run import fold_tasks

    return fold_tasks(
        training,
        cohort_rows(cohort),
        splits,
        masks[training.variants[0]],
        others={name: (cohort_rows(seen_by(cohort, name)), masks[name]) for name in cohort.beside},
        device=options.device,
        threads=options.omp_nthreads,
        weights=options.weights,
        mem_gb=options.mem_gb,
    )


def _train(
    training: "TrainingRun", tasks: Sequence["FoldTask"], options: RunOptions, folder: Path
) -> dict[str, tuple[str, int]]:
    """Train and score every fold; gives the variants that are not whole, with reason and code."""
    from bidsapp.training.fold_memory import fold_memory, warn_of_memory
    from bidsapp.training.fold_node import WORKERS_IMPORT
    from bidsapp.training.run import forget_other_folds, node_name, training_workflow
    from bidsapp.training.same_network import shared_words, trained_by

    forget_other_folds(tasks)
    forget_failures(training.folder / "training")
    running = Running.of(options, folder / "logs")
    configure(running)
    by_name = {node_name(task): task for task in tasks}
    again = trained_by(tasks)
    shared = f" ({words})" if (words := shared_words(tasks)) else ""
    print(
        f"{len(tasks) - len(again)} networks{shared}; those that are trained already are kept",
        flush=True,
    )
    warn_of_memory(tasks, options.mem_gb)
    memory = fold_memory(tasks, options.mem_gb)
    workflow = training_workflow(training, tasks, "training", memory)
    by_label = {task.label: task for task in tasks}
    verbose = options.verbose > 0
    with StatusLine(
        len(tasks), "folds", every=verbose, draw=False, share=lambda label: by_label[label].share
    ) as line:

        def on_status(node: Any, status: str) -> None:
            line.noted(by_name[node.name].label, status)

        error = run_workflow(workflow, running, on_status, WORKERS_IMPORT)
    failed: dict[str, tuple[str, int]] = {}
    for place, task in enumerate(tasks):
        scored = task.scores_file.is_file() or task.variant in training.stages
        if not (scored and task.record_file.is_file()):
            # where what it was to begin with failed, it was never begun itself
            begun = [task, *again.get(place, task).chain()]
            own = [one for one in begun if by_name.get(node_name(one), task).label == one.label]
            lacking = [one for one in own if not one.record_file.is_file()] or [task]
            failure = find_failure(training.folder / "training" / node_name(lacking[-1]), error)
            reason = f"{lacking[-1].label}: {failure.message}"
            failed.setdefault(task.variant, (reason, failure.exit_code))
    return failed


def _tell_failures(failed: dict[str, tuple[str, int]], what: str = "variant {} is left out") -> int:
    """Say which variants are not whole; gives the exit code."""
    for variant, (reason, _) in failed.items():
        print(f"{what.format(variant)}: {reason.splitlines()[0]}", file=sys.stderr)
    return joint_code(code for _, code in failed.values())


def _permute(
    training: "TrainingRun",
    tasks: Sequence["FoldTask"],
    cohort: "Cohort",
    masks: Mapping[str, Path],
    options: RunOptions,
) -> int:
    """Repeat everything on permuted outcomes, and compare scores and maps with what that gives."""
    from bidsapp.dataset.beside import seen_by
    from bidsapp.saliency.permuted_maps import beside, comparable, read_nulls
    from bidsapp.training.permuted import permute_pipeline

    folder = training.recipe_file.parent
    own = {task.variant: masks[task.variant] for task in tasks} if options.saliency else {}
    mapped = comparable(own)
    if apart := [name for name in own if name not in mapped]:
        print(
            f"Permuted pipelines: maps of {', '.join(apart)} are not compared, as they lie over "
            "people's own scans.",
            file=sys.stderr,
        )
    tables = {name: seen_by(cohort, name).table for name in mapped if name in cohort.beside}
    maps = beside(training, mapped, tables) if mapped else None
    runs = permute_pipeline(training, tasks, cohort.table, options, folder, maps)
    code = evaluate_run(folder)
    if mapped:
        nulls = read_nulls(runs, mapped)
        code = _explain(training, tasks, cohort, masks, options, nulls) or code
    return code


def _explain(
    training: "TrainingRun",
    tasks: Sequence["FoldTask"],
    cohort: "Cohort",
    masks: Mapping[str, Path],
    options: RunOptions,
    nulls: "Mapping[str, VoxelNull] | None" = None,
) -> int:
    """Map what moves the networks' answers, for the people whom they had not seen."""
    from bidsapp.dataset.beside import seen_by
    from bidsapp.saliency.run import explain
    from bidsapp.simulation import stamp_maps
    from bidsapp.training.fold_memory import fold_memory

    memory = fold_memory(tasks, options.mem_gb)
    codes = []
    for names in by_preparation(training.recipe, list(dict.fromkeys(t.variant for t in tasks))):
        own, table = [t for t in tasks if t.variant in names], seen_by(cohort, names[0]).table
        codes.append(explain(training, own, table, masks[names[0]], options, memory, nulls))
    code = joint_code(codes)
    stamp_maps(training.recipe_file.parent / "saliency", training.recipe.simulation.stamp)
    return code
