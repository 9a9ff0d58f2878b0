"""Do the maps say anything of what was learned? The checks of a variant."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np

from bidsapp.contracts.space import Smoother, Space, relative_sizes
from bidsapp.evaluation.chance import BETTER, CHANCE, UNKNOWN, Forecast
from bidsapp.representation.cohort_array import CohortArray
from bidsapp.saliency.checks import FoldChecks
from bidsapp.saliency.plain_images import mean_image
from bidsapp.saliency.similarity import rank_correlation, structural_similarity, top_overlap
from bidsapp.saliency.verdict import FAIL, PASS, Findings

# Adebayo et al. 2018 name no limit; this is ours, and is printed with every verdict.
MOST_ALIKE = 0.5
ALPHA = 0.05
_HALVES = "signed overlap of the strongest tenth of two halves"
EDGES_MM = 4.0  # smoothing of an image before its edges are taken
LEAST_PAIRS = 9  # of halves: with fewer, the largest of them says too little


@dataclass(frozen=True)
class Evidence:
    """All that the checks of a variant look at.

    Attributes
    ----------
    folds
        What each fold found.
    halves
        (2, 1 + shuffles, X, Y, Z): mean map of the same people by networks trained on either half
        of a fold's people, first on their true outcomes, then on shuffled ones; None where none
        were trained.
    forecast
        How well the variant forecasts held-out people.
    images
        The cohort.
    outcome
        0 or 1 for each of its rows.
    inside
        Bool of the space's shape: the mask of the values, the template's brain; of it, where
        there is tissue (`bidsapp.saliency.plain_images.judged_mask`).
    fwhm_mm
        Of the smoothing of the group's map.
    space
        Where the maps lie.
    """

    folds: Sequence[FoldChecks]
    halves: np.ndarray | None
    forecast: Forecast
    images: CohortArray
    outcome: np.ndarray
    inside: np.ndarray
    fwhm_mm: float
    space: Space

    @cached_property
    def sizes(self) -> np.ndarray:
        """(voxels,) how much each of the mask counts; 1 where all are of one size."""
        return relative_sizes(self.space, self.inside)


def judge(evidence: Evidence) -> Findings:
    """Make every check for which there is evidence."""
    found = Findings(cell=evidence.space.cell)
    _forecast(evidence.forecast, found)
    people = sum(fold.people for fold in evidence.folds)
    if not people or not evidence.inside.any():
        why = "no held-out positive" if not people else _nowhere(evidence.space)
        found.note("maps", "not run", f"The maps could not be checked: {why}.", n=people)
        return found
    smoother = evidence.space.smoother(evidence.inside, evidence.fwhm_mm)

    def group(maps: Sequence[np.ndarray], n: int) -> np.ndarray:
        return smoother(np.sum(maps, axis=0)[evidence.inside] / n)

    own = group([fold.trained for fold in evidence.folds], people)
    if not own.any():
        found.note("maps", "fail", "Fail: the map is 0 everywhere.", n=people)
        return found
    _weights(evidence, own, group, people, found)
    _halves(evidence, smoother, found)
    _agreement(evidence, group, found)
    _plain_images(evidence, own, smoother, found)
    _curves(evidence.folds, found, f"{evidence.space.cell}s")
    return found


def _forecast(forecast: Forecast, found: Findings) -> None:
    """Ask whether the network has learned anything that a map could show, as the report does."""
    facts = {"of": "AUC", "value": forecast.auc, "low": forecast.low, "high": forecast.high}
    facts |= {"limit": CHANCE, "n": forecast.n}
    limits = f"AUC {forecast.auc:.2f}, interval {forecast.low:.2f} to {forecast.high:.2f}"
    if forecast.verdict == UNKNOWN or forecast.leak:
        why = forecast.leak or forecast.note or "the AUC has no interval"
        text = f"Whether the network forecasts better than chance cannot be told: {why}."
        found.note("forecast", "unclear", text, **facts)
    elif forecast.verdict == BETTER:
        found.note("forecast", PASS, f"The forecast is better than chance ({limits}).", **facts)
    elif forecast.auc > CHANCE:
        text = (
            f"The forecast is not shown to be better than chance ({limits}), so whether there is "
            "anything that the map could show is not known."
        )
        found.note("forecast", "unclear", text, **facts)
    else:
        text = (
            f"Fail: the forecast is no better than chance ({limits}), so the map cannot show what "
            "was learned."
        )
        found.note("forecast", FAIL, text, **facts)


def _weights(evidence: Evidence, own: np.ndarray, group: Any, people: int, found: Findings) -> None:
    """Compare with networks whose weights were drawn anew, from the head down to the stem."""
    folds = [fold for fold in evidence.folds if fold.people]
    inside = evidence.inside
    for number, level in enumerate(folds[0].levels):
        other = group([fold.randomised[number] for fold in folds], people)
        value = rank_correlation(own, other, evidence.sizes)
        laid = (_laid(own, inside), _laid(other, inside))
        similar = structural_similarity(*laid, inside, evidence.sizes)
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


def _halves(evidence: Evidence, smoother: Smoother, found: Findings) -> None:
    """Compare networks of disjoint halves with one another, and with shuffled outcomes."""
    if evidence.halves is None or evidence.halves.shape[1] < 2:
        for check, what in (("labels", "Spearman"), ("halves", _HALVES)):
            found.note(check, "not run", of=what, n=0)
        found.sentences.append(
            "No networks were trained on halves of the people and on shuffled outcomes "
            "(saliency.shuffled_folds), so whether other people give the same map is not known."
        )
        return
    maps = [[smoother(one[evidence.inside]) for one in half] for half in evidence.halves]
    own = (maps[0][0] + maps[1][0]) / 2
    shuffles = range(1, len(maps[0]))
    sizes = evidence.sizes
    alike = [rank_correlation(own, (maps[0][k] + maps[1][k]) / 2, sizes) for k in shuffles]
    value = float(np.mean(alike))
    good, text = _unlike(value, own, "networks trained on shuffled outcomes")
    found.note(
        "labels", _word(good), text, of="Spearman, mean of shuffles", value=value,
        low=min(alike), high=max(alike), limit=MOST_ALIKE, n=len(alike),
    )  # fmt: skip
    both = [[top_overlap(a, b, sizes=sizes) for b in maps[1]] for a in maps[0]]
    _replication(np.array(both), found, evidence.space.cell)


def _replication(alike: np.ndarray, found: Findings, cell: str = "voxel") -> None:
    """Judge whether two halves agree as no halves with shuffled outcomes do.

    Parameters
    ----------
    alike
        (1 + shuffles, 1 + shuffles) `top_overlap` of the maps of either half, the first of each
        with true outcomes. Where images say nothing of outcomes, true outcomes are one more
        shuffle: rows and columns are exchangeable, each place is equally likely to hold the
        largest value, and the first place's rank is an exact p.
    """
    value, pairs = float(alike[0, 0]), alike.size
    others = np.delete(alike.ravel(), 0)
    known = others[np.isfinite(others)]
    facts: dict[str, Any] = {"of": _HALVES, "value": value, "n": pairs}
    if len(known):
        facts |= {"low": float(known.min()), "high": float(known.max())}
    if not np.isfinite(value):
        found.note("halves", "unclear", "The map of a half is 0 everywhere.", **facts)
        return
    facts["limit"] = facts.get("high")
    rank = 1 + int((known >= value).sum())
    span = (
        f"overlap of the strongest tenth of {cell}s {value:.2f}; with shuffled outcomes "
        f"{facts.get('low', 0.0):.2f} to {facts.get('high', 0.0):.2f}"
    )
    if rank == 1 and pairs >= LEAST_PAIRS:
        text = (
            f"Networks that have no person in common give related maps ({span}; by chance the "
            f"largest in 1 of {pairs} studies)."
        )
        found.note("halves", PASS, text, **facts)
        return
    why = (
        f"{pairs} pairs are too few to tell"
        if rank == 1
        else f"{rank - 1} of {pairs - 1} pairs with shuffled outcomes are as much alike"
    )
    text = (
        "Whether networks that have no person in common give related maps is not clear "
        f"({span}): {why}."
    )
    found.note("halves", "unclear", text, **facts)


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
    """Compare the folds with one another; as they share people, noise makes them agree too."""
    means = [group([fold.trained], fold.people) for fold in evidence.folds if fold.people]
    values = [rank_correlation(a, b, evidence.sizes) for a, b in combinations(means, 2)]
    values = [value for value in values if np.isfinite(value)]
    if not values:
        found.note("folds", "not run", of="mean Spearman of pairs of folds", n=len(means))
        return
    found.note(
        "folds",
        "info",
        of="mean Spearman of pairs of folds",
        value=float(np.mean(values)),
        low=min(values),
        high=max(values),
        n=len(means),
    )


def _plain_images(evidence: Evidence, own: np.ndarray, smoother: Smoother, found: Findings) -> None:
    """Compare with what the images show without any network: edges, and the group difference."""
    means = [mean_image(evidence.images, evidence.outcome == value) for value in (0, 1)]
    # edges of anatomy: those that only the positives have may be the very effect
    whole = means[0] if means[0] is not None else means[1]
    if whole is None:
        return
    inside = evidence.inside
    for channel, name in enumerate(evidence.images.shown):
        border = smoother(evidence.space.edges(whole[channel], EDGES_MM)[inside])
        value = rank_correlation(np.abs(own), border, evidence.sizes)
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
            value=rank_correlation(own, difference, evidence.sizes),
        )


def _curves(folds: Sequence[FoldChecks], found: Findings, cells: str) -> None:
    """Ask whether the voxels that a map names matter more than those of maps as smooth."""
    values = np.concatenate([fold.effects for fold in folds])
    moved = any(fold.either_way for fold in folds)
    people = len(values)
    if not people:
        found.note("voxels", "not run", of="logits, deletion and insertion", n=0)
        return
    mean = values.mean(axis=0)
    for column, check in enumerate(("deletion", "insertion")):
        own, random = mean[0, column], mean[1:, column]
        found.note(
            check, "info", of="logits; low and high: random maps", value=float(own),
            low=float(random.min()), high=float(random.max()), n=people,
        )  # fmt: skip
    total = mean.mean(axis=1)
    own, random = float(total[0]), total[1:]
    # random maps share their phases over people and folds, as a pattern laid over all would
    p = (1 + int((random >= own).sum())) / len(total)
    both = bool((mean[0] > mean[1:].mean(axis=0)).all())
    verb = "moves, up or down," if moved else "changes"
    how = (
        f"the logit {verb} by {_logits(own)} when they are taken away or given, and by "
        f"{_logits(random.mean())} (at most {_logits(random.max())}) with {len(random)} random "
        f"maps as smooth, p = {p:.2g}"
    )
    facts: dict[str, Any] = {
        "of": "logits, mean of deletion and insertion; limit: largest of random maps",
        "value": own, "low": float(random.min()), "high": float(random.max()),
        "limit": float(random.max()), "n": people,
    }  # fmt: skip
    if p <= ALPHA and both:
        found.note("voxels", PASS, f"The map's {cells} matter more than others: {how}.", **facts)
    elif (random > own).mean() >= 1 - ALPHA:
        found.note(
            "voxels", FAIL, f"Fail: the map's {cells} matter less than others: {how}.", **facts
        )
    else:
        text = f"Whether the map's {cells} matter more than others is not clear: {how}."
        found.note("voxels", "unclear", text, **facts)


def _logits(value: float) -> str:
    """Give two decimals, and two digits of what would be 0.00."""
    return f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.2g}"


def _nowhere(space: Space) -> str:
    return f"{space.field} has no {space.cell} in the window"


def _laid(values: np.ndarray, inside: np.ndarray) -> np.ndarray:
    block = np.zeros(inside.shape, np.float32)
    block[inside] = values
    return block


def _word(good: bool) -> str:
    return PASS if good else FAIL
