"""A whole knee: its side, its frame, its bones one after the other, T2 where there are echoes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bidsapp.errors import BadData
from bidsapp.modalities.knee.alignment import Placement, place_echoes
from bidsapp.modalities.knee.anatomy import ANATOMY
from bidsapp.modalities.knee.bone_maps import BoneMaps, Relaxation, measure_bone, with_t2
from bidsapp.modalities.knee.echoes import Echoes, sample_echoes
from bidsapp.modalities.knee.frame import Frame, Side, to_frame
from bidsapp.modalities.knee.label_map import LabelMap
from bidsapp.modalities.knee.meshing import mesh_bone
from bidsapp.modalities.knee.side import Seen, decide, seen_in_labels, seen_in_shapes
from bidsapp.modalities.knee.sphere_map import lay_on_sphere
from bidsapp.modalities.knee.sphere_rays import grid_of
from bidsapp.modalities.knee.t2 import BOUNDS_MS, fit_t2
from bidsapp.modalities.knee.t2_map import T2Map, sample_t2

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
    align_echoes
        Whether echoes are brought onto the image; else they lie as their headers say.
    """

    bones: tuple[str, ...] = ("femur", "tibia", "patella")
    rows: int = 224
    columns: int = 224
    printed: bool = False
    t2_parameters: int = 3
    skip_first_echo: bool = False
    t2_bounds_ms: tuple[float, float] = BOUNDS_MS
    align_echoes: bool = True


@dataclass(frozen=True)
class Knee:
    """A knee, measured.

    Attributes
    ----------
    side, side_words, side_doubt
        How it is known, and what speaks against it; empty where nothing does.
    frame
        Where it lies in the scanner.
    bones
        By their names.
    echoes_at
        How the echoes lie; None without T2.
    """

    side: Side
    side_words: str
    frame: Frame
    bones: Mapping[str, BoneMaps]
    echoes_at: Placement | None = None
    side_doubt: str = ""


def side_of(
    labels: LabelMap, told: Mapping[str, str], bones: Sequence[str]
) -> tuple[Side, str, str]:
    """Settle a knee's side; its bones' shapes are looked at where no label tells.

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
    if not seen:
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
    image: tuple[np.ndarray, np.ndarray] | None = None,
    t2_map: T2Map | None = None,
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
    image
        What was segmented, and its 4 × 4, for the echoes' place; they lie as their headers say
        without.
    t2_map
        T2 where there are no echoes; it lies as its header says.

    Raises
    ------
    BadData
        The side is not known; a bone has no closed surface; the echoes lie elsewhere.
    """
    chosen = settings or KneeSettings()
    side, words, doubt = side_of(labels, told, chosen.bones)
    data, frame = to_frame(labels.data, labels.affine, side)
    turned = LabelMap(data, frame.to_world, labels.structures)
    spacing = np.array(frame.spacing)
    printed = (True, 1.0) if chosen.printed else (False, None)
    cartilages = {name: turned.mask(*ANATOMY[name].cartilages) for name in chosen.bones}
    bones = {}
    for name, cartilage in cartilages.items():
        bone = ANATOMY[name]
        grid = grid_of(bone, chosen.rows, chosen.columns)
        bones[name] = measure_bone(bone, turned.mask(name), cartilage, spacing, grid, *printed)
    points = {name: np.argwhere(cartilage) * spacing for name, cartilage in cartilages.items()}
    if echoes is None:
        if t2_map is not None:
            read = read_relaxations(points, frame, t2_map)
            bones = {name: with_t2(maps, read[name]) for name, maps in bones.items()}
        return Knee(side, words, frame, bones, side_doubt=doubt)
    at = Placement(np.eye(4))
    if image is not None and chosen.align_echoes and not chosen.printed:
        at = place_echoes(echoes, *image, frame.world(np.concatenate(list(points.values()))))
    found = relaxations(points, frame, echoes, at, chosen, device)
    bones = {name: with_t2(maps, found[name]) for name, maps in bones.items()}
    return Knee(side, words, frame, bones, at, doubt)


def read_relaxations(
    points: Mapping[str, np.ndarray], frame: Frame, t2_map: T2Map
) -> dict[str, Relaxation]:
    """Read T2 at the voxels of each bone's cartilage from a map.

    Raises
    ------
    BadData
        See `t2_map.sample_t2`, of all bones together.
    """
    world = frame.world(np.concatenate(list(points.values())))
    ends = np.cumsum([len(own) for own in points.values()])[:-1]
    t2 = np.split(sample_t2(t2_map, world), ends)
    return {
        name: Relaxation(own, t2[place], np.full(len(own), np.nan))
        for place, (name, own) in enumerate(points.items())
    }


def relaxations(
    points: Mapping[str, np.ndarray],
    frame: Frame,
    echoes: Echoes,
    at: Placement,
    settings: KneeSettings,
    device: str,
) -> dict[str, Relaxation]:
    """Fit T2 to the voxels of each bone's cartilage, of all bones at once.

    Echoes are read at the voxels' places in the scanner; a voxel counts where its T2 is within
    the bounds and the curve explains half of its signal's variance.

    Parameters
    ----------
    points
        (k, 3) mm in the knee's frame, of each bone.

    Raises
    ------
    BadData
        No voxel of a bone lies within the echoes' slices.
    """
    world = frame.world(np.concatenate(list(points.values())))
    signals = sample_echoes(echoes, world @ at.motion[:3, :3].T + at.motion[:3, 3])
    ends = np.cumsum([len(own) for own in points.values()])[:-1]
    for own in np.split(np.isfinite(signals).all(1), ends):
        if not own.any():
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
    t2, goodness = (np.split(one, ends) for one in (np.where(sound, fit.t2, np.nan), fit.goodness))
    return {
        name: Relaxation(own, t2[place], goodness[place])
        for place, (name, own) in enumerate(points.items())
    }
