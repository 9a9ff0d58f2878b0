"""The mean picture of the people whom a group's map is of, to be looked at under it."""

from typing import TYPE_CHECKING

import numpy as np

from bidsapp.contracts.unit import units_in
from bidsapp.saliency.map_files import GroupFolder
from bidsapp.saliency.people import PeopleMaps
from bidsapp.spaces.slice import Slice

if TYPE_CHECKING:
    from bidsapp.representation.cohort_array import CohortArray


def write_mean_picture(
    people: PeopleMaps, cell: str, images: "CohortArray | None", files: GroupFolder
) -> str:
    """Write the mean of the first channel over the scans of a cell, as the network saw them.

    Pictures of slices alone have one: volumes have their template.

    Parameters
    ----------
    people
        Maps, and whose they are.
    cell
        Of `people.CELLS`.
    images
        The cohort's images in the space of the maps.
    files
        Where it goes.

    Returns
    -------
    str
        The file's name; empty where there is none.
    """
    if images is None or not isinstance(people.space, Slice):
        return ""
    wanted = set(units_in(people.scans[people.rows_of(cell)]))
    rows = [row for row, unit in enumerate(images.units) if unit in wanted]
    if not rows:
        return ""
    mean = np.mean([np.asarray(images.show(row)[0], np.float64) for row in rows], axis=0)
    told = {
        "Description": f"Mean of {images.shown[0]} over the people of the leading map, as networks "
        "saw it; not a map of saliency.",
        "Units": "as the images",
        "Number": len(rows),
    }
    entities = {"of": cell.replace("_", ""), "stat": "meanimage"}
    return files.write(entities, mean.astype(np.float32), told)
