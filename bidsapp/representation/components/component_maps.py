"""Steps that turn a person's series into that person's maps of components."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from bidsapp.contracts.fitted import FittedStep, Images
from bidsapp.contracts.fitted_offers import AskedStep
from bidsapp.representation.components.series import Inside, person_maps


@dataclass(frozen=True)
class ComponentMaps:
    """Give anybody's maps of components by dual regression; a subclass says where these are from.

    Attributes
    ----------
    asked
        With ``values``, of a person's maps.
    maps_
        float16, shape (C, V), mean 0 and variance 1 over the voxels.
    mask_
        Booleans, shape of the grid, V of them true: where maps have values.
    """

    asked: AskedStep
    maps_: np.ndarray | None = None
    mask_: np.ndarray | None = None

    def declares(self) -> tuple[FittedStep, ...]:
        """Say on whom it is fitted."""
        return (self.asked.declares(),)

    def transform(self, images: Images, rows: np.ndarray) -> Iterator[np.ndarray]:
        """Give everybody's maps of the components, float32, shape (C, *space)."""
        assert self.maps_ is not None
        assert self.mask_ is not None
        inside, maps = Inside(self.mask_), self.maps_.astype(np.float32)
        for row in rows:
            yield person_maps(images, int(row), maps, inside, self.asked.settings["values"])

    def group_maps(self) -> np.ndarray:
        """Give the components laid into the grid, float32, shape (C, *space)."""
        assert self.maps_ is not None
        assert self.mask_ is not None
        return Inside(self.mask_).lay(self.maps_.astype(np.float32))

    def state(self) -> Mapping[str, np.ndarray]:
        """Give maps and mask; nothing before they are known."""
        if self.maps_ is None or self.mask_ is None:
            return {}
        return {"maps": self.maps_, "mask": self.mask_.astype(np.uint8)}
