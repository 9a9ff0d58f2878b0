"""One bone, measured: thickness twice, T2 in layers, shape; on its surface and on its map."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bidsapp.modalities.knee.anatomy import Bone
from bidsapp.modalities.knee.meshing import Meshed, mesh_bone
from bidsapp.modalities.knee.plate_map import PlateMap
from bidsapp.modalities.knee.projection import Cylinders, cylinders, filled
from bidsapp.modalities.knee.sphere_map import SphereMap, lay_on_sphere
from bidsapp.modalities.knee.sphere_rays import SphereGrid
from bidsapp.modalities.knee.surface import Surface
from bidsapp.modalities.knee.thickness import (
    Sheet,
    thickness_along_normals,
    thickness_on_skeletons,
    upright,
)

HOLE_MM2 = 150.0
"""Uncovered bone of less than this, with cartilage all around, is a hole in its plate."""
_DEEP = 0.5
_OF_THE_BONE = ("shape",)


@dataclass(frozen=True)
class BoneMaps:
    """One bone, measured.

    Attributes
    ----------
    bone
        Which.
    meshed
        Its surface, in the knee's frame.
    sheet
        Its cartilage along the normals.
    plate
        (n,) bool: covered by cartilage, or a hole in it.
    laid
        How the surface lies over the sphere.
    values
        (n,) of each channel on the surface; NaN where it has none.
    facts
        Quality numbers.
    """

    bone: Bone
    meshed: Meshed
    sheet: Sheet
    plate: np.ndarray
    laid: SphereMap
    values: Mapping[str, np.ndarray]
    facts: Mapping[str, float]

    @property
    def surface(self) -> Surface:
        """In the knee's frame."""
        return self.meshed.surface

    @cached_property
    def laid_plate(self) -> PlateMap:
        """How the plate lies over the sphere, all its sheets."""
        return PlateMap(self.laid, self.surface, self.plate)

    def laid_of(self, channel: str) -> SphereMap | PlateMap:
        """Give how a channel lies over the sphere: the bone's outermost surface, or its plate."""
        return self.laid if channel in _OF_THE_BONE else self.laid_plate

    def maps(self) -> dict[str, np.ndarray]:
        """(rows, columns) of each channel; NaN where it has none."""
        return {name: self.laid_of(name).to_map(values) for name, values in self.values.items()}


@dataclass(frozen=True)
class Relaxation:
    """T2 of the voxels of a bone's cartilage.

    Attributes
    ----------
    points
        (k, 3) mm in the knee's frame.
    t2
        (k,) ms; NaN where it could not be fitted, or the map has none.
    goodness
        (k,) R²; NaN where T2 is from a map.
    """

    points: np.ndarray
    t2: np.ndarray
    goodness: np.ndarray


def measure_bone(
    bone: Bone,
    mask: np.ndarray,
    cartilage: np.ndarray,
    spacing: np.ndarray,
    grid: SphereGrid,
    slanted: bool = False,
    length: float | None = None,
) -> BoneMaps:
    """Measure a bone without T2.

    Parameters
    ----------
    mask, cartilage
        (lateral, anterior, superior) bool.
    spacing
        Millimetres between voxels.
    grid
        Of the maps.
    slanted
        Whether thickness stays as it is within the sagittal slice, as printed.
    length
        See `meshing.crop_shaft`.

    Raises
    ------
    BadData
        The bone is no solid piece of a bone's size.
    """
    meshed = mesh_bone(mask, spacing, bone, length=length)
    surface = meshed.surface
    sheet = thickness_along_normals(cartilage, spacing, surface)
    plate, holes = plate_of(surface, sheet.covered, meshed.cut)
    places, twice = thickness_on_skeletons(cartilage, spacing)
    on_surface = cylinders(places, surface, sheet).mean(twice)
    skeleton, patched = filled(on_surface, sheet.covered, surface)
    skeleton = surface.averaged(skeleton if slanted else upright(skeleton, surface))
    normal = surface.averaged(np.where(sheet.covered, sheet.thickness, np.nan))
    laid = lay_on_sphere(surface, grid)
    missing = np.where(plate, 0.0, np.nan)
    values = {
        "thickness": np.where(sheet.covered, skeleton, missing),
        "thicknessnormal": np.where(sheet.covered, normal, missing),
        "shape": np.linalg.norm(surface.points - laid.centre, axis=1),
    }
    covered = float(surface.areas[sheet.covered].sum())
    seen = float(surface.areas[sheet.covered & laid.seen].sum())
    over = PlateMap(laid, surface, plate)
    image = over.to_map(values["thickness"])
    plate_pixels = np.isfinite(image).ravel()
    two = (laid.sheets > 1) & plate_pixels
    mean = surface.mean(values["thickness"])
    both = sheet.covered & np.isfinite(skeleton)
    facts = {
        "surface_error_mm": meshed.error,
        "shaft_left_mm": meshed.shaft_left,
        "pieces": float(meshed.pieces),
        "cartilage_ml": float(cartilage.sum() * np.prod(spacing) / 1000),
        "plate_area_mm2": float(surface.areas[plate].sum()),
        "hole_area_mm2": holes,
        "seen_share": seen / covered if covered else 0.0,
        "two_sheets_share": float(two.sum() / max(1, plate_pixels.sum())),
        "patched_share": patched / max(1, int(sheet.covered.sum())),
        "mean_thickness_mm": mean,
        "map_difference": over.mean(image) / mean - 1 if mean > 0 else float("nan"),
        "mean_thickness_normal_mm": surface.mean(values["thicknessnormal"]),
        "measures_r": _correlation(skeleton[both], sheet.thickness[both]),
    }
    return BoneMaps(bone, meshed, sheet, plate, laid, values, facts)


def with_t2(maps: BoneMaps, relaxation: Relaxation) -> BoneMaps:
    """Add T2: of the whole cartilage, of its half by the bone, and of its half by the joint."""
    places = cylinders(relaxation.points, maps.surface, maps.sheet)
    depth = _depth(places, maps.sheet)
    layers = {"t2": None, "t2deep": depth < _DEEP, "t2superficial": depth >= _DEEP}
    values = dict(maps.values)
    for name, kept in layers.items():
        mean = places.mean(relaxation.t2, kept)
        values[name], _ = filled(mean, maps.sheet.covered, maps.surface)
    fitted = np.isfinite(relaxation.t2)
    told = np.isfinite(relaxation.goodness)
    facts = {
        **maps.facts,
        "t2_fitted_share": float(fitted.mean()) if len(fitted) else 0.0,
        "t2_goodness": float(np.median(relaxation.goodness[told])) if told.any() else float("nan"),
        "mean_t2_ms": maps.surface.mean(values["t2"]),
    }
    return BoneMaps(maps.bone, maps.meshed, maps.sheet, maps.plate, maps.laid, values, facts)


def plate_of(surface: Surface, covered: np.ndarray, cut: np.ndarray) -> tuple[np.ndarray, float]:
    """Find the plate: what is covered, and bare spots of less than `HOLE_MM2` within it.

    Returns
    -------
    plate, holes
        (n,) bool; and the bare area within, mm².
    """
    from scipy.sparse.csgraph import connected_components

    bare = np.flatnonzero(~covered)
    if not covered.any() or not len(bare):
        return covered.copy(), 0.0
    graph = surface.neighbours[bare][:, bare]
    _, piece = connected_components(graph, directed=False)
    area = np.bincount(piece, surface.areas[bare])
    ends = np.bincount(piece, cut[bare]) > 0
    hole = (area < HOLE_MM2) & ~ends & (area < area.max())
    plate = covered.copy()
    plate[bare[hole[piece]]] = True
    return plate, float(area[hole].sum())


def _depth(places: Cylinders, sheet: Sheet) -> np.ndarray:
    """(pairs,) 0 at the bone, 1 at the joint."""
    start, end = sheet.start[places.point], sheet.end[places.point]
    return np.asarray((places.height - start) / np.maximum(end - start, 1e-6))


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    if len(one) < 3 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return float("nan")
    return float(np.corrcoef(one, other)[0, 1])
