"""The ground of a recipe's ``preparation`` section; each modality adds its own keys."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from bidsapp.contracts.modality import DEFAULT, modality_named, modality_packages
from bidsapp.errors import UsageError
from bidsapp.recipes.known_names import SPM12_BOX
from bidsapp.recipes.section import Name, Problem, Section

if TYPE_CHECKING:
    from bidsapp.recipes.schema import Recipe

EARLIER = "normalization"
"""The section's name in recipes of earlier versions, which is still read."""


class Preparation(Section):
    """How scans are brought into the form that networks are given (participant level).

    The settings of a modality are a subclass of this.
    """

    another_kind: ClassVar[Mapping[str, str]] = {"modality": DEFAULT, "space": "template"}

    modality: Name = Field(default=DEFAULT, description="Kind of scan that is prepared.")

    @classmethod
    def shapes(cls) -> tuple[type[Section], ...]:
        """List the settings of every modality, that of old recipes first."""
        names = sorted(modality_packages(), key=lambda name: name != DEFAULT)
        return tuple(one for name in names for one in modality_named(name).every_settings)

    def place(self, joint: str = ", ") -> str:
        """Say where prepared values lie: ``MNI152NLin2009aSym, 2 mm``; the modality's name here."""
        return self.modality

    @property
    def standard_space(self) -> str:
        """TemplateFlow name of the standard space of prepared values; empty where in none."""
        return ""

    def space_facts(self) -> dict[str, Any]:
        """Say in plain values where prepared values lie, for a model's metadata."""
        return {"preparation": self.modality}

    def grid(self) -> tuple[tuple[int, int, int], str] | None:
        """Give the voxels of the output grid, and what it is in words; None where not known."""
        return None


class InTemplate(Preparation):
    """How scans are brought to the grid of a template, at some voxel size, in some box.

    Subclasses have these three as keys, in the order in which their recipes are written.
    """

    if TYPE_CHECKING:
        template: str
        resolution: Any
        box: Any

    def misplaced(self) -> Iterator[Problem]:
        """Refuse SPM12's box outside MNI space."""
        yield from super().misplaced()
        if self.box == "spm12" and not self.template.startswith("MNI"):
            yield (
                "box",
                f"spm12 is a box in MNI space; {self.template}, if there is such a template, "
                "needs --set preparation.box=template",
            )

    def place(self, joint: str = ", ") -> str:
        """Say the template and the voxel size."""
        return f"{self.template}{joint}{self.resolution} mm"

    @property
    def standard_space(self) -> str:
        """The template."""
        return self.template

    def space_facts(self) -> dict[str, Any]:
        """Say template and voxel size."""
        return {"template": self.template, "resolution_mm": self.resolution}

    def grid(self) -> tuple[tuple[int, int, int], str] | None:
        """Give SPM12's grid; a template's own is known only where the template is."""
        if self.box != "spm12":
            return None
        x, y, z = SPM12_BOX[self.resolution]
        return (x, y, z), f"the {self.resolution} mm grid of SPM12's box, {x}x{y}x{z}"


def by_preparation(recipe: "Recipe", names: Sequence[str]) -> list[tuple[str, ...]]:
    """Gather variants that are given the same prepared images; those of the first come first."""
    found: list[list[str]] = []
    for name in names:
        own = recipe.with_variant(name).preparation
        same = [one for one in found if recipe.with_variant(one[0]).preparation == own]
        if same:
            same[0].append(name)
        else:
            found.append([name])
    return [tuple(one) for one in found]


def of_its_modality(values: Any) -> Any:
    """Check a section by the settings of the modality that it names."""
    if not isinstance(values, Mapping):
        return values  # an instance, or what pydantic refuses
    name = values.get("modality", DEFAULT)
    try:
        modality = modality_named(name if isinstance(name, str) else str(name))
    except UsageError as error:
        raise ValueError(str(error).removeprefix("preparation.modality: ")) from None
    return modality.settings_for(values).model_validate(dict(values))


def current_keys(values: Mapping[str, Any]) -> dict[str, Any]:
    """Give dotted keys of earlier versions their present names; the rest stays as it is."""
    return {current_key(key) if isinstance(key, str) else key: v for key, v in values.items()}


def current_key(key: str) -> str:
    """Give the present name of a dotted key: ``preparation.speed`` for ``normalization.speed``."""
    parts = key.split(".")
    place = 2 if parts[0] == "variants" and len(parts) > 2 else 0
    if parts[place] == EARLIER:
        parts[place] = "preparation"
    return ".".join(parts)
