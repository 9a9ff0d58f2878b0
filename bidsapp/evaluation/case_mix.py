"""Case mix: what of a difference in AUC between two cohorts their people alone would explain."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bidsapp.evaluation.calibration import log_odds
from bidsapp.evaluation.delong import placements
from bidsapp.evaluation.intervals import LEVEL, normal_quantile

DROP = ("step", "auc", "ci_low", "ci_high", "difference", "note")
_DRAWS = 500


def model_based_auc(logit: np.ndarray) -> float:
    """AUC that these people would give if the logits were true.

    The model-based concordance of van Klaveren et al. 2016 (doi:10.1002/sim.6997): of all pairs
    of two people, weighted by the probability that the first is positive and the second is not,
    the share in which the first has the higher logit, ties counted half. It depends on who the
    people are and on no outcome.

    Parameters
    ----------
    logit
        (n,) calibrated log odds; NaN for fewer than two people.
    """
    x = np.sort(np.asarray(logit, float))
    if len(x) < 2:
        return float("nan")
    p = np.exp(-np.logaddexp(0.0, -x))
    below = np.concatenate([[0.0], np.cumsum(1 - p)])
    left = np.searchsorted(x, x, side="left")
    right = np.searchsorted(x, x, side="right")
    # nobody is paired with themselves
    own = 1 - p
    wins = (p * (below[left] + (below[right] - below[left] - own) / 2)).sum()
    pairs = (p * (below[-1] - own)).sum()
    return float(wins / pairs)


@dataclass(frozen=True)
class Drop:
    """A difference of AUC between two cohorts, taken apart.

    Attributes
    ----------
    table
        Columns `DROP`: training, expected in the new people, observed with single fold models,
        observed with their mean.
    case_mix, model, together
        AUC that goes with the people, with the model, and with averaging its fold models; NaN
        where it cannot be told.
    chance
        Whether what goes with the model may be chance: its interval holds 0.
    note
        Why it cannot be told.
    """

    table: pd.DataFrame
    case_mix: float = float("nan")
    model: float = float("nan")
    together: float = float("nan")
    chance: bool = True
    note: str = ""


def explain_drop(
    told: Mapping[str, Any],
    per_model: np.ndarray,
    outcome: np.ndarray,
    observed: tuple[float, float, float],
    seed: int = 0,
    level: float = LEVEL,
) -> Drop:
    """Take apart the difference between the AUC of training (held out) and that in new people.

    Held-out people of training were each scored by single fold models, new people are by the mean
    of all. So single models are compared first: the probabilities of each in the new people are
    calibrated as held-out ones were in training, and what AUC they promise then is what case mix
    leaves; what is missing from that to the AUC of single models in the new people is the model,
    or chance; the rest is what the mean of the models adds.

    Parameters
    ----------
    told
        As `aggregates.held_out_facts` gave it; empty where a bundle holds none.
    per_model
        (n, M) probabilities of the new people by each fold model, before any recalibration.
    outcome
        (n,) 0 or 1.
    observed
        AUC of the mean in the new people, with its interval.
    """
    nothing = pd.DataFrame(columns=pd.Index(DROP))
    if not told:
        return Drop(nothing, note="the bundle tells nothing of its held-out scores")
    if told.get("slope") is None or told.get("intercept") is None:
        return Drop(nothing, note="the held-out scores of training had no calibration slope")
    if told["slope"] <= 0:
        why = "the held-out scores of training did not rise with the outcome: nothing to expect"
        return Drop(nothing, note=why)
    logit = told["intercept"] + told["slope"] * log_odds(np.asarray(per_model, float))
    truth = np.asarray(outcome, bool)
    expected, single = _expected_and_observed(logit, truth)
    rng = np.random.default_rng(seed)
    positives, negatives = np.flatnonzero(truth), np.flatnonzero(~truth)
    draws = []
    for _ in range(_DRAWS):
        # as many of each class as there are, so that an AUC is always defined
        rows = np.r_[rng.choice(positives, len(positives)), rng.choice(negatives, len(negatives))]
        draws.append(_expected_and_observed(logit[rows], truth[rows]))
    drawn = np.array(draws)
    edge = 50 * (1 - level)
    limits = np.nanpercentile(np.c_[drawn, drawn[:, 1] - drawn[:, 0]], [edge, 100 - edge], axis=0)
    z = normal_quantile(level)
    before = float(told["auc"])
    half = [_widen(before, told[name], z) for name in ("auc_low", "auc_high")]
    rows = [
        ("training, held out", before, *half, float("nan"), "single fold models, on people unseen"),
        (
            *("expected in these people", expected, *limits[:, 0], expected - before),
            "if probabilities hold as they held in training: the case mix",
        ),
        (
            *("observed, single fold models", single, *limits[:, 1], single - expected),
            "what the case mix does not explain: the model, or chance",
        ),
        (
            *("observed, mean of the fold models", *observed, observed[0] - single),
            "what the mean of the fold models adds",
        ),
    ]
    return Drop(
        pd.DataFrame(rows, columns=pd.Index(DROP)),
        expected - before,
        single - expected,
        observed[0] - single,
        bool(limits[0, 2] <= 0 <= limits[1, 2]),
    )


def _expected_and_observed(logit: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Mean over the fold models of the AUC that their logits, (n, M), promise and that is there."""
    expected = np.mean([model_based_auc(one) for one in logit.T])
    return float(expected), float(placements(logit.T, truth)[0].mean())


def _widen(centre: float, one_error: object, z: float) -> float:
    """Stretch a limit of one standard error to z of them, on the logit scale."""
    if not isinstance(one_error, int | float):
        return float("nan")
    ends = np.clip([centre, float(one_error)], 1e-6, 1 - 1e-6)
    middle, edge = np.log(ends) - np.log1p(-ends)
    return float(1 / (1 + np.exp(-(middle + z * (edge - middle)))))
