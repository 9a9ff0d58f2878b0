"""ComBat: location and scale of each site, shrunk towards what its values have in common.

Johnson, Li & Rabinovic 2007 (doi:10.1093/biostatistics/kxj037), for images as in Fortin et al. 2017
(doi:10.1016/j.neuroimage.2017.08.047) and 2018; with a reference site as in Stein et al. 2015
(doi:10.1186/s12859-015-0478-x). Written anew, as what there is fits and applies at once, on values
that are all in memory: here it is fitted on training people, whose values are read one by one and
twice, and applied to anybody.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from bidsapp.errors import BadData

_TOLERANCE = 1e-4
_MOST_ROUNDS = 200
LEAST_SD = 1e-6
"""A value that varies less within sites is left as it is."""


@dataclass(frozen=True)
class SiteEffects:
    """What was found of each site and of the covariates that are kept.

    Attributes
    ----------
    mean
        (V,) mean over sites, or of the reference site, where all covariates are at their mean.
    slopes
        (K, V) change of the value with each covariate.
    shift
        (S, V) what is taken off the values of a site.
    scale
        (S, V) by what the distance from the mean is then divided.
    """

    mean: np.ndarray
    slopes: np.ndarray
    shift: np.ndarray
    scale: np.ndarray

    def expected(self, covariates: np.ndarray) -> np.ndarray:
        """Give the value that is expected of a person with these covariates, (V,)."""
        return np.asarray(self.mean + covariates @ self.slopes)

    def harmonised(self, values: np.ndarray, site: int, covariates: np.ndarray) -> np.ndarray:
        """Take the effect of a site off the values of one person.

        Parameters
        ----------
        values
            (V,) of the person.
        site
            Number of the site; below 0 for one that is not known: the values stay as they are.
        covariates
            (K,) of the person.
        """
        if site < 0:
            return values
        expected = self.expected(covariates)
        return np.asarray((values - expected - self.shift[site]) / self.scale[site] + expected)


def fit_sites(
    read: Callable[[], Iterable[np.ndarray]],
    site: np.ndarray,
    covariates: np.ndarray,
    blocks: Sequence[slice],
    reference: int | None = None,
) -> SiteEffects:
    """Find the effects of sites by least squares, then shrink them (parametric empirical Bayes).

    Each value has a mean that goes with the covariates, and in each site a shift and a spread of
    its own. Those of one site are drawn towards the mean over the values of a block, the more so
    the fewer people the site has.

    Parameters
    ----------
    read
        Gives the values of each person, (V,), in the order of `site`; called twice.
    site
        (n,) number of everybody's site, 0 to S - 1, each with two people at least.
    covariates
        (n, K) numbers that are kept: what goes with them is no effect of a site.
    blocks
        Values that are alike enough to be shrunk towards one another: those of a channel.
    reference
        Site that stays as it is, and that all others are made like; by default all sites are made
        like their mean.

    Raises
    ------
    BadData
        What goes with a covariate cannot be told from what goes with the site.
    """
    people = np.bincount(site)
    count = len(people)
    membership = (site[:, None] == np.arange(count)).astype(float)
    centre = covariates.mean(axis=0) if len(covariates) else np.zeros(covariates.shape[1])
    design = np.column_stack([membership, covariates - centre])
    _require_apart(design, count)
    solve = np.linalg.pinv(design)
    effects = None
    for row, values in zip(solve.T, read(), strict=True):
        part = np.outer(row, np.asarray(values, np.float64))
        effects = part if effects is None else np.add(effects, part, out=effects)
    assert effects is not None
    squares = np.zeros((count, effects.shape[1]))
    for person, values in enumerate(read()):
        left = np.asarray(values, np.float64) - design[person] @ effects
        squares[site[person]] += left**2
    if reference is None:
        mean = people / people.sum() @ effects[:count]
        sd = np.sqrt(squares.sum(axis=0) / people.sum())
    else:
        mean, sd = effects[reference], np.sqrt(squares[reference] / people[reference])
    varies = sd > LEAST_SD
    shift, scale = np.zeros_like(squares), np.ones_like(squares)
    unit = np.where(varies, sd, 1.0)
    for block in blocks:
        places = np.arange(effects.shape[1])[block][varies[block]]
        for number in range(count):
            if number == reference or not len(places):
                continue
            gamma = (effects[number, places] - mean[places]) / unit[places]
            spread = squares[number, places] / unit[places] ** 2
            found = _shrunk(gamma, spread, int(people[number]))
            shift[number, places] = found[0] * unit[places]
            scale[number, places] = np.sqrt(found[1])
    slopes = effects[count:]
    return SiteEffects(mean - centre @ slopes, slopes, shift, scale)


def _require_apart(design: np.ndarray, sites: int) -> None:
    """Refuse covariates that go entirely with the site."""
    own = design[:, sites:]
    if own.shape[1] and np.linalg.matrix_rank(design) < sites + np.linalg.matrix_rank(own):
        raise BadData(
            "a covariate that is to be kept goes entirely with the site, so that its effect cannot "
            "be told from that of the site; leave it out"
        )


def _shrunk(gamma: np.ndarray, squares: np.ndarray, people: int) -> tuple[np.ndarray, np.ndarray]:
    """Shrink the shifts and variances of one site, in units of the values' own SD.

    Parameters
    ----------
    gamma
        (V,) shift of each value.
    squares
        (V,) sum of squared distances from the site's mean.
    people
        Of the site.

    Returns
    -------
    shift, variance
        (V,) posterior means, found by turns (equations 4 of Johnson et al.). As they are where the
        values are too few, or too much alike, to be drawn towards one another.
    """
    raw = squares / (people - 1)
    spread, variance = (float(one.var(ddof=1)) if len(one) > 1 else 0.0 for one in (gamma, raw))
    if spread <= 0 or variance <= 0:
        return gamma, np.maximum(raw, LEAST_SD**2)
    middle, usual = float(gamma.mean()), float(raw.mean())
    shape = (2 * variance + usual**2) / variance
    rate = (usual * variance + usual**3) / variance
    shift, found = gamma, raw
    for _ in range(_MOST_ROUNDS):
        new = (people * spread * gamma + found * middle) / (people * spread + found)
        about = squares + people * (gamma - new) ** 2
        drawn = (rate + 0.5 * about) / (people / 2 + shape - 1)
        moved = max(_change(shift, new), _change(found, drawn))
        shift, found = new, drawn
        if moved < _TOLERANCE:
            break
    return shift, found


def _change(old: np.ndarray, new: np.ndarray) -> float:
    return float(np.max(np.abs(new - old) / np.maximum(np.abs(old), _TOLERANCE)))
