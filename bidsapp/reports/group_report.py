"""The report of a group run: one page that opens offline, made from the files of its folder."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bidsapp import __version__
from bidsapp.contracts.unit import PART
from bidsapp.derivatives import write_text
from bidsapp.derivatives.shown import BIDS_DIR, OUTPUT_DIR
from bidsapp.drawing.pages import plain_text, render, script, script_hash
from bidsapp.errors import NociCastError, NoInput
from bidsapp.reports.run import figures, result_tables
from bidsapp.reports.run.added_value import added_value_table, reclassification_table
from bidsapp.reports.run.answer import answer
from bidsapp.reports.run.column_alone import columns_table, sites_table
from bidsapp.reports.run.components import components_table
from bidsapp.reports.run.files import RunFiles
from bidsapp.reports.run.grids import Grid, grid, plain
from bidsapp.reports.run.held_back import answers_table, coverage
from bidsapp.reports.run.people import people_table
from bidsapp.reports.run.placement_grids import placement_table, raters_table
from bidsapp.reports.run.saliency import saliency_section
from bidsapp.reports.run.searched import search_folds_table, search_settings_table
from bidsapp.training.earlier_run import other_runs

if TYPE_CHECKING:
    from markupsafe import Markup

_SCRIPTS = ("tables.js", "variants.js", "viewer.js")


def write_group_report(folder: Path) -> Path:
    """Write ``report.html`` and ``figures/*.svg`` of a run.

    Reads only what lies in the folder, and the template that saliency is shown on. Every file may
    be absent: the page then says what is missing and why.

    Parameters
    ----------
    folder
        ``<output_dir>/group/<run label>``.

    Returns
    -------
    Path
        The report.

    Raises
    ------
    NoInput
        The folder is not there, or holds nothing of a run.
    CannotCreateOutput, InputOutputError
        The folder cannot be written.
    """
    folder = Path(folder)
    if not any((folder / name).is_file() for name in ("recipe.yaml", "cohort.tsv", "scores.tsv")):
        raise NoInput(
            f"{folder} holds no group run (no recipe.yaml, cohort.tsv or scores.tsv); "
            f"{other_runs(folder)}."
        )
    run = RunFiles(folder)
    page = render("group.html.j2", report=_content(run))
    path = folder / "report.html"
    write_text(path, page)
    return path


def _outcome(run: RunFiles) -> str:
    """Give the outcome in words with its rule, or the rule alone."""
    same = run.outcome_name == run.outcome_rule
    return run.outcome_rule if same else f"{run.outcome_name} ({run.outcome_rule})"


def _content(run: RunFiles) -> dict[str, Any]:
    """Everything that the page's template names."""
    forest, subgroups = figures.forests(run)
    people, others = people_table(run)
    scripts = [script(name) for name in _SCRIPTS]
    content: dict[str, Any] = {
        "title": f"{run.label}: group report",
        "subtitle": _outcome(run) + (f", recipe {run.recipe.name}" if run.recipe else ""),
        "simulated": run.settings.simulated,
        "leaks": _leaks(run, possible=False),
        "possible_leaks": _leaks(run, possible=True),
        "answer": answer(run),
        "flow": figures.cohort_flow(run),
        "exclusions": _exclusions(run),
        "no_exclusions": run.absent.get("exclusions.tsv", ""),
        "cohort": result_tables.cohort_table(run),
        "charts": [*figures.performance(run), *_coverage(run)],
        "variants": run.variants,
        "lead": run.lead,
        "metrics": {
            name: found
            for name in run.variants
            if (found := result_tables.metrics_table(run, name))
        },
        "forest": forest,
        "subgroup_forest": subgroups,
        "tables": _tables(run),
        "details": [
            (added_value_table(run), "What the scan adds to what is known without it"),
            (reclassification_table(run), "Who changes the class of risk"),
            (result_tables.comparisons_table(run), "Paired comparisons of variants and baselines"),
            (result_tables.subgroup_table(run), "Numbers of the subgroups"),
            (result_tables.held_out_table(run), "The people trained on against those held out"),
            (result_tables.prevalence_table(run), "Where another share of people is positive"),
            (search_folds_table(run), "Which settings were chosen, and how hopeful the search was"),
            (search_settings_table(run), "Every setting that was tried"),
            (components_table(run), "What folds found of their components"),
            (placement_table(run), "What scores hang on where boxes lie"),
            (raters_table(run), "How alike two raters place boxes"),
            (
                answers_table(run, "held_out_answers", by_variant=True),
                "When not to answer, and how often the other answers are wrong",
            ),
            (columns_table(run), "What each column by itself says of the outcome"),
            (result_tables.planning_table(run), "What a sample of this size can show"),
        ],
        "learning": figures.learning(run),
        "saliency": _saliency(run),
        "people": people,
        "other_covariates": others,
        "methods": _methods(run),
        "command": _command(run),
        "recipe_text": run.recipe_text,
        "study": _study(run),
        "versions": _versions(run),
        "scripts": scripts,
        "script_hashes": " ".join(map(script_hash, scripts)),
    }
    return content | {"absent": dict(run.absent)}


def _coverage(run: RunFiles) -> list[tuple[figures.Figure, str]]:
    """Accuracy against coverage of the leading variant, with the sentence on its limits.

    Ensembles have no limits: the first variant that has stands for them.
    """
    found = run.table("tables/findings.tsv", ("kind", "text"))
    told = found.loc[found["kind"] == "abstain", "text"].astype(str)
    names = [text.partition(": ")[0] for text in told]
    name = run.lead if run.lead in names else next(iter(names), "")
    drawn = coverage(run, name) if name else None
    if drawn is None:
        return []
    own = next(text.partition(": ")[2] for text in told if text.startswith(f"{name}: "))
    return [(drawn, own[:1].upper() + own[1:])]


def _tables(run: RunFiles) -> list[tuple[Grid | None, str, str]]:
    found: list[tuple[Grid | None, str, str]] = [
        (result_tables.variants_table(run), "No table of variants", "metrics.tsv"),
        (result_tables.rivals_table(run), "No comparison with baselines", "tables/baselines.tsv"),
        (
            result_tables.printed_table(run),
            "No published values to compare with",
            "tables/printed.tsv",
        ),
    ]
    more = (sites_table(run), result_tables.best_fold_table(run))
    return [*found, *((table, "", "") for table in more if table)]


def _exclusions(run: RunFiles) -> Grid | None:
    columns = [
        ("Participant", plain("participant_id")),
        ("Session", plain("session_id")),
        *[("Part", plain(PART))] * (PART in run.exclusions),
        ("Reason", plain("reason")),
        ("Detail", plain("detail")),
    ]
    table = run.exclusions
    if "detail" not in table:
        table = table.assign(detail="")
    return grid("exclusions", "Left out, and why", table, columns)


def _leaks(run: RunFiles, *, possible: bool) -> list[tuple[str, str, str]]:
    """Each leak, or possible leak, of each variant that ran: variant, step, reason."""
    if run.recipe is None:
        return []
    found = []
    for name in run.variants:
        recipe = run.recipe
        if name in recipe.variant_names:
            recipe = recipe.with_variant(name)
        elif name in recipe.ensembles:
            found += [(name, step, "by a member") for step in run.leaks_of(name)]
            continue
        found += [(name, step, step.why) for step in recipe.leaks()]
    return [(name, step.name, why) for name, step, why in found if step.certain != possible]


def _command(run: RunFiles) -> str:
    """Command line that makes the run again, for a shell."""
    recipe = shlex.quote(f"{OUTPUT_DIR}/group/{run.folder.name}/recipe.yaml")
    # a simulated run adds what was planted to the label by itself
    ending = run.recipe.simulation.run_label("") if run.recipe else ""
    label = shlex.quote(run.label.removesuffix(ending))
    return (
        f"nocicast {shlex.quote(BIDS_DIR)} {shlex.quote(OUTPUT_DIR)} group \\\n"
        f"  --recipe {recipe} --run-label {label}"
    )


def _study(run: RunFiles) -> dict[str, str]:
    recipe = run.recipe
    if recipe is None:
        return {}
    values: dict[str, Any] = {
        "Recipe": recipe.name,
        "About": recipe.summary,
        "Reference": recipe.reference,
        "Mode": recipe.mode,
        "Template": "; ".join(_places(run)),
        "Bootstrap replicates": recipe.evaluation.bootstrap,
        "Permutations": recipe.evaluation.permutations,
        "Seeds": {
            "splits": recipe.protocol.seed,
            "training": recipe.training.seed,
            "evaluation": recipe.evaluation.seed,
        },
    }
    return {key: plain_text(value) for key, value in values.items() if value is not None}


def _places(run: RunFiles) -> list[str]:
    """Say where prepared values lie, with the variants where these differ in it."""
    recipe = run.recipe
    if recipe is None:
        return []
    found: dict[str, list[str]] = {}
    for name in run.variants or (recipe.base,):
        try:
            place = recipe.with_variant(name).preparation.place()
        except NociCastError:  # a variant of an earlier recipe
            continue
        found.setdefault(place, []).append(name)
    if len(found) < 2:
        return list(found) or [recipe.preparation.place()]
    return [f"{place} ({', '.join(names)})" for place, names in found.items()]


def _versions(run: RunFiles) -> dict[str, str]:
    """Tell what trained the models, and what wrote this page."""
    found: dict[str, str] = {"report": f"nocicast {__version__}"}
    bundle = run.bundle
    if bundle.get("nocicast_version"):
        found["trained by"] = f"nocicast {bundle['nocicast_version']}"
    environments = [one for one in bundle.get("trained_with", ()) if isinstance(one, Mapping)]
    for one in environments[:1]:
        for key, value in dict(one.get("versions", {})).items():
            found[str(key)] = plain_text(value)
        for key in ("device_name", "precision", "threads"):
            if key in one:
                found[key.replace("_", " ")] = plain_text(one[key])
    return found


def _saliency(run: RunFiles) -> dict[str, Any]:
    """Saliency as the template names it; the first variant with maps shows first."""
    section = saliency_section(run)
    names = [part.variant for part in section.parts]
    first = run.lead if run.lead in names or len(run.variants) > 1 else "".join(names[:1])
    return {
        "parts": section.parts,
        "names": names,
        "first": first,
        "stage": section.stage,
        "template": section.template,
        "unfinished": run.maps_unfinished,
    }


def _methods(run: RunFiles) -> "Markup | str":
    """Give the methods text, empty where there is no finished run to describe."""
    from markupsafe import Markup

    from bidsapp.reports.methods_text import group_boilerplate

    try:
        return Markup(group_boilerplate(run.folder).html)
    except (NociCastError, KeyError, ValueError) as error:
        # tables that are not whole still leave a report worth having
        run.absent["methods text"] = f"cannot be written from these files: {error}"
        return ""
