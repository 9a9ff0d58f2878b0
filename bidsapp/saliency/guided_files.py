"""Write averages weighted by held-out maps, beside covariates, and what they add."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from bidsapp.contracts.modality import modality_named
from bidsapp.contracts.space import relative_sizes
from bidsapp.contracts.unit import Unit, unit_columns, units_in
from bidsapp.dataset.covariates import users_column
from bidsapp.recipes.schema import Recipe
from bidsapp.representation.cohort_array import CohortArray
from bidsapp.saliency.covariates import chosen_columns, nuisance_of
from bidsapp.saliency.group_tables import write_rounded
from bidsapp.saliency.guided_table import Guides, added_by_averages, guided_table
from bidsapp.saliency.map_files import GroupFolder
from bidsapp.saliency.own_sizes import own_sizes

NOTE = (
    "guided.tsv: the weights of a person are of networks that did not train on this person, but on "
    "the outcomes of all others; as predictors in a cross-validation of the same people they still "
    "hold the outcomes of those who are tested"
)


def write_guided(
    guides: Guides,
    images: CohortArray,
    regions: Mapping[str, np.ndarray],
    cohort: pd.DataFrame,
    recipe: Recipe,
    files: GroupFolder,
    surfaces: Mapping[Unit, Path] | None = None,
) -> tuple[dict[str, str], list[str]]:
    """Write ``guided.tsv`` and ``guided_added.tsv``.

    Parameters
    ----------
    guides
        Maps of held-out people, and of the same by networks that were never trained.
    images
        The cohort's images in the space of the maps.
    regions
        Whose plain means stand beside.
    cohort
        The table of ``cohort.tsv``.
    recipe
        Its ``saliency`` section says which covariates; in mode paper all cells of a
        map count alike, as printed.
    files
        Where the tables go.
    surfaces
        Main product of each prepared unit, whose own surface says how large the cells of its map
        are; by default they are as large as the space says.

    Returns
    -------
    tables, notes
        Name to file, and what a reader should know.
    """
    space, settings = images.space, recipe.saliency
    sizes, unsized = relative_sizes(space), list[str]()
    if recipe.mode == "paper":
        sizes = np.ones(sizes.shape)
    elif surfaces:
        modality = modality_named(recipe.preparation.modality)
        units = units_in(guides.trained.rows)
        sizes, unsized = own_sizes(modality, surfaces, units, images.channels[0], space)
    seed = recipe.evaluation.seed
    table = guided_table(guides, images, images.channels, regions, sizes, seed)
    chosen, notes = chosen_columns(table, cohort, settings.covariates)
    design, names, known = nuisance_of(table, cohort, chosen, notes)
    covariates = {f"covariate {k + 1}": design[known, k] for k in range(design.shape[1])}
    complete = table[known].reset_index(drop=True)
    added, left_out = added_by_averages(complete, images.channels, covariates, tuple(regions))
    write_rounded(files, "guided.tsv", _with_covariates(table, cohort, names))
    write_rounded(files, "guided_added.tsv", added)
    said = [NOTE, *unsized, *notes, *left_out]
    return {"guided": "guided.tsv", "guided_added": "guided_added.tsv"}, said


def _with_covariates(table: pd.DataFrame, cohort: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Lay the covariates of each unit beside its row, before the averages."""
    own = unit_columns(cohort)
    rows = cohort[own].astype(object).fillna("").astype(str)
    at = {unit: place for place, unit in enumerate(units_in(rows))}
    places = [at[unit] for unit in units_in(table)]
    found = table.copy()
    start = int(np.flatnonzero(found.columns == "network_logit")[0]) + 1
    there = list(map(str, cohort.columns))
    for number, name in enumerate(names):
        values = cohort[users_column(there, name)].to_numpy()[places]
        found.insert(start + number, name, values)
    return found
