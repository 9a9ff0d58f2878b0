"""Do the networks of a run differ: what their paired comparisons show, in sentences."""

from collections.abc import Sequence

import pandas as pd

from bidsapp.evaluation.comparisons import SAME
from bidsapp.evaluation.intervals import LEVEL
from bidsapp.evaluation.verdicts import verdict

_MOST = 5


def pair_sentences(
    compared: pd.DataFrame, variants: Sequence[str], level: float = LEVEL
) -> list[str]:
    """Say which networks differ in AUC after correction, or that none is shown to.

    Parameters
    ----------
    compared
        `comparisons.compare_variants` of the run.
    variants
        Networks and their ensembles; comparisons with others are passed over.
    level
        Coverage of the intervals.

    Returns
    -------
    list of str
        Empty with fewer than two networks.
    """
    delong = compared[compared["test"] == "delong"]
    family = int(delong["p"].notna().sum())
    names = list(variants)
    pairs = delong[delong["first"].isin(names) & delong["second"].isin(names)]
    known = pairs[pairs["p_holm"].notna()]
    if known.empty:
        return []
    said = [verdict(*row) for row in known[["ci_low", "ci_high", "p_holm"]].to_numpy(float)]
    differ = pd.Series([word in ("better", "worse") for word in said], index=known.index)
    shown = known[differ]
    of = f"{len(known)} pair{'s' * (len(known) > 1)} of networks"
    by = f"after Holm's correction for {family} comparison{'s' * (family > 1)}"
    same = pairs[pairs["note"].str.contains(SAME, regex=False)]
    lost = len(pairs) - len(known) - len(same)
    names_of = same[["first", "second"]].itertuples(index=False)
    rest = "".join(f" {one} and {other} have the same scores." for one, other in names_of)
    rest += f" {lost} more could not be compared." if lost else ""
    if shown.empty:
        largest = known.iloc[int(known["difference"].abs().to_numpy().argmax())]
        return [
            f"No network is shown to forecast better than another: none of {of} differs in AUC "
            f"{by}. The largest difference is {_difference(largest, level)}. That does not show "
            f"that they are alike, and the one with the largest AUC is not shown to be the best."
            f"{rest}"
        ]
    told = "; ".join(_difference(row, level) for _, row in shown.head(_MOST).iterrows())
    more = f"; and {len(shown) - _MOST} more" if len(shown) > _MOST else ""
    return [f"Of {of}, {len(shown)} differ in AUC {by}: {told}{more}.{rest}"]


def _difference(row: pd.Series, level: float) -> str:
    first, second = row["first"], row["second"]
    value, low, high = (float(row[name]) for name in ("difference", "ci_low", "ci_high"))
    if value < 0:
        first, second, value, low, high = second, first, -value, -high, -low
    p, corrected = float(row["p"]), float(row["p_holm"])
    return (
        f"{first} over {second}, {value:.2f} ({100 * level:g}% interval {low:.2f} to {high:.2f}; "
        f"p = {p:.2g}, corrected {corrected:.2g})"
    )
