"""The keys of ``preparation`` for knees."""

from typing import Annotated, Any, Literal

from pydantic import Field

from bidsapp.recipes.preparation import Preparation
from bidsapp.recipes.section import Unique

BoneName = Literal["femur", "tibia", "patella"]


class KneePreparation(Preparation):
    """How a knee's label map becomes maps of its bones over spheres."""

    modality: Literal["knee"] = Field(default="knee", description="Knees, from a label map.")
    bones: Annotated[tuple[BoneName, ...], *Unique, Field(min_length=1)] = Field(
        default=("femur", "tibia", "patella"), description="Bones that are measured."
    )
    side: Literal["auto", "L", "R"] = Field(
        default="auto",
        description="Side of all knees; auto: as tables, file names or the anatomy tell.",
    )
    t2: bool = Field(
        default=False, description="Whether there are maps of T2: from `t2_from`, of everybody."
    )
    t2_from: Literal["echoes", "map"] = Field(
        default="echoes",
        description="What T2 comes from: echoes is fitted here to MESE echoes; map is read from a "
        "T2 map that is there. The other one is not looked at where both are.",
    )
    t2_parameters: Literal[2, 3] = Field(
        default=3, description="Parameters of the decay: 3 with an offset, 2 without."
    )
    skip_first_echo: bool = Field(
        default=False, description="Whether T2 leaves the first echo out."
    )
    align_echoes: bool = Field(
        default=True,
        description="Whether the echoes, which lie as their headers say, are brought onto the "
        "image by a small rigid step (mutual information) where that is sure; with printed they "
        "are not.",
    )
    pixels: Annotated[int, Field(ge=16, le=512)] = Field(
        default=224, description="Rows and columns of a map."
    )
    printed: bool = Field(
        default=False,
        description="Thickness within sagittal slices, not along the bone's normals, and shafts as "
        "long as the bone is wide, as Morales et al. (2021) print it.",
    )

    def place(self, joint: str = ", ") -> str:
        """Say which maps there are."""
        return f"knee maps{joint}{self.pixels} x {self.pixels}"

    def space_facts(self) -> dict[str, Any]:
        """Say bones and pixels."""
        return {"preparation": "knee", "bones": list(self.bones), "pixels": self.pixels}
