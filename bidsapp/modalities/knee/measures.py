"""The quality numbers of a knee, for each bone: what they mean and what to do."""

from bidsapp.contracts.measure import FAIL, WARN, Limits, Measure
from bidsapp.modalities.knee.anatomy import ANATOMY, BONES

_LOOK = "Look at the label map over the image, and correct it where it is wrong."
_FITTED = {"t2": (True,), "t2_from": ("echoes",)}
_PLACES = {bone: number for number, bone in enumerate(BONES)}


def _of_bone(bone: str) -> tuple[Measure, ...]:
    name, place = bone.capitalize(), 10 * _PLACES[bone]
    found = [
        Measure(
            f"{bone}_thickness_mm",
            f"{name}: mean cartilage thickness",
            "On each sagittal slice's skeleton, over the plate's area, bare spots counting as 0.",
            unit="mm",
            fails=Limits(0.3, 6.0),
            advice=_LOOK,
            bad="both",
            place=place,
            column=f"Mean thickness of the {bone}'s cartilage, mm.",
        ),
        Measure(
            f"{bone}_thickness_difference_mm",
            f"{name}: the two thicknesses apart",
            "Mean on skeletons less mean along the bone's normals.",
            unit="mm",
            warns=Limits(-0.4, 0.4),
            advice="Cartilage that is cut by few voxels, or labels with steps, part the two.",
            place=place + 1,
        ),
        Measure(
            f"{bone}_hole_share",
            f"{name}: bare bone within its plate",
            "Share of the plate's area that is bare with cartilage all around.",
            unit="%",
            digits=1,
            warns=Limits(high=0.1),
            advice="A worn plate or a label map with holes: " + _LOOK[0].lower() + _LOOK[1:],
            bad="high",
            place=place + 2,
            column=f"Share of the {bone}'s plate without cartilage.",
        ),
        Measure(
            f"{bone}_seen_share",
            f"{name}: cartilage that its map shows",
            "Share of the covered area that is outermost as seen from the bone's centre. What lies "
            "behind it is averaged into the same pixels.",
            unit="%",
            digits=1,
            fails=Limits(low=0.7),
            warns=Limits(low=0.95),
            advice="Bone spurs or a turned bone fold the plate; surfaces keep its layers apart.",
            bad="low",
            place=place + 3,
            confound=True,
            column=f"Share of the {bone}'s cartilage that its map shows.",
        ),
        Measure(
            f"{bone}_two_sheets_share",
            f"{name}: rays that leave it twice",
            "Share of the plate's pixels whose ray meets two sheets of the surface.",
            unit="%",
            digits=1,
            warns=Limits(high=0.15),
            advice=_LOOK,
            place=place + 4,
        ),
        Measure(
            f"{bone}_map_difference",
            f"{name}: mean of its map less that of its surface",
            "Of thickness, both by area, in share of the surface's.",
            unit="%",
            digits=1,
            warns=Limits(-0.01, 0.01),
            advice="The map does not hold the whole plate: use the values of the surface.",
            place=place + 4,
        ),
        Measure(
            f"{bone}_surface_error_mm",
            f"{name}: surface from its voxels",
            "95th percentile of the distance between the steps of voxels and the surface.",
            unit="mm",
            warns=Limits(high=1.5),
            advice="Voxels are too large for maps of this kind; resample nothing, but be careful.",
            place=place + 5,
        ),
        Measure(
            f"{bone}_pieces",
            f"{name}: further pieces",
            "Pieces of more than a hundredth of the bone that touch it nowhere; they are left out.",
            digits=0,
            warns=Limits(high=0),
            advice=_LOOK,
            place=place + 6,
        ),
        Measure(
            f"{bone}_cartilage_ml",
            f"{name}: volume of its cartilage",
            "Of the label map.",
            unit="ml",
            bad="both",
            unusual_sd=3.0,
            place=place + 7,
            column=f"Volume of the {bone}'s cartilage, ml.",
        ),
        Measure(
            f"{bone}_t2_ms",
            f"{name}: mean T2",
            "Of its whole cartilage, over the plate's area.",
            unit="ms",
            digits=1,
            warns=Limits(10, 90),
            advice="Look at the echoes or the T2 map: fluid, magic angle and motion change T2.",
            place=place + 8,
            only={"t2": (True,)},
        ),
        Measure(
            f"{bone}_t2_fitted_share",
            f"{name}: voxels with a T2",
            "Share of cartilage voxels with a T2 within the bounds: by a curve that explains half "
            "of the signal, or by the T2 map.",
            unit="%",
            fails=Limits(low=0.3),
            warns=Limits(low=0.8),
            advice="What lies beside the label map, or noise: look at T2 and labels together.",
            confound=True,
            bad="low",
            column=f"Share of the {bone}'s cartilage voxels with a T2.",
            place=place + 9,
            only={"t2": (True,)},
        ),
        Measure(
            f"{bone}_t2_goodness",
            f"{name}: how well the decays are fitted",
            "Median R² of its cartilage's voxels: the share of a signal's variance over the echoes "
            "that its curve explains.",
            digits=3,
            bad="low",
            column=f"Median R² of the decays of the {bone}'s cartilage.",
            place=place + 9,
            only=_FITTED,
        ),
    ]
    if ANATOMY[bone].shaft is not None:
        found.append(
            Measure(
                f"{bone}_shaft_left_mm",
                f"{name}: shaft beyond the crop",
                "What the image has of the shaft above the length that is kept; below 0 it ends "
                "too early, and the bone's centre lies nearer to the joint.",
                unit="mm",
                digits=0,
                fails=Limits(low=-25),
                warns=Limits(low=-3),
                advice="The image ends within the bone's joint end: shape cannot be compared.",
                bad="low",
                confound=True,
                column=f"Shaft of the {bone} beyond the crop, mm.",
                place=place + 5,
            )
        )
    return tuple(found)


MEASURES = (
    *(measure for bone in BONES for measure in _of_bone(bone)),
    Measure(
        "echoes_moved_mm",
        "Echoes brought onto the image",
        "By how far cartilage moved between the image and the echoes, in the mean; 0 where the "
        "headers' places were kept.",
        unit="mm",
        warns=Limits(high=4.0),
        advice="Look at T2 over the image: the knee moved much, or the two are not of one visit.",
        place=39,
        only=_FITTED,
    ),
    Measure(
        "cut_bones",
        "Bones cut at a side",
        "Bones that touch the image's border elsewhere than at their shaft.",
        kind="names",
        raised=FAIL,
        advice="The image does not hold the whole bone; it cannot be measured.",
        place=40,
    ),
    Measure(
        "lost_cartilages",
        "Cartilages without a voxel",
        "Cartilages of the bones that are measured which the label table names and the label map "
        "does not have. Means are of what is left, so that they do not fall by what is lost.",
        kind="names",
        raised=WARN,
        reason="No voxel of {shown}, which the label table names: thickness is the mean of what "
        "is left, and says nothing of what is lost.",
        advice="Look whether that cartilage is lost or was not segmented; where its number is not "
        "in use, take it out of the label table.",
        place=41,
    ),
    Measure(
        "unread_labels",
        "Labels not understood",
        "Labels that have voxels and whose name is none of a bone, a cartilage, or something else "
        "that is known; no map is made of them.",
        kind="names",
        raised=WARN,
        reason="Not understood and not used: {shown}. Voxels of a bone or a cartilage may be "
        "missing.",
        advice="In the label table name it after its bone and cartilage (lateral_tibial_cartilage),"
        " or after what else it is (muscle, ligament, background).",
        place=42,
    ),
)
