"""A surface with values to turn in a browser: NiiVue, as nilearn carries it, in one HTML file."""

import re
from collections.abc import Mapping

import numpy as np

SIDES = {
    "left": (-1, 0, 0),
    "right": (1, 0, 0),
    "front": (0, 1, 0),
    "back": (0, -1, 0),
    "top": (0, 0, 1),
    "bottom": (0, 0, -1),
}
"""The sides that NiiVue's page offers, and where the eye then is."""
_FROM_ELSEWHERE = re.compile(r"<link\s[^>]*href=\"https?://[^>]*>")  # a small picture for the tab
_OPTION = re.compile(r"<option value=\"(\w+)\">view: [^<]*</option>\s*")
# nilearn's script looks for the canvas before it is there
_TOO_EARLY = re.compile(
    r"(document\.getElementById\(\"gl\"\)\.addEventListener\(.*?\n\s*\}\);)", re.S
)
_LEAST = 1e-3


def turning_view(
    points: np.ndarray,
    triangles: np.ndarray,
    values: np.ndarray,
    title: str,
    span: tuple[float, float],
    signed: np.ndarray | None = None,
    names: Mapping[str, str] | None = None,
) -> str:
    """Give a file that opens without a network.

    Parameters
    ----------
    points, triangles
        (n, 3) mm, (m, 3).
    values
        (n,); NaN counts as 0, and 0 is not coloured.
    title
        Written above.
    span
        Ends of the colours; of signed values the magnitudes from which on, and up to which, they
        are coloured.
    signed
        (n, 3) uint8 colours of values below and above 0, the most negative first; None for values
        of one sign.
    names
        What the views of `SIDES` are called; those that are not named are not offered. The body's
        own sides by default.
    """
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap
    from nilearn.plotting import view_surf

    low, high = span
    if signed is None:  # nilearn gives values above 0 the upper half of the colours
        plain = colormaps["viridis"](np.linspace(0, 1, 256))
        colours, low = ListedColormap(np.concatenate([plain, plain])), max(low, _LEAST * high)
    else:
        colours = ListedColormap(signed / 255)
    view = view_surf(
        (np.asarray(points), np.asarray(triangles)),
        np.nan_to_num(values),
        cmap=colours,
        symmetric_cmap=signed is not None,
        engine="niivue",
        title=title,
        title_fontsize=16,
        colorbar_fontsize=14,
        threshold=low,
        vmax=high,
    )
    page = _FROM_ELSEWHERE.sub("", str(view.html))
    page = _TOO_EARLY.sub(r'addEventListener("load", () => {\1});', page)
    if signed is None:
        page = page.replace("useNegativeCmap: true", "useNegativeCmap: false")
        page = re.sub(r"surfLayers\[.*\]\.colormapNegative = .*\n", "", page)
    if names is not None:
        page = _OPTION.sub(lambda found: _option(found, names), page)
    return page


def _option(found: re.Match[str], names: Mapping[str, str]) -> str:
    """Name a view as the surface's own, or leave it out."""
    side = found[1]
    if side not in SIDES:
        return found[0]
    return f'<option value="{side}">view: {names[side]}</option>\n' if side in names else ""
