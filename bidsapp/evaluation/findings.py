"""What a reader has to know first, as sentences."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bidsapp.contracts.fitted import leaking, stamp_text
from bidsapp.dataset.counts import cohort_counts
from bidsapp.evaluation.baseline_models import does_without
from bidsapp.evaluation.baselines import COLUMN
from bidsapp.evaluation.chance import RETRAINED, WITHIN, chance_words
from bidsapp.evaluation.confounds import confound_sentences
from bidsapp.evaluation.held_out import HeldOut
from bidsapp.evaluation.network_pairs import pair_sentences
from bidsapp.evaluation.other_runs import MANY, Tried, best_by_chance
from bidsapp.evaluation.permutation import LIBERAL
from bidsapp.evaluation.sample import pool
from bidsapp.evaluation.separation import separation_sentences
from bidsapp.evaluation.settings import EvaluationSettings
from bidsapp.evaluation.verdicts import after_correction

KINDS = (
    *("simulated", "leak", "separation", "confound", "added", "result", "compared", "baseline"),
    *("tried", "small", "skipped", "placement", "lost", "unusual", "search"),
)
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
    layouts: Mapping[str, HeldOut],
    beside: Tried | None = None,
    alone: pd.DataFrame | None = None,
    compared: pd.DataFrame | None = None,
    added: Sequence[str] = (),
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
        Columns `variant`, `p`: of fixed scores, and of the whole pipeline, where that was done.
    skipped
        What was asked for and could not be had -> why.
    plan
        Says which variants leak.
    layouts
        How the people of each variant were held out: a caveat of the p of fixed scores.
    beside
        What other runs of the output folder tried on the same people.
    alone
        `separation.separation_table`: what each column by itself says of the outcome.
    compared
        `comparisons.compare_variants`: networks against one another.
    added
        `added_value_tables.added_sentences`: what networks add to what is known without them.

    Returns
    -------
    pandas.DataFrame
        `kind` (of `KINDS`), `text`.
    """
    lines = [("simulated", f"{plan.simulated}.")] if plan.simulated else []
    lines += [("leak", text) for name in variants for text in _leaks(name, plan)]
    if alone is not None:
        left_out = plan.same_as_outcome
        lines += [("separation", text) for text in separation_sentences(alone, left_out)]
        told = [COLUMN + name for name in alone.loc[alone["separates"].astype(bool), "column"]]
        new = [str(name).rpartition("/")[2] not in told for name in confounds["confound"]]
        confounds = confounds[np.array(new, bool)]
    lines += [("confound", text) for text in confound_sentences(confounds)]
    lines += [("added", text) for text in added]
    tests = [dict(zip(table["variant"], table["p"], strict=True)) for table in permutations]
    pooled = metrics[(metrics["scope"] == "pooled") & metrics["variant"].isin(list(variants))]
    for place, name in enumerate(pooled["variant"].drop_duplicates()):
        mine = pooled[pooled["variant"] == name].to_dict("records")
        rows = {row["metric"]: row for row in mine}
        permuted = (p.get(name) for p in tests)
        n = cohort_counts(pool(scores[scores["variant"] == name])).observations
        stamp = stamp_text(leaking(plan.of(str(name)).leaks, "scores"))
        how, first = layouts[str(name)], place == 0
        text = _result(rows, *permuted, how=how, level=plan.level, first=first, n=n, stamp=stamp)
        text += f" {stamp}." * bool(stamp)
        lines.append(("result", text))
    if compared is not None:
        lines += [("compared", text) for text in pair_sentences(compared, variants, plan.level)]
    for _, row in baselines.iterrows():
        if row["flagged"]:
            text = (
                f"{row['variant']} (AUC {row['auc']:.2f}) is not shown to do better than "
                f"{row['confound']} (AUC {row['auc_confound']:.2f}), "
                f"{does_without(str(row['confound']))}"
                f"{after_correction(row)}."
            )
            lines.append(("baseline", text))
    counts = cohort_counts(pool(scores[scores["variant"].isin(list(variants))]))
    if beside is not None and beside.networks >= MANY and not plan.simulated:
        own = len([name for name in variants if name not in plan.ensembles])
        lines.append(("tried", _tried(beside, own, counts.positive, counts.negative)))
    least = min(counts.positive, counts.negative)
    if least < FEWEST:
        unit = counts.what if counts.by_scan else "people"
        lines.append(("small", f"Only {least} {unit} of the smaller class: nothing here is firm."))
    lines += [
        ("small", f"{name}: {how.why}.")
        for name in variants
        if (how := layouts[name]).why and not how.within
    ]
    lines += [("skipped", f"No {what}: {why}.") for what, why in skipped.items()]
    return pd.DataFrame(lines, columns=pd.Index(["kind", "text"]))


def _leaks(name: str, plan: EvaluationSettings) -> list[str]:
    """Say what a variant saw of held-out people, and what it may have seen."""
    steps = leaking(plan.of(name).leaks, "scores")
    sure = ", ".join(step.name for step in steps if step.certain)
    why = "what was fitted or chosen on held-out people makes results too good"
    texts = [f"LEAK: {name}: {sure}; {why}."] * bool(sure)
    return texts + [
        f"LEAK?: {name}: {step.why} ({step.name}). If they are, its results are too good, up "
        "to an AUC of 1 for an outcome that is a coin's."
        for step in steps
        if not step.certain
    ]


def _tried(beside: Tried, own: int, positives: int, negatives: int) -> str:
    """Say how many analyses there were, and what the best of so many is by chance."""
    networks = beside.networks + own
    by_chance = best_by_chance(networks, positives, negatives)
    return (
        f"{beside.runs} other {'run' if beside.runs == 1 else 'runs'} of this output folder scored "
        f"{beside.networks} networks for the same outcome on these people. Of {networks} analyses "
        f"the best has an AUC of up to about {by_chance:.2f} on average where there is no effect: "
        "a result that was picked from them by its value is too good. Runs elsewhere are not seen."
    )


def _result(
    rows: Mapping[str, Mapping[Any, Any]],
    fixed: float | None,
    whole: float | None,
    *,
    how: HeldOut,
    level: float,
    first: bool,
    n: str,
    stamp: str,
) -> str:
    """Say the AUC that leads, its interval, what that shows, and p against chance."""
    row = rows.get(WITHIN, rows["auc"])
    variant = row["variant"]
    if pd.isna(row["value"]):
        return f"{variant}: no AUC over all held-out people ({row['note']})."
    scale = " (0.5 is chance, 1 perfect)" if first else ""
    within = f", within folds, as {how.why}" if how.within else ""
    parts = [f"{variant}: AUC {row['value']:.2f} in held-out people{within}{scale}"]
    leads = row
    if pd.notna(row["ci_low"]):
        text = f"{100 * level:g}% interval {row['ci_low']:.2f} to {row['ci_high']:.2f}"
        if how.within and how.retrained:
            text += ", allowing for training on other people"
        elif RETRAINED in rows and pd.notna(rows[RETRAINED]["ci_low"]):
            leads = rows[RETRAINED]
            text += (
                f", or {leads['ci_low']:.2f} to {leads['ci_high']:.2f} if it were trained "
                "on other people"
            )
        parts.append(f"{text}: {chance_words(leads['ci_low'], leads['ci_high'], stamp)}")
    caveat = f": {LIBERAL}" if how.retrained else ""
    if whole is not None and pd.notna(whole):
        parts.append(f"p = {whole:.2g} against chance (outcomes permuted, networks trained anew)")
    elif fixed is not None and pd.notna(fixed):
        parts.append(f"p = {fixed:.2g} against chance (outcomes permuted, scores fixed{caveat})")
    return "; ".join([*parts, f"n = {n}"]) + "."
