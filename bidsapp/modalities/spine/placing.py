"""The page on which a reader places boxes around foramina, without knowing the outcome."""

import base64
import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bidsapp.drawing.pages import render, script, script_hash
from bidsapp.drawing.pictures import windowed
from bidsapp.modalities.spine.injections import LEVELS, Injection
from bidsapp.modalities.spine.proposals import boxes_beside
from bidsapp.modalities.spine.roi_table import BOX, MIN_BOX, Roi
from bidsapp.modalities.spine.stack import FRONT, RIGHT, Stack

STEP_MM = 3.0
"""Volumes are shown in slices so far apart; series in their own."""
_FINEST_MM = 0.6  # finer pixels show no more on a screen, and a page of many necks gets large
_QUALITY = 80


@dataclass(frozen=True)
class Neck:
    """One image on the page.

    Attributes
    ----------
    label
        ``sub-01 ses-2``, as the reader sees it.
    folder
        Where its table belongs in a derivative dataset: ``sub-01/ses-2/anat``.
    stem
        Entities of the image: ``sub-01_ses-2_acq-axial``.
    stack
        The image.
    told
        Injections that are told of, which wait for a box.
    rois
        Boxes that are there, proposed or confirmed.
    cord
        Mask of the cord on the voxels of `stack`: beside it a box is proposed on every slice.
    """

    label: str
    folder: str
    stem: str
    stack: Stack
    told: Sequence[Injection] = ()
    rois: Sequence[Roi] = ()
    cord: np.ndarray | None = None


def write_placing_page(path: Path, necks: Sequence[Neck], *, second: bool = False) -> None:
    """Write the page: one file that works offline.

    It shows every slice of every neck; the reader chooses slice, level and side and draws the box
    with mouse or keys; what was entered is kept in the browser; ``rois.zip`` holds a table and a
    sidecar for each neck, to be unpacked into ``<bids_dir>/derivatives/rois``. It holds no outcome,
    so that its tables say ``BlindedToOutcome``.

    Parameters
    ----------
    path
        The file; its folder exists. The caller sees to it that a half-written file is never left.
    necks
        At least one.
    second
        For a second reader: confirmed boxes are not shown, and are saved again beside those that
        are drawn.
    """
    content = {
        "levels": list(LEVELS),
        "least": MIN_BOX,
        "columns": ["level", "side", "slice", *BOX, "rater", "date", "status"],
        "second": second,
        "necks": [_plain(neck, second=second) for neck in necks],
    }
    text = json.dumps(content, ensure_ascii=True).replace("<", "\\u003c")
    content_key = hashlib.sha256(text.encode()).hexdigest()[:16]
    code = script("placing.js")
    page = render(
        "placing.html.j2",
        necks=necks,
        levels=LEVELS,
        content=_safe(text),
        content_key=content_key,
        script=code,
        script_hash=script_hash(code),
    )
    path.write_text(page, encoding="utf-8")


def _safe(text: str) -> Any:
    from markupsafe import Markup

    return Markup(text)


def _plain(neck: Neck, *, second: bool) -> dict[str, Any]:
    stack = neck.stack
    asked = {*neck.told, *[roi.injection for roi in neck.rois if second]}
    step = max(1, round(STEP_MM / stack.spacing))
    rois = [_shown(roi, stack) for roi in neck.rois]
    places = sorted({*range(0, stack.slices, step), *(roi["slice"] for roi in rois)})
    first = stack.plane(0)
    low, high = np.percentile(stack.data, (1, 99.5))
    along = {}
    for place in (RIGHT, FRONT):
        axis = stack.axes[place]
        name = "ij"[stack.box_axes.index(axis)]
        along["xy"[place]] = [name, stack.flipped[place], int(stack.data.shape[axis])]
    return {
        "label": neck.label,
        "folder": neck.folder,
        "stem": neck.stem,
        "sizes": [round(float(size), 5) for size in first.sizes],
        "along": along,
        "slices": places,
        "pictures": [_picture(stack, index, (float(low), float(high))) for index in places],
        "up": not stack.flipped[2],
        "told": [[one.level, one.side] for one in sorted(asked)],
        "rois": rois,
        "beside": {} if neck.cord is None else boxes_beside(stack, places, neck.cord),
        "sidecar": {
            "IndexBase": 0,
            "SliceAxis": stack.slice_axis,
            "ImageShape": list(stack.data.shape),
            "ImageAffine": stack.affine.round(4).tolist(),
            "BlindedToOutcome": True,
        },
    }


def _shown(roi: Roi, stack: Stack) -> dict[str, Any]:
    return {
        "level": roi.injection.level,
        "side": roi.injection.side,
        "slice": roi.slice,
        "box": list(stack.in_plane(roi.box)),
        "status": roi.status,
        "rater": roi.rater,
        "date": None if roi.date is None else roi.date.isoformat(),
    }


def _picture(stack: Stack, index: int, window: tuple[float, float]) -> str:
    """Embed a slice as radiologists look at it: the patient's right on the left, front on top."""
    from PIL import Image

    plane = stack.plane(index, STEP_MM)
    low, high = window
    shown = windowed(plane.values.T[::-1, ::-1], low, high)
    size = np.array(plane.values.shape) * np.minimum(plane.sizes / _FINEST_MM, 1)
    picture = Image.fromarray(np.ascontiguousarray(shown)).resize(
        (max(1, round(size[0])), max(1, round(size[1]))), Image.Resampling.BILINEAR
    )
    buffer = io.BytesIO()
    picture.save(buffer, format="JPEG", quality=_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
