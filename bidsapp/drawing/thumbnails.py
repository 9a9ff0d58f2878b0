"""A small picture of each normalised brain, kept beside it so that overviews are quick to make."""

import base64
import io
from pathlib import Path

import numpy as np

from bidsapp.derivatives import OutputNames, atomic_path
from bidsapp.drawing.contours import UNITS, contour_path
from bidsapp.drawing.volumes import AXES, PLANES, Volume, read_volume

_PIXEL_MM = 2.2
_FEWEST = 64  # pixels along the longest side, of what is smaller than a head
_ALONE = 120  # and of a picture that has no others beside it
_QUALITY = 68
_BRIGHT = 99.5  # percentile of the brain that becomes white


def thumbnail_path(names: OutputNames) -> Path:
    """Where the picture of an image lies: ``sub-01/[ses-1/]figures/…_thumbnail.jpg``."""
    name = names.in_space("quality", "thumbnail", ".jpg")
    return names.folder.parent / "figures" / name


def thumbnail(names: OutputNames, key: str) -> str:
    """Give the picture as a data URI, made where it is missing or of another result.

    Parameters
    ----------
    names
        Of the normalised image.
    key
        ``RunKey`` of its sidecar; stands in the picture's comment.
    """
    content = thumbnail_file(names, key).read_bytes()
    return "data:image/jpeg;base64," + base64.b64encode(content).decode("ascii")


def thumbnail_file(names: OutputNames, key: str) -> Path:
    """Give the picture's file, made where it is missing or of another result; as `thumbnail`."""
    path = thumbnail_path(names)
    if not _is_of(path, key):
        content = _made(read_volume(names.path(names.shown.key)), key)
        with atomic_path(path) as temporary:
            temporary.write_bytes(content)
    return path


def _is_of(path: Path, key: str) -> bool:
    try:
        with path.open("rb") as stream:
            return bool(key) and key.encode() in stream.read(512)
    except OSError:
        return False


def _made(volume: Volume, key: str) -> bytes:
    from PIL import Image

    data = np.nan_to_num(np.asarray(volume.data, dtype=np.float32))
    inside = data[data > 0]
    bright = float(np.percentile(inside, _BRIGHT)) if inside.size else 1.0
    size, places = layout(volume)
    whole = Image.new("L", size)
    for plane, (left, top, width, height) in places.items():
        cut = _middle(data, plane)
        grey = np.rint(np.clip(cut / bright, 0, 1) * 255).astype(np.uint8)
        picture = Image.fromarray(np.ascontiguousarray(grey))
        whole.paste(picture.resize((width, height), Image.Resampling.BICUBIC), (left, top))
    buffer = io.BytesIO()
    whole.save(buffer, format="JPEG", quality=_QUALITY, optimize=True, comment=key)
    return buffer.getvalue()


def layout(volume: Volume) -> tuple[tuple[int, int], dict[str, tuple[int, int, int, int]]]:
    """Size of the picture, and left, top, width and height of each plane in it, in pixels.

    An image of one slice is shown in the plane of that slice alone.
    """
    sizes = {}
    whole = np.array(volume.data.shape) * volume.voxel_sizes
    fewest = _ALONE if 1 in volume.data.shape else _FEWEST
    pixel = min(_PIXEL_MM, float(whole.max()) / fewest)
    for plane in PLANES:
        if min(np.delete(volume.data.shape, AXES[plane])) == 1:
            continue
        extent = np.delete(whole, AXES[plane])
        width, height = np.maximum(np.rint(extent / pixel).astype(int), 2).tolist()
        sizes[plane] = (width, height)
    tallest = max(height for _, height in sizes.values())
    places, left = {}, 0
    for plane, (width, height) in sizes.items():
        places[plane] = (left, (tallest - height) // 2, width, height)
        left += width
    return (left, tallest), places


def outlines(template: Path) -> tuple[tuple[int, int], list[tuple[int, int, str]]]:
    """Trace the template's brain on the slices that a thumbnail shows.

    Returns
    -------
    size
        Width and height of the picture in pixels.
    paths
        Left and top of each plane in pixels, and the path in tenths of one.
    """
    volume = read_volume(template)
    inside = np.asarray(volume.data) > 0
    size, places = layout(volume)
    paths = []
    for plane, (left, top, width, height) in places.items():
        paths.append((left, top, contour_path(_middle(inside, plane), 0.5, (width, height))))
    return size, paths


def _middle(data: np.ndarray, plane: str) -> np.ndarray:
    """Middle slice of the grid: rows run down, columns to the right of the picture."""
    axis = AXES[plane]
    return np.moveaxis(data, axis, 0)[data.shape[axis] // 2].T[::-1]


PATH_UNITS = UNITS
