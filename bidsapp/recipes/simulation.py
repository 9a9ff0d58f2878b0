"""The section of a recipe about a known signal that is planted into the cohort."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from bidsapp.recipes.section import Section

Millimetre = Annotated[float, Field(ge=-200, le=200)]
Edge = Annotated[float, Field(gt=0, le=100)]


class Simulation(Section):
    """A signal planted into the positives, to see whether the pipeline would find it."""

    choice: ClassVar = "kind"
    only: ClassVar = {
        "centre_mm": ("cuboid",),
        "size_mm": ("cuboid",),
        "contrast_sd": ("cuboid",),
        "outcome": ("cuboid",),
    }
    # it lies in the middle slabs of all three planes
    preset: ClassVar = {
        "centre_mm": (14.0, -18.0, 8.0),
        "size_mm": (16.0, 16.0, 16.0),
        "contrast_sd": 1.0,
        "outcome": "own",
    }

    kind: Literal["none", "cuboid"] = Field(
        default="none",
        description="What is planted into the positives' images; every output of such a run is "
        "stamped SIMULATED.",
    )
    centre_mm: Annotated[tuple[Millimetre, Millimetre, Millimetre], Field(strict=False)] | None = (
        Field(default=None, description="Centre in the standard space, mm (right, anterior, up).")
    )
    size_mm: Annotated[tuple[Edge, Edge, Edge], Field(strict=False)] | None = Field(
        default=None, description="Edge lengths in mm."
    )
    contrast_sd: Annotated[float, Field(ge=-100, le=100)] | None = Field(
        default=None,
        description="What is added to the image, in standard deviations between people there.",
    )
    outcome: Literal["own", "permuted"] | None = Field(
        default=None,
        description="Whose images it is planted into: the positives', or those of people drawn at "
        "random, so that nothing but the cuboid tells the classes apart.",
    )

    @property
    def stamp(self) -> str:
        """What every output says; empty where nothing is planted."""
        if self.kind == "none":
            return ""
        size, centre = (
            " x ".join(f"{value:g}" for value in self.size_mm or ()),
            ", ".join(f"{value:g}" for value in self.centre_mm or ()),
        )
        whose = "the positives" if self.outcome == "own" else "people drawn at random"
        return (
            f"SIMULATED: a {self.kind} of {size} mm at ({centre}) mm, {self.contrast_sd:+g} SD, "
            f"was planted into {whose}"
        )

    def run_label(self, label: str) -> str:
        """Label of the run's folder, so that it is never that of real results."""
        if self.kind == "none":
            return label
        drawn = "" if self.outcome == "own" else "-permuted"
        return f"{label}-{self.kind}{drawn}-{self.contrast_sd:g}sd"
