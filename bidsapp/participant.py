"""The participant level: every scan of a dataset prepared, judged and reported."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from bidsapp.contracts.job import Shared
from bidsapp.contracts.modality import modality_named
from bidsapp.dataset import validate_dataset
from bidsapp.dataset.description import shortened
from bidsapp.dataset.refusals import Refusal
from bidsapp.dataset.sources import ScanSelection, select_scans
from bidsapp.derivatives import check_output, prepare_output
from bidsapp.derivatives.atomic import make_folder
from bidsapp.derivatives.sidecars import is_finished
from bidsapp.drawing.wording import many
from bidsapp.errors import EXIT_OK, NociCastError, joint_code
from bidsapp.execution.compute import check_device
from bidsapp.execution.failures import Failure, find_failure, forget_failures
from bidsapp.execution.jobs import as_one_node
from bidsapp.execution.leftovers import forget_torn, forget_unit
from bidsapp.execution.run import Running, check_plugin, configure, run_workflow
from bidsapp.execution.work import (
    begin_work,
    check_work,
    claim,
    clean_work,
    keep_shared_work,
    own_folder,
    work_place,
)
from bidsapp.group_checks import check_native_maps
from bidsapp.image_task import Task, failed, first_tasks, given_up, outcome_of, tasks_of
from bidsapp.options import RunOptions
from bidsapp.participant_model import announced, maps_for, model_asked_for, predict, tables_for
from bidsapp.progress import Outcome, Progress
from bidsapp.recipes import Recipe, by_preparation, load_recipe, reach_variants

if TYPE_CHECKING:
    from bidsapp.dataset.new_people import NewPeople
    from bidsapp.networks.bundle import Bundle

# So many images are worked on per nipype workflow: nipype's bookkeeping grows with its square.
_BATCH = 64
# Memory in GB that a cluster is asked for where all steps of an image are one job.
_JOB_MEMORY = 4.0


def run_participant_level(options: RunOptions) -> int:
    """Prepare the images that the options select.

    Parameters
    ----------
    options
        What was asked for.

    Returns
    -------
    int
        Exit code: 0 where every image is done and none failed its quality gate; else that of the
        failures where they agree, and 1 where they do not.

    Raises
    ------
    NociCastError
        Nothing could be begun; the message says why.
    """
    if options.boilerplate_only:
        return _words(options)
    if options.reports_only:
        from bidsapp.reports.reports_only import make_again

        return make_again(options)
    bundle = model_asked_for(options)
    recipes = [bundle.recipe] if bundle else _recipes(options)
    check_device(options.device)
    check_output(options.output_dir, options.bids_dir)
    if bundle:
        from bidsapp.reports.earlier_predictions import require_own_name

        require_own_name(bundle, options.output_dir)
        check_native_maps({bundle.recipe.preparation.modality}, options)
    check_work(options)
    check_plugin(options.nipype_plugin)
    tables = tables_for(bundle, options)
    selections = [_select(options, recipes[0])]
    unchecked = replace(options, skip_bids_validation=True)  # once is enough
    selections += [_select(unchecked, recipe) for recipe in recipes[1:]]
    own = work_place(options, "participant")
    entries = (own, "template", "templateflow")
    begin_work(options, entries)
    for recipe in recipes:
        modality_named(recipe.preparation.modality).check(
            recipe.preparation, own_folder(options.work_dir)
        )
    # what is asked for can be done: only now is anything written
    prepare_output(options.output_dir, options.bids_dir, options.work_dir)
    with keep_shared_work(options):
        make_folder(own)
        code = joint_code(
            _whole_run(selection, recipe, bundle, tables, options)
            for selection, recipe in zip(selections, recipes, strict=True)
        )
    if options.clean_workdir and code == EXIT_OK:
        clean_work(options, entries)
    return code


def _recipes(options: RunOptions) -> list[Recipe]:
    """Give the recipe, or one for each preparation of the variants that are asked for."""
    recipe = load_recipe(options.recipe, options.overrides, options.variants)
    if not options.variants:
        return [recipe]
    names, _ = recipe.selected(options.variants)
    recipe, notes = reach_variants(recipe, options.overrides, names)
    for sentence in notes:
        print(sentence, file=sys.stderr)
    return [recipe.with_variant(one[0]) for one in by_preparation(recipe, names)]


def _whole_run(
    selection: ScanSelection,
    recipe: Recipe,
    bundle: "Bundle | None",
    tables: "NewPeople | None",
    options: RunOptions,
) -> int:
    """Prepare the images selected, apply the model and write the reports; gives the exit code."""
    modality = modality_named(recipe.preparation.modality)
    shared = modality.shared(recipe.preparation, own_folder(options.work_dir))
    tasks = [
        task
        for scan in selection.scans
        for task in tasks_of(scan, modality, recipe.preparation, shared, options.output_dir)
    ]
    work = own_folder(options.work_dir)
    first = [
        task
        for task in first_tasks(
            selection.scans, modality, recipe.preparation, work, options.output_dir
        )
        if not is_finished(task.names, task.provenance)
    ]
    progress = Progress(options, total=len(tasks) + len(first), prepared=modality.prepared)
    for refusal in selection.refusals:
        who = refusal.participant, refusal.session
        progress.note(Outcome.refused(*who, refusal.reason, refusal.exit_code, refusal.part))
    to_do = modality.ask([task.job for task in tasks], recipe.preparation, options.output_dir)
    if to_do:
        print(to_do, file=sys.stderr)
    waiting = _leave_out_finished(tasks, progress)
    if bundle:
        print(announced(bundle, tasks, waiting), flush=True)
        maps = maps_for(bundle, options)
        if maps and maps.unchecked:
            print(maps.unchecked, file=sys.stderr)
    running = Running.of(options, progress.crash_dir)
    configure(running)
    if waiting:
        plugin = options.nipype_plugin
        where = f"as jobs of {plugin}" if plugin else f"on {many(options.nprocs, 'CPU')}"
        count = many(len(first) + len(waiting), "image")
        print(f"{count} to {modality.verb} {where}", flush=True)
    for round_of in (first, waiting):
        _run_all(round_of, options, running, progress)
    if bundle:
        predict(bundle, tasks, modality.mask(shared), tables, options)
    code = _complete(tasks, options, shared, bundle)
    return progress.finish() or code


def _run_all(
    tasks: Sequence[Task], options: RunOptions, running: Running, progress: Progress
) -> None:
    """Prepare units in batches; none is begun after one has failed where that is to stop all."""
    size = _BATCH if options.nipype_plugin is None else max(len(tasks), 1)
    for start in range(0, len(tasks), size):
        if options.stop_on_first_crash and progress.first_code:
            for task in tasks[start:]:
                progress.note(failed(task, given_up(progress.first_code)))
            return
        claimed, locks = _claim(tasks[start : start + size], options, progress)
        if claimed:
            _run_batch(claimed, options, running, progress)
        for lock in locks:
            lock.close()


def _complete(
    tasks: Sequence[Task],
    options: RunOptions,
    shared: Shared,
    bundle: "Bundle | None",
) -> int:
    """Write what is about all participants; gives the exit code."""
    from bidsapp.reports.cohort_pages import after_run

    try:
        after_run(
            options.output_dir,
            {frozenset(shared.labels.items()): shared.outline},
            [task.names for task in tasks],
            options.command if bundle else "",
        )
    except NociCastError as error:
        print(f"nocicast: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _words(options: RunOptions) -> int:
    """Write the methods text, and say where it is."""
    from bidsapp.reports.methods_text import write_participant_words

    page = write_participant_words(options.output_dir)
    print(f"Methods text: {page.with_suffix('.md')}")
    return 0


def _select(options: RunOptions, recipe: Recipe) -> ScanSelection:
    """Validate the dataset and pick its images."""
    if not options.skip_bids_validation:
        summary = validate_dataset(options.bids_dir, options.participant_label)
        if summary.note:
            print(summary.note, file=sys.stderr)
    modality = modality_named(recipe.preparation.modality)
    sources = modality.sources_for(recipe.preparation.plain())
    parts = modality.told_parts(options.bids_dir, recipe.preparation)
    selection = select_scans(options, sources, recipe.inputs.filters, parts)
    if selection.ignored:
        listed = shortened(selection.ignored)
        print(f"Not used, as .bidsignore lists them: {listed}.", file=sys.stderr)
    return _usable(selection, recipe)


def _usable(selection: ScanSelection, recipe: Recipe) -> ScanSelection:
    """Refuse scans whose headers say that they cannot be prepared, before any other is begun."""
    modality = modality_named(recipe.preparation.modality)
    scans, refusals = [], list(selection.refusals)
    for scan in selection.scans:
        try:
            modality.check_scan(scan, recipe.preparation)
            scans.append(scan)
        except NociCastError as error:
            who = scan.participant, scan.session
            refusals.append(Refusal(*who, str(error), type(error), scan.part))
    return replace(selection, scans=tuple(scans), refusals=tuple(refusals))


def _leave_out_finished(tasks: Sequence[Task], progress: Progress) -> list[Task]:
    """Keep the tasks whose files are not there yet, or were made from or with something else."""
    waiting = []
    for task in tasks:
        if is_finished(task.names, task.provenance):
            progress.note(outcome_of(task, cached=True))
        else:
            waiting.append(task)
    return waiting


def _claim(
    tasks: Sequence[Task], options: RunOptions, progress: Progress
) -> tuple[list[Task], list[IO[str]]]:
    """Lock images for this run, leaving out those that another run works on or has just done."""
    mine, locks = [], []
    for task in tasks:
        place = work_place(options, "participant") / "locks"
        lock = claim(place, task.workflow_name)
        if lock is None:
            message = "Another run is at work on this image; wait for it and run again."
            progress.note(failed(task, Failure("", message, 75, expected=True)))
            continue
        locks.append(lock)
        mine.append(task)
    return _leave_out_finished(mine, progress), locks


def _run_batch(
    tasks: Sequence[Task],
    options: RunOptions,
    running: Running,
    progress: Progress,
) -> None:
    """Prepare some images, and say of each what became of it."""
    from nipype.pipeline.engine import Workflow

    base = work_place(options, "participant")
    as_jobs = options.nipype_plugin is not None
    whole = Workflow(name="jobs" if as_jobs else "all", base_dir=str(base))
    by_name = {task.workflow_name: task for task in tasks}
    for task in tasks:
        forget_torn(base, task.workflow_name)
        for place in ("all", "jobs"):
            forget_failures(base / place / task.workflow_name)
        modality = modality_named(task.job.modality)
        single = modality.workflow(
            task.workflow_name, task.job, task.shared, task.settings, options
        )
        if as_jobs:
            single.base_dir = str(base / "all")
            single = as_one_node(
                single, base / "jobs" / "all", cpus=options.omp_nthreads, mem_gb=_JOB_MEMORY
            )
        whole.add_nodes([single])

    def on_status(node: Any, status: str) -> None:
        name = node.name if node.name in by_name else node.fullname.split(".")[1]
        if name in by_name and status == "start":
            step = "" if node.name == name else node.name.replace("_", " ")
            progress.status.started(by_name[name].label, step)
        elif name in by_name:
            progress.status.stopped(by_name[name].label)
        if node.name in ("write", *by_name) and status == "end":
            task = by_name.pop(node.fullname.split(".")[1])
            progress.note(outcome_of(task))
            forget_unit(base, task.workflow_name)

    error = run_workflow(whole, running, on_status)
    failures = {name: _failure(base, name, error) for name in by_name}
    first = next((failure for failure in failures.values() if failure.node), None)
    for name, failure in failures.items():
        stopped = options.stop_on_first_crash and first is not None and not failure.node
        why = given_up(first.exit_code) if first and stopped else failure
        progress.note(failed(by_name[name], why))


def _failure(base: Path, name: str, error: str) -> Failure:
    """Say why an image was not finished: by a step of it, else by the job that held its steps."""
    step = find_failure(base / "all" / name, error)
    return step if step.node else find_failure(base / "jobs" / name, error)
