"""External validation: a trained model applied to new people whose outcome is known, and judged."""

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bidsapp.contracts.modality import modality_named
from bidsapp.dataset import check_dataset
from bidsapp.dataset.made_with import differences, made_by
from bidsapp.derivatives import check_output, prepare_output, write_json, write_text
from bidsapp.derivatives.atomic import make_folder
from bidsapp.derivatives.shown import Hidden
from bidsapp.drawing.wording import many
from bidsapp.errors import BadData, NoInput, UsageError
from bidsapp.execution.compute import check_device
from bidsapp.execution.status import telling
from bidsapp.execution.work import alone, begin_work, check_work, keep_shared_work
from bidsapp.group_answers import predict_cohort, unused_clinic
from bidsapp.group_cohort import PREPARE, cohort_of, on_one_grid, recorded
from bidsapp.group_known import without_doubles, without_known
from bidsapp.options import RunOptions
from bidsapp.recipes import Recipe, apply_values, dump_recipe
from bidsapp.recipes.loading import values_of

if TYPE_CHECKING:
    from bidsapp.dataset.cohort import Cohort
    from bidsapp.networks.bundle import Bundle

_MAY_CHANGE = ("outcome.", "tables.", "evaluation.", "inputs.")


def validate_model(options: RunOptions) -> int:
    """Apply a bundle to new people whose outcome is known, and judge it.

    Parameters
    ----------
    options
        What was asked for; uses ``model``, and ``recalibrate`` where a new bundle is wanted.

    Returns
    -------
    int
        0.

    Raises
    ------
    NociCastError
        Nothing could be begun; the message says why.
    """
    from bidsapp.networks.bundle import load_bundle

    assert options.model is not None
    bundle = load_bundle(options.model)
    recipe = _recipe(bundle, options)
    folder = options.output_dir / "group" / (options.run_label or f"external-{bundle.name}")
    if options.reports_only or options.evaluate_only or options.boilerplate_only:
        return _again(folder, options, bundle)
    _check_before_work(folder, recipe, options)
    cohort = _people(recipe, options)
    recipe = recorded(recipe, cohort)
    begin_work(options, ("conformed", "template", "templateflow"))
    prepare_output(options.output_dir, options.bids_dir, options.work_dir, options.derivatives)
    with alone(folder), keep_shared_work(options):
        return _whole_run(bundle, recipe, cohort, folder, options)


def _recipe(bundle: "Bundle", options: RunOptions) -> Recipe:
    """Give the bundle's recipe with the outcome of the new people."""
    values = values_of(options.overrides)
    wrong = [key for key in values if not key.startswith(_MAY_CHANGE)]
    if wrong:
        raise UsageError(
            f"--model says itself how images are prepared and what the network is; {wrong[0]} "
            f"cannot be changed. Keys that can: {', '.join(key + '…' for key in _MAY_CHANGE)}"
        )
    recipe = apply_values(bundle.recipe, values) if values else bundle.recipe
    if recipe.outcome.column is None and recipe.outcome.expression is None:
        raise UsageError("--model at the group level needs --outcome COLUMN --positive VALUE.")
    return recipe


def _check_before_work(folder: Path, recipe: Recipe, options: RunOptions) -> None:
    """Refuse at once what can be known to be wrong."""
    check_dataset(options.bids_dir)
    check_output(options.output_dir, options.bids_dir)
    check_work(options)
    check_device(options.device)
    if (folder / "splits.tsv").is_file():
        raise UsageError(
            f"{folder} holds a run that trained models; give the validation a name of its own: "
            "--run-label NAME."
        )


def _people(recipe: Recipe, options: RunOptions) -> "Cohort":
    """Find who is in; who is not prepared is told of with the command that does it."""
    try:
        cohort = cohort_of(recipe, [recipe.base], options)
    except NoInput as error:
        raise NoInput(f"{error} To prepare these people as the model needs it: {PREPARE}") from None
    none = f"no {modality_named(recipe.preparation.modality).prepared} image"
    unready = (cohort.exclusions["reason"] == none).sum()
    if unready:
        print(
            f"{many(int(unready), 'participant is', 'participants are')} not prepared, and left "
            f"out; to prepare them as the model needs it: {PREPARE}",
            file=sys.stderr,
        )
    for one in differences(recipe.preparation, cohort.files):
        print(
            f"preparation.{one.key}: the model's images were made with {one.asked}, these with "
            f"{one.words}. What it finds here may be owed to that; to prepare them as it needs "
            f"it: {PREPARE}",
            file=sys.stderr,
        )
    return cohort


def _whole_run(
    bundle: "Bundle", recipe: Recipe, people: "Cohort", folder: Path, options: RunOptions
) -> int:
    """Do everything from the people to the report; gives the exit code."""
    from bidsapp.dataset.tables import write_table
    from bidsapp.dataset.unchanged import require_unchanged
    from bidsapp.evaluation.validation_files import FACTS
    from bidsapp.representation.measures import write_measures

    cohort, masks = on_one_grid(people, recipe, [recipe.base], options)
    mask = masks[recipe.base]
    cohort = without_known(bundle, cohort, mask, options.nprocs)
    cohort = without_doubles(cohort, mask, options.nprocs)
    _require_both(cohort)
    predicted = predict_cohort(bundle, recipe, cohort, mask, options.device)
    require_unchanged(people.files)
    _forget(folder)
    make_folder(folder)
    write_text(folder / "recipe.yaml", dump_recipe(recipe))
    write_table(folder / "cohort.tsv", cohort.table)
    hidden = Hidden.of(options)
    shown = cohort.exclusions.assign(detail=cohort.exclusions["detail"].map(hidden.text))
    write_table(folder / "exclusions.tsv", shown)
    write_table(folder / "scores.tsv", predicted.scores)
    write_table(folder / "fold_models.tsv", predicted.fold_models)
    if predicted.answers is not None:
        write_table(folder / "answers.tsv", predicted.answers)
    write_measures(cohort, mask, folder)
    if cohort.notes:
        write_text(folder / "logs" / "cohort.txt", "\n".join(cohort.notes) + "\n")
    write_json(folder / FACTS, _facts(bundle, recipe, cohort) | _clinical(bundle, cohort))
    _beside_the_model(bundle, folder)
    return _conclude(folder, options, bundle)


def _forget(folder: Path) -> None:
    """Take away an earlier validation of this name; models that it recalibrated stay."""
    for path in folder.glob("*") if folder.is_dir() else ():
        if path.is_dir() and path.name != "model":
            shutil.rmtree(path)
        elif path.is_file():
            path.unlink()


def _require_both(cohort: "Cohort") -> None:
    counts = cohort.table["outcome"].value_counts().reindex([0, 1], fill_value=0)
    if counts.min() == 0:
        raise BadData(
            f"cohort: {counts[1]} positive and {counts[0]} negative scans are left after people of "
            "the training cohort and copies were taken out; a model can only be judged on both."
        )


def _facts(bundle: "Bundle", recipe: Recipe, cohort: "Cohort") -> dict[str, Any]:
    """Say which model was validated, and what it tells of its own cohort."""
    trained, new = bundle.recipe.outcome, recipe.outcome
    recalibration, familiar = bundle.about.recalibration, bundle.about.familiar
    limits = None if familiar is None else familiar.limits
    worth = bundle.about.calibrated
    return {
        "model": bundle.identity,
        "models": len(bundle.models),
        "recalibration": recalibration.plain() if recalibration else None,
        "history": [dict(one) for one in bundle.about.history],
        "recalibrated_on_these": _recalibrated_on(bundle, cohort),
        "trained_on": dict(bundle.metadata.get("cohort", {})),
        "held_out": dict(bundle.metadata.get("eval_metrics", {})),
        "leaks": list(bundle.leaks),
        "training_cohort": dict(bundle.about.cohort),
        "limits": None if limits is None else limits.plain(),
        "calibrated": None if worth is None else worth.plain(),
        "known_by": {
            "hashes": bundle.images is not None,
            "prints": bundle.about.prints is not None,
        },
        "outcome": {"training": _outcome(trained), "validation": _outcome(new)},
        "preparation": recipe.preparation.plain(),
        "images_made_by": {
            "training": list(bundle.metadata.get("images_made_by", ())),
            "validation": list(made_by(cohort)),
        },
        "made_otherwise": [
            {"key": one.key, "training": one.asked, "here": one.made, "images": len(one.images)}
            for one in differences(recipe.preparation, cohort.files)
        ],
    }


def _recalibrated_on(bundle: "Bundle", cohort: "Cohort") -> int | None:
    """Count the people whom the bundle's recalibration was fitted on; None where it is unknown."""
    if bundle.about.recalibration is None:
        return 0
    seen = bundle.about.recalibrated_on
    if seen is None:
        return None
    return int(cohort.table.loc[cohort.table["sha256"].isin(seen), "participant_id"].nunique())


def _clinical(bundle: "Bundle", cohort: "Cohort") -> dict[str, Any]:
    """Say which clinical columns the bundle knows, and why they are not judged, if they are not."""
    part = bundle.about.clinical
    if part is None:
        return {}
    why = unused_clinic(bundle, cohort.table)
    return {"clinical": {"columns": list(part.names), "why": why}}


def _outcome(outcome: Any) -> str:
    if outcome.expression:
        return " ".join(outcome.expression.split())
    return f"{outcome.column} = {' or '.join(map(str, outcome.positive or ()))}"


def _beside_the_model(bundle: "Bundle", folder: Path) -> None:
    """Compare with the training cohort's own table, where the bundle lies in its run still."""
    from bidsapp.evaluation.membership import membership
    from bidsapp.evaluation.tsv import write_table
    from bidsapp.evaluation.validation_files import people_of

    run = bundle.folder.parent.parent
    trained = (run / "cohort.tsv").is_file() and (run / "splits.tsv").is_file()
    if bundle.folder.parent.name != "model" or not trained:  # a recalibrated one: a validation's
        return
    training, new = people_of(run), people_of(folder)
    shared = [name for name in training.columns if name in new and name != "participant_id"]
    write_table(membership(training, new, shared), folder / "tables" / "membership.tsv")


def _again(folder: Path, options: RunOptions, bundle: "Bundle") -> int:
    """Make anew what follows from the scores of a validation."""
    from bidsapp.evaluation.validation_files import read_facts

    validated = read_facts(folder)["model"]
    if validated["weights_sha256"] != bundle.weights_sha256 or validated["name"] != bundle.name:
        raise UsageError(
            f"{folder} holds the validation of {validated['name']} {validated['version']}, not of "
            f"{bundle.name} {bundle.version}; give its --run-label, or validate this model."
        )
    with alone(folder):
        return _conclude(folder, options, bundle)


def _conclude(folder: Path, options: RunOptions, bundle: "Bundle") -> int:
    """Compute, write the report, and a recalibrated bundle where that was asked for."""
    from bidsapp.derivatives.dictionaries import describe_run
    from bidsapp.evaluation.tsv import read_table
    from bidsapp.evaluation.validation import evaluate_validation
    from bidsapp.reports.pictures import write_pictures
    from bidsapp.reports.validation.report import write_validation_report

    with telling("evaluation"):
        evaluate_validation(folder)
    report = write_validation_report(folder)
    write_pictures(folder)
    describe_run(folder)
    for text in read_table(folder / "tables" / "findings.tsv", ("kind", "text"))["text"]:
        print(text)
    print(f"All numbers: {folder / 'metrics.tsv'}")
    print(f"Report: {report}")
    if options.recalibrate:
        print(_recalibrate(bundle, options.recalibrate, folder))
    return 0


def _recalibrate(bundle: "Bundle", kind: str, folder: Path) -> str:
    """Write the recalibrated model as a bundle of its own; says where it is, or why there is none.

    Raises
    ------
    BadData
        These people do not allow it.
    """
    import bidsapp
    from bidsapp.evaluation.calibrated import calibrated_of_validation
    from bidsapp.evaluation.recalibration_record import limits_of_validation, recalibration_record
    from bidsapp.evaluation.tsv import read_table
    from bidsapp.networks.bundle_update import write_recalibrated

    about = bundle.about
    recalibration, clinic, record = recalibration_record(
        folder, kind, about.recalibration, about.clinic_recalibration
    )
    record |= {
        "from": f"{bundle.name} {bundle.version}",
        "from_sha256": bundle.sha256,
        "nocicast_version": bidsapp.__version__,
    }
    name = f"{bundle.name}-recalibrated"
    place = folder / "model" / name
    images = read_table(folder / "cohort.tsv", ("sha256",))["sha256"].astype(str)
    worth = calibrated_of_validation(folder)
    limits = limits_of_validation(folder, kind, recalibration) if about.familiar else None
    write_recalibrated(bundle, place, name, recalibration, record, clinic, images, worth, limits)
    told = f"Recalibrated model: {place}"
    if about.clinical is not None and not clinic:
        told += (
            "\nIts clinical part gives no answer any more: it could not be recalibrated on these "
            "people (recalibration.json says why)."
        )
    return told
