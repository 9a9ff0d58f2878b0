"""The one reader of values on surfaces: GIFTI files that hold one array, and what they tell."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bidsapp.errors import BadData
from bidsapp.intake.pointers import require_content

ENDING = ".gii"


def read_gifti(path: Path) -> tuple[np.ndarray, Mapping[str, str]]:
    """Read one value for each place of a surface, and the file's own metadata.

    Raises
    ------
    NoInput
        The file's content was not fetched.
    BadData
        It is not GIFTI, or does not hold exactly one array of values.
    """
    from nibabel.gifti import GiftiImage

    require_content(path)
    try:
        image = GiftiImage.from_filename(str(path))
        told = dict(image.meta)
    except Exception as error:  # its reader raises whatever the XML and its arrays bring up
        raise BadData(f"{path}: cannot be read as GIFTI: {error}") from error
    if len(image.darrays) != 1:
        raise BadData(f"{path}: expected one array of values, found {len(image.darrays)}")
    return np.asarray(image.darrays[0].data), told


def read_surface(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read a surface: (n, 3) points in mm, float64, and (m, 3) triangles, int32.

    Raises
    ------
    NoInput
        The file's content was not fetched.
    BadData
        It is not GIFTI, or does not hold one array of points and one of triangles.
    """
    from nibabel.gifti import GiftiImage

    require_content(path)
    try:
        image = GiftiImage.from_filename(str(path))
        (points,) = image.get_arrays_from_intent("NIFTI_INTENT_POINTSET")
        (triangles,) = image.get_arrays_from_intent("NIFTI_INTENT_TRIANGLE")
        found = np.asarray(points.data, np.float64), np.asarray(triangles.data, np.int32)
    except Exception as error:  # its reader raises whatever the XML and its arrays bring up
        raise BadData(f"{path}: cannot be read as a GIFTI surface: {error}") from error
    if found[1].size and not 0 <= found[1].min() <= found[1].max() < len(found[0]):
        raise BadData(f"{path}: its triangles name points that are not there")
    return found
