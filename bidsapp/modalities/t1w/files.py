"""Images that go from one step to the next: uncompressed, as they are read once or twice."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bidsapp.modalities.t1w.reading import Head

if TYPE_CHECKING:
    import SimpleITK as sitk

    from bidsapp.modalities.t1w.steps import Fit


def write_array(path: Path, data: np.ndarray, affine: np.ndarray) -> str:
    """Write a volume as NIfTI; bool becomes uint8. Gives the path as text."""
    import nibabel as nib

    array = data.astype(np.uint8) if data.dtype == bool else data
    nib.Nifti1Image(array, affine).to_filename(path)
    return str(path)


def read_head_and_mask(head: str, mask: str, record: Mapping[str, Any]) -> tuple[Head, np.ndarray]:
    """Read what `ExtractBrain` wrote; `record` brings its notes back."""
    import nibabel as nib

    image: Any = nib.load(head)
    brain: Any = nib.load(mask)
    data = np.asarray(image.dataobj, dtype=np.float32)
    found = np.asarray(brain.dataobj) > 0
    notes, known = list(record.get("notes", [])), bool(record.get("orientation_known", True))
    unit, doubts = float(record.get("unit", 1.0)), list(record.get("doubts", []))
    other = record.get("qform_affine")
    qform = None if other is None else np.array(other)
    return Head(data, image.affine, notes, known, qform, unit, doubts), found


def write_image(path: Path, image: "sitk.Image") -> str:
    """Write an ITK image without compression. Gives the path as text."""
    import SimpleITK as sitk

    sitk.WriteImage(image, str(path))
    return str(path)


def read_image(path: str) -> "sitk.Image":
    """Read an ITK image; one that holds bytes stays a mask of uint8."""
    import SimpleITK as sitk

    return sitk.ReadImage(path)


def write_fit(folder: Path, fit: "Fit") -> dict[str, str]:
    """Write a fit; gives the paths under the names that the nodes use."""
    affine, field = folder / "affine.txt", folder / "field.mha"
    fit.spatial.save(affine, field)
    return {
        "corrected": write_image(folder / "corrected.nii", fit.corrected),
        "mask": write_image(folder / "cropped.nii", fit.mask),
        "affine": str(affine),
        "field": str(field),
    }
