"""Components from given maps, such as published networks: nothing is fitted on a cohort."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from bidsapp.contracts.fitted import Images
from bidsapp.contracts.fitted_offers import AskedStep, FittedOffer
from bidsapp.contracts.space import Space
from bidsapp.errors import BadData
from bidsapp.intake.images import read_numbers
from bidsapp.representation.components.component_maps import ComponentMaps
from bidsapp.representation.components.series import array_in

OFFER = FittedOffer(
    name="template_components",
    title="Components of a template",
    verb="turned into maps by dual regression",
    found="given component maps and the series",
    unit="{values} of the dual regression",
    higher="a stronger component",
    lower="a weaker component there",
    scopes=("image",),
    settings={"maps": "", "values": ("z", "effect", "beta")},
    series=True,
    files=("maps",),
)


def build(asked: AskedStep) -> "TemplateComponents":
    """Give the step, unfitted."""
    return TemplateComponents(asked)


@dataclass(frozen=True)
class TemplateComponents(ComponentMaps):
    """Give anybody's maps of components that come from a file.

    The same components in every fold, site and hospital, whoever is in the cohort; what is
    learned from one cohort can be read in another.

    Attributes
    ----------
    asked
        ``maps``, an image of component maps (X, Y, Z, C) in the standard space of the series, on
        any grid; ``values`` of a person's maps.
    maps_
        float16, shape (C, V), mean 0 and variance 1 over the voxels.
    mask_
        Booleans, shape of the grid, V of them true: where a map has a value.
    """

    def channels(self, given: tuple[str, ...]) -> tuple[str, ...]:
        """Name the components by their place in the file."""
        count = _count(self._file) if self.maps_ is None else len(self.maps_)
        return tuple(f"C{number + 1:02d}" for number in range(count))

    def fit(self, images: Images, rows: np.ndarray, outcome: np.ndarray | None) -> Self:
        """Bring the maps onto the grid of the series; no person is looked at.

        Raises
        ------
        BadData
            The file holds no maps, or one of them has no value on the grid.
        """
        if images.space is None:
            raise BadData(f"{self.asked.key}: where the voxels of the images lie is not known")
        maps = maps_on_grid(self._file, images.space)
        mask = np.asarray(maps.any(axis=0))
        inside = maps[:, mask]
        refuse_elsewhere(inside, self._file)
        spread = inside.std(axis=1, keepdims=True)
        scaled = (inside - inside.mean(axis=1, keepdims=True)) / spread
        return replace(self, maps_=scaled.astype(np.float16), mask_=mask)

    def with_state(self, state: Mapping[str, np.ndarray]) -> Self:
        """Give the step as it was when `state` was written."""
        key = self.asked.key
        maps, mask = array_in(state, "maps", 2, key), array_in(state, "mask", 3, key) > 0
        if not len(maps) or maps.shape[1] != mask.sum():
            raise BadData(f"{key}: its arrays are not those of component maps")
        return replace(self, maps_=maps.astype(np.float16), mask_=mask)

    @property
    def _file(self) -> Path:
        named: Any = self.asked.settings["maps"]
        return Path(str(named))


def _count(path: Path) -> int:
    from bidsapp.intake.images import open_image

    shape = open_image(path).shape
    if len(shape) != 4:
        raise BadData(f"{path} has shape {tuple(shape)}; maps of components (4D) are expected")
    return int(shape[3])


def refuse_elsewhere(inside: np.ndarray, path: Path) -> None:
    """Refuse maps, shape (C, V), one of which has no value where the images lie, or one alone."""
    empty = np.flatnonzero(~(np.ptp(inside, axis=1) > 0)) if inside.size else np.arange(1)
    if len(empty):
        raise BadData(
            f"{path}: map {empty[0] + 1} has no value, or one alone, where the images lie; are "
            "the maps in the space of the recipe (preparation.template)?"
        )


def maps_on_grid(path: Path, space: Space) -> np.ndarray:
    """Read maps at the centres of a space's cells, float64, shape (C, *space); 0 beyond them.

    Raises
    ------
    NoInput, BadData
        The file is not there, is no image of four dimensions, or holds values that are no numbers.
    """
    from scipy.ndimage import map_coordinates

    count = _count(path)
    values, affine = read_numbers(path)
    if not np.isfinite(values).all():
        raise BadData(f"{path} holds NaN or infinite values")
    points = (
        np.linalg.inv(affine)
        @ np.column_stack([space.points(), np.ones(space.points().shape[0])]).T
    )
    found = np.zeros((count, *space.shape))
    for number in range(count):
        here = map_coordinates(values[..., number], points[:3], order=1, mode="constant")
        found[number] = here.reshape(space.shape)
    return found
