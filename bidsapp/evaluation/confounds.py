"""Does what knows nothing of the illness predict as well as the network."""

from collections.abc import Sequence

import pandas as pd

from bidsapp.evaluation.comparisons import compare_variants
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
    "flagged",
    "note",
)


def confound_check(
    scores: pd.DataFrame,
    variants: Sequence[str],
    confounds: Sequence[str],
    level: float = LEVEL,
) -> pd.DataFrame:
    """Set confounds' scores beside the networks'.

    Parameters
    ----------
    scores
        Scores of networks and confounds on the same folds, in the columns of `scores.tsv`.
    variants, confounds
        Which of them are which.

    Returns
    -------
    pandas.DataFrame
        Columns `COLUMNS`. A confound is `flagged` (True) where the lower limit of its AUC lies
        above .5, and the network is not shown to be better: the paired interval of the difference
        (network minus confound) reaches 0 or below. `ci_low`, `ci_high` are of the confound's AUC.
    """
    records = []
    chosen = [(variant, confound) for variant in variants for confound in confounds]
    samples = {
        name: from_scores(scores[scores["variant"] == name]) for name in (*variants, *confounds)
    }
    aucs = {name: point_estimates(sample, ("auc",))["auc"] for name, sample in samples.items()}
    for _, row in compare_variants(scores, ("delong",), level=level, pairs=chosen).iterrows():
        variant, confound = row["first"], row["second"]
        interval = _interval(samples[confound], level)
        above, better = bool(interval.low > 0.5), bool(row["ci_low"] > 0)
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
                above and not better,
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
        f"{row['variant']} (AUC {row['auc']:.2f}) is not shown to do better."
        for _, row in flagged.iterrows()
    ]
