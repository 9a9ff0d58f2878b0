"""From a stack to people: masked, smoothed maps, averaged over repeats, in the confusion matrix."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bidsapp.contracts.space import Space, relative_sizes
from bidsapp.contracts.unit import unit_columns, units_in
from bidsapp.errors import BadData
from bidsapp.evaluation.sample import pool
from bidsapp.saliency.stack import MapStack

Fold = tuple[int, int]

CELLS: Mapping[str, str] = {
    "true_positives": "positive, and predicted so",
    "false_negatives": "positive, but predicted negative",
    "false_positives": "negative, but predicted positive",
    "true_negatives": "negative, and predicted so",
    "positives": "positive by outcome",
    "negatives": "negative by outcome",
    "all": "everybody",
}
# Where nobody is in the cell that was asked for, the next of these that has people leads.
_INSTEAD = ("positives", "all")


@dataclass(frozen=True)
class PeopleMaps:
    """Maps of held-out scans inside a mask, one row a scan however often it was held out.

    Attributes
    ----------
    scans
        Columns of the unit, outcome, probability (mean over repeats), fold (of the first
        repeat), cell (one of the four of the confusion matrix).
    values
        (scans, voxels) float32: smoothed maps, averaged over the repeats.
    cell
        The cell of `CELLS` whose map leads.
    folds
        Repeat and fold to the mean (voxels,) of the maps of `cell` that it held out; a fold
        without such people is not there.
    fold_people
        Every repeat and fold to its mean over all whom it held out, whatever their outcome.
    inside
        Bool of the space's shape: where the voxels (or other cells) are.
    space
        Where they lie.
    repeats
        How many repeats there are.
    notes
        What was left out and why.
    """

    scans: pd.DataFrame
    values: np.ndarray
    cell: str
    folds: Mapping[Fold, np.ndarray]
    fold_people: Mapping[Fold, np.ndarray]
    inside: np.ndarray
    space: Space
    repeats: int
    notes: tuple[str, ...]

    def rows_of(self, cell: str) -> np.ndarray:
        """Tell which scans belong to a cell of `CELLS`, (scans,) bool."""
        return in_cell(self.scans, cell)

    def of(self, cell: str) -> tuple[list[str], np.ndarray]:
        """Give labels and maps, (people, voxels) float32, of a cell; each person counts once."""
        chosen = np.flatnonzero(self.rows_of(cell))
        people = self.scans["participant_id"].to_numpy()[chosen]
        labels, code = np.unique(people.astype(str), return_inverse=True)
        if len(labels) == len(chosen):
            return list(labels), self.values[chosen[np.argsort(code)]]
        mean = np.zeros((len(labels), self.values.shape[1]), np.float32)
        counts = np.bincount(code, minlength=len(labels))
        for row, person in zip(chosen, code, strict=True):
            mean[person] += self.values[row] / counts[person]
        return list(labels), mean

    def count(self, cell: str) -> int:
        """Count the people of a cell."""
        return int(self.scans.loc[self.rows_of(cell), "participant_id"].nunique())

    def mean(self, cell: str) -> np.ndarray:
        """Average the maps of the people of a cell, (voxels,) float64, without a copy of them."""
        weights = _person_weights(self.scans, cell)
        total = np.zeros(self.values.shape[1])
        for weight, values in zip(weights, self.values, strict=True):
            if weight:
                total += weight * values
        return total

    def block(self, values: np.ndarray) -> np.ndarray:
        """Lay (voxels,) values into the space, 0 elsewhere; float32 of its shape."""
        block = np.zeros(self.space.shape, np.float32)
        block[self.inside] = values
        return block

    def points(self) -> np.ndarray:
        """(voxels, 3) centres of the voxels in millimetres (RAS)."""
        return self.space.points(self.inside)

    def weights(self) -> np.ndarray:
        """(voxels,) how much each counts in a mean over voxels; 1 where all are of one size."""
        return relative_sizes(self.space, self.inside)


def in_cell(scans: pd.DataFrame, cell: str) -> np.ndarray:
    """Tell which rows (with `outcome` and `cell`) belong to a cell of `CELLS`, (rows,) bool."""
    if cell == "all":
        return np.ones(len(scans), bool)
    if cell in ("positives", "negatives"):
        return scans["outcome"].to_numpy(int) == int(cell == "positives")
    return scans["cell"].to_numpy() == cell


def confusion_cells(outcome: np.ndarray, probability: np.ndarray, threshold: float) -> np.ndarray:
    """Name the cell of the confusion matrix of each scan; positive from the threshold on."""
    truth, called = np.asarray(outcome) == 1, np.asarray(probability) >= threshold
    names = np.array([["true_negatives", "false_positives"], ["false_negatives", "true_positives"]])
    return names[truth.astype(int), called.astype(int)]


def people_maps(
    stack: MapStack,
    inside: np.ndarray,
    *,
    fwhm_mm: float,
    threshold: float = 0.5,
    cell: str = "true_positives",
    only_fold: Fold | None = None,
    source: str = "maps.npy",
) -> PeopleMaps:
    """Read a stack once and make of it a smoothed map per scan and a mean map per fold.

    Channels are summed, each map is smoothed, and the maps of a scan that several repeats held out
    are averaged. Maps come in the form that the recipe asks for (signed, or absolute and scaled).

    Parameters
    ----------
    stack
        Held-out maps, signed.
    inside
        Bool of the space's shape, as `bidsapp.saliency.masks.group_mask` gives it.
    fwhm_mm
        Smoothing in mm, inside the mask.
    threshold
        Probability from which a scan counts as predicted positive.
    cell
        Cell of `CELLS` whose people enter the mean maps of the folds. Where nobody is in it, that
        of all positives, or else of all, is taken instead.
    only_fold
        Repeat and fold to which everything is limited.
    source
        What the stack is called in messages.

    Raises
    ------
    BadData
        If no map is left.
    """
    rows = stack.rows.reset_index(drop=True)
    use, notes = _usable(stack, rows, inside, only_fold)
    if not use.any():
        raise BadData(
            f"{source}: none of the {len(rows)} maps can be used"
            + (f" ({'; '.join(notes)})" if notes else "")
            + "; there is no group map"
        )
    places = np.flatnonzero(use)
    rows = rows.loc[places].reset_index(drop=True)
    scans = pool(rows, threshold)
    scans["cell"] = confusion_cells(
        scans["outcome"].to_numpy(), scans["probability"].to_numpy(), threshold
    )
    if not in_cell(scans, cell).any():
        instead = next(name for name in _INSTEAD if in_cell(scans, name).any())
        notes.append(f"nobody is in {cell} ({CELLS[cell]}); the map of {instead} leads instead")
        cell = instead
    keys = {key: number for number, key in enumerate(units_in(scans))}
    scan_of = np.array([keys[key] for key in units_in(rows)])
    counts = np.bincount(scan_of)
    smooth = stack.space.smoother(inside, fwhm_mm)
    values = np.zeros((len(scans), int(inside.sum())), np.float32)
    chosen = _FoldMeans(rows, in_cell(scans, cell)[scan_of])
    everyone = _FoldMeans(rows, np.ones(len(rows), bool))
    names = list(zip(rows["repeat"].astype(int), rows["fold"].astype(int), strict=True))
    for row, (place, scan, fold) in enumerate(zip(places, scan_of, names, strict=True)):
        one = smooth(np.asarray(stack.values[place][:, inside], np.float32).sum(axis=0))
        values[scan] += one / counts[scan]
        chosen.add(row, fold, one)
        everyone.add(row, fold, one)
    return PeopleMaps(
        scans,
        values,
        cell,
        chosen.means(),
        everyone.means(),
        inside,
        stack.space,
        int(rows["repeat"].nunique()),
        tuple(notes),
    )


def channel_means(people: PeopleMaps, stack: MapStack, cell: str, fwhm_mm: float) -> np.ndarray:
    """Mean map of each channel over the people of a cell, (channels, voxels) float32, smoothed."""
    rows = stack.rows.reset_index(drop=True)
    weight = dict(zip(units_in(people.scans), _person_weights(people.scans, cell), strict=True))
    known = [key in weight for key in units_in(rows)]
    kept = rows[known]
    per_scan = kept.groupby(unit_columns(kept), dropna=False)["fold"].transform("size").to_numpy()
    smooth = people.space.smoother(people.inside, fwhm_mm)
    total = np.zeros((len(stack.channels), int(people.inside.sum())))
    for place, key, repeats in zip(kept.index, units_in(kept), per_scan, strict=True):
        if weight[key] and np.isfinite(stack.values[place][:, people.inside]).all():
            total += weight[key] / repeats * stack.values[place][:, people.inside]
    return np.stack([smooth(channel) for channel in total])


def _person_weights(scans: pd.DataFrame, cell: str) -> np.ndarray:
    """Weight of each scan so that each person of the cell counts once; they add up to 1."""
    chosen = in_cell(scans, cell)
    people = scans["participant_id"].where(chosen)
    own = people.groupby(people).transform("size").to_numpy(float)
    return np.where(chosen, 1 / np.where(chosen, own, 1) / max(people.nunique(), 1), 0)


class _FoldMeans:
    """Running means of maps by fold over the people of chosen rows, each of whom counts once."""

    def __init__(self, rows: pd.DataFrame, chosen: np.ndarray) -> None:
        own = rows[chosen]
        scans = own.groupby(["repeat", "fold", "participant_id"])["outcome"].transform("size")
        people = own.groupby(["repeat", "fold"])["participant_id"].transform("nunique")
        self._weights = (1 / (scans * people)).reindex(rows.index, fill_value=0.0).to_numpy(float)
        self._means: dict[Fold, np.ndarray] = {}

    def add(self, row: int, fold: Fold, one: np.ndarray) -> None:
        if self._weights[row]:
            mean = self._means.setdefault(fold, np.zeros(len(one)))
            mean += self._weights[row] * one

    def means(self) -> dict[Fold, np.ndarray]:
        return dict(sorted(self._means.items()))


def _usable(
    stack: MapStack, rows: pd.DataFrame, inside: np.ndarray, only_fold: Fold | None
) -> tuple[np.ndarray, list[str]]:
    use = np.ones(len(rows), bool)
    if only_fold is not None:
        use &= ((rows["repeat"] == only_fold[0]) & (rows["fold"] == only_fold[1])).to_numpy()
    broken = [
        place
        for place in np.flatnonzero(use)
        if not np.isfinite(stack.values[place][:, inside]).all()
    ]
    if not broken:
        return use, []
    use[broken] = False
    names = ", ".join(dict.fromkeys(rows["participant_id"].iloc[broken[:5]]))
    more = " and others" if len(broken) > 5 else ""
    return use, [f"{len(broken)} maps hold NaN or infinite values and are left out: {names}{more}"]
