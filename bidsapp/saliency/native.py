"""Maps from standard space back onto the voxels of a participant's own image."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bidsapp.contracts.home import WayBack
from bidsapp.derivatives.sidecars import check_recorded
from bidsapp.drawing.geometry import reference_image, to_itk
from bidsapp.errors import NoInput
from bidsapp.intake.images import open_image

if TYPE_CHECKING:
    import SimpleITK as sitk

SCANNER = 1  # NIfTI's code of the scanner's own space


def carry(
    volume: np.ndarray, affine: np.ndarray, reference: "sitk.Image", transform: "sitk.Transform"
) -> np.ndarray:
    """Resample a map linearly onto another grid; signs and zeros stay what they are.

    Parameters
    ----------
    volume
        (x, y, z).
    affine
        4 × 4, its voxels to RAS millimetres.
    reference
        The grid that is wanted.
    transform
        Maps points of the wanted grid to points of the map's.

    Returns
    -------
    numpy.ndarray
        float32, 0 where the map does not reach.
    """
    import SimpleITK as sitk

    image = to_itk(np.asarray(volume, np.float32), affine)
    moved = sitk.Resample(image, reference, transform, sitk.sitkLinear, 0.0, sitk.sitkFloat32)
    return np.asarray(sitk.GetArrayFromImage(moved).T)


def _codes(grid: Any) -> tuple[int, int]:
    """Codes of sform and qform as the scan has them; the scanner's where it has none."""
    sform, qform = (int(grid.header[name]) for name in ("sform_code", "qform_code"))
    return (sform, qform) if sform or qform else (SCANNER, SCANNER)


class NativeSpace:
    """The own space of one scan, as the participant level left it.

    Parameters
    ----------
    way
        The files that lead there, as the modality names them; None where it writes none.

    Raises
    ------
    NoInput
        If there is no way, or one of its files is not there.
    BadData
        If one of them is not what was written.
    """

    def __init__(self, way: WayBack | None) -> None:
        import SimpleITK as sitk

        if way is None:
            raise NoInput(
                "--native-maps: no transform back to the scan is written for this kind of image; "
                "leave the option out"
            )
        self.transform_file = way.transform
        for path in (way.transform, way.grid):
            if not path.is_file():
                raise NoInput(
                    f"--native-maps: {path} is not there; run the participant level on this image"
                )
        check_recorded(self.transform_file)
        grid = open_image(way.grid)
        self.affine = np.asarray(grid.affine)
        self.codes = _codes(grid)
        x, y, z = grid.shape
        self.reference = reference_image((x, y, z), self.affine)
        self.transform = sitk.ReadTransform(str(self.transform_file))

    def of(self, volume: np.ndarray, affine: np.ndarray) -> np.ndarray:
        """Bring a map of the template grid, (x, y, z), onto the scan's own voxels."""
        return carry(volume, affine, self.reference, self.transform)


def without_native(folder: Path) -> list[Path]:
    """List the participants' maps in a variant's folder that have none on the scan's own voxels."""
    maps = sorted(folder.glob("sub-*/**/*_space-*_desc-*_statmap.nii.gz"))
    own = {path: re.sub(r"_space-[^_]+(_res-[^_]+)?", "", path.name) for path in maps}
    return [path for path, name in own.items() if not path.with_name(name).is_file()]
