"""A plate of cartilage over the sphere, all its sheets: where it folds, the map has their mean.

From the bone's centre, cartilage that turns round the bone's edge lies behind other cartilage. A
map of the outermost surface alone would leave it out, and its mean would be another than that of
the surface. Here a pixel shows the mean, by area, of all cartilage in its direction, so that areas
and means of map and surface agree.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from bidsapp.modalities.knee.sphere_map import GRAZING, SphereMap, area_mean, weighted
from bidsapp.modalities.knee.sphere_rays import Hits
from bidsapp.modalities.knee.surface import Surface

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_ON_THE_PLATE = 0.5


@dataclass(frozen=True)
class PlateMap:
    """How a plate lies on a grid.

    Attributes
    ----------
    laid
        How the bone does.
    surface
        Of the bone.
    plate
        (points,) bool.
    """

    laid: SphereMap
    surface: Surface
    plate: np.ndarray

    @cached_property
    def _hits(self) -> Hits:
        """What rays meet of the plate."""
        hits = self.laid.hits
        share = (hits.weights * self.plate[self.surface.triangles[hits.triangle]]).sum(1)
        return hits.picked(share >= _ON_THE_PLATE)

    @cached_property
    def _hit_areas(self) -> np.ndarray:
        """(hits,) mm² that each stands for: solid angle, distance and slant."""
        hits = self._hits
        angle = self.laid.grid.solid_angles[hits.pixel]
        return np.asarray(angle * hits.radius**2 / np.maximum(np.abs(hits.facing), GRAZING))

    @cached_property
    def areas(self) -> np.ndarray:
        """(pixels,) mm² of the plate in each pixel's direction, on all sheets."""
        pixels = len(self.laid.radius)
        return np.bincount(self._hits.pixel, self._hit_areas, minlength=pixels)

    @cached_property
    def forward(self) -> "csr_array":
        """(pixels, points) weights of the map's values; rows sum to 1, or to 0 off the plate."""
        from scipy.sparse import csr_array

        hits = self._hits
        share = self._hit_areas / self.areas[hits.pixel]
        places = (np.repeat(hits.pixel, 3), self.surface.triangles[hits.triangle].ravel())
        entries = ((hits.weights * share[:, None]).ravel(), places)
        return csr_array(entries, shape=(len(self.laid.radius), len(self.plate)))

    @cached_property
    def folded(self) -> np.ndarray:
        """(pixels,) bool: the ray meets the plate more than once."""
        return np.bincount(self._hits.pixel, minlength=len(self.laid.radius)) > 1

    def to_map(self, values: np.ndarray) -> np.ndarray:
        """(rows, columns) of (points,) values; NaN off the plate, or where most has none."""
        shape = (self.laid.grid.rows, self.laid.grid.columns)
        return weighted(self.forward, values).reshape(shape)

    def to_surface(self, image: np.ndarray) -> np.ndarray:
        """(points,) of a (rows, columns) map, on all sheets; NaN off the plate and the grid."""
        back = self.laid.back_to(self.plate & self.laid.within)
        return weighted(back, np.asarray(image).ravel())

    def mean(self, image: np.ndarray) -> float:
        """Mean of a map over the plate, weighted by area."""
        return area_mean(np.asarray(image).ravel(), self.areas)
