"""The template's brain on the grids that a run needs, written once into the work folder."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bidsapp.derivatives import atomic_path
from bidsapp.derivatives.sealed import is_whole, seal
from bidsapp.drawing.geometry import reference_image, to_itk
from bidsapp.modalities.t1w.speeds import speed_named
from bidsapp.templates import Template, brain_template, output_grid

if TYPE_CHECKING:
    from bidsapp.modalities.t1w.settings import T1wPreparation


def prepare_template(template: Template, wanted: "T1wPreparation", folder: Path) -> dict[str, Path]:
    """Resample the template's brain where that has not been done.

    Parameters
    ----------
    template
        As resolved.
    wanted
        Box, resolution and speed.
    folder
        Where the files go; many jobs may share it.

    Returns
    -------
    dict
        Files of the brain: ``registration`` grid, 2 mm to be ``judged`` on, ``output`` grid.
    """

    def on_grid(millimetres: int) -> Path:
        name = f"{template.label}_{wanted.box}_{millimetres}mm_{template.t1w.stat().st_size}.nii"
        path = folder / name
        if not is_whole(path):
            _write(path, template, wanted.box, millimetres)
            seal(path)
        return path

    return {
        "registration": on_grid(speed_named(wanted.speed).grid_mm),
        "judged": on_grid(2),
        "output": on_grid(wanted.resolution),
    }


def _write(path: Path, template: Template, box: str, millimetres: int) -> None:
    import SimpleITK as sitk

    brain, _ = brain_template(template)
    grid = output_grid(box, millimetres, template)
    image = sitk.Resample(
        to_itk(np.asarray(brain.dataobj, dtype=np.float32), np.asarray(brain.affine)),
        reference_image(grid.shape, grid.matrix),
        sitk.Transform(),
        sitk.sitkLinear,
        0.0,
    )
    with atomic_path(path) as temporary:
        sitk.WriteImage(image, str(temporary))


def prepare_mask(brain: Path) -> Path:
    """Write the mask of a template's brain beside it, uint8 on the same grid; gives its path."""
    import nibabel as nib
    from scipy.ndimage import binary_fill_holes

    path = brain.with_name(brain.name.removesuffix(".nii") + "_mask.nii")
    if not is_whole(path):
        image: Any = nib.load(brain)
        inside = binary_fill_holes(np.asarray(image.dataobj) > 0).astype(np.uint8)
        with atomic_path(path) as temporary:
            nib.Nifti1Image(inside, image.affine).to_filename(temporary)
        seal(path)
    return path
