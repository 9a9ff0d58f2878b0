"""A variant's maps on a surface, drawn and to turn: on the reference's where they were carried."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bidsapp.contracts.modality import Modality
from bidsapp.derivatives import write_text
from bidsapp.drawing.svg import Drawing
from bidsapp.drawing.turning import SIDES, turning_view
from bidsapp.errors import BadData
from bidsapp.intake.json_text import read_own_json
from bidsapp.reports.run.saliency_tables import number_with_digits
from bidsapp.reports.saliency.overlays import colour_bar, colour_limits, map_colours
from bidsapp.reports.saliency.surface_views import read_surface_map, surface_views
from bidsapp.saliency.surface_files import FOLDER

_ALONG = 0.9  # a view lies along an axis from this cosine on


def draw_on_surface(
    folder: Path, summary: Mapping[str, Any], modality: Modality[Any], variant: str, stamp: str
) -> tuple[Drawing, Path, dict[str, Any], str]:
    """Draw the default map of a variant whose maps lie on surfaces.

    Parameters
    ----------
    folder, summary
        Of the variant. Where maps were carried onto one surface, that is drawn.
    modality
        Says from which sides.
    variant, stamp
        Name of the figure, and a warning across it.

    Returns
    -------
    drawing, file, bar, shown
        The file that it is of, its colour bar, and the magnitude from which on it is coloured.

    Raises
    ------
    BadData, NoInput
        The map or its surface cannot be read, or there is no side to see it from.
    OSError, KeyError, ValueError
        A summary is not what was written.
    """
    own = folder / FOLDER / "summary.json"
    if own.is_file():
        folder, summary = own.parent, read_own_json(own)
    file = folder / Path(str(summary["default"])).name
    shown = read_surface_map(file)
    views = modality.views(shown.label)
    if not views:
        raise BadData(f"{file.name}: maps of {modality.title} are drawn from no side")
    limit, top = colour_limits(shown.values)
    bar = colour_bar(limit, top, str(summary.get("units", "")))
    drawing = surface_views(shown, views, limit, top, variant, stamp)
    return drawing, file, bar, number_with_digits(limit)


def turn_on_surface(
    figures: Path, file: Path, modality: Modality[Any], variant: str, units: str, stamp: str
) -> Path:
    """Write a map and its surface as one file to turn in a browser.

    Parameters
    ----------
    figures
        Folder of the run's figures.
    file
        The map, as `draw_on_surface` names it.
    modality
        Its first view is how the file opens.
    variant, units, stamp
        Whose map, what its colours mean, and a warning in its title.

    Returns
    -------
    Path
        The file.
    """
    shown = read_surface_map(file)
    title = f"{stamp} " if stamp else ""
    title += f"{variant}: {units or 'mean map'}"
    path = figures / f"surface_{variant}.html"
    views = modality.views(shown.label)
    right, up = np.array(views[0].right), np.array(views[0].up)
    # NiiVue opens as seen from -x, with z up and y to the left
    turn = np.stack([np.cross(up, right), -right, up], axis=1)
    points = shown.points @ turn
    eyes = {view.title: np.cross(view.right, view.up) @ turn for view in views}
    names = {
        side: title
        for side, eye in SIDES.items()
        for title, own in eyes.items()
        if own @ np.array(eye) > _ALONG
    }
    limits = colour_limits(shown.values)
    colours = map_colours()
    write_text(
        path, turning_view(points, shown.triangles, shown.values, title, limits, colours, names)
    )
    return path
