"""Does what knows nothing of the illness predict as well as the network."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from bidsapp.evaluation.chance import CHANCE, against_chance
from bidsapp.evaluation.estimates import AucEstimate
from bidsapp.evaluation.held_out import HeldOut, leading_estimate
from bidsapp.evaluation.intervals import LEVEL, Interval
from bidsapp.evaluation.metrics import ONE_CLASS
from bidsapp.evaluation.verdicts import after_correction, verdict

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


def confound_check(
    scores: pd.DataFrame,
    compared: pd.DataFrame,
    variants: Sequence[str],
    confounds: Sequence[str],
    level: float = LEVEL,
    layouts: Mapping[str, HeldOut] | None = None,
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
    layouts
        How the people of each were held out; scores of given models where absent.

    Returns
    -------
    pandas.DataFrame
        Columns `COLUMNS`. A confound is `flagged` (True) where the lower limit of its AUC, scores
        as given, lies above .5, and the network is not shown to be better: the `verdict` on the
        difference (network minus confound) is not ``better``. A doubt needs less than a claim:
        `ci_low`, `ci_high` of the confound's AUC allow for training on other people, and may hold
        .5. `comparisons` is how many p values the correction is over.
    """
    records = []
    known = layouts or {}
    rows = dict(list(scores.groupby("variant", sort=False)))
    aucs = {
        name: _estimate(rows[name], known.get(name, HeldOut())) for name in (*variants, *confounds)
    }
    tests = compared[compared["test"] == "delong"]
    chosen = tests["first"].isin(list(variants)) & tests["second"].isin(list(confounds))
    for _, row in tests[chosen].iterrows():
        variant, confound = row["first"], row["second"]
        auc, its = aucs[variant], aucs[confound]
        interval = its.interval(level) if its else Interval(note=ONE_CLASS)
        given = replace(its, inflation=1.0).interval(level) if its else interval
        shown = verdict(row["ci_low"], row["ci_high"], row["p_holm"])
        records.append(
            (
                variant,
                confound,
                auc.value if auc else float("nan"),
                its.value if its else float("nan"),
                interval.low,
                interval.high,
                row["difference"],
                row["ci_low"],
                row["ci_high"],
                row["p"],
                row["p_holm"],
                int(tests["p"].notna().sum()),
                shown,
                bool(given.low > CHANCE) and shown != "better",
                "; ".join(dict.fromkeys(filter(None, [interval.note, row["note"]]))),
            )
        )
    return pd.DataFrame(records, columns=pd.Index(COLUMNS))


def _estimate(rows: pd.DataFrame, how: HeldOut) -> AucEstimate | None:
    return leading_estimate(rows, how) if rows["outcome"].nunique() > 1 else None


def confound_sentences(table: pd.DataFrame) -> list[str]:
    """One sentence for each flagged confound, for the first lines of a report."""
    sentences = []
    for _, row in table[table["flagged"].astype(bool)].iterrows():
        sure = against_chance(row["ci_low"], row["ci_high"]) == "better"
        sentences.append(
            f"CONFOUND: {row['confound']} alone {'predicts' if sure else 'may predict'} the "
            f"outcome with AUC {row['auc_confound']:.2f} ({row['ci_low']:.2f} to "
            f"{row['ci_high']:.2f}); {row['variant']} (AUC {row['auc']:.2f}) is not shown to do "
            f"better{after_correction(row)}."
        )
    return sentences
