"""What the interactive viewer is given: volumes as pictures of 8 bits, every axial slice a tile."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from bidsapp.drawing.pictures import windowed
from bidsapp.intake.json_text import read_own_json
from bidsapp.reports.saliency.grid import Stage, read_map
from bidsapp.reports.saliency.overlays import map_colours

_STEPS = 127  # of a map to either side of 0
_START = 0.1  # of the voxels is shown at first, and never less than this share of the top


def stage_payload(stage: Stage) -> str:
    """JSON of the template: shape, tiles per row, millimetres, pixels, colours."""
    bright = float(np.percentile(stage.brain.data[stage.inside], 99.7))
    grey = windowed(stage.brain.data, 0, bright) * stage.inside
    content = {
        "shape": list(grey.shape),
        "across": _across(grey.shape),
        "affine": np.round(stage.brain.affine, 4).tolist(),
        "pixels": _sprite(grey),
        "colours": map_colours().ravel().tolist(),
    }
    return json.dumps(content, separators=(",", ":"))


def map_payload(name: str, path: Path, stage: Stage, units: str) -> dict[str, Any]:
    """One map: byte 128 is 0, 1 and 255 are the largest magnitude to either side.

    Raises
    ------
    ValueError
        The map lies on another grid.
    """
    values = stage.fit(read_map(path))
    size = np.abs(values)
    top = float(size.max(initial=0)) or 1.0
    there = size[size > 0]
    start = max(_START, float(np.quantile(there, 1 - _START)) / top) if there.size else 0.0
    about = _sidecar(path)
    steps = np.rint(values / top * _STEPS).astype(int) + _STEPS + 1
    return {
        "name": name.replace("_", " "),
        "about": str(about.get("Description", "")),
        "units": str(about.get("Units", units)),
        "top": top,
        "start": round(start, 4),
        "signed": bool((values < 0).any()),
        "file": path.name,
        "pixels": _sprite(steps.astype(np.uint8)),
    }


def _sidecar(path: Path) -> dict[str, Any]:
    try:
        side = path.with_name(path.name.removesuffix(".gz").removesuffix(".nii") + ".json")
        found = read_own_json(side)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _across(shape: tuple[int, ...]) -> int:
    return int(np.ceil(np.sqrt(shape[2])))


def _sprite(volume: np.ndarray) -> str:
    """PNG of all axial slices, row by row; in each, x runs to the right and y down. Base64."""
    from PIL import Image

    nx, ny, nz = volume.shape
    across = _across(volume.shape)
    down = -(-nz // across)
    sheet = np.zeros((down * ny, across * nx), np.uint8)
    for z in range(nz):
        row, column = divmod(z, across)
        sheet[row * ny : (row + 1) * ny, column * nx : (column + 1) * nx] = volume[:, :, z].T
    buffer = io.BytesIO()
    Image.fromarray(sheet).save(buffer, format="PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
