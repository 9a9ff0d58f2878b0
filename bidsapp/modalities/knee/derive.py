"""The data files of one knee, under their final names, in a folder of their own."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bidsapp.contracts.product import OutputNames
from bidsapp.modalities.knee.anatomy import STRUCTURES
from bidsapp.modalities.knee.bone_maps import BoneMaps
from bidsapp.modalities.knee.frame import Frame
from bidsapp.modalities.knee.label_map import LabelMap
from bidsapp.modalities.knee.spheres import as_picture, common_sphere, grid_facts
from bidsapp.modalities.knee.whole_knee import Knee
from bidsapp.spaces.gifti import write_values as write_map


def write_data_files(
    folder: Path, names: OutputNames, labels: LabelMap, knee: Knee
) -> dict[str, Any]:
    """Write every product of a knee.

    Returns
    -------
    dict
        Facts for the sidecars: ``labels``, ``side``, ``side_by``, ``to_scanner``, ``grids``,
        ``channels``.
    """
    _write_labels(folder / names["labels"], labels)
    grids: dict[str, Any] = {}
    channels: list[str] = []
    for bone, maps in knee.bones.items():
        channels = list(maps.values)
        write_surface(folder / names[f"{bone}_surface"], maps, knee.frame)
        write_values(folder / names[f"{bone}_values"], maps.values)
        sphere = common_sphere(bone, maps.laid.grid)
        for name, image in maps.maps().items():
            path = folder / names[f"{bone}_{name}"]
            write_map(path, as_picture(image), json.dumps(sphere.to_dict()), {})
        turn = knee.frame.to_world[:3, :3]
        centre = knee.frame.world(maps.laid.centre[None])[0]
        grids[bone] = grid_facts(bone, maps.laid.grid, centre, maps.laid.grid.axes @ turn.T)
    return {
        "labels": {str(n): name for n, name in enumerate(STRUCTURES, start=1)},
        "side": knee.side,
        "side_by": knee.side_words,
        "to_scanner": knee.frame.to_world.tolist(),
        "grids": grids,
        "channels": channels,
    }


def _write_labels(path: Path, labels: LabelMap) -> None:
    import nibabel as nib

    data = np.zeros(labels.data.shape, np.uint8)
    for number, name in enumerate(STRUCTURES, start=1):
        data[labels.mask(name)] = number
    image = nib.Nifti1Image(data, labels.affine)
    image.header.set_xyzt_units("mm", "sec")
    nib.save(image, path)


def write_surface(path: Path, maps: BoneMaps, frame: Frame) -> None:
    """Write a surface in the scanner's millimetres: POINTSET and TRIANGLE, scanner anatomical."""
    from nibabel.gifti import GiftiCoordSystem, GiftiDataArray, GiftiImage

    triangles = maps.surface.triangles
    if frame.mirrored:
        triangles = triangles[:, ::-1]  # a mirror turns them round
    scanner = GiftiCoordSystem(
        dataspace="NIFTI_XFORM_SCANNER_ANAT", xformspace="NIFTI_XFORM_SCANNER_ANAT"
    )
    points = GiftiDataArray(
        frame.world(maps.surface.points).astype(np.float32),
        intent="NIFTI_INTENT_POINTSET",
        datatype="NIFTI_TYPE_FLOAT32",
        coordsys=scanner,
        meta={"AnatomicalStructurePrimary": maps.bone.name, "GeometricType": "Anatomical"},
    )
    faces = GiftiDataArray(
        triangles.astype(np.int32), intent="NIFTI_INTENT_TRIANGLE", datatype="NIFTI_TYPE_INT32"
    )
    path.write_bytes(GiftiImage(darrays=[points, faces]).to_bytes())


def write_values(path: Path, values: Mapping[str, np.ndarray]) -> None:
    """Write values of a surface's points, an array of intent SHAPE each, named."""
    from nibabel.gifti import GiftiDataArray, GiftiImage

    arrays = [
        GiftiDataArray(
            value.astype(np.float32),
            intent="NIFTI_INTENT_SHAPE",
            datatype="NIFTI_TYPE_FLOAT32",
            meta={"Name": name},
        )
        for name, value in values.items()
    ]
    path.write_bytes(GiftiImage(darrays=arrays).to_bytes())
