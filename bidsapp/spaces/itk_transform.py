"""Transforms between spaces as files that ITK reads: equal ones are equal bytes on any machine."""

import io
from pathlib import Path

import numpy as np

from bidsapp.drawing.geometry import FLIP

Part = tuple[str, np.ndarray, np.ndarray]
"""Type name, fixed parameters and parameters of one transform, in LPS."""


def affine_part(affine: np.ndarray) -> Part:
    """Make the part of an affine, 4 × 4 from RAS to RAS millimetres."""
    lps = FLIP @ affine @ FLIP
    parameters = np.concatenate([lps[:3, :3].ravel(), lps[:3, 3]])
    return "AffineTransform_double_3_3", np.zeros(3), parameters


def write_composite(path: Path, parts: list[Part]) -> None:
    """Write an ITK composite transform; the last part acts first on a point.

    The layout is that of ITK's HDF5 transform file, but a field's parameters are float32 and
    compressed, which ITK reads as they are; its own writer would take five times the space, and
    note the time and the machine's operating system.

    Parameters
    ----------
    path
        File to write, ``.h5``.
    parts
        Type name, fixed parameters and parameters of each transform.
    """
    import h5py
    import SimpleITK as sitk

    # made in memory: HDF5 turns a full disk into an error that says nothing
    content = io.BytesIO()
    with h5py.File(content, "w", track_order=False) as file:
        for name, text in (
            ("ITKVersion", sitk.Version.ITKVersionString()),
            ("HDFVersion", f"HDF5 library version: {h5py.version.hdf5_version}"),
            ("OSName", "unknown"),
            ("OSVersion", "unknown"),
        ):
            file.create_dataset(name, data=[text], dtype=h5py.string_dtype("ascii"))
        group = file.create_group("TransformGroup")
        kind = h5py.string_dtype("ascii")
        group.create_dataset("0/TransformType", data=["CompositeTransform_double_3_3"], dtype=kind)
        for index, (name, fixed, parameters) in enumerate(parts, start=1):
            group.create_dataset(f"{index}/TransformType", data=[name], dtype=kind)
            group.create_dataset(f"{index}/TransformFixedParameters", data=fixed)
            packed = {"compression": "gzip", "compression_opts": 1, "shuffle": True}
            options = packed if parameters.size > 1000 else {}
            group.create_dataset(f"{index}/TransformParameters", data=parameters, **options)
    path.write_bytes(content.getvalue())
