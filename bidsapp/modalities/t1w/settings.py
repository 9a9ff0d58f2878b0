"""The keys of ``preparation`` for T1w heads."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from bidsapp.recipes.preparation import InTemplate
from bidsapp.recipes.section import Seed, Whole


def _name_alone(value: Any) -> Any:
    """Refuse fMRIPrep's spelling of a template with its resolution; they are two keys here."""
    if isinstance(value, str) and ":res-" in value:
        name, _, resolution = value.partition(":res-")
        raise ValueError(f"should be {name} alone, with preparation.resolution: {resolution}")
    return value


def _either_space(value: Any) -> Any:
    """Name both spaces where neither was given: native has settings of its own."""
    if value != "template":
        raise ValueError("should be 'template' or 'native'")
    return value


class T1wPreparation(InTemplate):
    """How a native T1w image is brought into a standard space."""

    modality: Literal["t1w"] = Field(default="t1w", description="T1w heads.")
    space: Annotated[Literal["template"], BeforeValidator(_either_space)] = Field(
        default="template", description="A template's space, or native: each head's own."
    )
    template: Annotated[str, BeforeValidator(_name_alone), Field(pattern=r"^[A-Za-z0-9]+$")] = (
        Field(default="MNI152NLin2009aSym", description="TemplateFlow name of the standard space.")
    )
    resolution: Annotated[Literal[1, 2], Whole] = Field(
        default=2, description="Voxel size of the output grid in mm."
    )
    box: Literal["spm12", "template"] = Field(
        default="spm12",
        description="Extent of the output grid: SPM12's bounding box (MNI templates only) or the "
        "template's own.",
    )
    intensity: Literal["minmax", "none"] = Field(
        default="minmax", description="Scaling of each brain image: to 0..1, or left as it is."
    )
    speed: Literal["fast", "default", "precise"] = Field(
        default="default", description="How long the registration may take, and how good it gets."
    )
    seed: Seed = Field(default=0, description="Seed of the registration.")

    def plain(self) -> dict[str, Any]:
        """Leave the space out, which recipes and bundles of earlier versions do not name."""
        return {key: value for key, value in super().plain().items() if key != "space"}
