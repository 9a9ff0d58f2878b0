"""Regional averages of the images, weighted by what a network looks at, as predictors.

Whose maps give the weights decides whether such a number may be used as a predictor. The map that
a cohort leads with is chosen by everybody's outcomes, so weighting by it would carry the outcome
of the people who are tested into their own predictors. Here the weights of a fold are the mean map
of the people whom it held out, taken without looking at their outcomes. The fold's network has
seen the outcomes of its training people alone, so for that fold the weights are fitted in
train_fold scope: a model that learns from the training people and is tested on the held-out ones
may use the rows of that fold in `biomarkers_folds.tsv`. `biomarkers.tsv` has one row a scan, by the
weights of the fold that held it out. It serves another cohort, a description or a test of groups;
as predictors in a cross-validation of the same people it would leak, because the rows of training
people come from networks that have seen the outcomes of the people who are tested. Even within a
fold the rows of training people are in-sample, so a model fitted to them expects too much; that
costs accuracy and does not flatter the test.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bidsapp.contracts.unit import PART, PARTICIPANT, SESSION, Unit, unit_columns, units_in
from bidsapp.representation.cohort_array import CohortArray
from bidsapp.saliency.atlas import Atlas
from bidsapp.saliency.people import Fold, PeopleMaps
from bidsapp.saliency.regions import labels_inside, region_sums

LEAKAGE_NOTE = (
    "biomarkers.tsv takes a scan's weights from the fold that held it out, biomarkers_folds.tsv "
    "has every scan by the weights of every fold. As predictors in a cross-validation of the same "
    "people, only the rows of one fold are free of the outcomes of those whom that fold tests"
)

CHOSEN_FOLD_NOTE = (
    "biomarkers.tsv has the scans that the chosen fold held out, biomarkers_folds.tsv every scan, "
    "both by the weights of that fold alone. LEAK: it was chosen by the outcomes of those whom it "
    "tests, so neither may serve as predictors of them"
)


def weighted_averages(
    images: np.ndarray, weights: np.ndarray, labels: np.ndarray, numbers: np.ndarray
) -> np.ndarray:
    """Average images over regions, weighted by a signed map.

    ``sum(w·image) / sum(|w|)`` over the region's voxels: in the image's unit, above 0 where what
    speaks for a positive is bright; NaN for a region without voxels or without weight. Where
    voxels are of several sizes, the weights are the map times these.

    Parameters
    ----------
    images
        (n, voxels).
    weights
        (voxels,) signed.
    labels
        (voxels,) label of each voxel.
    numbers
        (regions,) labels that are wanted.

    Returns
    -------
    numpy.ndarray
        (n, regions) float64.
    """
    sums = np.concatenate([region_sums(labels, numbers, image[None], weights) for image in images])
    size = region_sums(labels, numbers, np.ones((1, len(weights))), np.abs(weights))[0]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(size > 0, sums / size, np.nan)


def biomarker_tables(
    people: PeopleMaps, rows: pd.DataFrame, images: CohortArray, atlases: Sequence[Atlas]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compute the regional averages of every scan.

    Parameters
    ----------
    people
        Maps; the weights of a fold are its mean over all whom it held out, summed over channels
        (every channel of the images is weighted by that one map).
    rows
        Of the stack: which fold held which scan out.
    images
        The cohort's images on the window of the maps.
    atlases
        A column per region; with several atlases the names say which.

    Returns
    -------
    biomarkers
        The columns of the unit and a column per region (and channel, where there are several);
        the mean over the repeats of the fold that held the scan out.
    by_fold
        repeat, fold, role (``test`` for whom the fold held out), the columns of the unit and the
        same, for every scan and fold.
    """
    columns, plan = _columns(people, atlases, images.channels)
    data = images.open()
    held: dict[Fold, set[Unit]] = {}
    for unit, repeat, fold in zip(units_in(rows), rows["repeat"], rows["fold"], strict=True):
        held.setdefault((int(repeat), int(fold)), set()).add(unit)
    folds = list(people.fold_people)
    sizes = people.weights()
    weights = [people.fold_people[fold] * sizes for fold in folds]
    values = np.full((len(folds), len(images.participants), len(columns)), np.nan)
    for scan in range(len(images.participants)):
        for channel in range(len(images.channels)):
            image = np.asarray(data[scan, channel][people.inside], np.float64)[None]
            for place, weight in enumerate(weights):
                for labels, numbers, start in plan:
                    first = start + channel * len(numbers)
                    values[place, scan, first : first + len(numbers)] = weighted_averages(
                        image, weight, labels, numbers
                    )[0]
    whose = {PARTICIPANT: images.participants, SESSION: images.sessions}
    scans = pd.DataFrame(whose | ({PART: images.parts} if images.parts else {}), dtype=str)
    keys, lead = units_in(scans), unit_columns(scans)
    tables = []
    for place, fold in enumerate(folds):
        role = ["test" if key in held[fold] else "train" for key in keys]
        ids = scans.assign(repeat=fold[0], fold=fold[1], role=role)
        numbers_table = pd.DataFrame(values[place], columns=columns)
        tables.append(pd.concat([ids, numbers_table], axis=1))
    by_fold = pd.concat(tables, ignore_index=True)
    by_fold = by_fold[["repeat", "fold", "role", *lead, *columns]]
    own = by_fold[by_fold["role"] == "test"]
    mean = own.groupby(lead, sort=True)[columns].mean().reset_index()
    return mean, by_fold


def _columns(
    people: PeopleMaps, atlases: Sequence[Atlas], channels: Sequence[str]
) -> tuple[list[str], list[tuple[np.ndarray, np.ndarray, int]]]:
    """Column names, and per atlas the labels, the regions and the first column."""
    columns: list[str] = []
    plan = []
    for atlas in atlases:
        labels = labels_inside(atlas, people)
        present = atlas.regions[atlas.regions["index"].isin(np.unique(labels))]
        plan.append((labels, present["index"].to_numpy(int), len(columns)))
        for channel in channels:
            head = f"{atlas.name}." if len(atlases) > 1 else ""
            tail = f".{channel}" if len(channels) > 1 else ""
            columns += [f"{head}{name}{tail}" for name in present["name"]]
    return columns, plan
