"""What scores hang on where a person placed a box: moved boxes, and those of other raters."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bidsapp.contracts.placement import MOVED, RATER
from bidsapp.contracts.unit import unit_columns
from bidsapp.drawing.wording import many
from bidsapp.evaluation.missing_outcomes import weighted_auc
from bidsapp.evaluation.sample import pool
from bidsapp.evaluation.settings import EvaluationSettings
from bidsapp.evaluation.state import RunState
from bidsapp.evaluation.tsv import read_table

FILE = "placement_scores.tsv"
COLUMNS = (
    *("variant", "placement", "kind", "apart_mm", "n"),
    *("change", "change_low", "change_high", "largest_change"),
    *("flipped", "flipped_low", "flipped_high"),
    *("auc", "auc_as_drawn", "auc_difference", "auc_difference_low", "auc_difference_high"),
)
RATER_COLUMNS = (
    *("rater", "n", "same_slice", "overlap", "overlap_least", "apart_mm", "apart_most_mm"),
    *("icc_width", "icc_depth"),
)
_NUMBERS = (
    *("repeat", "fold", "outcome", "probability", "apart_mm", "overlap", "slices_apart"),
    *("width_mm", "own_width_mm", "depth_mm", "own_depth_mm"),
)
ALL = "all moves together"
_RESAMPLES = 500


def placement_tables(
    state: RunState, networks: pd.DataFrame, plan: EvaluationSettings
) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Compare scores of held-out images with those of the same images placed otherwise.

    Intervals are percentiles of a bootstrap over participants; the networks are taken as they are.

    Parameters
    ----------
    state
        The run; ``placement_scores.tsv`` lies in its folder where places were varied.
    networks
        Held-out scores as drawn.
    plan
        Its settings.

    Returns
    -------
    tables, sentences
        ``placement`` (`COLUMNS`) and, where others placed too, ``raters`` (`RATER_COLUMNS`); a
        sentence for each network. Empty where nothing was varied.
    """
    path = state.folder / FILE
    if not path.is_file():
        return {}, []
    keys = unit_columns(state.cohort)
    given = read_table(path, (*keys, "variant", "repeat", "fold", "outcome", "probability",
                              "placement", "kind", "apart_mm"))  # fmt: skip
    for name in _NUMBERS:
        if name in given:
            given[name] = pd.to_numeric(given[name], errors="coerce")
    records: list[dict[str, object]] = []
    texts = []
    for variant, rows in given.groupby("variant", sort=False):
        drawn = networks[networks["variant"] == variant]
        if not len(drawn):
            continue
        base = pool(drawn).set_index(keys)
        ways = {str(name): own for name, own in rows.groupby("placement", sort=False)}
        moved = [_beside(base, own, keys) for own in ways.values() if own["kind"].iloc[0] == MOVED]
        own_plan = plan.of(str(variant))
        rng = np.random.default_rng(plan.seed)
        if moved:
            whole = _compared(moved, own_plan, rng)
            apart = rows.loc[rows["kind"] == MOVED, "apart_mm"]
            records.append({"variant": variant, "placement": ALL, "kind": MOVED,
                            "apart_mm": apart.mean(), **whole})  # fmt: skip
            how = f"moved by up to {apart.max():.1f} mm"
            texts.append(_sentence(str(variant), how, whole, own_plan))
        for name, own in ways.items():
            found = _compared([_beside(base, own, keys)], own_plan, rng)
            kind = str(own["kind"].iloc[0])
            records.append({"variant": variant, "placement": name, "kind": kind,
                            "apart_mm": own["apart_mm"].mean(), **found})  # fmt: skip
            if kind == RATER:
                how = f"placed by {name}"
                texts.append(_sentence(str(variant), how, found, own_plan))
    tables = {"placement": pd.DataFrame(records, columns=pd.Index(COLUMNS))}
    raters = given[given["kind"] == RATER]
    if len(raters):
        tables["raters"] = _agreement(raters, keys)
    return tables, texts


def _beside(base: pd.DataFrame, other: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Lay pooled scores of another place beside those as drawn, by unit."""
    pooled = pool(other).set_index(list(keys))
    return pd.DataFrame({
        "participant_id": pooled.index.get_level_values("participant_id"),
        "outcome": pooled["outcome"].to_numpy(int),
        "drawn": base.loc[pooled.index, "probability"].to_numpy(float),
        "other": pooled["probability"].to_numpy(float),
    })  # fmt: skip


def _numbers(
    pairs: Sequence[pd.DataFrame], times: Sequence[np.ndarray], threshold: float
) -> np.ndarray:
    """Mean change, share of flipped answers, AUC otherwise, and its difference: means over ways."""
    found = []
    for table, weights in zip(pairs, times, strict=True):
        drawn, other, outcome = (table[name].to_numpy() for name in ("drawn", "other", "outcome"))
        auc = [weighted_auc(outcome, one, weights) for one in (other, drawn)]
        flipped = (drawn >= threshold) != (other >= threshold)
        means = [np.average(one, weights=weights) for one in (np.abs(other - drawn), flipped)]
        found.append((*means, auc[0], auc[0] - auc[1]))
    return np.asarray(np.mean(found, axis=0))


def _compared(
    pairs: Sequence[pd.DataFrame], plan: EvaluationSettings, rng: np.random.Generator
) -> dict[str, float]:
    ones = [np.ones(len(table)) for table in pairs]
    change, flipped, auc, difference = _numbers(pairs, ones, plan.threshold)
    people = np.unique(np.concatenate([table["participant_id"] for table in pairs]))
    codes = [np.searchsorted(people, table["participant_id"]) for table in pairs]
    draws = []
    for _ in range(_RESAMPLES):
        drawn = np.bincount(rng.integers(len(people), size=len(people)), minlength=len(people))
        weights = [drawn[code].astype(float) for code in codes]
        if not all(map(np.any, weights)):
            continue  # nobody of a way that few have
        draws.append(_numbers(pairs, weights, plan.threshold))
    tails = 100 * np.array([(1 - plan.level) / 2, (1 + plan.level) / 2])
    low, high = np.nanpercentile(np.array(draws), tails, axis=0)
    return {
        "n": max(map(len, pairs)),
        "change": change, "change_low": low[0], "change_high": high[0],
        "largest_change": max(float((t["other"] - t["drawn"]).abs().max()) for t in pairs),
        "flipped": flipped, "flipped_low": low[1], "flipped_high": high[1],
        "auc": auc, "auc_as_drawn": auc - difference,
        "auc_difference": difference,
        "auc_difference_low": low[3], "auc_difference_high": high[3],
    }  # fmt: skip


def _sentence(variant: str, how: str, found: dict[str, float], plan: EvaluationSettings) -> str:
    found = {name: float(f"{value:.6g}") for name, value in found.items()}  # as tables have them
    auc = ""
    if found["auc"] == found["auc"]:
        auc = (
            f", and the AUC goes from {found['auc_as_drawn']:.2f} to {found['auc']:.2f} "
            f"(difference {found['auc_difference']:.2f}, {found['auc_difference_low']:.2f} to "
            f"{found['auc_difference_high']:.2f})"
        )
    return (
        f"{variant}: where held-out images are {how}, probabilities change by "
        f"{found['change']:.2f} on average ({100 * plan.level:g}% interval "
        f"{found['change_low']:.2f} to {found['change_high']:.2f}), "
        f"{100 * found['flipped']:.0f}% of the answers at the threshold change ("
        f"{100 * found['flipped_low']:.0f} to {100 * found['flipped_high']:.0f}%){auc}; "
        f"{many(int(found['n']), 'image')}, nothing trained anew."
    )


def _agreement(rows: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Say how alike raters place: once for each unit, whatever the number of networks."""
    records = []
    for name, own in rows.groupby("placement", sort=False):
        once = own.drop_duplicates(list(keys))
        records.append({
            "rater": str(name).removeprefix("rater "),
            "n": len(once),
            "same_slice": (once["slices_apart"] == 0).mean(),
            "overlap": once["overlap"].mean(),
            "overlap_least": once["overlap"].min(),
            "apart_mm": once["apart_mm"].mean(),
            "apart_most_mm": once["apart_mm"].max(),
            "icc_width": agreement_icc(once[["own_width_mm", "width_mm"]].to_numpy(float)),
            "icc_depth": agreement_icc(once[["own_depth_mm", "depth_mm"]].to_numpy(float)),
        })  # fmt: skip
    return pd.DataFrame(records, columns=pd.Index(RATER_COLUMNS))


def agreement_icc(values: np.ndarray) -> float:
    """Intraclass correlation of single ratings, absolute agreement, two-way random effects.

    ICC(A,1) of McGraw & Wong 1996 (doi:10.1037/1082-989X.1.1.30), ICC(2,1) of Shrout & Fleiss.

    Parameters
    ----------
    values
        (n, k): k ratings of n units, none missing.

    Returns
    -------
    float
        At most 1; NaN with fewer than two units, or where nothing differs.
    """
    n, k = values.shape
    if n < 2 or not np.ptp(values):
        return float("nan")
    grand = values.mean()
    between = k * ((values.mean(axis=1) - grand) ** 2).sum() / (n - 1)
    raters = n * ((values.mean(axis=0) - grand) ** 2).sum() / (k - 1)
    rest = values - values.mean(axis=1, keepdims=True) - values.mean(axis=0) + grand
    error = (rest**2).sum() / ((n - 1) * (k - 1))
    return float((between - error) / (between + (k - 1) * error + k * (raters - error) / n))
