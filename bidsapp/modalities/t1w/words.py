"""The words on normalisation, from the sidecars of what was normalised."""

from collections.abc import Mapping, Sequence
from typing import Any

from bidsapp.contracts.measure import FAIL, WARN
from bidsapp.contracts.prepared import Prepared
from bidsapp.drawing.wording import counted, joined, many, ranged, software
from bidsapp.modalities.t1w.bias import ITERATIONS, TOLERANCE
from bidsapp.modalities.t1w.measures import (
    AFFINE_SCALE,
    EDGE_MM2,
    FOLDED,
    LOCAL_NCC_FAILS,
    LOCAL_NCC_WARNS,
    NCC,
    VOLUME_ML,
)
from bidsapp.modalities.t1w.n4 import BINS, FIRST_POINTS, FWHM, NOISE
from bidsapp.modalities.t1w.speeds import CHAIN, SPEEDS
from bidsapp.modalities.t1w.steps import FORMS_DISAGREE, NO_BIAS_FIELD

_FONOV = "MNI152NLin2009"
_STRIPPED = "skull-stripped already"


def image_words(images: Sequence[Prepared]) -> dict[str, list[str]]:
    """Say how images were normalised and how that was judged.

    Parameters
    ----------
    images
        At least one.

    Returns
    -------
    dict
        Heading to paragraphs.
    """
    return {
        "Image processing": [_normalisation(images), _derivatives(images)],
        "Quality control": [_quality(images)],
    }


def data_sentence(images: Sequence[Prepared]) -> str:
    """Say how many images of how many people, and what they were normalised with."""
    people = len({image.participant for image in images})
    sessions = {(image.participant, image.session) for image in images if image.session}
    visits = f" in {many(len(sessions), 'session')}" if sessions else ""
    scans = many(len(images), "T1-weighted (T1w) image")
    return (
        f"{scans} of {many(people, 'participant')}{visits} from a BIDS dataset [@gorgolewski2016] "
        f"{'was' if len(images) == 1 else 'were'} normalised with "
        f"{software('nocicast', images)} [@nocicast], a BIDS-App [@gorgolewski2017] built on "
        f"PyBIDS [@yarkoni2019] and {software('nipype', images)} [@gorgolewski2011]."
    )


def _normalisation(images: Sequence[Prepared]) -> str:
    stripped = sum(any(_STRIPPED in str(note) for note in _notes(image)) for image in images)
    own = (
        f" {many(stripped, 'image was', 'images were')} skull-stripped beforehand, and the "
        "foreground was taken as the brain."
        if stripped
        else ""
    )
    speeds = _settings(images, "speed")
    return (
        f"{data_sentence(images)} The brain was extracted with "
        f"{software('deepbet', images)} [@fisch2024] in "
        f"{counted([str(image.sidecar.get('Precision', 'unknown')) for image in images])} "
        f"arithmetic.{own} Intensity non-uniformity was corrected by the N4 algorithm "
        f"[@tustison2010], as computed in {software('numpy', images)} by the app itself "
        "with the defaults of ITK's filter (the histogram of N3 [@sled1998], "
        f"{BINS} bins, sharpened by a Gaussian of {FWHM:g} full width at half maximum and a "
        f"Wiener noise of {NOISE:g}; cubic B-splines [@lee1997] of {FIRST_POINTS} control points "
        "along each axis at the first level, their spans halved at each further one; up to "
        f"{' × '.join(map(str, ITERATIONS))} iterations, convergence threshold {TOLERANCE:g}), "
        f"but fitted inside the brain mask on a grid of {_of_speed(speeds, 'bias_grid_mm')} mm. "
        f"{_uncorrected(images)}"
        f"The brain was registered to {_template(images)}: from the alignment of the centres of "
        f"mass, an affine transform of 12 parameters by {software('picsl-greedy', images)} "
        "[@yushkevich2016] and then a deformable one by its algorithm in "
        f"{software('torch', images)} were found on a grid of "
        f"{_of_speed(speeds, 'grid_mm')} mm by maximising local normalised "
        f"cross-correlation (metric {_of_speed(speeds, 'metric')}; iterations, coarse to fine, "
        f"{_of_speed(speeds, 'affine_iterations')} and "
        f"{_of_speed(speeds, 'deformable_iterations')}; smoothing of update and field "
        f"{_of_speed(speeds, 'smoothing')}; random seed {counted(_settings(images, 'seed'))})."
        f"{_by_earlier(images)}"
    )


def _uncorrected(images: Sequence[Prepared]) -> str:
    lacking = sum(NO_BIAS_FIELD in map(str, _notes(image)) for image in images)
    if not lacking:
        return ""
    return f"In {many(lacking, 'image')} no field could be fitted, and none was taken off. "


def _by_earlier(images: Sequence[Prepared]) -> str:
    """Say of how many images these numbers and programs are not, or not known to be."""
    earlier = sum(image.settings.get("chain") != CHAIN for image in images)
    if not earlier:
        return ""
    return (
        f" {many(earlier, 'image was', 'images were')} normalised by another version of these "
        "steps, whose programs and numbers may differ from those given here."
    )


def _derivatives(images: Sequence[Prepared]) -> str:
    intensity = {
        "minmax": "the brain's intensities were scaled to 0 to 1 within each image",
        "none": "intensities were not scaled",
    }
    scaled = counted([intensity.get(str(one), str(one)) for one in _settings(images, "intensity")])
    sizes = counted([f"{image.names.resolution} mm" for image in images])
    return (
        "Both transforms were composed, and the corrected image was resampled once, by cubic "
        f"B-splines in {software('SimpleITK', images)} [@lowekamp2013], "
        f"onto a grid with isotropic voxels of {sizes}{_box(images)}; {scaled}. "
        "The natural logarithm of the Jacobian determinant of the whole transform, affine "
        "included, was kept as a map of local volume relative to the template."
    )


def _quality(images: Sequence[Prepared]) -> str:
    found = [image.quality for image in images]
    failed, warned = ([q for q in found if q["verdict"] == word] for word in (FAIL, WARN))
    rescued = sum(bool(quality.get("rescued")) for quality in found)
    text = (
        "Each normalisation was judged against limits that were fixed beforehand. It failed "
        "where the mean local normalised cross-correlation with the template was below "
        f"{LOCAL_NCC_FAILS.low:.2f} or the global one below {NCC.low:.2f}, where the brain mask "
        f"held less than {VOLUME_ML.low:.0f} or more than {VOLUME_ML.high:.0f} ml, or where the "
        f"affine scaled by less than {AFFINE_SCALE.low:g} or more than {AFFINE_SCALE.high:g}; a "
        f"warning was given where local correlation was below {LOCAL_NCC_WARNS.low:.2f}, where "
        f"more than {100 * (FOLDED.high or 0):g}% of the brain folded, where more than "
        f"{EDGE_MM2 / 100:g} cm² of brain lay on a side of the field of view, or where the "
        "orientation in the header could not be relied on. "
        + _verdicts(len(found), len(warned), len(failed))
    )
    if rescued:
        text += (
            f" The orientation in the header of {many(rescued, 'image')} was wrong and was "
            "found from the image itself, so that left and right could not be verified."
        )
    other = sum(any(str(n).startswith(FORMS_DISAGREE) for n in _notes(i)) for i in images)
    if other:
        text += (
            f" The sform and the qform in the header of {many(other, 'image')} disagreed, and the "
            "image could be normalised by the qform only, which was used."
        )
    return f"{text} {_measured(found)}"


def _verdicts(total: int, warned: int, failed: int) -> str:
    if not warned and not failed:
        return "The one image passed." if total == 1 else f"All {total} images passed."
    parts = [f"{total - warned - failed} passed"]
    parts += [f"{warned} passed with a warning"] * bool(warned) + [f"{failed} failed"] * bool(
        failed
    )
    return f"Of {many(total, 'image')}, {joined(parts)}."


def _measured(found: Sequence[Mapping[str, Any]]) -> str:
    measures = (
        ("local correlation", "local_ncc", 3, ""),
        ("global correlation", "ncc", 3, ""),
        ("brain volume", "brain_volume_ml", 0, " ml"),
    )
    parts = []
    for name, key, digits, unit in measures:
        values = [float(quality[key]) for quality in found if quality.get(key) is not None]
        if values:
            parts.append(f"{name} {ranged(values, digits, unit)}")
    medians = "Medians over the images" if len(found) > 1 else "Its numbers"
    return f"{medians}: {joined(parts)}." if parts else ""


def _template(images: Sequence[Prepared]) -> str:
    names = [image.names.space for image in images]
    fonov = all(name.startswith(_FONOV) for name in names)
    cited = "[@fonov2009; @fonov2011; @ciric2022]" if fonov else "[@ciric2022]"
    return f"the brain of the template {counted(names)} {cited}"


def _box(images: Sequence[Prepared]) -> str:
    boxes = {
        "spm12": "SPM12's bounding box",
        "template": "the template's own field of view",
    }
    found = [boxes.get(str(box), str(box)) for box in _settings(images, "box")]
    return f" in {counted(found)}"


def _of_speed(speeds: Sequence[Any], field: str) -> str:
    """Give a setting of the registration, for each speed that was used."""
    values = [getattr(SPEEDS[speed], field) if speed in SPEEDS else "unknown" for speed in speeds]
    return counted([f"{value:g}" if isinstance(value, float) else value for value in values])


def _settings(images: Sequence[Prepared], key: str) -> list[Any]:
    found = [image.settings.get(key, "unknown") for image in images]
    return [str(value) if isinstance(value, list | dict) else value for value in found]


def _notes(image: Prepared) -> Sequence[Any]:
    return image.sidecar.get("Notes") or ()
