"""One real head stored in several ways, and datasets made of such heads."""

from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform
from scipy.ndimage import affine_transform, binary_dilation, binary_fill_holes
from scipy.spatial.transform import Rotation

DESCRIPTION = '{"Name": "Heads", "BIDSVersion": "1.10.0", "DatasetType": "raw"}'

# Where the marker lies from the centre of the head, in mm: to the right, and up into the brain.
MARKER_MM = (30.0, 0.0, 20.0)


def t1w(real_data: Path, label: str) -> Path:
    """A head of IXI, stored as PSR."""
    return real_data / "ixi2mm_dev48" / f"sub-{label}" / "anat" / f"sub-{label}_T1w.nii.gz"


def dlmuse(real_data: Path, label: str) -> Path:
    """Its label map, on the same grid."""
    folder = real_data / "ixi2mm_dev48" / "derivatives" / "dlmuse" / f"sub-{label}" / "anat"
    return folder / f"sub-{label}_desc-DLMUSE_dseg.nii.gz"


def stored_as(image: nib.Nifti1Image, codes: str) -> nib.Nifti1Image:
    """Store the same voxels along other axes."""
    turn = ornt_transform(io_orientation(image.affine), axcodes2ornt(codes))
    return image.as_reoriented(turn)


def stored_obliquely(image: nib.Nifti1Image) -> nib.Nifti1Image:
    """Sample the same head, which stays where it is, on a grid that is turned by 15 degrees."""
    data, affine = np.asarray(image.dataobj, dtype=np.float32), image.affine
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("xz", [15, -10], degrees=True).as_matrix()
    centre = affine @ (*(np.array(data.shape) / 2), 1)
    there, back = np.eye(4), np.eye(4)
    there[:3, 3], back[:3, 3] = centre[:3], -centre[:3]
    oblique = there @ turn @ back @ affine
    matrix = np.linalg.inv(affine) @ oblique
    sampled = affine_transform(data, matrix[:3, :3], matrix[:3, 3], order=3)
    return nib.Nifti1Image(np.maximum(sampled, 0).astype(np.float32), oblique)


def brain_centre(labels: Path) -> np.ndarray:
    """Centre of the labelled brain, RAS mm."""
    image = nib.Nifti1Image.load(labels)
    inside = np.argwhere(np.asarray(image.dataobj) > 0)
    return (image.affine @ (*inside.mean(axis=0), 1))[:3]


def marked(image: nib.Nifti1Image, labels: Path) -> nib.Nifti1Image:
    """Put a cube of 10 mm, far brighter than all else, into the right hemisphere."""
    data = np.asarray(image.dataobj, dtype=np.float32)
    place = np.linalg.inv(image.affine) @ (*(brain_centre(labels) + MARKER_MM), 1)
    low = np.round(place[:3]).astype(int) - 2
    data[tuple(slice(start, start + 5) for start in low)] = 4 * data.max()
    return nib.Nifti1Image(data, image.affine)


def stripped(image: nib.Nifti1Image, labels: Path) -> nib.Nifti1Image:
    """Keep the brain alone: the labelled voxels, a rim of one voxel, and what they enclose."""
    inside = binary_fill_holes(
        binary_dilation(np.asarray(nib.Nifti1Image.load(labels).dataobj) > 0)
    )
    return nib.Nifti1Image(np.where(inside, np.asarray(image.dataobj), 0), image.affine)


def add(dataset: Path, label: str, image: nib.Nifti1Image, entities: str = "") -> Path:
    """Put a T1w image into a dataset, which is made where it is not there."""
    path = dataset / f"sub-{label}" / "anat" / f"sub-{label}{entities}_T1w.nii.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    (dataset / "dataset_description.json").write_text(DESCRIPTION)
    image.header.set_xyzt_units("mm", "sec")
    image.to_filename(path)
    return path


def make_heads(dataset: Path, real_data: Path) -> None:
    """Write two people, and the first of them stored in other ways."""
    first, labels = nib.Nifti1Image.load(t1w(real_data, "IXI014")), dlmuse(real_data, "IXI014")
    add(dataset, "psr", first)
    add(dataset, "ras", stored_as(first, "RAS"))
    add(dataset, "las", stored_as(first, "LAS"))
    add(dataset, "oblique", stored_obliquely(first))
    add(dataset, "marked", stored_as(marked(first, labels), "LAS"))
    add(dataset, "stripped", stripped(first, labels))
    add(dataset, "other", nib.Nifti1Image.load(t1w(real_data, "IXI033")))
