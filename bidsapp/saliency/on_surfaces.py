"""Maps of people on their own surfaces, carried onto one reference, and compared there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bidsapp.contracts.home import Home
from bidsapp.contracts.modality import Modality
from bidsapp.contracts.unit import PARTICIPANT, Unit, unit_columns, units_in
from bidsapp.errors import BadData, NoInput
from bidsapp.saliency.covariates import chosen_columns, nuisance_of
from bidsapp.saliency.stack import MapStack
from bidsapp.spaces.mesh import MeshSpace
from bidsapp.spaces.surface import Mesh

_MOST = 0.95


@dataclass(frozen=True)
class Carried:
    """Maps of everybody on one surface.

    Attributes
    ----------
    stack
        Of the reference's points; 0 where the mask is False.
    mask
        (points,) bool: where nearly everybody has a value.
    reference
        Whose surface it is.
    chosen_by
        How it was chosen, a clause.
    """

    stack: MapStack
    mask: np.ndarray
    reference: Unit
    chosen_by: str


def homes_of(
    modality: Modality[Any], images: Mapping[Unit, Path], channel: str
) -> tuple[dict[Unit, Home], list[str]]:
    """Read the surface of every unit, with a note on those that have none."""
    homes: dict[Unit, Home] = {}
    notes = []
    for unit, image in images.items():
        try:
            home = modality.home(image, channel)
        except (NoInput, BadData) as error:
            notes.append(f"no map on the surface of {unit.label}: {error}")
            continue
        if home is not None:
            homes[unit] = home
    return homes, notes


def carry_maps(
    stack: MapStack,
    modality: Modality[Any],
    homes: Mapping[Unit, Home],
    cohort: pd.DataFrame,
    columns: Sequence[str] | None,
) -> Carried:
    """Carry everybody's maps onto the surface of one of them.

    A map is put back onto the points of the person's own surface, and carried by the modality's
    correspondence. The reference is the unit nearest to the cohort's mean of the covariates, or,
    without any, the one whose surface is nearest to the mean surface.

    Parameters
    ----------
    stack
        Held-out maps in the space that people have in common.
    modality
        Finds the correspondence.
    homes
        Of these units; rows of others are left out.
    cohort, columns
        Table with covariates, and which of them are looked at.

    Raises
    ------
    BadData
        Fewer than two units have a surface.
    """
    units = units_in(stack.rows)
    kept = np.array([unit in homes for unit in units], bool)
    rows = stack.rows[kept].reset_index(drop=True)
    there = list(dict.fromkeys(unit for unit in units if unit in homes))
    if len(there) < 2:
        raise BadData("fewer than two people have a surface that maps can be carried to")
    reference, chosen_by = choose_reference(rows, homes, cohort, columns)
    target = homes[reference]
    carry = {
        unit: modality.carried(target, homes[unit]) if unit != reference else None for unit in there
    }
    mesh = _mesh_of(target)
    values = np.zeros((len(rows), len(stack.channels), len(mesh.vertices)), np.float32)
    known = np.zeros(len(mesh.vertices))
    for number, (place, unit) in enumerate(zip(np.flatnonzero(kept), units_in(rows), strict=True)):
        own = homes[unit].space.put_back(np.asarray(stack.values[place], np.float32), np.nan)
        way = carry[unit]
        values[number] = own if way is None else np.stack([way(channel) for channel in own])
        known += np.isfinite(values[number]).all(0)
    mask = known >= _MOST * len(rows)
    values = np.where(mask, _without_gaps(values, mesh.vertices, mask), 0)
    space = MeshSpace(mesh, target.structure)
    about = stack.about | {"reference": reference.label}
    carried = replace(stack, rows=rows, values=values.astype(np.float32), space=space, about=about)
    return Carried(carried, mask, reference, chosen_by)


def choose_reference(
    rows: pd.DataFrame,
    homes: Mapping[Unit, Home],
    cohort: pd.DataFrame,
    columns: Sequence[str] | None,
) -> tuple[Unit, str]:
    """Choose whose surface everybody's maps are carried to, without looking at outcomes.

    Returns
    -------
    unit, clause
        Whose, and by what.
    """
    first = rows.drop_duplicates(unit_columns(rows)).reset_index(drop=True)
    units = units_in(first)
    chosen, notes = chosen_columns(first, cohort, columns)
    design, names, known = nuisance_of(first[[PARTICIPANT, "outcome"]], cohort, chosen, notes)
    if names and known.any():
        spread = design[known].std(0)
        away = (design - design[known].mean(0)) / np.where(spread > 0, spread, 1)
        square = np.where(known, np.square(away).sum(1), np.inf)
        return units[int(square.argmin())], f"nearest to the mean of {', '.join(names)}"
    radius = np.stack([getattr(homes[unit].space, "distance", np.zeros(1)) for unit in units])
    square = np.square(radius - radius.mean(0)).reshape(len(units), -1).sum(1)
    return units[int(square.argmin())], "nearest to the mean surface"


def _mesh_of(home: Home) -> Mesh:
    mesh = getattr(home.space, "mesh", None)
    if mesh is None:
        raise BadData(f"{home.file}: there is no mesh to carry maps to")
    return mesh


def _without_gaps(values: np.ndarray, points: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Fill what few lack inside the mask from the nearest of their own points."""
    from scipy.spatial import cKDTree

    found = values.copy()
    for one in found:
        known = np.isfinite(one).all(0)
        gaps = mask & ~known
        if gaps.any() and known.any():
            nearest = cKDTree(points[known]).query(points[gaps])[1]
            one[:, gaps] = one[:, known][:, nearest]
    return np.nan_to_num(found)
