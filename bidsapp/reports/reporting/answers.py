"""The answers that a group run gives to the items of TRIPOD+AI, each with the files to look at."""

from collections.abc import Callable, Mapping

from bidsapp import __version__
from bidsapp.drawing.wording import joined, many
from bidsapp.reports.methods_group import outcome_words, splits_paragraph
from bidsapp.reports.reporting.answers_results import RESULTS
from bidsapp.reports.reporting.run_facts import SHOWN, Answer, RunFacts


def _making(k: RunFacts) -> Answer:
    what = f"{k.recipe.name}: {k.recipe.summary}"
    return f"A model is made and tested inside the same cohort ({what}).", ("recipe.yaml",)


def _title(k: RunFacts) -> Answer:
    return (
        "To name: development and internal validation, the people, the outcome "
        f"({outcome_words(k.recipe)}).",
        ("recipe.yaml: outcome",),
    )


def _abstract(k: RunFacts) -> Answer:
    return f"{k.counts}. {k.findings('added', 'result')}", ("tables/findings.tsv", "metrics.tsv")


def _data(k: RunFacts) -> Answer:
    return f"One cohort in BIDS, divided for making and testing: {k.counts}.", ("cohort.tsv",)


def _setting(k: RunFacts) -> Answer:
    site = k.recipe.evaluation.site
    text = f"Scanners by the images' sidecars: {k.scanners}." if k.scanners else ""
    if site and site in k.columns:
        count = k.run.cohort[site].nunique()
        text = f"{many(int(count), 'site')} in column {site}. {text}"
    return text.strip(), ("cohort.tsv",)


def _eligible(k: RunFacts) -> Answer:
    return f"Of the people in the dataset, {k.excluded}.", ("exclusions.tsv", "figures/flow.svg")


def _prepared(k: RunFacts) -> Answer:
    return (
        f"All images alike, by {k.recipe.preparation.modality} preparation with fixed quality "
        "limits; the methods text says each step.",
        ("logs/CITATION.md", "measures.tsv", "near_duplicates.tsv"),
    )


def _outcome(k: RunFacts) -> Answer:
    return f"The outcome: {outcome_words(k.recipe)}.", ("recipe.yaml: outcome", "cohort.tsv")


def _predictors(k: RunFacts) -> Answer:
    there, lacking = k.predictors
    more = f" Clinical columns: {', '.join(there)}." if there else ""
    if lacking:
        more += f" Asked for, and not in this cohort: {', '.join(lacking)}."
    return f"Images: {joined(list(k.recipe.representation.channels))}.{more}", (
        "recipe.yaml",
        "cohort.tsv",
    )


def _measured(k: RunFacts) -> Answer:
    text, where = _predictors(k)
    return text, (*where, "cohort.json", "logs/CITATION.md")


def _size(k: RunFacts) -> Answer:
    """Say what such a cohort can show; what a regression needs is told once, in PROBAST's 4.1."""
    return (
        f"{k.counts}. {k.detectable}".strip(),
        ("tables/planning.tsv", "reporting/probast.tsv: question 4.1"),
    )


def _missing(k: RunFacts) -> Answer:
    text = f"People without an image or an outcome are left out ({k.excluded})."
    return f"{text} {filled(k)}", ("exclusions.tsv", "tables/cohort.tsv")


def filled(k: RunFacts) -> str:
    """Say how missing values of columns were filled, where a model reads columns."""
    if not k.of_columns:
        return "The model reads no column of the tables, so no value of a predictor was filled."
    return (
        "In models of columns numbers are filled by the training fold's median with a column that "
        f"says so, and a missing category is one of its own; {k.missing}."
    )


def _divided(k: RunFacts) -> Answer:
    return splits_paragraph(k.run), ("splits.tsv",)


def _scaled(k: RunFacts) -> Answer:
    section = k.recipe.with_variant(k.variant).representation
    beside = k.recipe.with_variant(k.variant).network.covariates
    more = f" Columns given to the network beside: {', '.join(beside)}." if beside else ""
    steps = "; ".join([f"scaling {section.scaling}", *(one.words for one in section.asked())])
    return (
        f"Images: {section.kind}; {steps}.{more}",
        ("recipe.yaml: representation", "logs/CITATION.md"),
    )


def _model(k: RunFacts) -> Answer:
    one = k.recipe.with_variant(k.variant)
    steps = ", ".join(step.name for step in k.run.leaks)
    chosen = (
        f"seen of held-out people, or perhaps: {steps}"
        if steps
        else ("nothing is chosen on held-out people")
    )
    return (
        f"{many(len(k.run.variants), 'network')} ({', '.join(k.run.variants)}); {k.variant}: "
        f"{one.network.name} {one.network.depth}, {one.training.epochs} epochs; {chosen}."
        f"{search_answer(k)}",
        ("recipe.yaml", "history.tsv", *SEARCHED * bool(one.training.search), "logs/CITATION.md"),
    )


SEARCHED = ("search.tsv", "tables/search_folds.tsv")
"""Where a run keeps what a search tried and chose."""


def search_answer(k: RunFacts) -> str:
    """Say which settings were searched for, how, and what came out; empty where none was."""
    search = k.recipe.with_variant(k.variant).training.search
    if search is None:
        return ""
    told = k.findings("search")
    return f" {', '.join(search.grid)}: {search.words}. {told}".rstrip()


def splits_level(k: RunFacts) -> str:
    """Say at which level the parts of the splits are apart."""
    names = k.run.variants or (k.recipe.base,)
    group = k.recipe.group_column(names)
    if not group:
        return "All scans of a person are on one side of every split."
    kinds = {k.recipe.with_variant(name).protocol.kind for name in names}
    turn = f" Every {group} is held out in turn." if kinds == {"leave_one_group_out"} else ""
    return f"Members of one {group} are on one side of every split.{turn}"


def _clusters(k: RunFacts) -> Answer:
    site = k.recipe.evaluation.site
    asked = site and "site" in k.recipe.evaluation.baselines
    text = f"What {site} alone predicts is a baseline." if asked else ""
    text = text or ("" if site else "No site is named.")
    return f"{splits_level(k)} {text}".strip(), (
        "recipe.yaml: protocol",
        "tables/confounds.tsv",
    )


def _judged(k: RunFacts) -> Answer:
    return (
        "AUC, average precision, Brier score, calibration and net benefit with intervals, "
        f"{joined(list(k.recipe.evaluation.tests)) or 'no'} tests, baselines without a network.",
        ("metrics.tsv", "figures/decision_curve.tsv: net benefit", "logs/CITATION.md"),
    )


def _not_updated(_k: RunFacts) -> Answer:
    return "No: the model is that of the run; recalibration is a step of its own.", ("model",)


def _formula(k: RunFacts) -> Answer:
    return (
        f"The mean of the fold models' probabilities; weights, fitted numbers and code: model "
        f"bundle and NociCast {__version__} (--model).",
        (f"model/{k.variant}/configs/manifest.json", f"model/{k.variant}/docs/README.md"),
    )


def _imbalance(k: RunFacts) -> Answer:
    weight = k.recipe.with_variant(k.variant).training.positive_weight
    how = "none" if weight == 1 else f"positives weigh {weight:g} in the loss"
    return (
        f"Classes were balanced by: {how}. Nobody was drawn twice, left out or made up.",
        ("recipe.yaml: training", "figures/calibration.svg"),
    )


def _fair(k: RunFacts) -> Answer:
    if not k.subgroups:
        return (
            "No subgroup was asked for (evaluation.subgroups), so fairness was not looked at.",
            ("recipe.yaml: evaluation",),
        )
    named = [scope.removeprefix("subgroup:") for scope in k.subgroups]
    return f"Results by subgroup: {', '.join(named[:SHOWN])}.", ("metrics.tsv",)


def _output(k: RunFacts) -> Answer:
    plan = k.recipe.with_variant(k.variant).evaluation
    text = f"A probability; a class from {plan.threshold:g} on{CHOSEN[plan.fitted_threshold]}."
    bundle = f"model/{k.variant}/configs/training_cohort.json"
    if (k.run.folder / bundle).exists():
        text += " The bundle names the threshold that suits all held-out people best."
    return text, (
        "recipe.yaml: evaluation.threshold",
        "scores.tsv",
        "metrics.tsv: @fitted",
        f"{bundle}: held_out.threshold_fitted",
    )


CHOSEN = {
    "none": "",
    "train_fold": ", and from one chosen on the training people of each fold",
    "inner": ", and from one chosen on a part of the training people of each fold",
    "test_fold": ", and from one chosen on the very people it is applied to (LEAK)",
}
"""Where the second threshold comes from."""


def _differ(k: RunFacts) -> Answer:
    group = k.recipe.group_column(k.run.variants or (k.recipe.base,))
    by = f" They are of other values of {group}." if group else ""
    return (
        "One cohort: those tested are drawn from those in the dataset, with the same outcome and "
        f"predictors.{by}",
        ("splits.tsv", "tables/held_out.tsv"),
    )


def _registered(k: RunFacts) -> Answer:
    told = "; ".join(f"{name} SHA-256 {sha}, {when} UTC" for name, _, sha, when in k.bundles)
    return (
        f"The model is frozen, and a registration can name it: {told}." if told else "",
        ("reporting/frozen_models.tsv",),
    )


def _code(_k: RunFacts) -> Answer:
    return (
        f"NociCast {__version__} and the resolved recipe make the run again.",
        ("recipe.yaml", "report.html"),
    )


ANSWERS: Mapping[str, Callable[[RunFacts], Answer]] = {
    "1": _title,
    "2": _abstract,
    "4": _making,
    "5a": _data,
    "6a": _setting,
    "6b": _eligible,
    "7": _prepared,
    "8a": _outcome,
    "9a": _predictors,
    "9b": _measured,
    "10": _size,
    "11": _missing,
    "12a": _divided,
    "12b": _scaled,
    "12c": _model,
    "12d": _clusters,
    "12e": _judged,
    "12f": _not_updated,
    "12g": _formula,
    "13": _imbalance,
    "14": _fair,
    "15": _output,
    "16": _differ,
    "18d": _registered,
    "18f": _code,
    **RESULTS,
}
"""Number of an item to what answers it; items that are not here are for the authors alone."""
