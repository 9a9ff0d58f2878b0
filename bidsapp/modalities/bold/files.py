"""Files of a preparation: the template on the output grid, series small enough to keep, tables."""

import gzip
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bidsapp.contracts.scan import Scan
from bidsapp.derivatives import atomic_path
from bidsapp.derivatives.sealed import is_whole, seal
from bidsapp.drawing.geometry import reference_image, to_itk
from bidsapp.templates import Template, brain_template, output_grid

if TYPE_CHECKING:
    import pandas as pd

# Stored values are whole steps, so many to the standard deviation of the median voxel over time:
# rounding adds a thousandth of its variance, and a series takes half the room.
_STEPS_PER_SD = 10


def lay_template(template: Template, box: str, millimetres: int, folder: Path) -> tuple[Path, Path]:
    """Write the template's brain and its mask on the output grid, where that has not been done."""
    from scipy.ndimage import binary_fill_holes

    name = f"bold_{template.label}_{box}_{millimetres}mm_{template.t1w.stat().st_size}"
    brain, mask = folder / f"{name}.nii", folder / f"{name}_mask.nii"
    if not (is_whole(brain) and is_whole(mask)):
        import SimpleITK as sitk

        whole, _ = brain_template(template)
        grid = output_grid(box, millimetres, template)
        image = sitk.Resample(
            to_itk(np.asarray(whole.dataobj, dtype=np.float32), np.asarray(whole.affine)),
            reference_image(grid.shape, grid.matrix),
            sitk.Transform(),
            sitk.sitkLinear,
            0.0,
        )
        values = sitk.GetArrayFromImage(image).T
        inside = binary_fill_holes(values > 0).astype(np.uint8)
        for path, data in ((brain, values), (mask, inside)):
            with atomic_path(path) as temporary:
                header = _header(data.shape, data.dtype, grid.matrix)
                _save(header, [data], temporary, packed=False)
            seal(path)
    return brain, mask


def metadata_of(scan: Scan) -> dict[str, Any]:
    """Read the metadata of a series, by BIDS's inheritance."""
    from bidsapp.dataset.scanners import metadata_of as merged

    return merged(scan.main.root, scan.main.path, "bold")


def series_metadata(scan: Scan, slice_timing: str) -> dict[str, Any]:
    """Read the metadata that a preparation uses: without slice times where it is to use none."""
    metadata = metadata_of(scan)
    if slice_timing == "none":
        metadata.pop("SliceTiming", None)
    return metadata


def write_series(
    path: Path,
    series: np.ndarray,
    mask: np.ndarray,
    affine: np.ndarray,
    tr: float,
    runs: Sequence[int] = (),
) -> None:
    """Write a series inside a mask as int16 with a scale.

    Parameters
    ----------
    path
        ``.nii.gz``.
    series
        Shape (T, V).
    mask, affine
        Of the grid, V voxels true.
    tr
        Seconds between volumes.
    runs
        Volumes of each run where several were joined. What is rounded is small beside the noise
        within runs; a level that jumps between two is none.
    """
    if len(runs) > 1:
        parts = np.split(series, np.cumsum(runs)[:-1])
        noise = np.sqrt(np.average([part.var(axis=0) for part in parts], axis=0, weights=runs))
    else:
        noise = series.std(axis=0)
    largest = float(max(series.max(), -series.min()))
    step = float(np.median(noise[noise > 0])) / _STEPS_PER_SD if (noise > 0).any() else 1.0
    step = max(step, largest / 32000)
    header = _header((*mask.shape, len(series)), np.int16, affine, tr)
    header["scl_slope"] = step

    def volumes() -> Iterator[np.ndarray]:
        whole = np.zeros(mask.shape, np.int16)
        for volume in series:
            whole[mask] = np.rint(volume / step)
            yield whole

    _save(header, volumes(), path, packed=True)


def write_map(path: Path, values: np.ndarray, mask: np.ndarray, affine: np.ndarray) -> None:
    """Write one value a voxel of a mask, or (N, V) as N volumes: float32, or uint8 of booleans."""
    kind = np.uint8 if values.dtype == bool else np.float32
    whole = np.zeros((*mask.shape, *values.shape[:-1]), kind)
    whole[mask] = values.T
    _save(_header(whole.shape, whole.dtype, affine), [whole], path, packed=True)


def write_table(path: Path, table: "pd.DataFrame") -> None:
    """Write confounds as fMRIPrep does: tabs, n/a for what is not defined."""
    table.to_csv(path, sep="\t", na_rep="n/a", index=False, float_format="%.8g")


def write_rigid(path: Path, matrix: np.ndarray) -> None:
    """Write a 4 × 4 from RAS mm to RAS mm as ITK's transform (LPS)."""
    from bidsapp.spaces.itk_transform import affine_part, write_composite

    write_composite(path, [affine_part(matrix)])


def _header(
    shape: tuple[int, ...], dtype: np.dtype | type, affine: np.ndarray, tr: float = 0.0
) -> Any:
    """Give the header of a NIfTI-1 file in standard space."""
    import nibabel as nib

    header = nib.Nifti1Header()
    header.set_data_dtype(dtype)
    header.set_data_shape(shape)
    header.set_xyzt_units("mm", "sec")
    header.set_sform(affine, code="mni")
    header.set_qform(affine, code="mni")
    if tr:
        header["pixdim"][4] = tr
    header["magic"], header["vox_offset"] = b"n+1", 352
    header["scl_slope"], header["scl_inter"] = 1.0, 0.0
    return header


def _save(header: Any, volumes: Iterable[np.ndarray], path: Path, *, packed: bool) -> None:
    """Write a NIfTI-1 file volume by volume: a whole series would be there twice."""
    with path.open("wb") as raw, ExitStack() as open_:
        stream: Any = raw
        if packed:
            # neither name nor time, so that equal voxels give equal files
            stream = open_.enter_context(gzip.GzipFile("", "wb", 4, raw, mtime=0))
        stream.write(header.binaryblock + b"\0\0\0\0")
        for volume in volumes:
            stream.write(volume.tobytes(order="F"))
