"""Regions of boxes that lie otherwise: moved by some pixels, or drawn by another rater."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from bidsapp.contracts.placement import MOVED, RATER, Placement
from bidsapp.derivatives.sidecars import file_sha256
from bidsapp.errors import BadData, NoInput
from bidsapp.intake.images import read_numbers
from bidsapp.intake.json_text import read_own_json
from bidsapp.modalities.spine.files import write_picture
from bidsapp.modalities.spine.home import box_of
from bidsapp.modalities.spine.injections import Injection
from bidsapp.modalities.spine.midline import Midline
from bidsapp.modalities.spine.region import LEAST_PIXELS, make_region, picture_of
from bidsapp.modalities.spine.roi_table import Roi
from bidsapp.modalities.spine.stack import Stack, read_stack
from bidsapp.spaces import Slice

_RAW = "bids:raw:"
_ACROSS = {1: "outwards", -1: "inwards"}
_ALONG = {1: "to the front", -1: "to the back"}


def placements(image: Path, pixels: int, bids_dir: Path, folder: Path) -> list[Placement]:
    """Make the pictures of an injection whose box lies otherwise.

    Eight are moved, by `pixels` of the resampled slice in each direction and diagonally; they are
    cut at the same midline as before and at the slice's edge. Those of other raters are made from
    the scan as the first was, on the slice that each chose.

    Parameters
    ----------
    image
        The picture that was prepared; its sidecar and slice lie beside it.
    pixels
        Of the slice, each as large as its sidecar says (0.5 mm); 0 moves nothing.
    bids_dir
        The raw dataset, for other raters' boxes.
    folder
        Where pictures go.

    Raises
    ------
    NoInput, BadData
        What was prepared is not whole; the scan is not there, or is another one than then.
    """
    told = read_own_json(image.with_name(image.name.replace(".nii.gz", ".json")))
    box, file = box_of(image)
    values, _ = read_numbers(file)
    low, high = (float(value) for value in told["Settings"]["percentiles"])
    found: list[Placement] = []
    for name, moved, apart in moved_boxes(box, told, pixels) if pixels else ():
        path = folder / f"{image.name.removesuffix('.nii.gz')}_{len(found)}.nii.gz"
        picture, _ = picture_of(values[..., 0], moved, (low, high))
        write_picture(path, picture)
        found.append(Placement(name, MOVED, path, {"apart_mm": apart}))
    for other in told.get("OtherRaters") or ():
        path = folder / f"{image.name.removesuffix('.nii.gz')}_{len(found)}.nii.gz"
        write_picture(path, _rater_picture(told, other, bids_dir, image))
        facts = {key: float(other[of]) for key, of in _FACTS.items()}
        found.append(Placement(f"rater {other['Rater'] or 'n/a'}", RATER, path, facts))
    return found


_FACTS = {
    "apart_mm": "ApartMM",
    "overlap": "Overlap",
    "slices_apart": "SlicesApart",
    "width_mm": "WidthMM",
    "own_width_mm": "OwnWidthMM",
    "depth_mm": "DepthMM",
    "own_depth_mm": "OwnDepthMM",
}


def moved_boxes(
    box: Slice, told: Mapping[str, Any], pixels: int
) -> Iterator[tuple[str, Slice, float]]:
    """Give the eight moved boxes: name, box, distance of its uncut centre in mm.

    A box of which hardly anything would be left on the injected side is left out.
    """
    size = float(np.linalg.norm(np.array(box.grid_affine)[:3, 0]))
    outwards = -1 if box.mirrored else 1
    cut = float(told["Quality"].get("cut_share") or 0.0)
    beyond = round(box.extent[0] * cut / (1 - cut))
    middle = float(told["Midline"]["FromLeftEdgeMM"]) / size
    middle_pixel = int(np.ceil(middle - 0.5))
    for across, along in product((-1, 0, 1), repeat=2):
        if not across and not along:
            continue
        x0, x1 = box.start[0], box.start[0] + box.extent[0]
        x0, x1 = (x0 - beyond, x1) if outwards == 1 else (x0, x1 + beyond)
        x0, x1 = (edge + outwards * across * pixels for edge in (x0, x1))
        x0, x1 = (max(x0, middle_pixel), x1) if outwards == 1 else (x0, min(x1, middle_pixel))
        y0 = box.start[1] + along * pixels
        y1 = y0 + box.extent[1]
        (x0, x1), (y0, y1) = (
            (max(first, 0), min(end, most))
            for first, end, most in ((x0, x1, box.grid_shape[0]), (y0, y1, box.grid_shape[1]))
        )
        if min(x1 - x0, y1 - y0) < LEAST_PIXELS:
            continue
        way = " and ".join(filter(None, (_ACROSS.get(across), _ALONG.get(along))))
        name = f"{pixels} pixel{'s' * (pixels != 1)} {way}"
        apart = pixels * size * float(np.hypot(across, along))
        yield name, replace(box, start=(x0, y0), extent=(x1 - x0, y1 - y0)), apart


def compared_boxes(stack: Stack, own: Roi, others: Sequence[Roi]) -> list[dict[str, Any]]:
    """Say of each other rater's box of the same injection how it lies beside the one that is used.

    Returns
    -------
    list of dict
        ``Rater``, ``Slice``, ``Box``, ``Overlap`` (intersection over union in the plane, 0 to 1),
        ``ApartMM`` (between the centres, through the slices too), ``SlicesApart``, and the sizes of
        both to the side (width) and to the front (depth).
    """
    sizes = np.array([np.linalg.norm(stack.affine[:3, axis]) for axis in stack.axes[:2]])
    found = []
    for other in others:
        boxes = np.array([stack.in_plane(own.box), stack.in_plane(other.box)], float)
        boxes = boxes.reshape(2, 2, 2)
        boxes[..., 1] += 1  # ends, not last voxels
        extent = np.diff(boxes, axis=-1)[..., 0]
        shared = np.clip(boxes[..., 1].min(axis=0) - boxes[..., 0].max(axis=0), 0, None).prod()
        overlap = shared / (extent.prod(axis=1).sum() - shared)
        apart = np.append(np.diff(boxes.mean(axis=-1), axis=0)[0] * sizes,
                          (other.slice - own.slice) * stack.spacing)  # fmt: skip
        mm = extent * sizes
        found.append(
            {
                "Rater": other.rater or None,
                "Slice": other.slice,
                "Box": list(other.box),
                "Overlap": round(float(overlap), 4),
                "ApartMM": round(float(np.linalg.norm(apart)), 2),
                "SlicesApart": abs(other.slice - own.slice),
                "WidthMM": round(float(mm[1, 0]), 2),
                "OwnWidthMM": round(float(mm[0, 0]), 2),
                "DepthMM": round(float(mm[1, 1]), 2),
                "OwnDepthMM": round(float(mm[0, 1]), 2),
            }
        )
    return found


def _rater_picture(
    told: Mapping[str, Any], other: Mapping[str, Any], bids_dir: Path, image: Path
) -> np.ndarray:
    """Make the picture of another rater's box, from the scan and at the midline as then."""
    uri = next((one for one in told["Sources"] if one.startswith(_RAW)), "")
    scan = bids_dir / uri.removeprefix(_RAW)
    if not uri or not scan.is_file():
        raise NoInput(f"{scan} is not there; the box of rater {other['Rater']} is cut from it")
    if file_sha256(scan) != told["SourceSHA256"]:
        raise BadData(f"{scan} was changed since {image.name} was made; prepare it anew")
    settings = told["Settings"]
    stack = read_stack(scan)
    # in pixels of the file's plane; the same place on every slice
    place = float(told["Midline"]["FromLeftEdgeMM"]) / float(stack.plane(0).sizes[0]) - 0.5
    roi = Roi(
        Injection(told["Level"], told["Side"]),
        int(other["Slice"]),
        tuple(other["Box"]),
        str(told["BoxSource"]),
        other["Rater"] or "",
    )
    region = make_region(
        stack,
        roi,
        Midline(place, told["Midline"]["How"]),
        pixel_mm=float(settings["pixel_mm"]),
        thickness_mm=float(settings["thickness_mm"]),
        size=int(settings["size"]),
        percentiles=tuple(settings["percentiles"]),
    )
    return region.picture
