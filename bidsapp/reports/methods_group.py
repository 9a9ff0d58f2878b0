"""The words on cohort, splits and evaluation of a group run, from its state files."""

from collections.abc import Sequence

import pandas as pd

from bidsapp.contracts.modality import modality_named
from bidsapp.contracts.prepared import Prepared
from bidsapp.dataset.codes import entry
from bidsapp.dataset.counts import Counts, cohort_counts, considered_words
from bidsapp.dataset.expression import parse_expression
from bidsapp.derivatives.finished import finished_images
from bidsapp.drawing.boilerplate import Section
from bidsapp.drawing.wording import counted, joined, many
from bidsapp.evaluation.baseline_models import BASELINES
from bidsapp.evaluation.chance import RETRAINED
from bidsapp.evaluation.other_runs import tried_words
from bidsapp.evaluation.permutation import LIBERAL, null_words
from bidsapp.evaluation.permutation import METHOD as WHOLE_PIPELINE
from bidsapp.evaluation.verdicts import ALPHA
from bidsapp.recipes import Recipe
from bidsapp.recipes.known_names import BASELINES_ON_FEATURES
from bidsapp.reports.preparation_words import preparation_sections
from bidsapp.reports.run.group_run import GroupRun
from bidsapp.training.splits_file import splits_of
from bidsapp.training.splits_words import splits_words

BASELINE_WORDS = {
    "majority": "the share of positives alone",
    "age_sex": "a logistic regression on age and sex",
    "logistic": "a logistic regression",
    "random_forest": "a random forest [@breiman2001]",
    "xgboost": "gradient-boosted trees (XGBoost) [@chen2016]",
    "regions": "a logistic regression with a strong L2 penalty on regional measures",
    "handcrafted": "a logistic regression with an L2 penalty on handcrafted features",
    "handcrafted_forest": "a random forest [@breiman2001] on handcrafted features",
    "quality": "a logistic regression on the quality numbers of the images",
    "motion": "a logistic regression on how much the head moved, and on nothing else",
    "site": "a logistic regression on the site",
}


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
    missing = _either(_missing(recipe))
    unknown = f", with {missing} taken as missing" if missing else ""
    if outcome.expression:
        return f"defined as {' '.join(outcome.expression.split())}{unknown}"
    negative = _either(outcome.negative)
    text = f"the variable {outcome.column}, positive where it is {_either(outcome.positive)}"
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


def evaluation_paragraph(run: GroupRun) -> str:
    """Which metrics, intervals, tests and baselines."""
    section = run.recipe.evaluation
    recipes = [run.recipe.with_variant(name) for name in run.variants]
    thresholds = [f"{recipe.evaluation.threshold:g}" for recipe in recipes]
    metrics = run.metrics
    used = set(metrics["ci_method"]) if "ci_method" in metrics else set()
    intervals = [text for marks, text in _INTERVALS if any(m in one for one in used for m in marks)]
    text = (
        "The area under the receiver operating characteristic curve (AUC) was computed from the "
        "held-out probabilities of all folds together; decisions were taken at a probability of "
        f"{counted(thresholds, 'variant')}. {100 * section.confidence:g}% confidence intervals are "
        f"{joined(intervals) or 'not given'}."
    )
    if any("bootstrap" in one for one in used):
        text += (
            f" The bootstrap drew {section.bootstrap} samples of participants (seed "
            f"{section.seed})."
        )
    subgroups = joined(_subgrouped(run))
    if subgroups:
        text += f" Results are also given by {subgroups}."
    text += _tests(run)
    fitted = sorted({str(name).rpartition("/")[2] for name in _baseline_names(run)})
    if fitted:
        named = "; ".join(_fitted(run, name) for name in fitted)
        text += (
            f" Models without a network were fitted in the same training folds with scikit-learn "
            f"[@pedregosa2011]: {named}. A network counts as better than one of them where the "
            "interval of the difference in AUC lies above 0 and its p value is below "
            f"{ALPHA:g} after Holm's correction for all comparisons; a model whose AUC was below "
            "chance counted as chance."
        )
    text += _placed(run)
    return f"{text}{_shares(run)} Net benefit was assessed by decision curves [@vickers2006]."


def _fitted(run: GroupRun, name: str) -> str:
    """Say what a baseline is and by which columns it predicts."""
    words, baseline = BASELINE_WORDS.get(name, name), BASELINES.get(name)
    if baseline is None or name in ("majority", "regions"):
        return words
    if name in BASELINES_ON_FEATURES:
        features = modality_named(run.recipe.preparation.modality).handcrafted_words
        return f"{words} ({features})"
    section = run.recipe.evaluation
    there = [*run.cohort.columns, *run.table("measures.tsv").columns]
    columns = baseline.columns(list(dict.fromkeys(there)), section.predictors, section.site)
    return f"{words} ({joined(columns)})" if columns else words


def _placed(run: GroupRun) -> str:
    """Say how places that a person chose were varied, where that was done."""
    found = run.table("tables/placement.tsv")
    if not len(found):
        return ""
    placed = modality_named(run.recipe.preparation.modality).placed_words
    raters = [str(name) for name in found["placement"] if str(name).startswith("rater ")]
    others = f", and taken from {joined(dict.fromkeys(raters))}" if raters else ""
    return (
        f" As a sensitivity analysis {placed} was moved by "
        f"{run.recipe.evaluation.placement} pixels in eight directions in held-out images"
        f"{others}; the networks of the folds were applied to these images without training them "
        "anew, and changes are given with intervals from a bootstrap over participants."
    )


def _shares(run: GroupRun) -> str:
    """Say for which share of positives predictive values and probabilities hold."""
    prevalence = run.recipe.evaluation.prevalence
    if prevalence is None:
        return (
            " Predictive values, calibration and net benefit hold for the share of positives of "
            "this cohort only."
        )
    return (
        f" Predictive values, calibration and net benefit are also given for a share of positives "
        f"of {100 * prevalence:g}%: predictive values from the likelihood ratios by Bayes' "
        "theorem, probabilities with their odds multiplied by what the share alone changes, "
        "participants weighted."
    )


_INTERVALS = (
    (("DeLong",), "DeLong's on the logit scale for the AUC [@delong1988; @sun2014]"),
    (
        ("Newcombe",),
        "Newcombe's score interval where the AUC is 0 or 1 [@newcombe2006]",
    ),
    (("Wilson",), "Wilson's for proportions [@wilson1927]"),
    (("bootstrap",), "from a bootstrap over participants (BCa) for other metrics [@efron1987]"),
    (("Nadeau",), "corrected for overlapping training sets for means over folds [@nadeau2003]"),
    (
        ("widened",),
        "for the AUC also widened by the same correction, to allow for training on other people",
    ),
    (
        ("within folds",),
        "for the AUC over pairs of participants of the same fold, which leads where folds cannot "
        "be compared, from DeLong's variances within folds",
    ),
)


def _tests(run: GroupRun) -> str:
    text, fitted = "", bool(_baseline_names(run))
    permutations = run.table("tables/permutations.tsv")
    if len(permutations):
        whole = permutations["method"] == WHOLE_PIPELINE
        text += _fixed(permutations[~whole])
        if whole.any():
            counts = joined(dict.fromkeys(permutations.loc[whole, "permutations"]))
            text += (
                f" The whole analysis was repeated with {counts} permutations of the outcomes, "
                "each with networks trained anew [@phipson2010], which makes the test exact."
            )
        text += f" {null_words(run.recipe.evaluation.permute_within)}"
    comparisons = run.table("tables/comparisons.tsv")
    tests = set(comparisons["test"]) if len(comparisons) else set()
    methods = " ".join(comparisons["ci_method"].astype(str)) if len(comparisons) else ""
    crossed = "metric" in run.metrics and (run.metrics["metric"] == RETRAINED).any()
    widened = ", its variance multiplied as that of the AUC is" if crossed else ""
    if "delong" in tests or fitted:
        text += f" AUCs were compared by DeLong's paired test [@delong1988]{widened}"
        if "MOVER" in methods:
            text += ", and near 0 or 1 from the intervals of both (MOVER) [@zou2008]"
        text += "."
    if "mcnemar" in tests:
        counts = ", its counts divided by as much" if widened else ""
        text += f" Decisions were compared by McNemar's test{counts}."
    if tests:
        text += " P values of comparisons were corrected by Holm's method."
    return text


def _fixed(permutations: pd.DataFrame) -> str:
    """Say how outcomes were permuted on fixed scores."""
    if not len(permutations):
        return ""
    counts = joined(dict.fromkeys(permutations["permutations"]))
    methods = joined(dict.fromkeys(permutations["method"]))
    notes = permutations["note"].astype(str) if "note" in permutations else pd.Series(dtype=str)
    caveat = f"; {LIBERAL}" if notes.str.contains(LIBERAL, regex=False).any() else ""
    return (
        f" Whether an AUC exceeds chance was tested by {counts} permutations of the outcomes "
        f"({methods}) on fixed scores [@phipson2010]{caveat}."
    )


def _subgrouped(run: GroupRun) -> list[str]:
    """Columns by whose values there are results."""
    scopes: list[str] = list(run.metrics.get("scope", []))
    found = [scope.removeprefix("subgroup:") for scope in scopes if scope.startswith("subgroup:")]
    return list(dict.fromkeys(name.partition("=")[0] for name in found))


def _baseline_names(run: GroupRun) -> list[str]:
    table = run.table("tables/baseline_scores.tsv")
    return list(dict.fromkeys(table["variant"])) if "variant" in table else []
