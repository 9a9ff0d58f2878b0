"""The words on cohort, preparation and splits of a group run, from its state files."""

from collections.abc import Sequence

from bidsapp.contracts.prepared import Prepared
from bidsapp.dataset.codes import entry
from bidsapp.dataset.counts import Counts, cohort_counts, considered_words
from bidsapp.dataset.expression import parse_expression
from bidsapp.derivatives.finished import finished_images
from bidsapp.drawing.boilerplate import Section
from bidsapp.drawing.wording import joined, many
from bidsapp.evaluation.other_runs import tried_words
from bidsapp.recipes import Recipe
from bidsapp.reports.preparation_words import preparation_sections
from bidsapp.reports.run.group_run import GroupRun
from bidsapp.training.splits_file import splits_of
from bidsapp.training.splits_words import splits_words


def participants_section(run: GroupRun) -> Section:
    """Who was analysed, for which outcome, and who was not."""
    text = f"The outcome was {outcome_words(run.recipe)}. {_analysed(cohort_counts(run.cohort))}"
    if not len(run.exclusions):
        return Section("Participants", [f"{text} Nobody was excluded."])
    reasons = run.exclusions["reason"].value_counts(sort=True)
    named = joined(f"{reason} ({count})" for reason, count in reasons.items())
    out = many(len(run.exclusions), *considered_words(run.cohort, run.exclusions))
    return Section("Participants", [f"{text} Excluded were {out}: {named}."])


def _analysed(counts: Counts) -> str:
    people, scans = many(counts.people, "participant"), many(counts.scans, "scan")
    who = f"{people}, one scan each," if counts.people == counts.scans else f"{people} ({scans})"
    negative = f"{counts.negative} negative."
    if counts.by_scan:
        who = f"{scans} of {people}"
        negative = f"{counts.negative} negative scans; it differed between scans of a participant."
    verb = "was" if counts.people == 1 and not counts.by_scan else "were"
    return (
        f"{who} {verb} analysed: {counts.positive} positive "
        f"({100 * counts.positive / max(counts.total, 1):.0f}%) and {negative}"
    )


def outcome_words(recipe: Recipe) -> str:
    """Say the outcome as the recipe defines it."""
    outcome = recipe.outcome
    words = f"{outcome.words}, " if outcome.words else ""
    missing = _either(_missing(recipe))
    unknown = f", with {missing} taken as missing" if missing else ""
    if outcome.expression:
        return f"{words}defined as {' '.join(outcome.expression.split())}{unknown}"
    negative = _either(outcome.negative)
    text = f"{words}the variable {outcome.column}, positive where it is {_either(outcome.positive)}"
    return f"{text}{f' and negative where it is {negative}' if negative else ''}{unknown}"


def _missing(recipe: Recipe) -> list[str]:
    """Values that stand for a missing one in the outcome's columns, whichever key names them."""
    outcome = recipe.outcome
    names = {outcome.column or ""}
    if outcome.expression:
        names = {*parse_expression(outcome.expression).columns}
    own = {_own_name(name) for name in names}
    of_tables = [entry(text) for text in recipe.tables.missing]
    values = [value for name, value in of_tables if value and _own_name(name) in own]
    return [*dict.fromkeys([*map(str, outcome.missing or ()), *values])]


def _own_name(column: str) -> str:
    """Name of a column without its table and its session."""
    return column.partition("@")[0].rpartition(".")[2]


def _either(values: Sequence[object] | None) -> str:
    return joined([str(value) for value in values or ()], "or")


def processing_sections(run: GroupRun) -> list[Section]:
    """How the cohort's images were prepared, as far as this app did it."""
    table = run.table("preparations.tsv")
    further = table["image"] if len(table) else ()
    images = [str(image) for image in dict.fromkeys([*run.cohort["image"], *further])]
    own = set(images)
    output_dir = run.folder.parent.parent
    mine = [image for image in finished_images(output_dir) if _path(image) in own]
    sections = preparation_sections(mine)
    brought: dict[str, int] = {}
    for image in images:
        if image.startswith("bids:") and not image.startswith("bids::"):
            name = image.split(":")[1]
            brought[name] = brought.get(name, 0) + 1
    if brought:
        named = joined(f"{many(n, 'image')} of {name}" for name, n in brought.items())
        cited = " [@esteban2019]" if any("fmriprep" in name.casefold() for name in brought) else ""
        text = (
            f"Images that other software prepared were taken from derivative datasets: {named}"
            f"{cited}. They were brought onto the grid of the recipe "
            f"({run.recipe.preparation.place()})."
        )
        sections.append(Section("Images prepared elsewhere", [text]))
    return sections


def _path(image: Prepared) -> str:
    names = image.names
    return names.path(names.main.key).relative_to(names.output_dir).as_posix()


def splits_paragraph(run: GroupRun) -> str:
    """How participants were divided, and what kept them apart."""
    protocols: dict[str, list[str]] = {}
    for name in run.variants:
        text = splits_words(run.recipe.with_variant(name), run.cohort, splits_of(run.splits, name))
        protocols.setdefault(text, []).append(name)
    texts = [
        text if len(protocols) == 1 else f"{text} (variants {joined(names)})"
        for text, names in protocols.items()
    ]
    groups = run.recipe.group_column(run.variants or (run.recipe.base,))
    together = f" and all participants with the same {groups}" if groups else ""
    stamp = run.recipe.simulation.stamp
    text = (
        f"{f'{stamp}; these are no results of patients. ' if stamp else ''}"
        f"Prediction was tested by {'; '.join(texts)}. All scans of a participant{together} were "
        "kept on the same side of every split."
    )
    return f"{text}{_copies(run)} {_seen(run)}{_chosen(run)}"


def _copies(run: GroupRun) -> str:
    """Say how alike any two participants are, and what became of near-duplicates."""
    table = run.table("near_duplicates.tsv")
    if not len(table):
        return ""
    flagged, limit = table[table["near_duplicate"] == "true"], float(table["limit"].iloc[0])
    text = (
        " The prepared images of all participants were compared with one another by what is not "
        f"shared by the cohort (residual correlation on a 4 mm grid, median "
        f"{float(table['cohort_median'].iloc[0]):.2f})"
    )
    if not len(flagged):
        most = float(table["correlation"].iloc[0])
        return f"{text}; no two correlated at {limit:.2f} or more (at most {most:.2f})."
    fate = {
        "exclude": "all but the first of each were left out",
        "together": "they were kept on the same side of every split",
    }.get(
        run.recipe.with_variant((run.variants or (run.recipe.base,))[0]).inputs.near_duplicates,
        "they are on the same side of every split",
    )
    pairs = many(len(flagged), "pair")
    return f"{text}; {pairs} correlated at {limit:.2f} or more and count as one scan: {fate}."


def _seen(run: GroupRun) -> str:
    """Say what saw held-out participants, or what the software kept from them."""
    sure = joined(f"{step.name} ({step.why})" for step in run.leaks if step.certain)
    perhaps = joined(f"{step.name} ({step.why})" for step in run.leaks if not step.certain)
    if sure:
        text = (
            "LEAK: the run was made in paper mode, and held-out participants were seen "
            f"by {sure}; the results that depend on it are too good and are no estimate of "
            "performance in new people."
        )
    else:
        text = (
            "Within the run, every mean, SD, epoch and threshold was fitted or chosen on "
            "participants who were not held out: in the mode that was used (strict) the software "
            "refuses anything else."
        )
    if perhaps:
        text += (
            f" LEAK?: held-out participants may have been seen before the run, by {perhaps}; "
            "until that is known, the results are no estimate of performance in new people."
        )
    return text


def _chosen(run: GroupRun) -> str:
    """Say what no run can know of itself, and what lies beside it."""
    text = (
        " Whether the outcome, the settings or the variants were chosen with a view to held-out "
        "results is not known to the software."
    )
    table = run.table("tables/other_runs.tsv")
    return f"{text} {tried_words(table)}" if "outcome" in table else text
