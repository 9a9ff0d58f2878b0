"""A glass brain: the largest value along each line of sight, within the brain's outline."""

import base64
import io

import numpy as np

from bidsapp.drawing.contours import UNITS, contour_path
from bidsapp.drawing.svg import Drawing, short
from bidsapp.drawing.volumes import AXES
from bidsapp.reports.saliency.grid import Stage

# Strong on white paper and on a dark page alike, so that one picture serves both.
_WARM, _COLD = (214, 84, 20), (40, 110, 205)
_GAP, _TOP = 12.0, 24.0
_WIDTH = 480.0
_SIDES = {"sagittal": ("P", "A"), "coronal": ("L", "R"), "axial": ("L", "R")}


def glass_brain(
    stage: Stage, values: np.ndarray, limit: float, top: float, variant: str, stamp: str = ""
) -> Drawing:
    """Project a map along the three axes.

    Parameters
    ----------
    stage
        Gives the outline.
    values
        (x, y, z) on the stage's grid.
    limit, top
        Magnitudes at which a projection begins to show, and is fully coloured.
    variant
        For the name of the figure.
    stamp
        A warning that is written across the top; empty where there is none.
    """
    zooms = stage.brain.voxel_sizes
    millimetres = np.array(values.shape) * zooms
    planes = ("sagittal", "coronal", "axial")
    wide = [float(np.delete(millimetres, AXES[plane])[0]) for plane in planes]
    high = [float(np.delete(millimetres, AXES[plane])[1]) for plane in planes]
    scale = (_WIDTH - 4 * _GAP) / sum(wide)
    height = _TOP + max(high) * scale + 34
    drawing = Drawing(
        f"glass_brain_{variant}",
        f"Glass brain, {variant}",
        "Largest saliency along each line of sight, seen from the right, the front and above; the "
        "right of the coronal and axial picture is the participant's right.",
        _WIDTH,
        height,
    )
    left = _GAP
    for plane, across, down in zip(planes, wide, high, strict=True):
        size = (across * scale, down * scale)
        y = _TOP + (max(high) * scale - size[1]) / 2
        _view(drawing, stage, _projected(values, plane), plane, (left, y), size, (limit, top))
        left += size[0] + _GAP
    if stamp:
        drawing.text(_GAP, _TOP - 8, stamp, "leak")
    return drawing


def _projected(values: np.ndarray, plane: str) -> np.ndarray:
    """Value of the largest magnitude along the axis that the plane cuts; rows down."""
    axis = AXES[plane]
    place = np.abs(values).argmax(axis=axis)
    return np.take_along_axis(values, np.expand_dims(place, axis), axis).squeeze(axis).T[::-1]


def _view(
    drawing: Drawing,
    stage: Stage,
    plane: np.ndarray,
    name: str,
    corner: tuple[float, float],
    size: tuple[float, float],
    limits: tuple[float, float],
) -> None:
    x, y = corner
    drawing.add(
        f'<image x="{short(x)}" y="{short(y)}" width="{short(size[0])}" height="{short(size[1])}" '
        f'preserveAspectRatio="none" href="{_picture(plane, *limits)}"/>'
    )
    shadow = np.asarray(stage.inside.any(axis=AXES[name])).T[::-1]
    whole = (round(size[0]), round(size[1]))
    path = contour_path(shadow, 0.5, whole)
    place = f"translate({short(x)} {short(y)}) scale({1 / UNITS:g})"
    drawing.add(f'<path class="outline" transform="{place}" d="{path}"/>')
    before, after = _SIDES[name]
    drawing.text(x + 2, y - 6, before, "strong")
    drawing.text(x + size[0] - 2, y - 6, after, "strong", "end")
    drawing.text(x + size[0] / 2, drawing.height - 10, name, "note", "middle")


def _picture(plane: np.ndarray, limit: float, top: float) -> str:
    """PNG with opacity by magnitude, as a data URI."""
    from PIL import Image

    share = np.clip((np.abs(plane) - 0.6 * limit) / max(top - 0.6 * limit, 1e-12), 0, 1)
    colours = np.where(plane[..., None] < 0, _COLD, _WARM)
    alpha = np.rint(255 * np.sqrt(share))[..., None]
    image = Image.fromarray(np.concatenate([colours, alpha], axis=2).astype(np.uint8), "RGBA")
    image = image.resize((image.width * 3, image.height * 3), Image.Resampling.BILINEAR)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
