"""The words on regions of injections, from the sidecars of what was prepared."""

from collections.abc import Mapping, Sequence

from bidsapp.contracts.measure import FAIL, WARN
from bidsapp.contracts.prepared import Prepared
from bidsapp.drawing.wording import counted, joined, many, ranged, software
from bidsapp.modalities.spine.measures import CUT, PIXEL, THICKNESS

_HOW = {
    "cord": "a mask of the cord",
    "symmetry": "the symmetry of the slice",
    "centre": "the centre of the field of view",
}


def region_words(regions: Sequence[Prepared]) -> dict[str, list[str]]:
    """Say how regions were cut out and how that was judged.

    Parameters
    ----------
    regions
        At least one.

    Returns
    -------
    dict
        Heading to paragraphs.
    """
    return {"Image processing": [_processing(regions)], "Quality control": [_quality(regions)]}


def _processing(regions: Sequence[Prepared]) -> str:
    people = len({region.participant for region in regions})
    blinded = sum(region.sidecar.get("BlindedToOutcome") is True for region in regions)
    raters = sorted({str(r.sidecar["Rater"]) for r in regions if r.sidecar.get("Rater")})
    by = f" by {joined(raters)}" if raters else ""
    sizes = counted([f"{size:g} mm" for size in _numbers(regions, "pixel_mm")])
    shapes = counted([f"{n} × {n}" for n in (r.settings.get("size", "?") for r in regions)])
    percentiles = counted(
        [
            " and ".join(f"{float(p):g}" for p in region.settings.get("percentiles", ()))
            for region in regions
        ]
    )
    ways = counted([_HOW.get(_midline(region), "unknown") for region in regions])
    return (
        f"The regions of {many(len(regions), 'injection')} of {many(people, 'person', 'people')} "
        "were taken from axial T2-weighted (T2w) images of a BIDS dataset [@gorgolewski2016] with "
        f"{software('nocicast', regions)} [@nocicast], as Wang et al. describe [@wang2023]. On one "
        f"slice for each injection a box was placed around the foramen{by}"
        f" ({blinded} of {len(regions)} without knowledge of the outcome). The slice was "
        f"resampled to pixels of {sizes} and cut at the midline (by {ways}); the injected side was "
        "found through the image's affine. Of the injected half, the box was brought to 0 to 255 "
        f"between its percentiles {percentiles}, mirrored where it was a left one, and resized to "
        f"{shapes} pixels."
    )


def _quality(regions: Sequence[Prepared]) -> str:
    found = [region.quality for region in regions]
    failed, warned = (sum(q["verdict"] == word for q in found) for word in (FAIL, WARN))
    passed = len(found) - failed - warned
    text = (
        "Each region was judged against limits that were fixed beforehand; among them, it failed "
        f"where pixels were larger than {PIXEL[1].high:g} mm or slices thicker than "
        f"{THICKNESS[1].high:g} mm, and where more than {100 * (CUT[1].high or 0):.0f}% of the box "
        f"lay beyond the midline. {passed} passed, {warned} passed with a warning and {failed} "
        "failed."
    )
    parts = []
    for name, key, digits, unit in (
        ("contrast", "contrast", 2, ""),
        ("width of the sharpest edges", "blur_mm", 1, " mm"),
        ("pixels as scanned", "pixel_mm", 2, " mm"),
    ):
        values = [float(quality[key]) for quality in found if quality.get(key) is not None]
        if values:
            parts.append(f"{name} {ranged(values, digits, unit)}")
    medians = "Medians over the regions" if len(found) > 1 else "Its numbers"
    return f"{text} {medians}: {joined(parts)}." if parts else text


def _numbers(regions: Sequence[Prepared], key: str) -> list[float]:
    return [float(region.settings[key]) for region in regions if key in region.settings]


def _midline(region: Prepared) -> str:
    told = region.sidecar.get("Midline")
    return str(told.get("How")) if isinstance(told, Mapping) else ""
