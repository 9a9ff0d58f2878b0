"""Methods texts to paste into a paper, generated from what was run."""

from pathlib import Path

from bidsapp.derivatives.finished import finished_images
from bidsapp.drawing.boilerplate import Boilerplate, Draft, Section, finished, write_boilerplate
from bidsapp.drawing.references import Reference, study_reference
from bidsapp.errors import NoInput
from bidsapp.reports.preparation_words import preparation_sections

_NOTE = (
    "Written by NociCast from the files of this run, for you to use and change as you like. "
    "Check it against your study, and add what no file can know."
)


def participant_boilerplate(out: Path) -> Boilerplate:
    """Describe how the images of an output folder were prepared.

    Parameters
    ----------
    out
        The derivatives dataset.

    Raises
    ------
    NoInput
        Nothing has been prepared there.
    """
    images = finished_images(out)
    if not images:
        raise NoInput(f"{out} holds no prepared image; run the participant level first.")
    return finished(Draft(_NOTE, preparation_sections(images)))


def group_boilerplate(folder: Path) -> Boilerplate:
    """Describe a group run: cohort, images, networks, splits, evaluation, results.

    Parameters
    ----------
    folder
        ``<output_dir>/group/<run label>``.

    Raises
    ------
    NoInput
        There is no run, or it has no scores.
    """
    from bidsapp.reports import methods_evaluation
    from bidsapp.reports import methods_group as group
    from bidsapp.reports import methods_model as model
    from bidsapp.reports import methods_results as results
    from bidsapp.reports.run.group_run import GroupRun

    run = GroupRun(folder)
    if not run.variants or not len(run.cohort) or not len(run.splits):
        raise NoInput(f"{folder} holds no finished group run; run the group level first.")
    own: dict[str, Reference] = {}
    recipe = run.recipe
    study = f"The analysis is specified in full by the recipe {recipe.name} of NociCast."
    if recipe.reference:
        cited = study_reference(recipe.name, recipe.reference)
        own[cited.key] = cited
        study = (
            f"The analysis is specified in full by the recipe {recipe.name} of NociCast, made "
            f"after a published study [@{cited.key}]."
        )
    sections: list[Section | None] = [
        group.participants_section(run),
        *group.processing_sections(run),
        Section(
            "Prediction",
            [
                f"{study} {model.model_paragraph(run)}",
                model.training_paragraph(run),
                group.splits_paragraph(run),
            ],
        ),
        Section("Evaluation", [methods_evaluation.evaluation_paragraph(run)]),
        results.saliency_section(run),
        results.results_section(run),
        results.to_add_section(),
    ]
    return finished(Draft(_NOTE, [section for section in sections if section], own))


def write_participant_words(out: Path) -> Path:
    """Write ``<out>/logs/CITATION.{md,bib,html}``; gives the HTML file."""
    title = "Methods text: preparation of the images"
    return write_boilerplate(participant_boilerplate(out), out / "logs", title)


def write_group_words(folder: Path) -> Path:
    """Write ``<folder>/logs/CITATION.{md,bib,html}``; gives the HTML file."""
    title = f"Methods text: group run {folder.name}"
    return write_boilerplate(group_boilerplate(folder), folder / "logs", title)
