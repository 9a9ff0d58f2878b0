"""What a sample of this size can show, before any training."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bidsapp.evaluation.intervals import LEVEL, normal_quantile, wilson

if TYPE_CHECKING:
    from bidsapp.recipes.learning import Protocol

AUCS = (0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)
EIGHT_FOLDS = 1 + 8 / 7
GAINS = (0.02, 0.05, 0.1)
CLINICAL_AUC = 0.7
"""AUC of the clinical model that a plan of the added value supposes."""
SMALLEST = "smallest_detectable_auc"
COLUMNS = (
    "quantity",
    "value",
    "ci_low",
    "ci_high",
    "power",
    "retrained_low",
    "retrained_high",
    "power_retrained",
    "n",
    "note",
)
_POWER = 0.8


def auc_standard_error(auc: float, positives: int, negatives: int) -> float:
    """Hanley & McNeil 1982 (doi:10.1148/radiology.143.1.7063747), exponential scores.

    NaN without people of both classes.
    """
    if min(positives, negatives) < 1:
        return float("nan")
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = (
        auc * (1 - auc) + (positives - 1) * (q1 - auc**2) + (negatives - 1) * (q2 - auc**2)
    ) / (positives * negatives)
    return float(np.sqrt(variance))


def auc_precision(
    auc: float, positives: int, negatives: int, level: float = LEVEL, inflation: float = 1.0
) -> tuple[float, float]:
    """Interval to expect around an AUC, on the logit scale; the variance times `inflation`."""
    error = np.sqrt(inflation) * auc_standard_error(auc, positives, negatives)
    half = normal_quantile(level) * error / (auc * (1 - auc))
    centre = np.log(auc / (1 - auc))
    return float(1 / (1 + np.exp(half - centre))), float(1 / (1 + np.exp(-half - centre)))


def auc_power(
    auc: float, positives: int, negatives: int, alpha: float = 0.05, inflation: float = 1.0
) -> float:
    """Chance that an AUC is called better than chance, its interval lying above .5.

    With an `inflation`, the interval is that of cross-validated scores (`held_out.inflation_of`).
    The AUC itself then varies less than the interval allows for: simulated, by 1.2 to 2.1 of
    DeLong's variance where the interval takes 2.1 (docs/statistics.md); half-way is taken.
    """
    from scipy.special import ndtr

    least = _least_called_better(positives, negatives, alpha, inflation)
    error = np.sqrt((1 + inflation) / 2) * auc_standard_error(auc, positives, negatives)
    return float(ndtr((auc - least) / error))


def added_auc_error(gain: float, clinical: float, positives: int, negatives: int) -> float:
    """Foretell DeLong's standard error of the gain in AUC of a larger model over a smaller one.

    Both scores are taken as normal in each class (the binormal model), the larger being the sum of
    the smaller and of something independent of it that tells the classes apart by so much that the
    AUC rises by `gain`. DeLong's components are then normal distribution functions of the scores,
    whose variances and covariance are integrated numerically (Gauss-Hermite).

    Parameters
    ----------
    gain, clinical
        True gain, and AUC of the smaller model (below .5 it counts as .5); their sum below 1.
        Without a gain the two are one, and there is no error.
    """
    from scipy.special import ndtr, ndtri

    if min(positives, negatives) < 2:
        return float("nan")
    known = max(clinical, 0.5)
    small, large = (np.sqrt(2) * float(ndtri(auc)) for auc in (known, known + gain))
    if large <= small:
        return 0.0
    correlation = small / large
    node, weight = np.polynomial.hermite_e.hermegauss(60)
    weight = weight / weight.sum()
    first = node[:, None] + 0 * node
    second = correlation * first + np.sqrt(1 - correlation**2) * node
    # share of the other class that lies below a score, of each model, standard normal there
    gained = ndtr(second + large) - ndtr(first + small)
    mean = weight @ gained @ weight
    variance = float(weight @ (gained - mean) ** 2 @ weight)
    return float(np.sqrt(variance * (1 / positives + 1 / negatives)))


def added_auc_power(
    gain: float,
    clinical: float,
    positives: int,
    negatives: int,
    inflation: float = 1.0,
    alpha: float = 0.05,
) -> float:
    """Chance that a gain in AUC is called added value, its interval lying above 0.

    As in `auc_power`, the gain varies by half-way between DeLong's variance and what the interval
    allows for.
    """
    from scipy.special import ndtr

    error = added_auc_error(gain, clinical, positives, negatives)
    if not error:  # the two are one
        return float("nan")
    least = normal_quantile(1 - alpha) * np.sqrt(inflation) * error
    return float(ndtr((gain - least) / (np.sqrt((1 + inflation) / 2) * error)))


def _least_called_better(positives: int, negatives: int, alpha: float, inflation: float) -> float:
    """Smallest observed AUC whose interval lies above .5; 1 where none does."""
    from scipy.optimize import brentq

    def above(auc: float) -> float:
        return auc_precision(auc, positives, negatives, 1 - alpha, inflation)[0] - 0.5

    for auc in np.arange(
        0.51, 1, 0.01
    ).tolist():  # beyond, as errors grow on the logit scale, it may not
        if above(auc) > 0:
            return float(brentq(above, 0.5 + 1e-6, auc))
    return 1.0


def smallest_detectable_auc(
    positives: int,
    negatives: int,
    power: float = _POWER,
    alpha: float = 0.05,
    inflation: float = 1.0,
) -> float:
    """Smallest AUC above .5 that is found with this power; NaN where none is."""
    from scipy.optimize import brentq

    def lacking(auc: float) -> float:
        return auc_power(auc, positives, negatives, alpha, inflation) - power

    highest = 1 - 1e-6
    if min(positives, negatives) < 1 or lacking(highest) < 0:
        return float("nan")
    return float(brentq(lacking, 0.5 + 1e-6, highest))


def inflation_of_protocol(protocol: "Protocol", groups: int = 0) -> float:
    """Foretell what `held_out.inflation_of` will find in the splits of a protocol.

    Parameters
    ----------
    protocol
        The recipe's section.
    groups
        How many groups there are, for leave-one-group-out; many where it is not known.
    """
    if protocol.kind in ("holdout", "temporal"):
        share, times = protocol.test_size or 0.2, protocol.repeats or 1
        tested = 1 - (1 - share) ** times
        return 1.0 if times == 1 else 1 + tested / (1 - share)
    folds = groups if protocol.kind == "leave_one_group_out" else (protocol.folds or 8)
    return 1 + folds / (folds - 1) if folds > 1 else 2.0


def added_value_text(
    positives: int, negatives: int, level: float = LEVEL, inflation: float = EIGHT_FOLDS
) -> str:
    """Say in a few lines what added value of a scan a sample of this size can show.

    Parameters
    ----------
    level, inflation
        As in `plan_text`.
    """
    from scipy.optimize import brentq

    if min(positives, negatives) < 2:
        return "Added value: too few of a class for anything."
    alpha, sizes = 1 - level, (positives, negatives)
    reach = normal_quantile(level) * np.sqrt(inflation)
    lines = [
        f"Added value over a clinical model of AUC {CLINICAL_AUC:.2f}, by this protocol: half the "
        f"{level:.0%} interval to expect, and power to show that the scan adds to it:"
    ]

    def power(gain: float) -> float:
        return added_auc_power(gain, CLINICAL_AUC, *sizes, inflation, alpha)

    for gain in GAINS:
        half = reach * added_auc_error(gain, CLINICAL_AUC, *sizes)
        lines.append(
            f"  true gain {gain:.2f}   \N{PLUS-MINUS SIGN}{half:.2f}, power {power(gain):.2f}"
        )
    most = 1 - CLINICAL_AUC - 0.01
    least = "none"
    if power(most) > _POWER:
        least = f"{brentq(lambda gain: power(gain) - _POWER, 0.001, most):.2f}"
    lines.append(f"  smallest gain shown with power {_POWER:g}: {least}")
    lines.append(
        "  The true gain is that of models trained on as many people as a fold has. Where few "
        "people take part, fewer gains are shown than this promises (docs/statistics.md)."
    )
    return "\n".join(lines)


def planning_table(
    positives: int, negatives: int, level: float = LEVEL, inflation: float = 1.0
) -> pd.DataFrame:
    """Precision and power of this sample for AUCs from .6 to .9.

    Parameters
    ----------
    inflation
        Of cross-validated scores; 1 where a model is tested on new people only.

    Returns
    -------
    pandas.DataFrame
        `quantity`, `value`, `ci_low`, `ci_high` (the interval to expect), `power`: of the scores
        of one model in new people. `retrained_low`, `retrained_high`, `power_retrained`: of the
        answer that a report leads with. `n`, `note`.
    """
    n = positives + negatives
    alpha = 1 - level
    rows: list[tuple[object, ...]] = []
    nan = float("nan")
    for auc in AUCS:
        if min(positives, negatives) < 2:
            rows.append(("auc", auc, *[nan] * 6, n, "fewer than two of a class"))
            continue
        found: list[float] = []
        for factor in (1.0, inflation):
            found += auc_precision(auc, positives, negatives, level, factor)
            found.append(auc_power(auc, positives, negatives, alpha, factor))
        rows.append(("auc", auc, *found, n, "power against AUC .5"))
    for quantity, factor in ((SMALLEST, 1.0), (f"{SMALLEST}@retrained", inflation)):
        least = smallest_detectable_auc(positives, negatives, alpha=alpha, inflation=factor)
        note = "" if least == least else "no AUC is found with power .8 in a sample this small"
        powers = (_POWER, nan) if quantity == SMALLEST else (nan, _POWER)
        rows.append((quantity, least, nan, nan, powers[0], nan, nan, powers[1], n, note))
    for name, size in (("accuracy", n), ("sensitivity", positives), ("specificity", negatives)):
        limits = wilson(0.75 * size, size, level)
        rows.append((name, 0.75, *limits, *[nan] * 4, size, "Wilson"))
    return pd.DataFrame(rows, columns=pd.Index(COLUMNS))


def plan_text(
    positives: int, negatives: int, level: float = LEVEL, inflation: float = EIGHT_FOLDS
) -> str:
    """Say in a few lines what a sample of this size can show, before any training."""
    table = planning_table(positives, negatives, level, inflation)
    first = f"{positives} positive and {negatives} negative people, each scored while held out"
    known = table[table["quantity"] == "auc"]
    if known["power"].isna().all():
        return f"{first}: too few of a class for anything."
    crossed = inflation > 1
    lines = [f"{first}. Interval to expect ({level:.0%}), and power against chance (AUC 0.50):"]
    if crossed:
        lines += [
            "  true AUC   one model, tested      the report's answer by this protocol,",
            "             on new people only     where tested people also train other folds",
        ]
    for _, row in known.iterrows():
        text = f"  {row['value']:.2f}       {row['ci_low']:.2f} to {row['ci_high']:.2f}"
        text += f", power {row['power']:.2f}"
        if crossed:
            text += f"   {row['retrained_low']:.2f} to {row['retrained_high']:.2f}"
            text += f", power {row['power_retrained']:.2f}"
        lines.append(text)
    smallest = table[table["quantity"].str.startswith(SMALLEST)]["value"]
    words = [f"{value:.2f}" if np.isfinite(value) else "none" for value in smallest]
    both = f"{words[0]} on new people, {words[1]} by this protocol" if crossed else words[0]
    lines.append(f"  smallest AUC found with power {_POWER:g}: {both}")
    lines += [
        f"  {row['quantity']} of {row['value']:.2f}: {row['ci_low']:.2f} to {row['ci_high']:.2f}"
        for _, row in table[table["note"] == "Wilson"].iterrows()
    ]
    lines.append(
        "  The true AUC is that of models trained on as many people as a fold has. More repeats do "
        "not add power; a confound or a small subgroup costs more still."
    )
    return "\n".join(lines)
