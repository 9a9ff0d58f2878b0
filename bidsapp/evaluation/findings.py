"""What a reader has to know first, as sentences."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from bidsapp.dataset.counts import cohort_counts
from bidsapp.evaluation.baselines import COLUMN
from bidsapp.evaluation.confounds import after_correction, confound_sentences
from bidsapp.evaluation.metric_table import RETRAINED
from bidsapp.evaluation.permutation import CROSS_VALIDATED, LIBERAL
from bidsapp.evaluation.sample import pool
from bidsapp.evaluation.separation import separation_sentences
from bidsapp.evaluation.settings import EvaluationSettings
from bidsapp.evaluation.stamp import leaks_into_scores

KINDS = ("simulated", "leak", "separation", "confound", "result", "baseline", "small", "skipped")
FEWEST = 10


def findings(
    metrics: pd.DataFrame,
    variants: Sequence[str],
    scores: pd.DataFrame,
    confounds: pd.DataFrame,
    baselines: pd.DataFrame,
    permutations: tuple[pd.DataFrame, pd.DataFrame],
    skipped: Mapping[str, str],
    plan: EvaluationSettings,
    alone: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Collect the sentences in the order in which a report says them.

    Parameters
    ----------
    metrics
        Rows of `metrics.tsv`.
    variants
        Networks and their ensembles.
    confounds, baselines
        `confounds.confound_check` of the confounds and of the other baselines.
    permutations
        Columns `variant`, `p`, `note`: of fixed scores, and of the whole pipeline, where that was
        done. A caveat of the first is said with its p.
    skipped
        What was asked for and could not be had -> why.
    plan
        Says which variants leak.
    alone
        `separation.separation_table`: what each column by itself says of the outcome.

    Returns
    -------
    pandas.DataFrame
        `kind` (of `KINDS`), `text`.
    """
    lines = [("simulated", f"{plan.simulated}.")] if plan.simulated else []
    lines += [
        (
            "leak",
            f"LEAK: {name}: {', '.join(steps)}; held-out people were seen, results are too good.",
        )
        for name in variants
        if (steps := leaks_into_scores(plan.of(name).leaks))
    ]
    if alone is not None:
        left_out = plan.same_as_outcome
        lines += [("separation", text) for text in separation_sentences(alone, left_out)]
        told = [COLUMN + name for name in alone.loc[alone["separates"].astype(bool), "column"]]
        new = [str(name).rpartition("/")[2] not in told for name in confounds["confound"]]
        confounds = confounds[np.array(new, bool)]
    lines += [("confound", text) for text in confound_sentences(confounds)]
    tests = [dict(zip(table["variant"], table["p"], strict=True)) for table in permutations]
    notes = dict(zip(permutations[0]["variant"], permutations[0]["note"], strict=True))
    pooled = metrics[(metrics["scope"] == "pooled") & metrics["variant"].isin(list(variants))]
    retrained = pooled[pooled["metric"] == RETRAINED].set_index("variant")
    for place, (_, row) in enumerate(pooled[pooled["metric"] == "auc"].iterrows()):
        wide = retrained.loc[row["variant"]] if row["variant"] in retrained.index else None
        permuted = (p.get(row["variant"]) for p in tests)
        n = cohort_counts(pool(scores[scores["variant"] == row["variant"]])).observations
        note = notes.get(row["variant"])
        caveat = f": {LIBERAL}" if note == CROSS_VALIDATED else ""
        first = place == 0
        text = _result(row, wide, *permuted, caveat=caveat, level=plan.level, first=first, n=n)
        if steps := leaks_into_scores(plan.of(row["variant"]).leaks):
            text += f" LEAK: {', '.join(steps)}."
        lines.append(("result", text))
    for _, row in baselines.iterrows():
        if row["flagged"]:
            text = (
                f"{row['variant']} (AUC {row['auc']:.2f}) is not shown to do better than "
                f"{row['confound']} (AUC {row['auc_confound']:.2f}), which needs no network"
                f"{after_correction(row)}."
            )
            lines.append(("baseline", text))
    counts = cohort_counts(pool(scores[scores["variant"].isin(list(variants))]))
    least = min(counts.positive, counts.negative)
    if least < FEWEST:
        unit = "scans" if counts.by_scan else "people"
        lines.append(("small", f"Only {least} {unit} of the smaller class: nothing here is firm."))
    lines += [("skipped", f"No {what}: {why}.") for what, why in skipped.items()]
    return pd.DataFrame(lines, columns=pd.Index(["kind", "text"]))


def _result(
    row: pd.Series,
    retrained: pd.Series | None,
    fixed: float | None,
    whole: float | None,
    *,
    caveat: str,
    level: float,
    first: bool,
    n: str,
) -> str:
    if pd.isna(row["value"]):
        return f"{row['variant']}: no AUC over all held-out people ({row['note']})."
    scale = " (0.5 is chance, 1 perfect)" if first else ""
    parts = [f"{row['variant']}: AUC {row['value']:.2f} in held-out people{scale}"]
    if pd.notna(row["ci_low"]):
        text = f"{100 * level:g}% interval {row['ci_low']:.2f} to {row['ci_high']:.2f}"
        if retrained is not None and pd.notna(retrained["ci_low"]):
            text += (
                f", or {retrained['ci_low']:.2f} to {retrained['ci_high']:.2f} if it were trained "
                "on other people"
            )
        parts.append(text)
    if whole is not None and pd.notna(whole):
        parts.append(f"p = {whole:.2g} against chance (outcomes permuted, networks trained anew)")
    elif fixed is not None and pd.notna(fixed):
        parts.append(f"p = {fixed:.2g} against chance (outcomes permuted, scores fixed{caveat})")
    return "; ".join([*parts, f"n = {n}"]) + "."
