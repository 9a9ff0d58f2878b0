"""Keep the maps of those whom every variant of a run told right, as morales2021 printed."""

from dataclasses import replace

import pandas as pd

from bidsapp.contracts.unit import units_in
from bidsapp.errors import BadData
from bidsapp.evaluation.sample import pool
from bidsapp.saliency.stack import MapStack


def told_right_by_all(
    stack: MapStack, scores: pd.DataFrame, threshold: float
) -> tuple[MapStack, list[str]]:
    """Keep the maps of true positives and true negatives of all variants of a run.

    Morales et al. (2021) compare 87 true positives with 184 true negatives, whom all of their 18
    networks told right. Who is compared is then chosen by held-out answers.

    Parameters
    ----------
    stack
        Maps of held-out scans of one variant.
    scores
        Held-out scores of all variants of the run, in the columns of `scores.tsv`.
    threshold
        Probability, the mean over repeats, from which a scan counts as predicted positive.

    Returns
    -------
    stack
        Of those who are left.
    notes
        How many are left, by which variants; and which variants have another outcome.

    Raises
    ------
    BadData
        Nobody was told right by all.
    """
    units = units_in(stack.rows)
    truth = dict(zip(units, stack.rows["outcome"].astype(int), strict=True))
    right, joined, others = {}, [], []
    for name, rows in scores.groupby("variant", sort=False):
        pooled = pool(rows, threshold)
        outcomes = dict(zip(units_in(pooled), pooled["outcome"].astype(int), strict=True))
        if any(truth[unit] != value for unit, value in outcomes.items() if unit in truth):
            others.append(str(name))
            continue
        called = (pooled["probability"] >= threshold).astype(int)
        found = zip(outcomes, called == pooled["outcome"], strict=True)
        right[str(name)] = {unit for unit, own in found if own}
        joined.append(str(name))
    everybody = set(truth).intersection(*right.values())
    names = f"all {len(joined)} variants of the run ({', '.join(joined)})"
    if not everybody:
        each = ", ".join(f"{name} {len(right[name] & set(truth))}" for name in joined)
        raise BadData(
            f"saliency.told_right_by: all_variants: nobody of {len(truth)} was told right by "
            f"{names}; each told right: {each}. Run fewer variants, or take itself."
        )
    kept = [number for number, unit in enumerate(units) if unit in everybody]
    positives = sum(truth[unit] for unit in everybody)
    notes = [
        f"LEAK: the maps are of the {positives} positives and {len(everybody) - positives} "
        f"negatives, of {len(truth)}, whom {names} told right; the others are left out"
    ]
    if others:
        notes.append(f"{', '.join(others)}: another outcome, so not asked who is told right")
    rows = stack.rows.iloc[kept].reset_index(drop=True)
    return replace(stack, rows=rows, values=stack.values[kept]), notes
