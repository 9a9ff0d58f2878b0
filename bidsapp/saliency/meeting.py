"""Maps over people's own heads, brought to a place that they have in common, where there is one."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from bidsapp.contracts.home import Meeting
from bidsapp.contracts.unit import Unit, units_in
from bidsapp.derivatives.sidecars import check_recorded
from bidsapp.drawing.geometry import reference_image
from bidsapp.intake.images import read_numbers
from bidsapp.saliency.native import carry
from bidsapp.saliency.stack import MapStack
from bidsapp.spaces.volume import volume

NATIVE_ONLY = (
    "The maps are native only: every head is in its own space, where no voxel is the same place in "
    "two people, so that there is no mean over people and none is shown. Each person's map lies "
    "over their own scan. Prepare the same people in a template's space too, into the same output "
    "folder, and the maps are averaged there."
)


def brought_together(
    stack: MapStack, images: Mapping[Unit, Path], meeting: Meeting
) -> tuple[MapStack, list[str]]:
    """Carry maps into the space where people can be compared.

    Parameters
    ----------
    stack
        Maps in a space that is not common.
    images
        Unit to its image, whose affine says where its map lies.
    meeting
        The common space, with the transforms of those who have one.

    Returns
    -------
    stack
        Of the people who have a transform, on the whole grid of the common space.
    notes
        Who is left out, and how the others came there.
    """
    import SimpleITK as sitk

    mask, affine = read_numbers(meeting.mask)
    x, y, z = mask.shape
    space, reference = volume((x, y, z), affine), reference_image((x, y, z), affine)
    units = units_in(stack.rows)
    kept = [k for k, unit in enumerate(units) if unit in meeting.transforms]
    values = np.zeros((len(kept), len(stack.channels), *space.shape), np.float32)
    for place, k in enumerate(kept):
        path = meeting.transforms[units[k]]
        check_recorded(path)
        transform = sitk.ReadTransform(str(path))
        own = np.asarray(read_numbers(images[units[k]])[1])
        for channel, block in enumerate(stack.values[k]):
            whole = stack.space.put_back(np.asarray(block, np.float32))
            values[place, channel] = space.cut(carry(whole, own, reference, transform))
    rows: pd.DataFrame = stack.rows.iloc[kept].reset_index(drop=True)
    left = len(set(units)) - len({units[k] for k in kept})
    notes = [
        f"every map was made in the person's own space and carried into {meeting.label} by the "
        "transform of that person's scan, linearly interpolated"
    ]
    if left:
        notes.append(
            f"{left} of {len(set(units))} scans have no transform into {meeting.label}, or it "
            "comes from a preparation that failed, or of another file: they are not in the maps; "
            "prepare them in the template's space too"
        )
    return MapStack(rows, values, stack.channels, space, stack.about), notes
