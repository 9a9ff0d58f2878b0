"""Boxes around foramina from a label mask, ``*_label-foramen_mask`` or ``_dseg``: its bounds."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from bidsapp.dataset.tables import read_rows
from bidsapp.errors import BadData
from bidsapp.intake.images import read_numbers
from bidsapp.intake.json_text import read_json
from bidsapp.modalities.spine.injections import Injection, read_label
from bidsapp.modalities.spine.roi_table import Roi, check_fits
from bidsapp.modalities.spine.stack import UP, Stack


def read_mask_on(path: Path, stack: Stack) -> np.ndarray:
    """Read a mask or label map and check that it lies on the voxels of the image.

    Returns
    -------
    ndarray
        Whole numbers, in the shape of ``stack.data``.

    Raises
    ------
    NoInput, BadData
        It cannot be read, lies on other voxels, or holds other than whole numbers.
    """
    values, affine = read_numbers(path)
    if all(size == 1 for size in values.shape[3:]):
        values = values.reshape(values.shape[:3])
    if values.shape != stack.data.shape or not np.allclose(affine, stack.affine, atol=0.05):
        raise BadData(
            f"{path} does not lie on the voxels of the image it is about (shape or affine "
            "differ). Resample it with nearest neighbours, or draw it again."
        )
    whole = np.rint(np.nan_to_num(values))
    if np.abs(np.nan_to_num(values) - whole).max(initial=0) > 1e-3:
        raise BadData(f"{path} holds fractions; a mask or label map of whole numbers is expected.")
    return whole.astype(np.int32)


def read_roi_mask(path: Path, stack: Stack, told: Sequence[Injection] = ()) -> list[Roi]:
    """Read boxes as the bounds of labels.

    Parameters
    ----------
    path
        A mask (one injection) or label map. Which label is which injection is said by ``Labels``
        in its sidecar (``{"1": "C6-L"}``), or by a table of the same name in ``.tsv`` with the
        columns index and name.
    stack
        The image that it is about.
    told
        The person's injections by the dataset's tables: where only one is told, a mask of one
        label needs no names.

    Returns
    -------
    list of Roi
        By label. Slice and box are those of the slice in which the label has most voxels.

    Raises
    ------
    NoInput, BadData
        As `read_mask_on`; also where a label is not told to be an injection, or two are the same.
    """
    labels = read_mask_on(path, stack)
    names = mask_names(path)
    rois: list[Roi] = []
    for value in (int(value) for value in np.unique(labels) if value != 0):
        injection = _injection(
            path, value, names, told, alone=bool((labels[labels > 0] == value).all())
        )
        if injection in [roi.injection for roi in rois]:
            raise BadData(f"{path}: two labels are {injection.label}; keep one for each injection.")
        rois.append(_bounds(path, stack, labels == value, injection))
    if not rois:
        raise BadData(f"{path} is empty: no voxel is marked. Draw the foramen, or remove the file.")
    return rois


def _bounds(path: Path, stack: Stack, marked: np.ndarray, injection: Injection) -> Roi:
    along = np.moveaxis(marked, stack.axes[UP], 0)
    place = int(np.argmax(along.reshape(len(along), -1).sum(axis=1)))
    ends: list[int] = []
    for axis in (0, 1):
        filled = np.flatnonzero(along[place].any(axis=1 - axis))
        ends += [int(filled[0]), int(filled[-1])]
    roi = Roi(injection, place, (ends[0], ends[1], ends[2], ends[3]), path.name)
    check_fits(f"{path} ({injection.label})", roi, stack)
    return roi


def _injection(
    path: Path,
    value: int,
    names: Mapping[int, str],
    told: Sequence[Injection],
    *,
    alone: bool,
) -> Injection:
    if value in names:
        try:
            return read_label(names[value])
        except ValueError as error:
            raise BadData(f"{path}: label {value}: {error}.") from None
    if alone and len(told) == 1:
        return told[0]
    raise BadData(
        f"{path}: which injection label {value} is, is not said. Write Labels: "
        f'{{"{value}": "C6-L"}} into its sidecar, or injection_level and injection_side into '
        "participants.tsv."
    )


def mask_names(path: Path) -> dict[int, str]:
    """Read which label is which injection, from the sidecar or the look-up table; may be empty.

    Raises
    ------
    BadData
        They are there and cannot be read.
    """
    stem = path.name.removesuffix(".gz").removesuffix(".nii")
    sidecar, table = (path.with_name(stem + ending) for ending in (".json", ".tsv"))
    try:
        if table.exists():
            return {
                int(row["index"]): row["name"] for _, row in read_rows(table, ("index", "name"))
            }
        content = read_json(sidecar) if sidecar.exists() else {}
        labels = content.get("Labels", {}) if isinstance(content, dict) else {}
        return {int(value): str(name) for value, name in labels.items()}
    except (OSError, ValueError, AttributeError) as error:
        raise BadData(f"{path}: its sidecar or look-up table cannot be read ({error}).") from None
