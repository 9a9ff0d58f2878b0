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

# Cold to warm for a layer over a grey brain: bright at the ends, dark where it fades out.
OVERLAY_STOPS = ((120, 235, 255), (30, 120, 255), (34, 34, 38), (255, 90, 20), (255, 225, 70))
_FAINT = 0.12  # share of the limit below which nothing is laid over
_MOST = 0.9  # opacity at the limit


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


def overlaid(plane: np.ndarray, values: np.ndarray, limit: float, size: tuple[int, int]) -> "Image":
    """Lay signed values over a grey slice; the farther from 0, the less grey shows through.

    Parameters
    ----------
    plane
        Grey of each voxel (uint8).
    values
        Same shape; what lies beyond ±`limit` takes the end's colour.
    limit
        Above 0.
    size
        Width and height in pixels.
    """
    from PIL import Image

    grey = np.asarray(enlarged(plane, size), dtype=np.float32)[..., None]
    share = np.clip(np.nan_to_num(values) / (limit or 1.0), -1, 1)
    # Resized as 8-bit like the grey, so that both are interpolated alike.
    share = (
        np.asarray(enlarged(np.rint(share * 127 + 128).astype(np.uint8), size)) / 127.0 - 128 / 127
    )
    stops = np.linspace(-1, 1, len(OVERLAY_STOPS))
    channels = [
        np.interp(share, stops, [colour[channel] for colour in OVERLAY_STOPS])
        for channel in range(3)
    ]
    opacity = _MOST * np.clip((np.abs(share) - _FAINT) / (1 - _FAINT), 0, 1)[..., None] ** 0.6
    mixed = (1 - opacity) * grey + opacity * np.stack(channels, axis=-1)
    return Image.fromarray(np.rint(mixed).astype(np.uint8))


def data_uri(image: "Image") -> str:
    """Embed a picture (grey or RGB) as a JPEG."""
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=_QUALITY, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
