"""Numbers of every scan that need no network, for the baselines: `measures.tsv` of a run."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from bidsapp.dataset.tables import write_table
from bidsapp.intake.images import read_numbers
from bidsapp.representation.regions import regional_values
from bidsapp.representation.sample import cohort_rows

if TYPE_CHECKING:
    from bidsapp.dataset.cohort import Cohort

FILE = "measures.tsv"
_FIRST = ("participant_id", "session_id", "simulated")


def cohort_measures(cohort: "Cohort", template_mask: Path, regions: bool) -> pd.DataFrame:
    """Gather the quality numbers of the normalisation and, if asked, regional values.

    Parameters
    ----------
    cohort
        Its files lie on the grid of the mask.
    template_mask
        The template's brain mask.
    regions
        Whether to measure volumes and intensities of regions (`regions.regional_values`).

    Returns
    -------
    pandas.DataFrame
        `participant_id`, `session_id`, ``quality_*``, ``region_*``; a row per scan, in the order
        of the cohort. A number that a scan lacks is NaN.
    """
    first = [name for name in _FIRST if name in cohort.table]
    table = cohort.table[first].reset_index(drop=True)
    quality = pd.DataFrame([dict(scan.quality_numbers) for scan in cohort.files])
    parts = [table, quality.add_prefix("quality_")]
    if regions:
        mask, affine = read_numbers(template_mask)
        parts.append(regional_values(cohort_rows(cohort), mask > 0.5, affine))
    return pd.concat(parts, axis=1)


def write_measures(cohort: "Cohort", template_mask: Path, regions: bool, folder: Path) -> None:
    """Write `measures.tsv` into the folder of a run; see `cohort_measures`."""
    write_table(folder / FILE, cohort_measures(cohort, template_mask, regions))
