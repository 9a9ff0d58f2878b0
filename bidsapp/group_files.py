"""What a group run writes as it goes: its state files, its held-out scores, its models."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bidsapp.contracts.fitted import stamp_text
from bidsapp.derivatives import write_text
from bidsapp.derivatives.atomic import make_folder
from bidsapp.derivatives.shown import Hidden
from bidsapp.execution.work import work_place
from bidsapp.intake.json_text import read_own_json
from bidsapp.options import RunOptions
from bidsapp.recipes import Recipe, dump_recipe

if TYPE_CHECKING:
    import pandas as pd

    from bidsapp.contracts.calibrated import Calibrated
    from bidsapp.dataset.cohort import Cohort
    from bidsapp.dataset.image_prints import Prints
    from bidsapp.networks.familiarity import Familiar
    from bidsapp.networks.origin import InitialWeights
    from bidsapp.training.run import TrainingRun
    from bidsapp.training.task import FoldTask

DISTANCES = "distances.tsv"


def state_files(
    recipe: Recipe,
    variants: Sequence[str],
    cohort: "Cohort",
    folder: Path,
    options: RunOptions,
) -> tuple["TrainingRun", "pd.DataFrame"]:
    """Write recipe, cohort, exclusions and splits: all that the run hangs on."""
    from bidsapp.dataset.beside import TABLE, preparations
    from bidsapp.dataset.counts import cohort_counts
    from bidsapp.dataset.tables import write_table
    from bidsapp.training.earlier_run import changes, set_aside
    from bidsapp.training.run import TrainingRun, run_splits

    splits = run_splits(recipe, variants, cohort.table, options.splits)
    images = preparations(cohort)
    different = changes(folder, recipe, cohort.table, splits, options.weights, images)
    if different:
        print(f"{folder} holds a run that differs from this one in", file=sys.stderr)
        print(*(f"  {one}" for one in different), sep="\n", file=sys.stderr)
        moved = set_aside(folder)
        print(f"It is kept as {moved}; remove it if it is not needed.", file=sys.stderr)
    elif not options.saliency:
        from bidsapp.saliency.missing_maps import require_same_maps

        require_same_maps(folder, recipe, variants)
    make_folder(folder)
    training = TrainingRun(
        recipe=recipe,
        variants=tuple(variants),
        stages=recipe.stages(variants),
        recipe_file=folder / "recipe.yaml",
        cohort_file=folder / "cohort.tsv",
        splits_file=folder / "splits.tsv",
        folder=work_place(options, "group") / folder.name,
    )
    write_text(training.recipe_file, dump_recipe(recipe))
    make_folder(training.folder)
    write_text(training.folder / "recipe.yaml", dump_recipe(recipe, folders=True))
    write_table(training.cohort_file, cohort.table)
    if len(images):
        write_table(folder / TABLE, images)
    else:
        for left in (TABLE, TABLE.replace(".tsv", ".json")):
            (folder / left).unlink(missing_ok=True)
    hidden = Hidden.of(options)
    shown = cohort.exclusions.assign(detail=cohort.exclusions["detail"].map(hidden.text))
    write_table(folder / "exclusions.tsv", shown)
    write_lost(folder / "missing_outcomes.tsv", cohort.lost)
    write_table(training.splits_file, splits)
    if cohort.notes:
        write_text(folder / "logs" / "cohort.txt", "\n".join(cohort.notes) + "\n")
    counts = cohort_counts(cohort.table)
    people = "" if counts.people == counts.scans else f" of {counts.people} participants"
    print(
        f"Cohort: {counts.scans} {counts.what}{people}, {counts.classes}; "
        f"{len(cohort.exclusions)} excluded ({folder / 'exclusions.tsv'})."
    )
    return training, splits


def write_lost(path: Path, lost: "pd.DataFrame") -> None:
    """Write who was left out for want of an outcome, with their columns; no file of nobody."""
    from bidsapp.dataset.tables import write_table

    if len(lost):
        write_table(path, lost)
    else:
        path.unlink(missing_ok=True)


def write_scores(training: "TrainingRun", tasks: Sequence["FoldTask"], folder: Path) -> None:
    """Write held-out scores, loss curves, what folds took and found; stamped where they leak."""
    from bidsapp.dataset.tables import write_table
    from bidsapp.training.crossfit import SCORES_FILE, SPLITS_FILE
    from bidsapp.training.earlier_run import forget_results, read_text_table, same_scores
    from bidsapp.training.fold_tables import gather_components, gather_folds, stamped
    from bidsapp.training.run import gather_history, gather_inner, gather_scores

    scores, history, folds, components = (
        stamped(gather(tasks), training.recipe)
        for gather in (gather_scores, gather_history, gather_folds, gather_components)
    )
    inner = gather_inner(tasks)
    before = read_text_table(folder / "scores.tsv")
    for name in (SCORES_FILE, SPLITS_FILE, DISTANCES):  # they belong to the scores that were
        (folder / name).unlink(missing_ok=True)
    write_table(folder / "scores.tsv", scores)
    write_table(folder / "history.tsv", history)
    write_table(folder / "folds.tsv", folds)
    if len(components):
        write_table(folder / "components.tsv", components)
    else:
        (folder / "components.tsv").unlink(missing_ok=True)
    if inner is not None:
        write_table(folder / "inner_scores.tsv", stamped(inner, training.recipe))
    joined = {
        name: one for name, one in training.recipe.ensembles.items() if name in training.recipe.run
    }
    forget_results(folder, same_scores(before, read_text_table(folder / "scores.tsv")), joined)


def write_models(
    training: "TrainingRun",
    tasks: Sequence["FoldTask"],
    cohort: "Cohort",
    folder: Path,
    prints: "Prints | None" = None,
    familiar: "Mapping[str, tuple[Familiar, pd.DataFrame]] | None" = None,
    *,
    anonymous: bool = False,
) -> None:
    """Write one bundle per variant; an anonymous one lists no images and no prints of them.

    `familiar` is what `write_distances` gave; without it bundles know no limits of abstention.
    """
    from bidsapp.dataset.beside import seen_by
    from bidsapp.dataset.counts import cohort_counts
    from bidsapp.dataset.made_with import made_by
    from bidsapp.evaluation.clinical_part import clinical_part
    from bidsapp.evaluation.other_runs import tried_words
    from bidsapp.evaluation.pooled import doubts, pooled_results, subgroup_results
    from bidsapp.evaluation.training_facts import training_facts
    from bidsapp.networks.bundle_about import Carried
    from bidsapp.networks.bundle_models import FoldModel
    from bidsapp.networks.bundle_write import write_bundle
    from bidsapp.networks.model_facts import ModelFacts
    from bidsapp.training.earlier_run import read_text_table
    from bidsapp.training.fold import fitted_of
    from bidsapp.training.run import seen_images
    from bidsapp.training.splits_file import splits_of
    from bidsapp.training.splits_words import held_out_words, splits_words

    counts = cohort_counts(cohort.table)
    every_split = read_text_table(training.splits_file)
    for name in dict.fromkeys(task.variant for task in tasks):
        own = [task for task in tasks if task.variant == name]
        models, environments = [], []
        for task in own:
            record = read_own_json(task.record_file)
            fitted = fitted_of(task)
            models.append(FoldModel(task.repeat, task.fold, task.model_file, fitted, task.setting))
            environments += record["environments"]
        recipe = training.recipe.with_variant(name)
        splits = splits_of(every_split, name)
        leaks = recipe.leaks("scores")
        facts = ModelFacts(
            name=f"{folder.name}-{name}",
            participants=counts.people,
            scans=counts.scans,
            positive=counts.positive,
            by_scan=counts.by_scan,
            protocol=splits_words(recipe, cohort.table, splits),
            scored=held_out_words(splits, counts.people),
            held_out=pooled_results(folder, name, recipe.evaluation.confidence),
            stamps=tuple(
                filter(None, (recipe.simulation.stamp, *(stamp_text([step]) for step in leaks)))
            ),
            data_source="the cohort listed in cohort.tsv of the run",
            environments=environments,
            weights=_began_with(own[0]).plain(),
            excluded=len(cohort.exclusions),
            subgroups=subgroup_results(folder, name, recipe.evaluation.confidence),
            doubts=doubts(folder, name),
            made_by=made_by(seen_by(cohort, name)),
            tried=tried_words(read_text_table(folder / "tables" / "other_runs.tsv")),
        )
        seen = seen_images(own, seen_by(cohort, name))
        place, images = folder / "model" / name, own[0].images
        told = (familiar or {}).get(name)
        about = Carried(
            training_facts(folder, name),
            None if name in cohort.beside else prints,
            clinical=clinical_part(folder, name),
            familiar=None if told is None else _with_limits(*told, own[0], folder),
            calibrated=None if leaks else _calibrated(folder, name, splits),
        )
        write_bundle(
            *(place, recipe, images.space, models, facts, seen),
            anonymous=anonymous,
            about=about,
            volumes=max(images.volumes, default=0),
        )


def write_distances(
    tasks: Sequence["FoldTask"], cohort: "Cohort", folder: Path
) -> dict[str, tuple["Familiar", "pd.DataFrame"]]:
    """Describe every variant's training people, and write how far held-out people are from them.

    Of a variant whose images were prepared otherwise than the cohort's, quality is not looked at:
    the numbers of the run are of the others. Of series, and of too few people, nothing is told.

    Returns
    -------
    dict
        Variant to what its folds' training people look like, and ``distances.tsv`` of it.
    """
    import pandas as pd

    from bidsapp.contracts.unit import unit_columns
    from bidsapp.dataset.tables import write_table
    from bidsapp.evaluation.state import read_state
    from bidsapp.evaluation.training_facts import quality_numbers
    from bidsapp.training.looks import familiar_people

    state = read_state(folder)
    keys = unit_columns(state.cohort)
    units = state.cohort[keys].astype(str).itertuples(index=False, name=None)
    quality = dict(zip(units, quality_numbers(state.measured), strict=True))
    found = {}
    for name in dict.fromkeys(task.variant for task in tasks):
        own = [task for task in tasks if task.variant == name]
        if own[0].images.volumes:
            continue
        told = familiar_people(own, {} if name in cohort.beside else quality)
        if told is not None:
            found[name] = told
    if found:
        tables = [table.assign(variant=name) for name, (_, table) in found.items()]
        every = pd.concat(tables, ignore_index=True)
        write_table(folder / DISTANCES, every[["variant", *every.columns.drop("variant")]])
    return found


def _calibrated(folder: Path, variant: str, splits: "pd.DataFrame") -> "Calibrated | None":
    """Fit what a variant's probability is worth on everybody whom it held out."""
    from bidsapp.evaluation.calibrated import calibrated_of_run
    from bidsapp.evaluation.state import read_state

    scores = read_state(folder).scores
    return calibrated_of_run(scores[scores["variant"] == variant], splits)[0]


def _with_limits(
    familiar: "Familiar", distances: "pd.DataFrame", task: "FoldTask", folder: Path
) -> "Familiar":
    """Fit, on everybody whom a variant held out, from when on its model does not answer."""
    from dataclasses import replace

    from bidsapp.contracts.unit import unit_columns
    from bidsapp.evaluation.abstention import fit_limits
    from bidsapp.evaluation.state import read_state

    state = read_state(folder)
    keys = unit_columns(state.cohort)
    rows = state.scores[state.scores["variant"] == task.variant]
    signals = list(familiar.looks)
    each = distances.astype(dict.fromkeys(keys, str)).groupby(keys, sort=True)[signals].mean()
    scored = rows.astype(dict.fromkeys(keys, str)).groupby(keys, sort=True)
    pooled = scored[["outcome", "probability"]].mean().loc[each.index]
    limits = fit_limits(
        {signal: each[signal].to_numpy(float) for signal in signals},
        pooled["outcome"].to_numpy(),
        pooled["probability"].to_numpy(float),
        each.index.get_level_values("participant_id").to_numpy(),
        task.recipe.evaluation.threshold,
    )
    return replace(familiar, limits=limits)


def _began_with(task: "FoldTask") -> "InitialWeights":
    """Say what the networks of a variant began with, by one of its folds."""
    from bidsapp.networks.origin import initial_weights

    before = None if task.first is None else _began_with(task.first)
    return initial_weights(task.recipe.network, task.weights, before)


def write_saliency_checks(variants: Sequence[str], folder: Path) -> None:
    """Let each variant's bundle say what the checks of its maps found, where there are maps."""
    from bidsapp.networks.bundle_write import add_saliency_checks

    for name in variants:
        path = folder / "saliency" / name / "summary.json"
        if path.is_file():
            summary = read_own_json(path)
            checks = {"method": summary["method"], **summary["sanity"]}
            add_saliency_checks(folder / "model" / name, checks)
