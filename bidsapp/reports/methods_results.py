"""The words on what a group run found, from its tables, and on what authors have to add."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from bidsapp.dataset.counts import cohort_counts
from bidsapp.evaluation.confounds import after_correction
from bidsapp.evaluation.permutation import LIBERAL
from bidsapp.evaluation.pipeline_null import METHOD as WHOLE_PIPELINE
from bidsapp.recipes.scope import stamp_text
from bidsapp.reports.boilerplate import Section
from bidsapp.reports.run_state import GroupRun
from bidsapp.reports.wording import interval, joined, many, p_value

_MOST = 8
_DECISIONS = (
    ("accuracy", "accuracy"),
    ("sensitivity", "sensitivity"),
    ("specificity", "specificity"),
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
_METHODS = {
    "gradient": "gradients of the output with respect to the input [@simonyan2013]",
    "gradient_x_input": "gradient times input [@shrikumar2016]",
    "smoothgrad": "SmoothGrad [@smilkov2017]",
    "integrated_gradients": "integrated gradients [@sundararajan2017]",
    "grad_cam": "Grad-CAM [@selvaraju2017]",
    "occlusion": "occlusion [@zeiler2014]",
}


def results_section(run: GroupRun) -> Section:
    """Pooled held-out results with their intervals."""
    names = [*run.variants, *run.ensembles]
    sentences = [text for name in names[:_MOST] if (text := _result(run, name))]
    if len(names) > _MOST:
        sentences.append(f"Results of {len(names) - _MOST} further variants are in metrics.tsv.")
    paragraphs = [" ".join(sentences)] if sentences else []
    return Section("Results", [*paragraphs, *_rivals(run)])


def _result(run: GroupRun, name: str) -> str:
    auc = run.metric(name, "auc")
    if auc is None:
        return ""
    level = run.recipe.evaluation.confidence
    people = cohort_counts(run.scored(name)).observations
    parts = [f"{name} (n = {people}): pooled held-out AUC {_valued(auc, level)}"]
    wide = run.metric(name, "auc@retrained")
    if wide is not None and wide["ci_low"] <= wide["ci_high"]:
        parts.append(
            f"{wide['ci_low']:.2f} to {wide['ci_high']:.2f} when allowing for training on other "
            "people"
        )
    for metric, word in _DECISIONS:
        row = run.metric(name, metric)
        if row is not None:
            parts.append(f"{word} {_valued(row, level)}")
    p, how = _permutation_p(run, name)
    if p is not None:
        parts.append(f"permutation {p_value(p)} ({how})")
    stamp = stamp_text(run.leaks_of(name))
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
    verdict = (summary.get("sanity") or {}).get("verdict", "not run")
    return (
        f"For {variant}, {sign} saliency maps of {scans} were made by {method}{joint}averaged"
        f"{people}{smoothed}.{_voxelwise(summary.get('test'))} "
        + {
            "pass": "The maps passed the sanity checks [@adebayo2018].",
            "fail": "The maps failed the sanity checks [@adebayo2018] and must not be interpreted.",
        }.get(verdict, "No sanity checks [@adebayo2018] were run on the maps.")
    )


def _voxelwise(test: Mapping[str, Any] | None) -> str:
    """Say how voxels were tested, and what was found."""
    if not test:
        return ""
    covariates = test.get("covariates") or ()
    given = f", with {joined(map(str, covariates))} as nuisance" if covariates else ""
    within = " within folds" if test.get("within_folds") else ""
    text = (
        f" Maps of {test['positives']} positive and {test['negatives']} negative participants were "
        f"compared at every voxel by {test['permutations']} permutations{within} (Freedman and "
        f"Lane's method [@winkler2014]{given}), corrected by the largest statistic: "
        f"{many(test['voxels_below_05_fwe'], 'voxel')} at a corrected p of 0.05 or less"
    )
    if "voxels_below_05_tfce" in test:
        text += (
            f", and {many(test['voxels_below_05_tfce'], 'voxel')} after threshold-free cluster "
            "enhancement [@smith2009]"
        )
    return f"{text}."


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
