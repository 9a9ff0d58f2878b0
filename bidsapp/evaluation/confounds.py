"""Does what knows nothing of the illness predict as well as the network."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bidsapp.evaluation.delong import auc_interval
from bidsapp.evaluation.intervals import LEVEL, Interval
from bidsapp.evaluation.metrics import point_estimates
from bidsapp.evaluation.sample import Sample, from_scores

COLUMNS = (
    "variant",
    "confound",
    "auc",
    "auc_confound",
    "ci_low",
    "ci_high",
    "difference",
    "difference_low",
    "difference_high",
    "p",
    "p_holm",
    "comparisons",
    "verdict",
    "flagged",
    "note",
)
ALPHA = 0.05


def verdict(low: float, high: float, p_holm: float) -> str:
    """Say what a paired difference of AUCs shows; every table and sentence takes it from here.

    Parameters
    ----------
    low, high
        Its interval, uncorrected.
    p_holm
        Its p value after correction for all comparisons of the run; below `ALPHA` it counts.

    Returns
    -------
    str
        ``better`` or ``worse``; the same with ``, uncorrected`` where the interval lies beside 0
        and the corrected p is too large; ``no difference shown``; ``cannot be told`` where there
        is no interval.
    """
    if not np.isfinite([low, high, p_holm]).all():
        return "cannot be told"
    if low <= 0 <= high:
        return "no difference shown"
    side = "better" if low > 0 else "worse"
    return side if p_holm < ALPHA else f"{side}, uncorrected"


def after_correction(row: Mapping[Any, Any] | pd.Series, side: str = "better") -> str:
    """Say why an uncorrected difference does not count; empty where there was none.

    Parameters
    ----------
    row
        Of `confound_check`, or of its table as text.
    side
        ``better`` or ``worse``: which of the two the sentence denies.
    """
    if row.get("verdict") != f"{side}, uncorrected":
        return ""
    count = int(float(row["comparisons"]))
    return f" after correction for {count} comparisons (p = {float(row['p_holm']):.3f}, Holm)"


def confound_check(
    scores: pd.DataFrame,
    compared: pd.DataFrame,
    variants: Sequence[str],
    confounds: Sequence[str],
    level: float = LEVEL,
) -> pd.DataFrame:
    """Set confounds' scores beside the networks'.

    Parameters
    ----------
    scores
        Scores of networks and confounds on the same folds, in the columns of `scores.tsv`.
    compared
        `comparisons.compare_variants` of all pairs that the run compares, each variant with each
        confound among them: DeLong's rows are read, and p is corrected for their number.
    variants, confounds
        Which of the scores are which.

    Returns
    -------
    pandas.DataFrame
        Columns `COLUMNS`. A confound is `flagged` (True) where the lower limit of its AUC lies
        above .5, and the network is not shown to be better: the `verdict` on the difference
        (network minus confound) is not ``better``. `ci_low`, `ci_high` are of the confound's AUC;
        `comparisons` is how many p values the correction is over.
    """
    records = []
    samples = {
        name: from_scores(scores[scores["variant"] == name]) for name in (*variants, *confounds)
    }
    aucs = {name: point_estimates(sample, ("auc",))["auc"] for name, sample in samples.items()}
    tests = compared[compared["test"] == "delong"]
    chosen = tests["first"].isin(list(variants)) & tests["second"].isin(list(confounds))
    for _, row in tests[chosen].iterrows():
        variant, confound = row["first"], row["second"]
        interval = _interval(samples[confound], level)
        shown = verdict(row["ci_low"], row["ci_high"], row["p_holm"])
        records.append(
            (
                variant,
                confound,
                aucs[variant],
                aucs[confound],
                interval.low,
                interval.high,
                row["difference"],
                row["ci_low"],
                row["ci_high"],
                row["p"],
                row["p_holm"],
                int(tests["p"].notna().sum()),
                shown,
                bool(interval.low > 0.5) and shown != "better",
                "; ".join(filter(None, [interval.note, row["note"]])),
            )
        )
    return pd.DataFrame(records, columns=pd.Index(COLUMNS))


def _interval(sample: Sample, level: float) -> Interval:
    if sample.outcome.all() or not sample.outcome.any():
        return Interval(note="only one class among the outcomes")
    return auc_interval(sample.outcome, sample.probability, sample.participant, level)


def confound_sentences(table: pd.DataFrame) -> list[str]:
    """One sentence for each flagged confound, for the first lines of a report."""
    flagged = table[table["flagged"].astype(bool)]
    return [
        f"CONFOUND: {row['confound']} alone predicts the outcome with AUC "
        f"{row['auc_confound']:.2f} ({row['ci_low']:.2f} to {row['ci_high']:.2f}); "
        f"{row['variant']} (AUC {row['auc']:.2f}) is not shown to do better{after_correction(row)}."
        for _, row in flagged.iterrows()
    ]
