"""What a knee is made of, and from which side each bone's joint surface is seen."""

from dataclasses import dataclass

BONES = ("femur", "tibia", "patella")


@dataclass(frozen=True)
class Bone:
    """One bone: its cartilage, and how its surface is laid over a sphere.

    Attributes
    ----------
    name
        Of `BONES`.
    cartilages
        Structures whose union covers it.
    pole
        Direction in the knee's frame (lateral, anterior, superior) in the middle of its joint
        surface, where the map's lowest row lies: a femur is seen from below, a tibia from above,
        a patella from behind.
    start
        Direction in which the map's azimuth begins at -pi; the opposite one is in the middle.
    shaft
        Direction of the shaft that the image cuts; None for a whole bone.
    length
        Of the end that is kept, over its width from side to side. Printed is 1 for both, which
        half of the OAI's images do not have of the femur and few of the tibia: centre and map
        would hang on where the image ends.
    stretched
        Whether a match with another knee's begins by stretching the bone as a whole. On smooth
        bones, whose points slide, that halves the error; condyles are drawn apart by it.
    """

    name: str
    cartilages: tuple[str, ...]
    pole: tuple[float, float, float]
    start: tuple[float, float, float]
    shaft: tuple[float, float, float] | None
    length: float = 1.0
    stretched: bool = True


ANATOMY = {
    "femur": Bone("femur", ("femoral_cartilage",), (0, 0, -1), (0, -1, 0), (0, 0, 1), 0.75, False),
    "tibia": Bone(
        "tibia",
        ("tibial_cartilage", "medial_tibial_cartilage", "lateral_tibial_cartilage"),
        (0, 0, 1),
        (0, -1, 0),
        (0, 0, -1),
        0.5,
    ),
    "patella": Bone("patella", ("patellar_cartilage",), (0, -1, 0), (0, 0, -1), None),
}
CARTILAGES = tuple(name for bone in ANATOMY.values() for name in bone.cartilages)
OTHERS = ("fibula", "medial_meniscus", "lateral_meniscus", "meniscus")
STRUCTURES = (*BONES, *CARTILAGES, *OTHERS)
