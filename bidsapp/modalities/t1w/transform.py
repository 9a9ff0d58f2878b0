"""A map from the template to a participant: an affine and a displacement field."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bidsapp.drawing.geometry import FLIP
from bidsapp.spaces.itk_transform import Part, affine_part, write_composite

if TYPE_CHECKING:
    import SimpleITK as sitk

# Displacements are stored in steps of 2^-10 mm, which halves the size of the compressed file.
_QUANTUM = 2.0**-10
# Range of the determinant before its logarithm: where the field folds there is no volume ratio.
_DETERMINANTS = (0.1, 10.0)


@dataclass(frozen=True)
class SpatialMap:
    """Where in the participant a point of the template lies: x → affine · (x + field(x)).

    Attributes
    ----------
    affine
        4 × 4, RAS millimetres of the template to RAS millimetres of the participant.
    field
        Displacements in LPS millimetres on a grid in template space, three components of
        float32; outside of it nothing is displaced.
    """

    affine: np.ndarray
    field: "sitk.Image"

    def rotated(self, correction: np.ndarray) -> "SpatialMap":
        """Follow the map by another affine (4 × 4, RAS) on the participant's side."""
        return SpatialMap(correction @ self.affine, self.field)

    def forward(self) -> "sitk.Transform":
        """ITK transform that resamples the participant's image into the template's space."""
        import SimpleITK as sitk

        field = sitk.DisplacementFieldTransform(sitk.Cast(self.field, sitk.sitkVectorFloat64))
        return sitk.CompositeTransform([_itk_affine(self.affine), field])

    def inverse_field(self) -> "tuple[sitk.Image, float]":
        """Find the field that undoes `field`.

        Returns
        -------
        field : SimpleITK.Image
            On the same grid, three components of float32, LPS mm.
        unsettled : float
            Share of its voxels where it does not; see `inverse_displacements`.
        """
        import SimpleITK as sitk

        from bidsapp.modalities.t1w.inverse import inverse_displacements

        # displacements along the axes of the array, whatever the directions of the image
        directions = np.reshape(self.field.GetDirection(), (3, 3))
        sizes = np.array(self.field.GetSpacing())
        along_axes = sitk.GetArrayViewFromImage(self.field) @ directions / sizes
        found, unsettled = inverse_displacements(along_axes.astype(np.float32))
        undone = found * sizes @ directions.T
        field = sitk.GetImageFromArray(undone.astype(np.float32), isVector=True)
        field.CopyInformation(self.field)
        return field, unsettled / field.GetNumberOfPixels()

    def write_forward(self, path: Path) -> None:
        """Write what brings the participant's image to the template (the field acts first)."""
        write_composite(path, [affine_part(self.affine), _field_part(self.field)])

    def write_inverse(self, path: Path, inverse_field: "sitk.Image") -> None:
        """Write what brings the template's image to the participant (the affine acts first)."""
        parts = [_field_part(inverse_field), affine_part(np.linalg.inv(self.affine))]
        write_composite(path, parts)

    def determinant(self) -> np.ndarray:
        """Jacobian determinant (x, y, z) of the field alone, on its own grid."""
        import SimpleITK as sitk

        # ITK differentiates along the axes of the array, whatever the directions of the image,
        # so that the displacements have to be given along these axes too.
        directions = np.reshape(self.field.GetDirection(), (3, 3))
        along_axes = sitk.GetArrayViewFromImage(self.field).astype(np.float64) @ directions
        turned = sitk.GetImageFromArray(along_axes, isVector=True)
        turned.SetSpacing(self.field.GetSpacing())
        return sitk.GetArrayFromImage(sitk.DisplacementFieldJacobianDeterminant(turned)).T

    def log_jacobian(self, reference: "sitk.Image") -> np.ndarray:
        """Natural logarithm of the volume ratio, affine included.

        Parameters
        ----------
        reference
            Grid on which it is wanted.

        Returns
        -------
        ndarray
            (x, y, z) float32: ln |det D(affine ∘ (id + field))|, above 0 where the participant is
            larger than the template. The field's determinant is held between .1 and 10.

        References
        ----------
        Ashburner & Friston, Voxel-based morphometry: the methods, NeuroImage 2000.
        """
        import SimpleITK as sitk

        volume = abs(np.linalg.det(self.affine[:3, :3]))
        local = np.log(np.clip(self.determinant(), *_DETERMINANTS))
        image = sitk.GetImageFromArray(local.T.astype(np.float32))
        image.CopyInformation(self.field)
        resampled = sitk.Resample(image, reference, sitk.Transform(), sitk.sitkLinear, 0.0)
        return (sitk.GetArrayFromImage(resampled).T + np.log(volume)).astype(np.float32)

    def save(self, affine_file: Path, field_file: Path) -> None:
        """Write the affine as text and the field as an image, for the next step."""
        import SimpleITK as sitk

        np.savetxt(affine_file, self.affine, fmt="%.17g")
        sitk.WriteImage(self.field, str(field_file))

    @classmethod
    def load(cls, affine_file: Path, field_file: Path) -> "SpatialMap":
        """Read what `save` wrote."""
        import SimpleITK as sitk

        return cls(np.loadtxt(affine_file), sitk.ReadImage(str(field_file)))


def _itk_affine(affine: np.ndarray) -> "sitk.AffineTransform":
    import SimpleITK as sitk

    lps = FLIP @ affine @ FLIP
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(lps[:3, :3].ravel().tolist())
    transform.SetTranslation(lps[:3, 3].tolist())
    return transform


def _field_part(field: "sitk.Image") -> Part:
    import SimpleITK as sitk

    values = sitk.GetArrayFromImage(field).astype(np.float64)
    stored = (np.round(values / _QUANTUM) * _QUANTUM).astype(np.float32).ravel()
    fixed = [*field.GetSize(), *field.GetOrigin(), *field.GetSpacing(), *field.GetDirection()]
    return "DisplacementFieldTransform_double_3_3", np.array(fixed, dtype=np.float64), stored
