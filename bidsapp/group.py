"""The group level: cohort, splits, folds, held-out scores, evaluation, model; top to bottom."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bidsapp.dataset import check_dataset
from bidsapp.derivatives import prepare_output, write_text
from bidsapp.derivatives.atomic import make_folder
from bidsapp.errors import BadData, NoInput, UsageError
from bidsapp.execution.failures import find_failure, forget_failures
from bidsapp.execution.run import Running, configure, run_workflow
from bidsapp.execution.status import StatusLine
from bidsapp.execution.work import prepare_work, work_place
from bidsapp.normalization.compute import check_device
from bidsapp.options import RunOptions
from bidsapp.recipes import Recipe, dump_recipe, leaks, load_recipe

if TYPE_CHECKING:
    import pandas as pd

    from bidsapp.dataset.cohort import Cohort
    from bidsapp.training.study import Study
    from bidsapp.training.task import FoldTask

# Memory in GB to plan for one fold: batch 6 of a full-size ResNet-18 and of a compact network.
_FOLD_MEMORY = {1: 14.0, 2: 3.0}
_NEEDS_NO_FILE = " For a study of your own, --recipe t1w needs no such file."


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
    recipe = load_recipe(options.recipe, options.overrides)
    folder = options.output_dir / "group" / (options.run_label or recipe.name)
    if options.boilerplate_only:
        return _words(folder)
    if options.reports_only:
        return _report(folder)
    if options.evaluate_only:
        return _evaluate_only(folder, options.overrides)
    variants, ensembles = recipe.selected(options.variants)
    recipe = recipe.with_values({"run": [*variants, *ensembles]})
    _check_before_work(recipe, variants, options)
    prepare_output(options.output_dir, options.bids_dir, options.work_dir, options.derivatives)
    own = Path("group") / folder.name
    prepare_work(options, (own, "conformed", "template", "templateflow"))
    make_folder(options.work_dir)

    cohort, template_mask = _cohort(recipe, variants, options)
    study, splits = _state_files(recipe, variants, cohort, folder, options)
    tasks = _tasks(study, cohort, splits, template_mask, options)
    failed = _train(study, tasks, options, folder)
    done = [task for task in tasks if task.variant not in failed]
    if not done:
        return _tell_failures(failed)
    _write_scores(study, done, folder)
    code = _evaluate(folder)
    _write_models(study, done, cohort, folder)
    if options.saliency:
        code = _explain(study, done, cohort, template_mask, folder, options) or code
    _summary(folder)
    _words(folder)
    _report(folder)
    return _tell_failures(failed) or code


def _evaluate_only(folder: Path, overrides: Sequence[str]) -> int:
    """Compute again what follows from the scores of a run, with the settings that it keeps."""
    from bidsapp.training.earlier import require_run

    require_run(folder, overrides)
    code = _evaluate(folder)
    _summary(folder)
    return _words(folder) or _report(folder) or code


def _check_before_work(recipe: Recipe, variants: Sequence[str], options: RunOptions) -> None:
    """Refuse at once what can be known to be wrong."""
    from bidsapp.representation.scope import check_scopes
    from bidsapp.representation.spec import fitted_steps as representation_steps
    from bidsapp.training.scopes import fitted_steps as training_steps
    from bidsapp.training.study import check_variants

    check_dataset(options.bids_dir)
    if recipe.outcome.column is None and recipe.outcome.expression is None:
        raise UsageError(
            f"recipe {recipe.name} leaves the outcome to you: give --outcome COLUMN "
            "--positive VALUE, or outcome.expression in a recipe of your own."
        )
    check_variants(recipe, variants)
    for name in variants:
        one = recipe.with_variant(name)
        steps = (*representation_steps(one.representation), *training_steps(one.training))
        check_scopes(steps, one.mode)
    _check_weights(recipe, variants, options)
    check_device(options.device)


def _check_weights(recipe: Recipe, variants: Sequence[str], options: RunOptions) -> None:
    """Require a sound file of pretrained weights where a variant begins with it, and only there."""
    from bidsapp.networks.weights import check_weights, weights_file

    chosen = [recipe.with_variant(name) for name in variants]
    needing = [one for one in chosen if one.network.weights != "random"] or chosen[:1]
    kinds = {
        (one.network.model_dump_json(), len(one.representation.channels)): one for one in needing
    }
    for one in kinds.values():
        try:
            file = weights_file(one.network, options.weights)
            check_weights(one.network, len(one.representation.channels), file)
        except (BadData, NoInput, UsageError) as error:
            hint = "" if recipe.name == "t1w" else _NEEDS_NO_FILE
            raise type(error)(f"Recipe {recipe.name}: {error}{hint}") from error


def _cohort(recipe: Recipe, variants: Sequence[str], options: RunOptions) -> tuple["Cohort", Path]:
    """Who is in, with which images; and the template's brain mask on their grid."""
    from bidsapp.dataset.cohort import build_cohort
    from bidsapp.normalization.conform import conform_cohort
    from bidsapp.normalization.template_images import prepare_mask, prepare_template
    from bidsapp.templates import resolve_template

    first = recipe.with_variant(variants[0])
    channels: list[str] = []
    for name in variants:
        channels += recipe.with_variant(name).representation.channels
    wanted = first.normalization
    template = resolve_template(wanted.template, home=options.work_dir / "templateflow")
    cohort = build_cohort(
        options.bids_dir,
        options.output_dir,
        first.outcome,
        template=template.label,
        resolution=wanted.resolution,
        suffix=first.inputs.suffix,
        channels=tuple(dict.fromkeys(channels)),
        group_column=first.protocol.groups,
        derivatives=options.derivatives,
        participant_label=options.participant_label,
        session_label=options.session_label,
        threads=options.nprocs,
    )
    for note in cohort.notes:
        print(note, file=sys.stderr)
    images = prepare_template(template, wanted, options.work_dir / "template")
    cohort = conform_cohort(cohort, images.output, wanted.intensity, options.work_dir / "conformed")
    return cohort, prepare_mask(images.output)


def _state_files(
    recipe: Recipe,
    variants: Sequence[str],
    cohort: "Cohort",
    folder: Path,
    options: RunOptions,
) -> tuple["Study", "pd.DataFrame"]:
    """Write recipe, cohort, exclusions and splits: all that the run hangs on."""
    from bidsapp.dataset.tables import write_table
    from bidsapp.training.earlier import changes, set_aside
    from bidsapp.training.study import Study, study_splits

    splits = study_splits(recipe, variants, cohort.table, options.splits)
    different = changes(folder, recipe, cohort.table, splits, options.weights)
    if different:
        print(f"{folder} holds a run that differs from this one in", file=sys.stderr)
        print(*(f"  {one}" for one in different), sep="\n", file=sys.stderr)
        moved = set_aside(folder)
        print(f"It is kept as {moved}; remove it if it is not needed.", file=sys.stderr)
    make_folder(folder)
    study = Study(
        recipe=recipe,
        variants=tuple(variants),
        recipe_file=folder / "recipe.yaml",
        cohort_file=folder / "cohort.tsv",
        splits_file=folder / "splits.tsv",
        folder=work_place(options, "group") / folder.name,
    )
    write_text(study.recipe_file, dump_recipe(recipe))
    write_table(study.cohort_file, cohort.table)
    write_table(folder / "exclusions.tsv", cohort.exclusions)
    write_table(study.splits_file, splits)
    positive = int(cohort.table["outcome"].sum())
    print(
        f"Cohort: {len(cohort.table)} scans, {positive} positive, "
        f"{len(cohort.table) - positive} negative; {len(cohort.exclusions)} excluded "
        f"({folder / 'exclusions.tsv'})."
    )
    return study, splits


def _tasks(
    study: "Study",
    cohort: "Cohort",
    splits: "pd.DataFrame",
    template_mask: Path,
    options: RunOptions,
) -> list["FoldTask"]:
    from bidsapp.representation.sample import CohortRow
    from bidsapp.training.study import fold_tasks

    rows = []
    for scan in cohort.files:
        images = {"t1w": scan.image}
        if scan.log_jacobian is not None:
            images["log_jacobian"] = scan.log_jacobian
        rows.append(CohortRow(scan.participant_id, scan.session_id, images))
    return fold_tasks(
        study,
        rows,
        splits,
        template_mask,
        device=options.device,
        threads=options.omp_nthreads,
        weights=options.weights,
    )


def _train(
    study: "Study", tasks: Sequence["FoldTask"], options: RunOptions, folder: Path
) -> dict[str, tuple[str, int]]:
    """Train and score every fold; gives the variants that are not whole, with reason and code."""
    from bidsapp.training.study import forget_other_folds, node_name, training_workflow

    forget_other_folds(tasks)
    forget_failures(study.folder / "training")
    running = Running.of(options, folder / "logs")
    configure(running)
    by_name = {node_name(task): task for task in tasks}
    line = StatusLine(len(tasks), "folds", every=options.verbose > 0, draw=False)

    def on_status(node: Any, status: str) -> None:
        label = by_name[node.name].label
        if status != "start":
            word = "done" if status == "end" else "failed"
            line.finished(label, word, trouble=word == "failed")

    stride = max(task.recipe.network.stem_stride for task in tasks)
    workflow = training_workflow(study, tasks, "training", _FOLD_MEMORY[stride])
    error = run_workflow(workflow, running, on_status)
    failed: dict[str, tuple[str, int]] = {}
    for name, task in by_name.items():
        if not (task.scores_file.is_file() and task.record_file.is_file()):
            failure = find_failure(study.folder / "training" / name, error)
            failed.setdefault(task.variant, (f"{task.label}: {failure.message}", failure.exit_code))
    return failed


def _tell_failures(failed: dict[str, tuple[str, int]]) -> int:
    """Say which variants are not whole; gives the exit code."""
    for variant, (reason, _) in failed.items():
        print(f"variant {variant} is left out: {reason.splitlines()[0]}", file=sys.stderr)
    codes = {code for _, code in failed.values()}
    return 0 if not codes else codes.pop() if len(codes) == 1 else 1


def _write_scores(study: "Study", tasks: Sequence["FoldTask"], folder: Path) -> None:
    """Write the held-out scores, and the loss curves; stamped where a variant leaks."""
    from bidsapp.dataset.tables import write_table
    from bidsapp.evaluation.stamp import leaks_into_scores
    from bidsapp.training.earlier import forget_results, read_text_table, same_scores
    from bidsapp.training.study import gather_history, gather_scores

    scores, history = gather_scores(tasks), gather_history(tasks)
    found = {
        name: leaks_into_scores(list(leaks(study.recipe.with_variant(name))))
        for name in study.variants
    }
    if any(found.values()):
        stamps = {name: "LEAK: " + ", ".join(steps) for name, steps in found.items() if steps}
        for table in (scores, history):
            table["leak"] = table["variant"].map(stamps).fillna("")
    before = read_text_table(folder / "scores.tsv")
    write_table(folder / "scores.tsv", scores)
    write_table(folder / "history.tsv", history)
    forget_results(folder, same_scores(before, read_text_table(folder / "scores.tsv")))


def _evaluate(folder: Path) -> int:
    """Compute everything that follows from the state files."""
    from bidsapp.evaluation.evaluate import evaluate

    evaluate(folder)
    return 0


def _write_models(
    study: "Study", tasks: Sequence["FoldTask"], cohort: "Cohort", folder: Path
) -> None:
    """Write one bundle per variant."""
    from bidsapp.evaluation.pooled import doubts, pooled_results, subgroup_results
    from bidsapp.evaluation.stamp import leaks_into_scores
    from bidsapp.networks.bundle import FoldModel
    from bidsapp.networks.bundle_write import ModelFacts, write_bundle
    from bidsapp.representation.zscore import ZScore
    from bidsapp.training.study import seen_images

    people = cohort.table.drop_duplicates("participant_id")
    for name in dict.fromkeys(task.variant for task in tasks):
        own = [task for task in tasks if task.variant == name]
        models, environments, weights = [], [], {}
        for task in own:
            record = json.loads(task.record_file.read_text(encoding="utf-8"))
            weights = record["weights"]
            zscore = ZScore.from_dict(record["zscore"])
            models.append(FoldModel(task.repeat, task.fold, task.model_file, zscore))
            environments += record["environments"]
        recipe = study.recipe.with_variant(name)
        found = leaks_into_scores(list(leaks(recipe)))
        facts = ModelFacts(
            name=f"{folder.name}-{name}",
            participants=len(people),
            scans=len(cohort.table),
            positive=int(people["outcome"].sum()),
            held_out=pooled_results(folder, name),
            stamps=tuple(f"LEAK: {step}" for step in found),
            data_source="the cohort listed in cohort.tsv of the run",
            environments=environments,
            weights=weights,
            excluded=len(cohort.exclusions),
            subgroups=subgroup_results(folder, name),
            doubts=doubts(folder, name),
        )
        seen = seen_images(own, cohort)
        write_bundle(folder / "model" / name, recipe, own[0].images.window, models, facts, seen)


def _explain(
    study: "Study",
    tasks: Sequence["FoldTask"],
    cohort: "Cohort",
    template_mask: Path,
    folder: Path,
    options: RunOptions,
) -> int:
    """Map what moves the networks' answers, for the people whom they had not seen."""
    from bidsapp.saliency.run import Explaining, explain
    from bidsapp.templates import resolve_template

    wanted = tasks[0].recipe.normalization
    about = Explaining(
        cohort=cohort.table,
        mask=template_mask,
        output_dir=options.output_dir,
        folder=folder,
        template_label=resolve_template(
            wanted.template, home=options.work_dir / "templateflow"
        ).label,
        resolution=wanted.resolution,
        memory_gb=_FOLD_MEMORY[max(task.recipe.network.stem_stride for task in tasks)],
        native=options.native_maps,
    )
    return explain(study, tasks, about, Running.of(options, folder / "logs"))


def _summary(folder: Path) -> None:
    """Print what the evaluation found, in its own sentences."""
    from bidsapp.evaluation.tables import read_table

    for text in read_table(folder / "tables" / "findings.tsv", ("kind", "text"))["text"]:
        print(text)
    print(f"All numbers: {folder / 'metrics.tsv'}; models: {folder / 'model'}")


def _report(folder: Path) -> int:
    """Write the report of the run, and say where it is."""
    from bidsapp.reports.group_report import write_group_report

    print(f"Report: {write_group_report(folder)}")
    return 0


def _words(folder: Path) -> int:
    """Write the methods text, and say where it is."""
    from bidsapp.reports.methods_text import write_group_words

    print(f"Methods text: {write_group_words(folder).with_suffix('.md')}")
    return 0
