"""The picture of a variant's maps on a surface: on the reference's bone where they were carried."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bidsapp.contracts.modality import Modality
from bidsapp.drawing.svg import Drawing
from bidsapp.errors import BadData
from bidsapp.intake.json_text import read_own_json
from bidsapp.reports.run.saliency_tables import number_with_digits
from bidsapp.reports.saliency.overlays import colour_bar, colour_limits
from bidsapp.reports.saliency.surface_views import read_surface_map, surface_views
from bidsapp.saliency.surface_files import FOLDER


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
