"""The keys of ``preparation`` for the neck."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field

from bidsapp.recipes.preparation import Preparation
from bidsapp.recipes.section import Problem

Percent = Annotated[float, Field(ge=0, le=100)]


class SpinePreparation(Preparation):
    """How the region of an injection is cut out of an axial T2w image of the neck."""

    modality: Literal["spine"] = Field(default="spine", description="Axial T2w of the neck.")
    pixel_mm: Annotated[float, Field(ge=0.1, le=2)] = Field(
        default=0.5, description="Size of a pixel that slices are resampled to, in mm."
    )
    thickness_mm: Annotated[float, Field(ge=0, le=10)] = Field(
        default=3.0, description="Thickness that thinner slices are averaged to, in mm; 0: none."
    )
    size: Annotated[int, Field(ge=16, le=512)] = Field(
        default=100, description="Pixels along each side of the picture that a network is given."
    )
    percentiles: Annotated[tuple[Percent, Percent], Field(strict=False)] = Field(
        default=(1.0, 99.0), description="Of the region's intensities, that become 0 and 255."
    )
    midline: Literal["auto", "cord", "symmetry", "centre"] = Field(
        default="auto",
        description="Where a slice is cut into halves: by a mask of the cord, its own symmetry, or "
        "the centre of the field of view; auto takes the first of these that can be had.",
    )
    rater: str | None = Field(
        default=None, description="Whose boxes are used where several people drew them."
    )

    boxes_page: Literal["missing", "all"] = Field(
        default="missing",
        description="Which images roi.html shows for placing boxes: those without one, or all "
        "(for a second rater).",
    )

    def misplaced(self) -> Iterator[Problem]:
        """Refuse percentiles without an interval between them."""
        yield from super().misplaced()
        low, high = self.percentiles
        if low >= high:
            yield "percentiles", f"the first has to be below the second, got {low:g} and {high:g}"

    def place(self, joint: str = ", ") -> str:
        """Say what pictures show."""
        return f"region of the injection{joint}{self.size} × {self.size} pixels"

    def grid(self) -> tuple[tuple[int, int, int], str] | None:
        """Give the picture as an image of one slice."""
        return (self.size, self.size, 1), f"pictures of {self.size} × {self.size} pixels"

    def space_facts(self) -> dict[str, Any]:
        """Say size and side of the pictures."""
        return {
            "preparation": self.modality,
            "pixels": [self.size, self.size],
            "orientation": "first axis from the midline outwards, second from back to front",
        }
