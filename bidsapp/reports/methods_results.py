"""The words on what a group run found, from its tables, and on what authors have to add."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from bidsapp.contracts.fitted import stamp_text
from bidsapp.dataset.counts import cohort_counts
from bidsapp.drawing.boilerplate import Section
from bidsapp.drawing.wording import interval, joined, many, p_value
from bidsapp.evaluation.chance import LEADING, RETRAINED, WITHIN, chance_words
from bidsapp.evaluation.permutation import LIBERAL
from bidsapp.evaluation.permutation import METHOD as WHOLE_PIPELINE
from bidsapp.evaluation.prevalence import scope_of
from bidsapp.evaluation.verdicts import after_correction
from bidsapp.reports.run.group_run import GroupRun
from bidsapp.saliency import group_test
from bidsapp.saliency.verdict import FAIL, NOT_RUN, PASS, UNDECIDED, verdict_of

_MOST = 8
_DECISIONS = (
    ("balanced_accuracy", "balanced accuracy"),
    ("sensitivity", "sensitivity"),
    ("specificity", "specificity"),
)
_VALUES = (
    ("precision", "positive predictive value"),
    ("negative_predictive_value", "negative predictive value"),
)
_CELLS = {
    "true_positives": "positive and predicted so",
    "false_negatives": "positive but predicted negative",
    "false_positives": "negative but predicted positive",
    "true_negatives": "negative and predicted so",
    "positives": "positive by outcome",
    "negatives": "negative by outcome",
    "all": "in the cohort",
}
_P_FROM = {
    group_test.HOLD_OUT: "permutations of the maps with the network fixed (Freedman and Lane's "
    "method [@winkler2014])",
    group_test.WHOLE_PIPELINE: "permutations of the outcomes with networks trained anew",
}
_METHODS = {
    "gradient": "gradients of the output with respect to the input [@simonyan2013]",
    "gradient_x_input": "gradient times input [@shrikumar2016]",
    "smoothgrad": "SmoothGrad [@smilkov2017]",
    "integrated_gradients": "integrated gradients [@sundararajan2017]",
    "grad_cam": "Grad-CAM [@selvaraju2017]",
    "occlusion": "occlusion [@zeiler2014]",
}


def results_section(run: GroupRun) -> Section:
    """Held-out results with their intervals, and what they show."""
    names = [*run.variants, *run.ensembles]
    sentences = [text for name in names[:_MOST] if (text := _result(run, name))]
    if len(names) > _MOST:
        sentences.append(f"Results of {len(names) - _MOST} further variants are in metrics.tsv.")
    paragraphs = [" ".join(sentences)] if sentences else []
    findings = run.table("tables/findings.tsv")
    between: list[str] = []
    placed: list[str] = []
    if len(findings):
        placed = findings.loc[findings["kind"] == "placement", "text"].tolist()
        beyond = findings.loc[findings["kind"] == "added", "text"].tolist()
        paragraphs = [*([" ".join(beyond)] if beyond else []), *paragraphs]
        between = findings.loc[findings["kind"] == "compared", "text"].tolist()
    return Section("Results", [*paragraphs, *between, *_rivals(run), *placed])


def _result(run: GroupRun, name: str) -> str:
    auc = run.metric(name, "auc")
    if auc is None:
        return ""
    level = run.recipe.evaluation.confidence
    prevalence = run.recipe.evaluation.prevalence
    people = cohort_counts(run.scored(name)).observations
    parts = [f"{name} (n = {people}): pooled held-out AUC {_valued(auc, level)}"]
    wide = run.metric(name, RETRAINED)
    if wide is not None and wide["ci_low"] <= wide["ci_high"]:
        parts.append(
            f"{wide['ci_low']:.2f} to {wide['ci_high']:.2f} when allowing for training on other "
            "people"
        )
    within = run.metric(name, WITHIN)
    if within is not None:
        parts.append(f"AUC within folds, which leads, {_valued(within, level)}")
    led = next((row for key in LEADING if (row := run.metric(name, key)) is not None), auc)
    stamp = stamp_text(run.leaks_of(name))
    parts.append(chance_words(led["ci_low"], led["ci_high"], stamp))
    for metric, word in _DECISIONS:
        row = run.metric(name, metric)
        if row is not None:
            parts.append(f"{word} {_valued(row, level)}")
    if prevalence is not None:
        for metric, word in _VALUES:
            row = run.metric(name, metric, scope_of(prevalence))
            if row is not None:
                share = f"{100 * prevalence:g}% positive"
                parts.append(f"{word} {_valued(row, level)} at {share}")
    p, how = _permutation_p(run, name)
    if p is not None:
        parts.append(f"permutation {p_value(p)} ({how})")
    leak = f" {stamp}." if stamp else ""
    return f"{'; '.join(parts)}.{leak}"


def _valued(row: pd.Series, level: float) -> str:
    method = "" if row["ci_method"] == "n/a" else str(row["ci_method"])
    return interval(row["value"], row["ci_low"], row["ci_high"], level, method)


def _permutation_p(run: GroupRun, name: str) -> tuple[float | None, str]:
    """Give p against chance, and of what it is, with its caveat."""
    table = run.table("tables/permutations.tsv")
    rows = table[table["variant"] == name] if len(table) else table
    how = "scores fixed"
    if len(rows) and (rows["method"] == WHOLE_PIPELINE).any():
        rows, how = rows[rows["method"] == WHOLE_PIPELINE], "whole analysis"
    elif "note" in rows and rows["note"].str.contains(LIBERAL, regex=False).any():
        how += f": {LIBERAL}"
    value = pd.to_numeric(rows["p"], errors="coerce") if len(rows) else pd.Series(dtype=float)
    return (float(value.dropna().iloc[-1]) if value.notna().any() else None), how


def _rivals(run: GroupRun) -> list[str]:
    """Say where a network is not shown to beat a model without a network."""
    sentences = []
    for file, kind in (("confounds", "a confound"), ("baselines", "a model without a network")):
        table = run.table(f"tables/{file}.tsv")
        for row in table[table["flagged"] == "True"].to_dict("records") if len(table) else []:
            sentences.append(
                f"{row['variant']} (AUC {float(row['auc']):.2f}) is not shown to do better than "
                f"{row['confound']} (AUC {float(row['auc_confound']):.2f}), {kind}"
                f"{after_correction(row)}."
            )
    return [" ".join(sentences)] if sentences else []


def saliency_section(run: GroupRun) -> Section | None:
    """How group maps were made, and whether they passed their checks."""
    if not run.saliency:
        return None
    return Section(
        "Saliency", [_saliency(variant, summary) for variant, summary in run.saliency.items()]
    )


def _saliency(variant: str, summary: Mapping[str, Any]) -> str:
    method = _METHODS.get(str(summary.get("method")), str(summary.get("method")))
    cell = str(summary.get("of", ""))
    count = (summary.get("n") or {}).get(cell)
    of = f"{many(count, 'participant')} who are {_CELLS.get(cell, cell)}" if count else ""
    people = f" over the {of}" if of else ""
    sign = "absolute" if summary.get("absolute") else "signed"
    joint = ", each scaled to 0 to 1 and " if summary.get("scale") == "minmax" else " and "
    smoothing = summary.get("smoothing_fwhm_mm")
    smoothed = f", smoothed with a Gaussian of {smoothing:g} mm FWHM" if smoothing else ""
    scans = "held-out scans" if summary.get("held_out", True) else "scans"
    if summary.get("native_only"):
        return (
            f"For {variant}, {sign} saliency maps of held-out scans were made by {method}, each "
            "over the participant's own scan; as no space was common to all, they were not "
            f"averaged. {_checked(summary.get('sanity'))}"
        )
    return (
        f"For {variant}, {sign} saliency maps of {scans} were made by {method}{joint}averaged"
        f"{people}{smoothed}.{_voxelwise(summary)} {_checked(summary.get('sanity'))}"
    )


def _checked(sanity: Any) -> str:
    """Say how many sanity checks were made of the maps, and what follows."""
    found = sanity if isinstance(sanity, Mapping) else {}
    verdict, results = verdict_of(found), dict(found.get("checks") or {})
    if verdict == NOT_RUN:
        return "No sanity checks [@adebayo2018] were made of the maps."
    if not results and verdict == UNDECIDED:
        return (
            "The maps passed the sanity checks [@adebayo2018] of an earlier version of the "
            "software, which maps of noise passed too: they are not decisive."
        )
    made = sum(word != NOT_RUN for word in results.values())
    passed = sum(word == PASS for word in results.values())
    text = "The maps failed the sanity checks [@adebayo2018]"
    if results:
        text = (
            f"Of {len(results)} sanity checks [@adebayo2018] of the maps {made} "
            f"{'was' if made == 1 else 'were'} made and {passed} passed"
        )
    return (
        text
        + {
            PASS: ".",
            FAIL: "; they failed and must not be interpreted."
            if results
            else " and must not be interpreted.",
            UNDECIDED: ": they are not decisive, and no anatomy should be read out of the maps.",
        }[verdict]
    )


def _voxelwise(summary: Mapping[str, Any]) -> str:
    """Say how voxels were compared, and what was found where there is a valid p and the maps hold.

    A comparison without the key `p_from` is of an earlier version, whose p was not valid.
    """
    test, cell = summary.get("test"), str(summary.get("cell", "voxel"))
    if not test:
        return ""
    covariates = test.get("covariates") or ()
    given = f" with {joined(map(str, covariates))} as nuisance" if covariates else ""
    within = " within folds" if test.get("within_folds") else ""
    text = (
        f" Maps of {test['positives']} positive and {test['negatives']} negative participants were "
        f"compared at every {cell}{within}{given}"
    )
    how = _P_FROM.get(str(test.get("p_from", "")))
    if how is None:
        return (
            f"{text}; the comparison is descriptive, as the outcomes of the participants trained "
            "the networks of other folds."
        )
    text += f", by {test['permutations']} {how}, corrected over {cell}s by the largest statistic"
    if verdict_of(summary.get("sanity")) != PASS:
        return f"{text}; its result is not given, as the maps have not passed their checks."
    text += f": {many(test['voxels_below_05_fwe'], cell)} at a corrected p of 0.05 or less"
    if "voxels_below_05_tfce" in test:
        text += (
            f", and {many(test['voxels_below_05_tfce'], cell)} after threshold-free cluster "
            "enhancement [@smith2009]"
        )
    return f"{text}; p is corrected for one statistic of one map."


def to_add_section() -> Section:
    """List what guidelines ask for and the files of a run cannot know."""
    return Section(
        "To be added by the authors",
        [
            "TRIPOD+AI [@collins2024] and CLAIM [@tejani2024] also ask for what no file of this "
            "run holds: where, when and how participants were recruited and which were eligible; "
            "scanner and sequence; how, when and by whom the outcome was assessed, and whether "
            "blind to the images; treatment between scan and outcome; how the sample size was "
            "arrived at; missing data before the analysis; ethics, funding, registration and "
            "access to data and code. The model itself is described in a model card "
            "[@mitchell2019] beside its weights."
        ],
    )
