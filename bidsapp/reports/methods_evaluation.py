"""The words on the evaluation of a group run: intervals, tests, baselines, moved boxes."""

import pandas as pd

from bidsapp.contracts.modality import modality_named
from bidsapp.drawing.wording import counted, joined
from bidsapp.evaluation.baseline_models import BASELINES
from bidsapp.evaluation.chance import RETRAINED
from bidsapp.evaluation.permutation import LIBERAL, null_words
from bidsapp.evaluation.permutation import METHOD as WHOLE_PIPELINE
from bidsapp.evaluation.verdicts import ALPHA
from bidsapp.recipes.known_names import BASELINES_ON_FEATURES, BASELINES_ON_REGIONS
from bidsapp.reports.run.group_run import GroupRun

BASELINE_WORDS = {
    "majority": "the share of positives alone",
    "age_sex": "a logistic regression on age and sex",
    "logistic": "a logistic regression",
    "random_forest": "a random forest [@breiman2001]",
    "xgboost": "gradient-boosted trees (XGBoost) [@chen2016]",
    "regions": "a logistic regression with a strong L2 penalty on regional measures",
    "connectome": "a logistic regression with a strong L2 penalty on the correlations of all pairs "
    "of regions, in the tangent space of the training people's mean [@varoquaux2010]",
    "handcrafted": "a logistic regression with an L2 penalty on handcrafted features",
    "handcrafted_forest": "a random forest [@breiman2001] on handcrafted features",
    "quality": "a logistic regression on the quality numbers of the images",
    "motion": "a logistic regression on how much the head moved, and on nothing else",
    "site": "a logistic regression on the site",
}


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
    if baseline is None or name in ("majority", *BASELINES_ON_REGIONS):
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
