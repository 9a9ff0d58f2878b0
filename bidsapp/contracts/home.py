"""Where a unit's map lies on the unit itself, and which place of one unit is which of another's."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from bidsapp.contracts.unit import Unit
from bidsapp.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    from bidsapp.contracts.space import Space

Carry = Callable[["np.ndarray"], "np.ndarray"]
"""From values at the points of one unit to values at those of another; NaN where there is none."""


@dataclass(frozen=True)
class Home:
    """What a unit's map was seen on: its own surface, or its own image.

    Attributes
    ----------
    space
        Its block is the map that a network saw, its whole what that was cut from: a value at each
        point of the surface, or the image's voxels. `put_back` lays a map there.
    file
        The surface (GIFTI) or image (NIfTI) itself, in the scanner's millimetres; its points or
        voxels in the order of the whole.
    structure
        What it is of; only homes of one structure are carried onto one another.
    """

    space: "Space"
    file: Path
    structure: str = ""


@dataclass(frozen=True)
class WayBack:
    """The files that lead from a standard space back to the voxels of a unit's own scan.

    Attributes
    ----------
    transform
        ITK transform that resamples an image of the standard space into the scan's own.
    grid
        An image on the scan's own voxels.
    """

    transform: Path
    grid: Path


@dataclass(frozen=True)
class View:
    """A fixed side from which surfaces of a space are drawn.

    Attributes
    ----------
    title
        ``from the joint``.
    right, up
        Unit vectors in the space's frame that lie to the right and up in the picture.
    ends
        What is at the left and at the right: ``medial``, ``lateral``.
    """

    title: str
    right: tuple[float, float, float]
    up: tuple[float, float, float]
    ends: tuple[str, str]


@dataclass(frozen=True)
class Meeting:
    """Where people whose values lie in spaces of their own can be compared.

    Attributes
    ----------
    label
        Value of BIDS' ``space`` there.
    mask
        An image that is 1 where values count, on the grid of that space.
    transforms
        Unit to an ITK transform that resamples an image of its own space into the common one;
        not every unit has one.
    """

    label: str
    mask: Path
    transforms: Mapping[Unit, Path]


class OwnPlaces:
    """What a modality says of the places of its maps; by default, that atlases serve."""

    carries: ClassVar[bool] = False
    """Whether `home` gives surfaces and `carried` matches them (``saliency.on_surface``)."""

    @property
    def leads_home(self) -> bool:
        """Whether a map can come back onto a unit's own scan (``--native-maps``)."""
        own = type(self)
        return own.home is not OwnPlaces.home or own.way_back is not OwnPlaces.way_back

    def regions(self, space: "Space") -> "Mapping[str, np.ndarray]":
        """Name the parts of a map that its field reports: bool of the space's whole, each.

        None where atlases of a template serve.
        """
        return {}

    def views(self, label: str) -> Sequence[View]:
        """List the sides from which maps of a space of this label are drawn; none: no picture."""
        return ()

    def home(self, image: Path, channel: str) -> Home | None:
        """Give what the map of a prepared unit was seen on; None where that is not known.

        Parameters
        ----------
        image
            The main product of the unit.
        channel
            Whose map.

        Raises
        ------
        NoInput
            It is not beside the main product.
        BadData
            It is not what was written.
        """
        return None

    def way_back(self, image: Path) -> WayBack | None:
        """Name what leads from the standard space of a prepared unit back to its own scan.

        Parameters
        ----------
        image
            The main product of the unit.

        Returns
        -------
        WayBack or None
            The files need not be there; None where none is ever written.
        """
        return None

    def carried(self, reference: Home, other: Home) -> Carry:
        """Find out how values at the points of one surface come onto those of the reference.

        Raises
        ------
        UsageError
            Surfaces of this modality are not matched (`carries` is false).
        """
        raise UsageError(
            "saliency.on_surface: surfaces of this kind of image are not matched; leave it out."
        )
