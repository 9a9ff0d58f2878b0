"""The page of one knee: the label map over the image, maps, the bones to turn, and numbers."""

import base64
import io
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bidsapp.contracts.measure import FAIL, PASS, WARN
from bidsapp.contracts.modality import modality_named
from bidsapp.contracts.prepared import RAW, UnitPage
from bidsapp.contracts.product import OutputNames
from bidsapp.derivatives import write_text
from bidsapp.drawing.mosaic import Layer, Outline, Tile, mosaic
from bidsapp.drawing.pages import render
from bidsapp.drawing.quality_table import common_parts
from bidsapp.drawing.turning import turning_view
from bidsapp.drawing.volumes import box_around, choose_cuts, read_volume
from bidsapp.modalities.knee.anatomy import BONES, STRUCTURES
from bidsapp.modalities.knee.products import MAPS
from bidsapp.spaces.files import read_whole

_VERDICTS = {
    PASS: ("Pass", "The knee's maps can be used."),
    WARN: ("Warn", "Look at the label map and the maps before you use them."),
    FAIL: ("Fail", "Do not use the knee's maps."),
}
_HALVES = {
    "L": {"left": "lateral", "midline": "middle", "right": "medial"},
    "R": {"left": "medial", "midline": "middle", "right": "lateral"},
}
_MARGIN_MM = 6.0
_WINDOW_PERCENT = 99.0


@dataclass(frozen=True)
class MapPicture:
    """One map as a picture: longitudes across, the joint's middle at the bottom."""

    title: str
    unit: str
    low: float
    high: float
    uri: str


def write_knee_page(unit: UnitPage, image: Path, path: Path) -> None:
    """Write one self-contained HTML file.

    Parameters
    ----------
    unit
        Its facts hold ``side`` and ``side_by``.
    image
        The image that was segmented.
    path
        The file; its folder exists.
    """
    names, settings = unit.names, unit.provenance.settings
    measures = modality_named("knee").measures_for(settings)
    bones = [bone for bone in BONES if bone in settings["bones"]]
    viewer = names.folder.parent / "figures" / names.native("bones", "surface", ".html")
    write_text(viewer, _bones_to_turn(names, unit.folder, bones))
    page = render(
        "knee.html.j2",
        **common_parts(unit, measures, _VERDICTS),
        title=unit.title,
        reasons=list(unit.quality["reasons"]),
        side={"L": "left", "R": "right"}.get(str(unit.facts.get("side")), "unknown"),
        side_by=str(unit.facts.get("side_by", "")),
        tiles=labels_over_image(image, unit.folder / names["labels"], unit.facts.get("side")),
        maps={bone: _maps(bone, names, unit.folder) for bone in bones},
        viewer=viewer.relative_to(names.output_dir).as_posix(),
        sources=[source.removeprefix(RAW) for source in unit.provenance.sources],
        seconds={k: float(v) for k, v in unit.facts["seconds"].items() if k != "total"},
    )
    path.write_text(page, encoding="utf-8")


def labels_over_image(image: Path, labels: Path, side: object) -> list[Tile]:
    """Draw the label map's borders over slices, sagittal ones by which half of the knee they cut.

    Parameters
    ----------
    image, labels
        On one grid.
    side
        ``L`` or ``R``; the halves are not named where it is neither.
    """
    picture, map_ = read_volume(image), read_volume(labels)
    data = np.asarray(map_.data)
    box = box_around(data > 0, map_.voxel_sizes, _MARGIN_MM)
    grid, inside = map_.cropped(box), data[box]
    grey = np.asarray(picture.data)[box]
    high = float(np.percentile(grey[np.isfinite(grey)], _WINDOW_PERCENT)) or 1.0
    cartilage = [n for n, name in enumerate(STRUCTURES, start=1) if "cartilage" in name]
    bones = [n for n, name in enumerate(STRUCTURES, start=1) if name in BONES]
    halves = _HALVES.get(str(side), {})
    tiles = mosaic(
        grid,
        choose_cuts(grid.like(inside > 0)),
        [Layer("participant", "Image", grey, (0.0, high))],
        [
            Outline("outer", np.isin(inside, bones)),
            Outline("inner", np.isin(inside, cartilage)),
        ],
    )
    return [replace(tile, hemisphere=halves.get(tile.hemisphere, "")) for tile in tiles]


def _maps(bone: str, names: OutputNames, staging: Path) -> list[MapPicture]:
    keys = {product.key for product in names.products}
    found = []
    for name, (words, unit, *_) in MAPS.items():
        if f"{bone}_{name}" not in keys:
            continue
        values = read_whole(staging / names[f"{bone}_{name}"]).values
        there = values[values > 0]
        low = float(np.percentile(there, 1)) if name == "shape" and there.size else 0.0
        high = float(np.percentile(there, 99)) if there.size else 1.0
        found.append(MapPicture(words, unit, low, high, _picture(values, low, high)))
    return found


def _picture(values: np.ndarray, low: float, high: float) -> str:
    """PNG of a (longitudes, latitudes) map, the joint's middle at the bottom."""
    import matplotlib
    from PIL import Image

    share = np.clip((values.T[::-1] - low) / max(high - low, 1e-6), 0, 1)
    colours = matplotlib.colormaps["viridis"](share, bytes=True)[..., :3]
    colours[values.T[::-1] <= 0] = 0
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(colours)).save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _bones_to_turn(names: OutputNames, staging: Path, bones: list[str]) -> str:
    """Give all bones with their thickness, to turn: one HTML file."""
    from nibabel.gifti import GiftiImage

    points, faces, values, start = [], [], [], 0
    for bone in bones:
        surface = GiftiImage.from_filename(str(staging / names[f"{bone}_surface"]))
        named = {
            array.meta.get("Name"): np.asarray(array.data)
            for array in GiftiImage.from_filename(str(staging / names[f"{bone}_values"])).darrays
        }
        own = np.asarray(surface.darrays[0].data)
        points.append(own)
        faces.append(np.asarray(surface.darrays[1].data) + start)
        values.append(np.nan_to_num(named["thickness"]))
        start += len(own)
    every = np.concatenate(values)
    span = (0.0, float(np.percentile(every, 99.5)) or 1.0)
    title = "Cartilage thickness, mm"
    return turning_view(np.concatenate(points), np.concatenate(faces), every, title, span)
