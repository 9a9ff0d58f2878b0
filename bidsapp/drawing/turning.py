"""A surface with values to turn in a browser: NiiVue, as nilearn carries it, in one HTML file."""

import re

import numpy as np

_FROM_ELSEWHERE = re.compile(r"<link\s[^>]*href=\"https?://[^>]*>")  # a small picture for the tab


def turning_view(
    points: np.ndarray,
    triangles: np.ndarray,
    values: np.ndarray,
    title: str,
    span: tuple[float, float],
    signed: np.ndarray | None = None,
) -> str:
    """Give a file that opens without a network.

    Parameters
    ----------
    points, triangles
        (n, 3) mm, (m, 3).
    values
        (n,); NaN counts as 0.
    title
        Written above.
    span
        Ends of the colours; of signed values the magnitudes from which on, and up to which, they
        are coloured.
    signed
        (n, 3) uint8 colours of values below and above 0, the most negative first; None for values
        of one sign.
    """
    from matplotlib.colors import ListedColormap
    from nilearn.plotting import view_surf

    low, high = span
    one = signed is None
    limits = {"vmin": low, "vmax": high} if one else {"threshold": low, "vmax": high}
    view = view_surf(
        (np.asarray(points), np.asarray(triangles)),
        np.nan_to_num(values),
        cmap="viridis" if signed is None else ListedColormap(signed / 255),
        symmetric_cmap=not one,
        engine="niivue",
        title=title,
        title_fontsize=16,
        colorbar_fontsize=14,
        **limits,
    )
    return _FROM_ELSEWHERE.sub("", str(view.html))
