"""Denoising strategies as data: which confounds are regressed out, which volumes left out."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Strategy:
    """What is taken out of a series.

    Attributes
    ----------
    words
        For a methods text, in a sentence.
    motion
        Whether the six motion parameters are taken out.
    derivatives, squares
        Of the six motion parameters: also their differences to the volume before, and the squares
        of what there is.
    compcor
        Components of white matter and as many of the ventricles' fluid.
    tissues
        Whether the mean signals of both tissues are taken out.
    global_signal
        Whether that of the whole brain is.
    fd_mm, std_dvars
        Volumes with more framewise displacement, or more standardised DVARS, are left out.
    """

    words: str
    motion: bool = True
    derivatives: bool = False
    squares: bool = False
    compcor: int = 0
    tissues: bool = False
    global_signal: bool = False
    fd_mm: float | None = None
    std_dvars: float | None = None


STRATEGIES: Mapping[str, Strategy] = MappingProxyType(
    {
        "conn": Strategy(
            "12 motion parameters, 5 principal components of white matter and 5 of cerebrospinal "
            "fluid (the defaults of CONN [@whitfieldgabrieli2012])",
            derivatives=True,
            compcor=5,
            fd_mm=0.9,
        ),
        "24p": Strategy(
            "24 motion parameters and the mean signals of white matter and cerebrospinal fluid",
            derivatives=True,
            squares=True,
            tissues=True,
        ),
        "24p_gsr": Strategy(
            "24 motion parameters and the mean signals of white matter, cerebrospinal fluid and "
            "the whole brain",
            derivatives=True,
            squares=True,
            tissues=True,
            global_signal=True,
        ),
        "acompcor": Strategy(
            "12 motion parameters, 5 principal components of white matter and 5 of cerebrospinal "
            "fluid",
            derivatives=True,
            compcor=5,
        ),
        "scrub": Strategy(
            "24 motion parameters and the mean signals of white matter and cerebrospinal fluid",
            derivatives=True,
            squares=True,
            tissues=True,
            fd_mm=0.5,
            std_dvars=1.5,
        ),
        "none": Strategy(
            "no confounds: a series that other software denoised",
            motion=False,
        ),
        "simple": Strategy(
            "6 motion parameters and the mean signals of white matter and cerebrospinal fluid",
            tissues=True,
        ),
    }
)
