"""What the maps of a run will need, refused before anything is trained if it cannot be used."""

from collections.abc import Sequence

import pandas as pd

from bidsapp.recipes.analysis import Saliency
from bidsapp.representation.window import volume
from bidsapp.saliency.atlas_choice import choose_atlases
from bidsapp.saliency.covariates import check_covariates
from bidsapp.templates.space import Grid


def check_maps(
    sections: Sequence[Saliency], cohort: pd.DataFrame, grid: Grid, space: str
) -> list[str]:
    """Refuse covariates and atlases that the group's test and tables could not use.

    Parameters
    ----------
    sections
        The ``saliency`` section of each variant.
    cohort
        The table of ``cohort.tsv``.
    grid
        Of the normalised images.
    space
        Label of their template.

    Returns
    -------
    list of str
        What a reader of the tables should know, each once.

    Raises
    ------
    UsageError, BadData, NoInput
        As `check_covariates` and `choose_atlases` do.
    """
    for section in sections:
        if section.permutations:
            check_covariates(cohort, section.covariates)
    whole = volume(grid.shape, grid.matrix)
    notes: list[str] = []
    for names in dict.fromkeys(section.atlases for section in sections):
        notes += choose_atlases(names, whole, space)[1] if names else []
    return list(dict.fromkeys(notes))
