"""The data files of one participant, under their final names, in a folder of their own."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bidsapp.derivatives import OutputNames
from bidsapp.drawing.geometry import from_itk
from bidsapp.intake.header import placement
from bidsapp.intake.images import open_image
from bidsapp.modalities.t1w import files
from bidsapp.modalities.t1w.resampling import resample_brain, scale_intensity
from bidsapp.modalities.t1w.transform import SpatialMap

UNSETTLED_SHARE = 0.01
"""Share of the inverse field that may not lead back; .0003 to .0004 in three adult heads, and set
after they were seen."""
_UNSETTLED = (
    "In {:.1%} of the template's grid the way back from the template to the scan is not exact, as "
    "the deformation folds there: do not rely on labels or maps that are brought onto the scan."
)


@dataclass(frozen=True)
class Finished:
    """Paths of what the assessed normalisation consists of, and which form of the header holds.

    See `Assess`.
    """

    corrected: str
    mask: str
    affine: str
    field: str
    head_mask: str
    qform: bool = False


def write_data_files(
    folder: Path,
    names: OutputNames,
    source: Path,
    finished: Finished,
    template_image: str,
    intensity: str,
    unit: float = 1.0,
) -> dict[str, Any]:
    """Write image, masks, log-Jacobian and both transforms.

    Parameters
    ----------
    folder
        Where to write.
    names
        Final names.
    source
        The T1w image of the dataset, on whose voxels the native mask is laid.
    finished
        Files of the assessed normalisation.
    template_image
        Any image on the output grid.
    intensity
        ``minmax`` or ``none``.
    unit
        How many units of the corrected image make one of the file.

    Returns
    -------
    dict
        Facts for the sidecars: range of the image before scaling, share of the inverse field that
        does not lead back, and a note where that is large.
    """
    spatial = SpatialMap.load(Path(finished.affine), Path(finished.field))
    reference = files.read_image(template_image)
    _, affine = from_itk(reference)
    image, inside = resample_brain(
        files.read_image(finished.corrected), files.read_image(finished.mask), spatial, reference
    )
    _write(folder / names["preproc"], scale_intensity(image, intensity, unit), affine)
    _write(folder / names["brain_mask"], inside.astype(np.uint8), affine)
    _write(folder / names["log_jacobian"], spatial.log_jacobian(reference), affine)
    _write_native_mask(folder / names["native_mask"], source, finished)
    inverse, unsettled = spatial.inverse_field()
    spatial.write_forward(folder / names["to_template"])
    spatial.write_inverse(folder / names["from_template"], inverse)
    return {
        "intensity_maximum": float(image.max()) / unit,
        "inverse_unsettled": unsettled,
        "notes": [_UNSETTLED.format(unsettled)] if unsettled > UNSETTLED_SHARE else [],
    }


def _write(path: Path, data: np.ndarray, affine: np.ndarray) -> None:
    """Write a volume in standard space, compressed just enough.

    The gzip header carries neither name nor time, so that equal voxels give equal files.
    """
    import nibabel as nib

    image = nib.Nifti1Image(data, affine)
    image.header.set_xyzt_units("mm", "sec")
    image.set_sform(affine, code="mni")
    image.set_qform(affine, code="mni")
    _save(image, path)


def _write_native_mask(path: Path, source: Path, finished: Finished) -> None:
    """Lay the mask, found in RAS order, on the voxels of the file in the dataset."""
    import nibabel as nib
    from nibabel.orientations import apply_orientation, io_orientation, ornt_transform

    original = open_image(source)
    place = placement(source, original)
    affine = place.qform_affine if finished.qform else place.affine
    sform, qform = (int(original.header[f"{form}_code"]) for form in ("sform", "qform"))
    ras: Any = nib.load(finished.head_mask)
    back = ornt_transform(io_orientation(np.eye(4)), io_orientation(affine))
    mask = apply_orientation(np.asarray(ras.dataobj, dtype=np.uint8), back)
    image = nib.Nifti1Image(mask, affine)
    image.header.set_xyzt_units("mm", "sec")
    image.set_sform(affine, code=(qform if finished.qform else sform) or 1)
    image.set_qform(affine, code=qform or 1)
    _save(image, path)


def _save(image: Any, path: Path) -> None:
    import gzip

    with path.open("wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as packed:
        packed.write(image.to_bytes())
