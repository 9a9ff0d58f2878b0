"""Mosaics: rows of slices with layers to switch between and contours on top."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bidsapp.drawing.contours import UNITS, contour_path
from bidsapp.drawing.pictures import coloured, data_uri, enlarged, overlaid, windowed
from bidsapp.drawing.volumes import AXES, Cut, Volume

PIXEL_MM = 0.75


@dataclass(frozen=True)
class Layer:
    """A picture of each slice.

    Attributes
    ----------
    key
        Name for the style sheet, such as ``participant``.
    description
        What it shows, for those who cannot see it.
    data
        (x, y, z).
    window
        Values that become black and white, or the two ends of `colours`.
    colours
        (256, 3) uint8, or None for grey.
    inside
        (x, y, z) boolean; with `colours`, what lies outside is black.
    overlay, limit
        (x, y, z) signed values to lay over a grey slice, and where their colours end.
    """

    key: str
    description: str
    data: np.ndarray
    window: tuple[float, float]
    colours: np.ndarray | None = None
    inside: np.ndarray | None = None
    overlay: np.ndarray | None = None
    limit: float = 1.0


@dataclass(frozen=True)
class Outline:
    """A contour on each slice.

    Attributes
    ----------
    key
        Name for the style sheet, such as ``brain``.
    data
        (x, y, z); boolean for the outline of a mask.
    level
        Value that is traced.
    shortest
        Lines of fewer points are left out.
    """

    key: str
    data: np.ndarray
    level: float = 0.5
    shortest: int = 3


@dataclass(frozen=True)
class Picture:
    """One layer of one tile: key, alternative text and data URI."""

    key: str
    alt: str
    uri: str


@dataclass(frozen=True)
class Tile:
    """One slice, ready for a page.

    Attributes
    ----------
    plane, label, hemisphere
        Which slice, its coordinate in words, and on which side a sagittal one lies.
    sides
        What lies at the left and the right border.
    width, height
        Pixels of each picture.
    units
        Units of a path per pixel.
    pictures
        Layers, lowest first.
    paths
        Key and path of each contour that crosses the slice.
    """

    plane: str
    label: str
    hemisphere: str
    sides: tuple[str, str]
    width: int
    height: int
    pictures: tuple[Picture, ...]
    paths: tuple[tuple[str, str], ...]
    units: int = UNITS


def mosaic(
    grid: Volume,
    cuts: Sequence[Cut],
    layers: Sequence[Layer],
    outlines: Sequence[Outline] = (),
    *,
    pixel_mm: float = PIXEL_MM,
) -> list[Tile]:
    """Make the tiles of a mosaic.

    Parameters
    ----------
    grid
        The grid (x, y, z) that all layers and outlines lie on.
    cuts
        Slices, in reading order.
    layers, outlines
        What each slice shows.
    pixel_mm
        Size of a pixel; the same along both axes of the picture, whatever the voxels are.
    """
    return [_tile(grid, cut, layers, outlines, pixel_mm) for cut in cuts]


def _tile(
    grid: Volume,
    cut: Cut,
    layers: Sequence[Layer],
    outlines: Sequence[Outline],
    pixel_mm: float,
) -> Tile:
    size = _size(grid, cut, pixel_mm)
    pictures = tuple(
        Picture(layer.key, f"{layer.description}, {cut.plane} slice at {cut.label}", uri)
        for layer in layers
        for uri in [_painted(layer, cut, size)]
    )
    traced = (
        (
            outline.key,
            contour_path(cut.of(outline.data), outline.level, size, shortest=outline.shortest),
        )
        for outline in outlines
    )
    return Tile(
        plane=cut.plane,
        label=cut.label,
        hemisphere=cut.hemisphere,
        sides=cut.sides,
        width=size[0],
        height=size[1],
        pictures=pictures,
        paths=tuple((key, path) for key, path in traced if path),
    )


def _size(grid: Volume, cut: Cut, pixel_mm: float) -> tuple[int, int]:
    extent = np.delete(np.array(grid.data.shape) * grid.voxel_sizes, AXES[cut.plane])
    width, height = np.maximum(np.rint(extent / pixel_mm).astype(int), 2).tolist()
    return width, height


def _painted(layer: Layer, cut: Cut, size: tuple[int, int]) -> str:
    plane = windowed(cut.of(layer.data), *layer.window)
    if layer.overlay is not None:
        return data_uri(overlaid(plane, cut.of(layer.overlay), layer.limit, size))
    if layer.colours is None:
        return data_uri(enlarged(plane, size))
    inside = np.ones(plane.shape, bool) if layer.inside is None else cut.of(layer.inside)
    return data_uri(coloured(plane, inside.astype(bool), layer.colours, size))
