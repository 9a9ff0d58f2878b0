"""The words on BOLD series, from the sidecars of what was prepared."""

from collections.abc import Mapping, Sequence
from typing import Any

from bidsapp.contracts.prepared import Prepared
from bidsapp.drawing.wording import counted, joined, many, software
from bidsapp.modalities.bold.confounds import FD_LIMIT_MM
from bidsapp.modalities.bold.strategies import STRATEGIES
from bidsapp.modalities.bold.timing import AT_ONCE


def series_words(prepared: Sequence[Prepared]) -> dict[str, list[str]]:
    """Say how series were prepared, denoised and judged.

    Parameters
    ----------
    prepared
        At least one.

    Returns
    -------
    dict
        Heading to paragraphs.
    """
    return {
        "BOLD processing": [_preparation(prepared), _denoising(prepared)],
        "Quality control of BOLD": [_quality(prepared)],
    }


def _preparation(prepared: Sequence[Prepared]) -> str:
    people = len({one.participant for one in prepared})
    runs, called = _each_run(prepared)
    corrected = sum(bool(one.get("SliceTimingCorrected")) for one in runs)
    timing = (
        f"In {corrected} of {len(runs)} {called} all slices were brought to the middle of the "
        "volume's acquisition by splines of degree 5 over time. "
        if corrected
        else "The times of slices were not corrected. "
    )
    at_once = sum(AT_ONCE in str(note) for one in prepared for note in _notes(one))
    if at_once:
        timing += (
            f"In {at_once} of {len(runs)} {called} all slices are said to have been acquired at "
            "once, and none was shifted. "
        )
    several = {one.participant for one in prepared if one.sidecar.get("VolumesOfRuns")}
    joining = (
        f"Runs of {many(len(several), 'participant')} were prepared each by itself and put one "
        "after the other. "
        if several
        else ""
    )
    boundary = _boundary(runs, called)
    trs = sorted({float(one.sidecar["RepetitionTime"]) for one in prepared})
    return (
        f"{many(len(prepared), 'BOLD series', 'BOLD series')} of {many(people, 'participant')} "
        f"(repetition time {joined([f'{tr:g} s' for tr in trs])}) were prepared with "
        f"{software('nocicast', prepared, 'run')} [@nocicast]. Motion was estimated by registering "
        "every volume to the mean of the aligned volumes: Gauss–Newton on cubic splines, six "
        "parameters and a gain, residuals weighted by Tukey's biweight. "
        f"{timing}The mean volume was registered to the T1w image by normalised mutual "
        "information with six parameters "
        f"({software('picsl-greedy', prepared, 'run')} [@yushkevich2016]){boundary}, "
        f"and that image to the template {_spaces(prepared)} as told above. Motion, registration "
        "and normalisation were applied in one interpolation by cubic splines. "
        f"{joining}{_susceptibility(prepared)}"
    )


def _notes(one: Prepared) -> Sequence[Any]:
    found = one.sidecar.get("Notes")
    return found if isinstance(found, list) else ()


def _each_run(prepared: Sequence[Prepared]) -> tuple[list[Mapping[str, Any]], str]:
    """Give what is told of every run, joined ones one by one, and what they are called."""
    each: list[Mapping[str, Any]] = []
    for one in prepared:
        joined_runs = [run for run in one.sidecar.get("Runs") or () if isinstance(run, Mapping)]
        each += joined_runs or [one.sidecar]
    return each, "series" if len(each) == len(prepared) else "runs"


def _boundary(runs: Sequence[Mapping[str, Any]], called: str) -> str:
    """Say of how many series the boundary of white matter gave the place."""
    methods = [(one.get("RegistrationToT1w") or {}).get("Method") for one in runs]
    if "boundary" not in methods:
        return ""
    return (
        f" and from there, in {methods.count('boundary')} of {len(runs)} {called}, to where its "
        "contrast across the boundary of white matter is largest [@greve2009], where two halves of "
        "that boundary agreed"
    )


_CORRECTED = {
    "map": "a map of the field",
    "phases": "a map of the field from the phases of two echoes [@jezzard1995], unwrapped by "
    "reliability [@herraez2002]",
    "reversed": "images with the phase reversed [@andersson2003]",
    "registration": "bending the mean volume along its phase onto the boundary of white matter in "
    "the T1w image (contrast across it [@greve2009], cubic B-splines), as that gained more than "
    "bending across the phase and the fit to the T1w image did not suffer",
}


def _susceptibility(prepared: Sequence[Prepared]) -> str:
    """Say of how many series the field's stretch was corrected, and by what."""
    runs, called = _each_run(prepared)
    found = [(one.get("SusceptibilityDistortion") or {}).get("Method") for one in runs]
    told = [
        f"in {found.count(method)} of {len(found)} {called} by {words}"
        for method, words in _CORRECTED.items()
        if method in found
    ]
    if not told:
        return "No correction for susceptibility was made."
    return f"The stretch by susceptibility was corrected {joined(told)}, in the same interpolation."


def _denoising(prepared: Sequence[Prepared]) -> str:
    asked = [str(one.settings.get("confounds", "")) for one in prepared]
    told = [STRATEGIES[name].words for name in sorted(set(asked)) if name in STRATEGIES]
    scrubbed = [
        f"{STRATEGIES[name].fd_mm:g} mm of framewise displacement [@power2012]"
        for name in sorted(set(asked))
        if name in STRATEGIES and STRATEGIES[name].fd_mm is not None
    ]
    left_out = f" Volumes with more than {joined(scrubbed)} were left out." if scrubbed else ""
    bands = sorted({_band(one) for one in prepared})
    widths = sorted({float(one.settings.get("smoothing_fwhm_mm", 0)) for one in prepared})
    return (
        f"Denoising, by one call of {software('nilearn', prepared, 'run')} with confounds, "
        f"detrending and frequencies together, took out {joined(told)}.{left_out} "
        f"Frequencies kept: {joined(bands)}. Smoothing: "
        f"{joined([f'{width:g} mm FWHM' for width in widths])} inside the brain."
    )


def _band(one: Prepared) -> str:
    low, high = (one.settings.get("band_pass_hz") or (None, None))[:2]
    if low is None and high is None:
        return "all"
    if low is None or high is None:
        return f"below {high:g} Hz" if low is None else f"above {low:g} Hz"
    return f"{low:g} to {high:g} Hz"


def _quality(prepared: Sequence[Prepared]) -> str:
    verdicts = counted([str(one.quality.get("verdict")) for one in prepared])
    unsure = sum(
        any("left and right" in str(reason) for reason in one.quality.get("reasons") or ())
        for one in prepared
    )
    sides = f" Of {unsure} of them left and right could not be verified." if unsure else ""
    moved = [float(one.quality["fd_mean"]) for one in prepared if "fd_mean" in one.quality]
    motion = (
        f" Mean framewise displacement was {min(moved):.2f} to {max(moved):.2f} mm" if moved else ""
    )
    return (
        f"Each series was judged by motion (volumes beyond {FD_LIMIT_MM:g} mm, minutes left), "
        "temporal signal to noise, its fit to the T1w image, coverage of the template's brain, "
        f"ghosts, and whether headers tell left from right: {verdicts}.{sides}"
        f"{motion}{'.' if motion else ''}"
    )


def _spaces(prepared: Sequence[Prepared]) -> str:
    return joined(sorted({f"{one.names.space} at {one.names.resolution} mm" for one in prepared}))
