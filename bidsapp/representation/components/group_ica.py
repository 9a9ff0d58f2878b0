"""Group ICA of the training people of a fold: reductions in, component maps out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bidsapp.representation.components.ica import independent_sources
from bidsapp.representation.components.whitening import whiten


@dataclass(frozen=True)
class GroupComponents:
    """Component maps of a group, and what is known of them.

    Attributes
    ----------
    maps
        float32, shape (C, V), z values over the mask, the most stable first.
    stability
        Quality index over random starts, shape (C,); see `Sources`.
    variance
        Which share of the group's whitened variance each component carries, shape (C,); they
        add up to less than 1, as only the strongest directions were kept.
    settled
        Whether the ICA converged.
    """

    maps: np.ndarray
    stability: np.ndarray
    variance: np.ndarray
    settled: bool


def group_ica(
    reductions: Sequence[np.ndarray],
    train_rows: np.ndarray,
    components: int,
    seed: int | tuple[int, ...],
    *,
    starts: int = 10,
    products: np.ndarray | None = None,
) -> GroupComponents:
    """Fit a group ICA on the training people, and on nobody else.

    Parameters
    ----------
    reductions
        One array a person of the whole cohort, shape (K, V), as `reduce_person` makes them.
    train_rows
        Numbers of the training people; the others are not looked at.
    components
        How many components, C.
    seed
        Of the random starts; say a fold's number in it.
    starts
        Number of random starts.
    products
        `pair_products` of the whole cohort, for cohorts of up to a hundred people.

    Returns
    -------
    GroupComponents

    Notes
    -----
    Temporal concatenation of reduced people, a second PCA, spatial ICA: Calhoun et al. (2001),
    doi:10.1002/hbm.1048.
    """
    whitened = whiten(reductions, train_rows, components, products)
    sources = independent_sources(whitened.data, seed, starts)
    total = len(np.unique(train_rows)) * reductions[0].shape[0]
    variance = (sources.unmixing**2) @ whitened.eigenvalues / total
    return GroupComponents(sources.maps, sources.stability, variance, sources.settled)
