"""A map of a picture, in colours over the mean picture of the people whom it is of."""

import numpy as np

from bidsapp.drawing.mosaic import Picture, Tile
from bidsapp.drawing.pictures import data_uri, enlarged, windowed
from bidsapp.drawing.volumes import Volume
from bidsapp.reports.saliency.overlays import coloured

_WIDTH = 400


def flat_tiles(below: Volume, values: Volume, limit: float, top: float) -> list[Tile]:
    """Make two tiles: the mean picture, and the map over it.

    Parameters
    ----------
    below
        The mean picture, (x, y, 1); x to the right of the tile, y upwards.
    values
        The map on the same grid.
    limit, top
        Magnitudes from which on, and up to which, the map is coloured.

    Raises
    ------
    ValueError
        They lie on different grids.
    """
    from PIL import Image

    same = below.data.shape == values.data.shape
    if not same or not np.allclose(below.affine, values.affine, atol=1e-3):
        raise ValueError("the mean picture and the maps lie on different grids")
    grey_values, plane = (
        np.asarray(one.data, np.float32)[..., 0].T[::-1] for one in (below, values)
    )
    extent = np.array(values.data.shape[:2]) * values.voxel_sizes[:2]
    size = (_WIDTH, max(round(_WIDTH * float(extent[1] / extent[0])), 2))
    low, high = (float(v) for v in np.percentile(grey_values, (0.5, 99.5)))
    grey = np.asarray(enlarged(windowed(grey_values, low, high), size))
    plane = np.ascontiguousarray(np.nan_to_num(plane))
    shown = np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BILINEAR))
    plain = np.repeat(np.asarray(grey, np.uint8)[..., None], 3, axis=2)
    return [
        Tile(
            plane="picture",
            label=label,
            hemisphere="",
            sides=("", ""),
            width=size[0],
            height=size[1],
            pictures=(Picture("participant", alt, data_uri(Image.fromarray(pixels))),),
            paths=(),
        )
        for label, alt, pixels in (
            ("map", "Saliency over the mean picture", coloured(grey, shown, limit, top)),
            ("mean picture", "Mean picture of the same people", plain),
        )
    ]
