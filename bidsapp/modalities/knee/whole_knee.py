"""A whole knee: its side, its frame, its bones one after the other, T2 where there are echoes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bidsapp.errors import BadData
from bidsapp.modalities.knee.anatomy import ANATOMY
from bidsapp.modalities.knee.bone_maps import BoneMaps, Relaxation, measure_bone, with_t2
from bidsapp.modalities.knee.echoes import Echoes, sample_echoes
from bidsapp.modalities.knee.frame import Frame, Side, to_frame
from bidsapp.modalities.knee.label_map import LabelMap
from bidsapp.modalities.knee.meshing import mesh_bone
from bidsapp.modalities.knee.side import Seen, decide, seen_in_labels, seen_in_shapes
from bidsapp.modalities.knee.sphere_map import grid_of, lay_on_sphere
from bidsapp.modalities.knee.t2 import BOUNDS_MS, fit_t2

_COARSE_MM, _COARSE_PIXELS = 2.0, 56
_LEAST_GOODNESS = 0.5


@dataclass(frozen=True)
class KneeSettings:
    """What shapes a knee's maps.

    Attributes
    ----------
    bones
        Which are measured.
    rows, columns
        Pixels of a map.
    printed
        Whether thickness stays slanted within the sagittal slice and shafts are as long as the
        bone is wide, as printed.
    t2_parameters
        3, or 2 for no offset.
    skip_first_echo
        Whether T2 leaves the first echo out.
    t2_bounds_ms
        Least and greatest T2.
    """

    bones: tuple[str, ...] = ("femur", "tibia", "patella")
    rows: int = 224
    columns: int = 224
    printed: bool = False
    t2_parameters: int = 3
    skip_first_echo: bool = False
    t2_bounds_ms: tuple[float, float] = BOUNDS_MS


@dataclass(frozen=True)
class Knee:
    """A knee, measured.

    Attributes
    ----------
    side, side_words
        And how it is known.
    frame
        Where it lies in the scanner.
    bones
        By their names.
    """

    side: Side
    side_words: str
    frame: Frame
    bones: Mapping[str, BoneMaps]


def side_of(labels: LabelMap, told: Mapping[str, str], bones: Sequence[str]) -> tuple[Side, str]:
    """Settle a knee's side; its shape is looked at only where nothing else tells.

    Parameters
    ----------
    told
        Where it is said to what is said there.

    Raises
    ------
    BadData
        See `side.decide`.
    """
    middles = {name: labels.middle(name) for name in labels.structures}
    sure = seen_in_labels({name: place for name, place in middles.items() if place is not None})
    seen: list[Seen] = [sure] if sure else []
    if not told and not seen:
        data, frame = to_frame(labels.data, labels.affine, "R")
        turned = LabelMap(data, frame.to_world, labels.structures)
        radii = {}
        for name in bones:
            mesh = mesh_bone(turned.mask(name), np.array(frame.spacing), ANATOMY[name], _COARSE_MM)
            grid = grid_of(ANATOMY[name], _COARSE_PIXELS, _COARSE_PIXELS)
            laid = lay_on_sphere(mesh.surface, grid)
            radii[name] = laid.radius.reshape(_COARSE_PIXELS, _COARSE_PIXELS)
        shape = seen_in_shapes(radii)
        seen += [shape] if shape else []
    return decide(told, seen)


def measure_knee(
    labels: LabelMap,
    told: Mapping[str, str],
    settings: KneeSettings | None = None,
    echoes: Echoes | None = None,
    device: str = "cpu",
) -> Knee:
    """Measure all bones of a knee.

    Parameters
    ----------
    labels
        Its label map, with all bones of the settings.
    told
        What tables and names say of its side.
    echoes
        For T2; none without.
    device
        Of torch, for T2.

    Raises
    ------
    BadData
        The side is not known; a bone has no closed surface; the echoes lie elsewhere.
    """
    chosen = settings or KneeSettings()
    side, words = side_of(labels, told, chosen.bones)
    data, frame = to_frame(labels.data, labels.affine, side)
    turned = LabelMap(data, frame.to_world, labels.structures)
    spacing = np.array(frame.spacing)
    printed = (True, 1.0) if chosen.printed else (False, None)
    bones = {}
    for name in chosen.bones:
        bone = ANATOMY[name]
        cartilage = turned.mask(*bone.cartilages)
        grid = grid_of(bone, chosen.rows, chosen.columns)
        maps = measure_bone(bone, turned.mask(name), cartilage, spacing, grid, *printed)
        if echoes is not None:
            maps = with_t2(maps, relaxation(cartilage, frame, echoes, chosen, device))
        bones[name] = maps
    return Knee(side, words, frame, bones)


def relaxation(
    cartilage: np.ndarray, frame: Frame, echoes: Echoes, settings: KneeSettings, device: str
) -> Relaxation:
    """Fit T2 to the voxels of a bone's cartilage.

    Echoes are read at the voxels' places in the scanner; a voxel counts where its T2 is within
    the bounds and the curve explains half of its signal's variance.

    Raises
    ------
    BadData
        No voxel lies within the echoes' slices.
    """
    points = np.argwhere(cartilage) * np.array(frame.spacing)
    signals = sample_echoes(echoes, frame.world(points))
    if not np.isfinite(signals).all(1).any():
        raise BadData(
            "The echoes lie beside the label map by their headers: no voxel of cartilage is "
            "within their slices. Are they of the same knee and visit?"
        )
    fit = fit_t2(
        signals,
        echoes.times,
        parameters=settings.t2_parameters,
        skip_first=settings.skip_first_echo,
        bounds_ms=settings.t2_bounds_ms,
        device=device,
    )
    sound = ~fit.at_bound & (fit.goodness >= _LEAST_GOODNESS)
    return Relaxation(points, np.where(sound, fit.t2, np.nan), fit.goodness)
