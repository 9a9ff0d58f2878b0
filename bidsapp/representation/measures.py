"""The table measures.tsv of a run: quality numbers, regions, handcrafted features of each scan."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from bidsapp.contracts.unit import PART, PARTICIPANT, SESSION
from bidsapp.dataset.beside import measured_quality
from bidsapp.dataset.tables import write_table
from bidsapp.intake.images import read_numbers
from bidsapp.recipes.known_names import BASELINES_ON_FEATURES, BASELINES_ON_REGIONS, HANDCRAFTED
from bidsapp.representation.regions import regional_values
from bidsapp.representation.sample import cohort_rows
from bidsapp.spaces.files import whole_space

if TYPE_CHECKING:
    from bidsapp.contracts.modality import Modality
    from bidsapp.dataset.cohort import Cohort

FILE = "measures.tsv"
_FIRST = (PARTICIPANT, SESSION, PART, "simulated")
_DIGITS = 6


def cohort_measures(
    cohort: "Cohort",
    template_mask: Path,
    baselines: Sequence[str] = (),
    modality: "Modality[Any] | None" = None,
) -> pd.DataFrame:
    """Gather the quality numbers of the preparation and what baselines need of the images.

    Parameters
    ----------
    cohort
        Its files lie on the grid of the mask.
    template_mask
        The template's brain mask.
    baselines
        Names of the recipe's baselines: ``regions`` and ``connectome`` ask for volumes and
        intensities of regions, or correlations (`regions.regional_values`), those on handcrafted
        features for what the modality measures of each image by itself (`Modality.handcrafted`).
    modality
        That prepared the images; needed for handcrafted features only.

    Returns
    -------
    pandas.DataFrame
        The columns of the unit, ``quality_*``, ``region_*``, ``handcrafted_*``; a row per scan, in
        the order of the cohort. A number that a scan lacks is NaN.
    """
    first = [name for name in _FIRST if name in cohort.table]
    table = cohort.table[first].reset_index(drop=True)
    parts = [table, measured_quality(cohort)]
    # without a place that people have in common, a cube of the grid is no region
    if set(baselines) & set(BASELINES_ON_REGIONS) and whole_space(template_mask).common:
        mask, affine = read_numbers(template_mask)
        parts.append(regional_values(cohort_rows(cohort), mask > 0.5, affine))
    if modality is not None and set(baselines) & set(BASELINES_ON_FEATURES):
        found = pd.DataFrame([dict(modality.handcrafted(scan.image)) for scan in cohort.files])
        parts.append(found.round(_DIGITS).add_prefix(HANDCRAFTED))
    return pd.concat(parts, axis=1)


def write_measures(
    cohort: "Cohort",
    template_mask: Path,
    folder: Path,
    baselines: Sequence[str] = (),
    modality: "Modality[Any] | None" = None,
) -> None:
    """Write `measures.tsv` into the folder of a run; see `cohort_measures`."""
    write_table(folder / FILE, cohort_measures(cohort, template_mask, baselines, modality))
