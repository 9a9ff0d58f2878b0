"""The keys of ``preparation`` for T1w heads that stay in their own space."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field

from bidsapp.recipes.preparation import Preparation
from bidsapp.recipes.section import Problem, Seed

NATIVE = "native"
"""Value of ``preparation.space``: no registration, every head in its own millimetres."""
AS_ACQUIRED = "as acquired"
_PAIRS = ("RL", "AP", "SI")

Edge = Annotated[int, Field(ge=16, le=512)]
Millimetres = Annotated[float, Field(ge=0.4, le=6)]


class NativePreparation(Preparation):
    """How a T1w image of the head becomes a box of voxels without being registered."""

    modality: Literal["t1w"] = Field(default="t1w", description="T1w heads.")
    space: Literal["native"] = Field(
        default="native",
        description="Native: turned, resampled, padded and cropped to a box, without registration.",
    )
    axes: str = Field(
        default="RAS",
        description="With space native, where the three axes of the stored box run: RAS is right, "
        "anterior, superior. Networks are given the box in RAS order whatever this is.",
    )
    brain: Literal["whole", "extracted"] = Field(
        default="whole",
        description="With space native: the whole head, with scalp and face, or the brain alone.",
    )
    spacing: Literal["as acquired"] | Millimetres = Field(
        default=1.0,
        description="With space native: edge of a voxel in mm, the same along all axes, or "
        "'as acquired': nothing is interpolated.",
    )
    box: Annotated[tuple[Edge, Edge, Edge], Field(strict=False)] = Field(
        default=(256, 256, 256),
        description="With space native: voxels along the axes to which images are padded, and "
        "cropped around the head.",
    )
    intensity: Literal["minmax", "none"] = Field(
        default="minmax", description="Scaling of each image: to 0..1, or left as it is."
    )
    speed: Literal["fast", "default", "precise"] = Field(
        default="default", description="How finely the brain is looked for."
    )
    seed: Seed = Field(default=0, description="Seed; with space native nothing is drawn.")

    def misplaced(self) -> Iterator[Problem]:
        """Refuse axes that do not name three directions at right angles."""
        yield from super().misplaced()
        if sorted(map(_direction, self.axes)) != [0, 1, 2]:
            yield (
                "axes",
                f"{self.axes!r} should name one of R and L, one of A and P, one of S and I, as RAS "
                "or PSR does",
            )

    def place(self, joint: str = ", ") -> str:
        """Say in which box heads lie."""
        spacing = self.spacing if self.spacing == AS_ACQUIRED else f"{self.spacing:g} mm"
        return f"native space{joint}{spacing} in a box of {' × '.join(map(str, self.box))}"

    def space_facts(self) -> dict[str, Any]:
        """Say box and voxel size."""
        return {
            "preparation": self.modality,
            "space": "each participant's own",
            "axes": self.axes,
            "box": list(self.box),
            "spacing": self.spacing,
            "brain": self.brain,
        }

    def grid(self) -> tuple[tuple[int, int, int], str] | None:
        """Give the box as networks see it, right, anterior and superior."""
        x, y, z = (self.box[_axis(self.axes, pair)] for pair in range(3))
        return (x, y, z), f"the box of {x}x{y}x{z} voxels (right, anterior, superior)"


def _direction(letter: str) -> int:
    return next((place for place, pair in enumerate(_PAIRS) if letter in pair), -1)


def _axis(axes: str, direction: int) -> int:
    """Say which axis of the box runs along a direction: 0 left–right, 1 back–front, 2 up–down."""
    found = [place for place, letter in enumerate(axes) if _direction(letter) == direction]
    return found[0] if found else direction
