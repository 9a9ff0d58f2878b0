"""The keys of ``preparation`` for BOLD at rest."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from bidsapp.recipes.preparation import InTemplate
from bidsapp.recipes.section import Problem, Seed, Texts, Whole

# The names of `STRATEGIES`, which are told where another is given.
Strategies = Literal["conn", "24p", "24p_gsr", "acompcor", "scrub", "none", "simple"]


class BoldPreparation(InTemplate):
    """How a BOLD series at rest is brought into a standard space and denoised."""

    modality: Literal["bold"] = Field(default="bold", description="BOLD series at rest.")
    template: Annotated[str, Field(pattern=r"^[A-Za-z0-9]+$")] = Field(
        default="MNI152NLin2009aSym", description="TemplateFlow name of the standard space."
    )
    resolution: Annotated[Literal[2, 3, 4, 5, 6, 8, 10], Whole] = Field(
        default=2, description="Voxel size of the output grid in mm."
    )
    other_spaces: Texts = Field(
        default=(),
        description="Spaces of other software's series (-d) that are taken for the template's: "
        "MNI152NLin2009cAsym lies within some millimetres of MNI152NLin2009aSym. Only the "
        "template's own where not given.",
    )
    box: Literal["spm12", "template"] = Field(
        default="spm12",
        description="Extent of the output grid: SPM12's bounding box (MNI templates only) or the "
        "template's own.",
    )
    runs: Literal["one", "join"] = Field(
        default="one",
        description="one: a person with several runs is asked about; join: runs that differ in "
        "nothing but run- and have one repetition time are prepared each by itself and put one "
        "after the other, in the order of their names.",
    )
    slice_timing: Literal["auto", "none"] = Field(
        default="auto",
        description="auto: slices are brought to one moment where their times are known.",
    )
    susceptibility: Literal["auto", "none"] = Field(
        default="auto",
        description="auto: the stretch by the field is corrected by a field map or images with the "
        "phase reversed (fmap), else by bending the series along its phase onto the T1w image, "
        "where that improves the fit; none: it is left.",
    )
    confounds: Strategies = Field(
        default="conn", description="Denoising strategy: what is regressed out, or left out."
    )
    band_pass_hz: Annotated[tuple[float | None, float | None], Field(strict=False)] = Field(
        default=(0.008, 0.09),
        description="Lowest and highest frequency that are kept; null for no limit.",
    )
    smoothing_fwhm_mm: Annotated[float, Field(ge=0, le=20)] = Field(
        default=5.0, description="Width of the Gaussian by which volumes are smoothed; 0 for none."
    )
    keep_preproc: bool = Field(
        default=True,
        description="Whether the series before denoising is written, too; the group level needs "
        "the denoised one alone.",
    )
    speed: Literal["fast", "default", "precise"] = Field(
        default="default", description="Of the T1w image's registration, where it is still to do."
    )
    seed: Seed = Field(default=0, description="Seed of the registrations.")

    def misplaced(self) -> Iterator[Problem]:
        """Refuse frequencies that exclude one another, besides what does not fit the template."""
        yield from super().misplaced()
        low, high = self.band_pass_hz
        if min(low or 0, high or 0) < 0 or (low is not None and high is not None and low >= high):
            yield "band_pass_hz", f"{low} to {high} Hz is no band; two frequencies, the lower first"
