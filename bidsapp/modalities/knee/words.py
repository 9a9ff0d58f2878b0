"""The words on how knees were measured, from the sidecars of what was measured."""

from collections import Counter
from collections.abc import Sequence

from bidsapp.contracts.measure import FAIL, WARN
from bidsapp.contracts.prepared import Prepared
from bidsapp.drawing.wording import joined, many, ranged
from bidsapp.modalities.knee.anatomy import BONES
from bidsapp.modalities.knee.meshing import EDGE_MM, SMOOTHING_MM
from bidsapp.modalities.knee.projection import RADIUS_MM


def knee_words(knees: Sequence[Prepared]) -> dict[str, list[str]]:
    """Say how knees were measured and how that was judged.

    Parameters
    ----------
    knees
        At least one.
    """
    return {
        "Image processing": [_processing(knees), *_t2(knees)],
        "Quality control": [_quality(knees)],
    }


def _processing(knees: Sequence[Prepared]) -> str:
    people = len({knee.participant for knee in knees})
    bones = [bone for bone in BONES if bone in knees[0].settings.get("bones", BONES)]
    sides = Counter(str(knee.sidecar.get("KneeSide", "")) for knee in knees)
    left = f"; {many(sides['L'], 'left knee')} {_was(sides['L'])} mirrored" if sides["L"] else ""
    printed = bool(knees[0].settings.get("printed"))
    slanted = "" if printed else ", turned upright by the angle between slice and bone"
    length = "its width" if printed else "three quarters (femur) or half (tibia) of its width"
    pixels = knees[0].settings.get("pixels", 224)
    return (
        f"{many(len(knees), 'label map')} of knees of {many(people, 'participant')} "
        f"{_was(len(knees))} measured with NociCast{left}. The surface of the {joined(bones)} was "
        "drawn by marching cubes "
        f"(Gaussian of {SMOOTHING_MM:g} mm, points {EDGE_MM:g} mm apart), its shaft cropped to "
        f"{length}. Cartilage thickness is twice the distance transform on the skeleton of each "
        f"sagittal slice{slanted}, averaged within a cylinder of {RADIUS_MM:g} mm along the bone's "
        "normal [@morales2021]; a second measure follows the normals through the cartilage. "
        "Shape is the distance from the bone's centre of mass. Values were seen over a sphere from "
        f"that centre, {pixels} x {pixels} pixels, as the outermost surface shows them."
    )


def _t2(knees: Sequence[Prepared]) -> list[str]:
    if not knees[0].settings.get("t2"):
        return []
    if knees[0].settings.get("t2_from") == "map":
        return [
            "T2 was read from the maps of T2 that were there, as their headers place them, at each "
            "voxel of cartilage, linearly between the map's voxels that have a T2; the deep and "
            "the superficial half of the cartilage were averaged apart."
        ]
    aligned = knees[0].settings.get("align_echoes") and not knees[0].settings.get("printed")
    placed = (
        ", brought onto the image by a small rigid step of the most mutual information where two "
        "halves of the places agreed on it,"
        if aligned
        else ""
    )
    offset = "three parameters" if knees[0].settings.get("t2_parameters") == 3 else "no offset"
    return [
        f"T2 was fitted by least squares with {offset} to the echoes{placed} read at each voxel "
        "of cartilage by cubic splines; the deep and the superficial half of the cartilage were "
        "averaged apart."
    ]


def _quality(knees: Sequence[Prepared]) -> str:
    verdicts = Counter(str(knee.quality.get("verdict")) for knee in knees)
    told = []
    for bone in BONES:
        values = [knee.quality.get(f"{bone}_thickness_mm") for knee in knees]
        known = [float(value) for value in values if value is not None]
        if known:
            told.append(f"{bone} {ranged(known, unit=' mm')}")
    return (
        f"{many(verdicts[FAIL], 'knee')} failed the limits of quality and "
        f"{many(verdicts[WARN], 'knee')} {_was(verdicts[WARN])} to be looked at. Mean cartilage "
        f"thickness: {'; '.join(told)}."
    )


def _was(number: int) -> str:
    return "was" if number == 1 else "were"
