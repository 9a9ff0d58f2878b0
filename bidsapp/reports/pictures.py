"""Slices as pictures: windowing, enlarging, colouring, encoding."""

import base64
import io
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

_QUALITY = 82
# Blue to red over near-white, told apart under every common colour blindness; light grows
# towards 0 from both ends, so that it also reads in black and white.
_DIVERGING = (
    (0.00, (16, 52, 118)),
    (0.25, (70, 140, 200)),
    (0.50, (246, 246, 244)),
    (0.75, (226, 120, 74)),
    (1.00, (122, 16, 30)),
)


def diverging_colours(steps: int = 256) -> np.ndarray:
    """Colour-blind-safe colours from blue (low) over near-white to red (high).

    Returns
    -------
    ndarray
        (steps, 3), uint8.
    """
    where = np.linspace(0, 1, steps)
    stops = [position for position, _ in _DIVERGING]
    colours = np.array([colour for _, colour in _DIVERGING], dtype=float)
    channels = [np.interp(where, stops, colours[:, channel]) for channel in range(3)]
    return np.rint(np.stack(channels, axis=1)).astype(np.uint8)


def windowed(plane: np.ndarray, low: float, high: float) -> np.ndarray:
    """Map intensities from `low` to `high` onto 0 to 255 (uint8); what is not finite becomes 0."""
    width = high - low if high > low else 1.0
    shown = np.nan_to_num((plane.astype(np.float32) - low) / width, nan=0, posinf=1, neginf=0)
    return np.rint(np.clip(shown, 0, 1) * 255).astype(np.uint8)


def enlarged(plane: np.ndarray, size: tuple[int, int]) -> "Image":
    """Resize a slice of uint8 smoothly to `size` (width, height in pixels)."""
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(plane))
    return image.resize(size, Image.Resampling.BICUBIC)


def coloured(
    plane: np.ndarray, inside: np.ndarray, colours: np.ndarray, size: tuple[int, int]
) -> "Image":
    """Colour a slice; black outside.

    Parameters
    ----------
    plane
        Index into `colours` per voxel (uint8).
    inside
        Boolean, same shape.
    colours
        (256, 3), uint8.
    size
        Width and height in pixels. The values are resized, never the colours, so that no colour
        appears that the colour bar does not hold.
    """
    from PIL import Image

    # Values outside mean nothing; the middle keeps them from bleeding in as an extreme.
    values = np.asarray(enlarged(np.where(inside, plane, np.uint8(128)), size))
    within = np.asarray(enlarged(inside.astype(np.uint8) * 255, size)) > 127
    return Image.fromarray(colours[values] * within[..., None].astype(np.uint8))


def data_uri(image: "Image") -> str:
    """Embed a picture (grey or RGB) as a JPEG."""
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=_QUALITY, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
