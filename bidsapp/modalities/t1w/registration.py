"""Registration of a brain to the template: an affine by greedy, and then a deformation."""

import io
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bidsapp.derivatives.temporary import temporary_folder
from bidsapp.drawing.geometry import centre_of_mass, from_itk
from bidsapp.errors import BadData
from bidsapp.execution.silence import silent
from bidsapp.modalities.t1w.deformable import Steps, deform
from bidsapp.modalities.t1w.speeds import Speed
from bidsapp.modalities.t1w.transform import SpatialMap

if TYPE_CHECKING:
    import SimpleITK as sitk

# A field is kept on a grid of so many millimetres, whatever it was found on: it is smooth, so that
# an eighth of the voxels describes it to .1 mm, and what is applied is what is written.
_FIELD_MM = 2


def register(
    fixed: "sitk.Image",
    moving: "sitk.Image",
    speed: Speed,
    *,
    seed: int = 0,
    nthreads: int = 1,
    rotations: tuple[np.ndarray, ...] = (),
) -> SpatialMap:
    """Find where each point of the template lies in the participant.

    The affine starts from the translation between the centres of mass. Where `rotations` are
    given each is tried as a start on the coarse levels, and the best is taken further.

    Parameters
    ----------
    fixed
        The template's brain on the registration grid, float32, zero outside.
    moving
        The participant's brain, bias-corrected, float32, zero outside.
    speed
        Iterations, metric and smoothing.
    seed
        Of greedy's sampling; without one its affine differs from run to run.
    nthreads
        Threads that greedy may use; the deformable part uses those of torch.
    rotations
        Starting rotations (3 × 3, RAS) of the participant about its centre of mass.

    Returns
    -------
    SpatialMap
        Template to participant, its field on a grid of 2 mm.

    Raises
    ------
    BadData
        The registration broke down (no overlap, or nothing but noise).

    References
    ----------
    Yushkevich et al., Fast automatic segmentation of hippocampal subfields and medial temporal
    lobe subregions in 3 Tesla and 7 Tesla T2-weighted MRI, Alzheimer's & Dementia 2016 (greedy).
    """
    import SimpleITK as sitk
    from picsl_greedy import Greedy3D

    common = f"-threads {nthreads} -V 0 -float -m {speed.metric}"
    target = _centre(fixed)
    source = _centre(moving)
    greedy = Greedy3D()
    starts = [_start(rotation, target, source) for rotation in rotations or (np.eye(3),)]
    out = io.StringIO()
    with (
        temporary_folder(Path(tempfile.gettempdir())) as place,
        _plain(place) as folder,
        silent(),
    ):
        start = folder / "start.mat"

        def affine_from(matrix: np.ndarray, iterations: str) -> np.ndarray:
            np.savetxt(start, matrix)
            greedy.execute(
                f"-d 3 -a -dof 12 -i F M -o affine -n {iterations} -ia {start} "
                f"-seed {seed + 1} {common}",
                out=out, err=out, F=fixed, M=moving, affine=None,
            )  # fmt: skip
            return np.array(greedy["affine"], dtype=np.float64)

        try:
            first = starts[0]
            if len(starts) > 1:
                coarse = [affine_from(matrix, "60x0x0") for matrix in starts]
                first = max(coarse, key=lambda matrix: _similarity(fixed, moving, matrix))
            matrix = affine_from(first, speed.affine_iterations)
            _check(matrix)
        except RuntimeError as error:
            raise BadData(f"The registration to the template broke down ({error}).") from error
    field = deform(fixed, moving, matrix, _steps(speed))
    if not np.isfinite(sitk.GetArrayViewFromImage(field)).all():
        raise BadData("The registration to the template diverged.")
    step = round(_FIELD_MM / speed.grid_mm)
    return SpatialMap(matrix, field[::step, ::step, ::step])


@contextmanager
def _plain(folder: Path) -> Iterator[Path]:
    """Give a name for a folder that holds nothing at which greedy splits its command."""
    if re.fullmatch(r"[A-Za-z0-9/._+-]+", str(folder)):
        yield folder
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        yield Path(f"/proc/self/fd/{handle}")
    finally:
        os.close(handle)


def _steps(speed: Speed) -> Steps:
    """Read the settings of the deformable part, which are written as greedy writes them."""
    step, field = (float(word.removesuffix("vox")) for word in speed.smoothing.split())
    return Steps(
        iterations=tuple(int(most) for most in speed.deformable_iterations.split("x")),
        radius=int(speed.metric.split()[1].split("x")[0]),
        step=step,
        field=field,
    )


def _centre(image: "sitk.Image") -> np.ndarray:
    data, affine = from_itk(image)
    return centre_of_mass(data > 0, affine)


def _start(rotation: np.ndarray, target: np.ndarray, source: np.ndarray) -> np.ndarray:
    """Affine (4 × 4) that turns about the template's centre and shifts it to the brain's."""
    start = np.eye(4)
    start[:3, :3] = rotation
    start[:3, 3] = source - rotation @ target
    return start


def _similarity(fixed: "sitk.Image", moving: "sitk.Image", matrix: np.ndarray) -> float:
    """Correlation with the template after the affine alone."""
    import SimpleITK as sitk

    from bidsapp.modalities.t1w.transform import _itk_affine

    moved = sitk.Resample(moving, fixed, _itk_affine(matrix), sitk.sitkLinear, 0.0)
    one, other = (sitk.GetArrayViewFromImage(image).ravel() for image in (fixed, moved))
    inside = one > 0
    if other[inside].std() == 0:
        return -1.0
    return float(np.corrcoef(one[inside], other[inside])[0, 1])


def _check(matrix: np.ndarray) -> None:
    determinant = np.linalg.det(matrix[:3, :3])
    if not np.isfinite(matrix).all() or not 1e-2 < determinant < 1e2:
        raise BadData("The affine registration to the template collapsed.")
