"""Do the maps say anything of what was learned? The checks of a variant, and their verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bidsapp.dataset.tables import write_table
from bidsapp.representation.cohort_array import CohortArray
from bidsapp.saliency.checks import FoldChecks
from bidsapp.saliency.leaks import stamped
from bidsapp.saliency.similarity import edges, rank_correlation, structural_similarity
from bidsapp.saliency.smoothing import MaskedSmoother

COLUMNS = ("check", "of", "value", "low", "high", "limit", "n", "result", "meaning")
# Adebayo et al. 2018 name no limit; these are ours, and are printed with every verdict.
MOST_ALIKE = 0.5
LEAST_AGREEMENT = 0.1
ALPHA = 0.05


@dataclass
class Findings:
    """Rows of ``sanity.tsv`` and sentences, as the checks find them."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    sentences: list[str] = field(default_factory=list)

    def note(self, check: str, result: str, sentence: str = "", **values: Any) -> None:
        """Add one finding; a sentence is for the report too."""
        self.rows.append({"check": check, "result": result, "meaning": sentence} | values)
        if sentence:
            self.sentences.append(sentence)

    @property
    def verdict(self) -> str:
        """``fail`` if any check failed, ``pass`` if some passed, else ``not run``."""
        results = {row["result"] for row in self.rows}
        return "fail" if "fail" in results else "pass" if "pass" in results else "not run"

    def plain(self) -> dict[str, Any]:
        """For the sidecars and the report."""
        return {"verdict": self.verdict, "sentences": list(self.sentences)}

    def write(self, path: Path, stamp: str = "") -> None:
        """Write ``sanity.tsv``, each row with the stamp of a leak if there is one."""
        write_table(path, stamped(pd.DataFrame(self.rows, columns=list(COLUMNS)), stamp))


def together(findings: Sequence[Findings], names: Sequence[str]) -> dict[str, Any]:
    """Judge maps that were joined: they fail with any of them, and pass where all do.

    Returns
    -------
    dict
        ``verdict`` and ``sentences``, the latter with the variants' names.
    """
    verdicts = [one.verdict for one in findings]
    verdict = "fail" if "fail" in verdicts else "pass" if set(verdicts) == {"pass"} else "not run"
    told = [
        f"{name}: {text}"
        for name, one in zip(names, findings, strict=True)
        for text in one.sentences
    ]
    return {"verdict": verdict, "sentences": told}


@dataclass(frozen=True)
class Evidence:
    """All that the checks of a variant look at.

    Attributes
    ----------
    folds
        What each fold found.
    shuffled
        Place of a fold in `folds` to the sum of the same people's maps, (X, Y, Z), from a network
        trained on shuffled outcomes.
    scores
        Held-out scores: participant_id, outcome, probability.
    images
        The cohort.
    outcome
        0 or 1 for each of its rows.
    inside
        (X, Y, Z) bool: the template's brain in the window.
    fwhm_mm
        Of the smoothing of the group's map.
    zooms
        Edge lengths of a voxel in mm.
    """

    folds: Sequence[FoldChecks]
    shuffled: Mapping[int, np.ndarray]
    scores: pd.DataFrame
    images: CohortArray
    outcome: np.ndarray
    inside: np.ndarray
    fwhm_mm: float
    zooms: tuple[float, float, float]


def judge(evidence: Evidence) -> Findings:
    """Make every check for which there is evidence."""
    found = Findings()
    _forecast(evidence.scores, found)
    people = sum(fold.people for fold in evidence.folds)
    if not people or not evidence.inside.any():
        why = "no held-out positive" if not people else "the brain mask has no voxel in the window"
        found.note("maps", "not run", f"The maps could not be checked: {why}.", n=people)
        return found
    smoother = MaskedSmoother(evidence.inside, evidence.zooms, evidence.fwhm_mm)

    def group(maps: Sequence[np.ndarray], n: int) -> np.ndarray:
        return smoother(np.sum(maps, axis=0)[evidence.inside] / n)

    own = group([fold.trained for fold in evidence.folds], people)
    if not own.any():
        found.note("maps", "fail", "Fail: the map is 0 everywhere.", n=people)
        return found
    _weights(evidence, own, group, people, found)
    _labels(evidence, group, found)
    _agreement(evidence, group, found)
    _plain_images(evidence, own, smoother, found)
    _curves(evidence.folds, found)
    return found


def _forecast(scores: pd.DataFrame, found: Findings) -> None:
    """Ask whether the network has learned anything that a map could show."""
    from scipy.stats import mannwhitneyu

    # whose outcome changes from scan to scan is seen once as either
    mean = scores.groupby(["participant_id", "outcome"], as_index=False)["probability"].mean()
    positive = mean.loc[mean["outcome"] == 1, "probability"].to_numpy()
    negative = mean.loc[mean["outcome"] == 0, "probability"].to_numpy()
    if not len(positive) or not len(negative):
        text = "Held-out people are all of one class, so what the network learned is not known."
        found.note("forecast", "not run", text, of="AUC", n=len(mean))
        return
    test = mannwhitneyu(positive, negative, alternative="greater")
    auc = float(test.statistic) / (len(positive) * len(negative))
    good = bool(test.pvalue < ALPHA)
    text = (
        f"Held-out people are told apart (AUC {auc:.2f}, one-sided p = {test.pvalue:.2g})."
        if good
        else f"Fail: the network does not tell held-out people apart better than chance (AUC "
        f"{auc:.2f}, one-sided p = {test.pvalue:.2g}), so its map cannot show what it learned."
    )
    found.note(
        "forecast", _word(good), text, of="p of AUC", value=test.pvalue, limit=ALPHA, n=len(mean)
    )


def _weights(evidence: Evidence, own: np.ndarray, group: Any, people: int, found: Findings) -> None:
    """Compare with networks whose weights were drawn anew, from the head down to the stem."""
    folds = [fold for fold in evidence.folds if fold.people]
    inside = evidence.inside
    for number, level in enumerate(folds[0].levels):
        other = group([fold.randomised[number] for fold in folds], people)
        value = rank_correlation(own, other)
        similar = structural_similarity(_laid(own, inside), _laid(other, inside), inside)
        last = number == len(folds[0].levels) - 1
        good, text = _unlike(value, own, "a network without any trained weight")
        found.note(
            "weights",
            _word(good) if last else "info",
            text if last else "",
            of=f"from the head to {level}: Spearman",
            value=value,
            limit=MOST_ALIKE if last else None,
            n=people,
        )
        found.note("weights", "info", of=f"from the head to {level}: SSIM", value=similar, n=people)


def _labels(evidence: Evidence, group: Any, found: Findings) -> None:
    """Compare with a network that was trained on shuffled outcomes."""
    pairs = [(evidence.folds[i], other) for i, other in evidence.shuffled.items()]
    pairs = [(fold, other) for fold, other in pairs if fold.people]
    if not pairs:
        found.note(
            "labels",
            "not run",
            "No network was trained on shuffled outcomes (saliency.shuffled_folds).",
            of="Spearman",
            n=0,
        )
        return
    n = sum(fold.people for fold, _ in pairs)
    own = group([fold.trained for fold, _ in pairs], n)
    value = rank_correlation(own, group([other for _, other in pairs], n))
    good, text = _unlike(value, own, "a network trained on shuffled outcomes")
    found.note("labels", _word(good), text, of="Spearman", value=value, limit=MOST_ALIKE, n=n)


def _unlike(value: float, own: np.ndarray, network: str) -> tuple[bool, str]:
    """Judge the correlation of a map with that of a network that learned nothing, and say so."""
    if np.isnan(value):
        if not np.ptp(own):
            return False, (
                "Fail: the map has the same value everywhere, so it cannot be compared with that "
                f"of {network}."
            )
        return True, (
            f"The map of {network} has the same value everywhere, so this one is not like it."
        )
    if abs(value) <= MOST_ALIKE:
        return True, f"The map of {network} is another one (Spearman {value:.2f})."
    same = "nearly the same map" if value > 0 else "this map with the opposite signs"
    return False, (
        f"Fail: {network} gives {same} (Spearman {value:.2f}, at most ±{MOST_ALIKE} is allowed)."
    )


def _agreement(evidence: Evidence, group: Any, found: Findings) -> None:
    """Compare the folds with one another: what was learned should be found again."""
    means = [group([fold.trained], fold.people) for fold in evidence.folds if fold.people]
    values = [rank_correlation(a, b) for a, b in combinations(means, 2)]
    values = [value for value in values if np.isfinite(value)]
    if not values:
        found.note("folds", "not run", of="mean Spearman of pairs of folds", n=len(means))
        return
    mean = float(np.mean(values))
    good = mean >= LEAST_AGREEMENT
    text = (
        f"Networks of different folds give related maps (mean Spearman {mean:.2f})."
        if good
        else f"Fail: networks of different folds give unrelated maps (mean Spearman {mean:.2f}, "
        f"at least {LEAST_AGREEMENT} is asked for)."
    )
    found.note(
        "folds",
        _word(good),
        text,
        of="mean Spearman of pairs of folds",
        value=mean,
        low=min(values),
        high=max(values),
        limit=LEAST_AGREEMENT,
        n=len(means),
    )


def _plain_images(
    evidence: Evidence, own: np.ndarray, smoother: MaskedSmoother, found: Findings
) -> None:
    """Compare with what the images show without any network: edges, and the group difference."""
    means = [_mean(evidence.images, evidence.outcome == value) for value in (0, 1)]
    # edges of anatomy: those that only the positives have may be the very effect
    whole = means[0] if means[0] is not None else means[1]
    if whole is None:
        return
    inside = evidence.inside
    for channel, name in enumerate(evidence.images.channels):
        border = smoother(edges(whole[channel], evidence.zooms)[inside])
        value = rank_correlation(np.abs(own), border)
        good = not abs(value) > MOST_ALIKE  # where either has one value everywhere, it is NaN
        text = (
            ""
            if good
            else f"Fail: the map follows the edges of the negatives' mean {name} image (Spearman "
            f"{value:.2f} of its magnitude, at most ±{MOST_ALIKE} is allowed)."
        )
        found.note(
            "edges", _word(good), text, of=f"{name}: Spearman", value=value, limit=MOST_ALIKE
        )
        if means[0] is None or means[1] is None:
            continue
        difference = smoother((means[1] - means[0])[channel][inside].astype(np.float32))
        found.note(
            "difference",
            "info",
            of=f"{name}, positives less negatives: Spearman",
            value=rank_correlation(own, difference),
        )


def _curves(folds: Sequence[FoldChecks], found: Findings) -> None:
    """Ask whether the voxels that a map names matter more than others as smooth as these."""
    values = np.concatenate([fold.gaps for fold in folds])
    either_way = any(fold.either_way for fold in folds)
    for column, (check, lead, verb) in enumerate(
        (("deletion", "Without", "falls"), ("insertion", "With", "rises"))
    ):
        verb = "moves, up or down," if either_way else verb
        if len(values) < 2:
            found.note(check, "not run", of="logits better than random orders", n=len(values))
            continue
        mean = float(values[:, column].mean())
        error = float(values[:, column].std(ddof=1) / np.sqrt(len(values)))
        low, high = mean - 1.96 * error, mean + 1.96 * error
        if low <= 0 <= high:
            word = "unclear"
            text = (
                f"Whether the voxels of the map matter more than random ones is not clear: the "
                f"logit {verb} by {abs(mean):.2f} {'more' if mean >= 0 else 'less'} (95 % CI of "
                f"what it does more: {low:.2f} to {high:.2f})."
            )
        elif mean > 0:
            word = "pass"
            text = (
                f"{lead} the map's voxels the logit {verb} by {mean:.2f} more than "
                f"{lead.lower()} random ones."
            )
        else:
            word = "fail"
            text = (
                f"Fail: {lead.lower()} the map's voxels the logit {verb} by {-mean:.2f} less "
                f"than {lead.lower()} random ones."
            )
        found.note(
            check,
            word,
            text,
            of="logits better than random orders",
            value=mean,
            low=low,
            high=high,
            limit=0.0,
            n=len(values),
        )


def _mean(images: CohortArray, chosen: np.ndarray) -> np.ndarray | None:
    """Mean of some of the cohort's images, (C, X, Y, Z) float64; None where there are none."""
    rows = np.flatnonzero(chosen)
    if not len(rows):
        return None
    array = images.open()
    total = np.zeros(array.shape[1:], np.float64)
    for row in rows:
        total += array[row]
    return total / len(rows)


def _laid(values: np.ndarray, inside: np.ndarray) -> np.ndarray:
    block = np.zeros(inside.shape, np.float32)
    block[inside] = values
    return block


def _word(good: bool) -> str:
    return "pass" if good else "fail"
