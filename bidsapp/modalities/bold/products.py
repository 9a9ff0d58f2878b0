"""The files that are written for every BOLD series, and what their sidecars say."""

from collections.abc import Mapping, Sequence
from typing import Any

from bidsapp.contracts.prepared import Made
from bidsapp.contracts.product import Channel, Product

_PLACE, _HOW = "T1wToSeries", "RegistrationToT1w"
_OF_ONE = (_PLACE, "Source", "Quality")
"""What is said of each of several runs, and of a single one elsewhere."""
_SPACE = "space-{space}_res-{res}"
_DENOISING = ("confounds", "band_pass_hz", "smoothing_fwhm_mm")
"""Settings that shape nothing but the denoised series."""
_OUTPUT = (*_DENOISING, "resolution", "box", "keep_preproc")
"""Settings of the output grid, too."""


def _in_space(made: Made) -> dict[str, Any]:
    return {
        "SpatialReference": made.provenance.reference,
        "Resolution": f"{made.settings['resolution']} mm isotropic, the grid of the recipe",
    }


def _series(made: Made) -> dict[str, Any]:
    timing = made.facts["timing"]
    return {
        "TaskName": made.names.entities.get("task", "rest"),
        "RepetitionTime": timing["tr"],
        **_of_runs(made.facts["runs"], made.facts["volumes"]),
        "SkullStripped": True,
        **_in_space(made),
    }


def _of_runs(runs: Sequence[Mapping[str, Any]], volumes: Sequence[int]) -> dict[str, Any]:
    """Say what is the same of all runs; where they were joined, what each was by itself too."""
    own = [{key: value for key, value in one.items() if key != _PLACE} for one in runs]
    if len(own) == 1:
        return {key: value for key, value in own[0].items() if key not in _OF_ONE}
    same = {
        key: value
        for key, value in own[0].items()
        if key not in _OF_ONE and all(one[key] == value for one in own)
    }
    return {**same, "VolumesOfRuns": list(volumes), "Runs": own}


def _denoised(made: Made) -> Mapping[str, Any]:
    low, high = made.settings["band_pass_hz"]
    return {
        "Description": "BOLD series in standard space inside the template's brain, denoised and "
        "smoothed; mean 0 over time.",
        "Sources": list(made.sources),
        **_series(made),
        "Confounds": made.facts["confounds"],
        "HighpassCutoff": low,
        "LowpassCutoff": high,
        "SmoothingFWHM": made.settings["smoothing_fwhm_mm"],
        "VolumesKept": made.facts["kept"],
    }


def _preproc(made: Made) -> Mapping[str, Any]:
    return {
        "Description": "BOLD series in standard space inside the template's brain, corrected for "
        f"{_slice_times(made.facts['runs'])}motion, resampled once; not denoised.",
        "Sources": list(made.sources),
        **_series(made),
    }


def _slice_times(runs: Sequence[Mapping[str, Any]]) -> str:
    """Say among what a series is corrected for whether the times of slices are."""
    corrected = [bool(one["SliceTimingCorrected"]) for one in runs]
    if not any(corrected):
        return ""
    return f"the times of slices{'' if all(corrected) else ' (not in all runs: Runs)'} and for "


def _brain_mask(made: Made) -> Mapping[str, Any]:
    return {
        "Description": "The template's brain where the field of view of the series reaches it.",
        "Type": "Brain",
        "Sources": list(made.sources),
        **_in_space(made),
    }


def _reference(made: Made) -> Mapping[str, Any]:
    return {
        "Description": "Mean of the series before denoising, in standard space.",
        "Sources": list(made.sources),
        "SkullStripped": True,
        **_in_space(made),
    }


def _run_means(made: Made) -> Mapping[str, Any]:
    return {
        "Description": "Mean of each run before denoising, in standard space, a volume for each "
        "run in their order: how well each was registered can be seen.",
        "Sources": list(made.sources),
        "SkullStripped": True,
        "VolumesOfRuns": list(made.facts["volumes"]),
        **_in_space(made),
    }


def _confounds(made: Made) -> Mapping[str, Any]:
    about, volumes = made.facts["about_confounds"], made.facts["volumes"]
    if len(volumes) < 2:
        return dict(about)
    return {
        "Description": f"{len(volumes)} runs one below the other, each with the confounds of its "
        "own volumes: differences to the volume before are 0 where a later run begins, and a "
        "component that a run does not have is 0 there. Runs of a column has what was found in "
        "each.",
        "VolumesOfRuns": list(volumes),
        **about,
    }


def _to_t1w(made: Made) -> Mapping[str, Any]:
    runs = made.facts["runs"]
    places = [one[_PLACE] for one in runs]
    several = len(places) > 1
    joined = (
        " Runs were registered one by one: this is the transform of the first, and "
        f"{_PLACE} that of each, in RAS mm."
    )
    return {
        "Description": "ITK transform that resamples the mean of the series into the T1w image's "
        "space (it maps points of the T1w image to points of the series); rigid."
        f"{joined if several else ''}",
        "Sources": list(made.sources),
        "Software": "picsl-greedy, then NociCast (boundary of white matter)"
        if any(one[_HOW]["Method"] == "boundary" for one in runs)
        else "picsl-greedy",
        **({_PLACE: places} if several else {_HOW: runs[0][_HOW]}),
    }


PRODUCTS = (
    Product(
        "denoised",
        f"{_SPACE}_desc-denoised_bold.nii.gz",
        _denoised,
        main=True,
        channel=Channel(
            "bold",
            title="BOLD",
            words="the denoised BOLD series",
            unit="change of the BOLD signal, the scanner's units",
            value_range=(-50, 50),
            masked=True,
            arbitrary=True,
            larger="more signal",
            series=True,
        ),
    ),
    Product(
        "preproc",
        f"{_SPACE}_desc-preproc_bold.nii.gz",
        _preproc,
        _DENOISING,
        only={"keep_preproc": (True,)},
    ),
    Product("brain_mask", f"{_SPACE}_desc-brain_mask.nii.gz", _brain_mask, _DENOISING),
    Product(
        "boldref", f"{_SPACE}_boldref.nii.gz", _reference, _DENOISING, shown=True, unknown=True
    ),
    Product(
        "run_means",
        f"{_SPACE}_desc-runs_boldref.nii.gz",
        _run_means,
        _DENOISING,
        only={"runs": ("join",)},
        unknown=True,
    ),
    Product("confounds", "desc-confounds_timeseries.tsv", _confounds, _OUTPUT, unknown=True),
    Product("to_t1w", "from-boldref_to-T1w_mode-image_xfm.h5", _to_t1w, _OUTPUT),
)
