"""Tables beside the group maps: regions, the voxelwise test with its peaks, biomarkers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bidsapp.dataset.tables import write_table
from bidsapp.saliency.atlas import Atlas
from bidsapp.saliency.atlas_choice import choose_atlases
from bidsapp.saliency.biomarkers import CHOSEN_FOLD_NOTE, LEAKAGE_NOTE, biomarker_tables
from bidsapp.saliency.group_files import GroupFolder
from bidsapp.saliency.group_test import GroupTest
from bidsapp.saliency.leaks import stamped
from bidsapp.saliency.peaks import peak_table
from bidsapp.saliency.people import PeopleMaps
from bidsapp.saliency.regions import region_table

if TYPE_CHECKING:
    from bidsapp.representation.cohort_array import CohortArray

CONTRAST = "positives - negatives"
_ALPHA = 0.05


def atlases_for(
    people: PeopleMaps, space: str, names: Sequence[str]
) -> tuple[list[Atlas], list[str]]:
    """Give the embedded atlases that hold in the space and those that were named, with notes."""
    return choose_atlases(names, people.window, space)


def write_regions(
    people: PeopleMaps, cell: str, atlases: Sequence[Atlas], files: GroupFolder, seed: int
) -> dict[str, str]:
    """Write `regions.tsv`."""
    rng = np.random.default_rng([seed, 2])
    table = region_table(people, cell, atlases, rng=rng)
    _write(files, "regions.tsv", table)
    return {"regions": "regions.tsv"}


def write_test(
    people: PeopleMaps, test: GroupTest | None, files: GroupFolder
) -> tuple[dict[str, str], dict[str, Any] | None]:
    """Write the maps of the voxelwise test; gives their names and what the summary says of it."""
    if test is None:
        return {}, None
    result, entities = test.result, {"contrast": "positivesVsNegatives"}
    about = {
        "Of": CONTRAST,
        "Covariates": list(test.covariates),
        "DegreesOfFreedom": result.df,
        "N": {"positives": test.positives, "negatives": test.negatives},
        "Permutations": test.permutations,
        "WithinFolds": test.within_folds,
        "Notes": list(test.notes),
    }
    corrected = "corrected over voxels by the largest of each permutation (Freedman-Lane)"
    layers = {
        "t": ("t", result.t, "1", f"t of {CONTRAST} at every voxel."),
        "log10p_fwe": (
            "logpfwe",
            -np.log10(result.p_fwe),
            "-log10(p)",
            f"Two-sided p of t, {corrected}.",
        ),
    }
    if result.tfce is not None and result.p_tfce is not None:
        layers["log10p_tfce"] = (
            "logptfce",
            -np.log10(result.p_tfce),
            "-log10(p)",
            f"Two-sided p of threshold-free cluster enhancement, {corrected}.",
        )
    maps = {
        name: files.write(
            entities | {"stat": stat},
            people.volume(values),
            {"Description": words, "Units": units, **about},
        )
        for name, (stat, values, units, words) in layers.items()
    }
    found = {
        "contrast": CONTRAST,
        "positives": test.positives,
        "negatives": test.negatives,
        "covariates": list(test.covariates),
        "within_folds": test.within_folds,
        "permutations": test.permutations,
        "df": result.df,
        "smallest_p_fwe": float(result.p_fwe.min()),
        "voxels_below_05_fwe": int((result.p_fwe <= _ALPHA).sum()),
    }
    if result.p_tfce is not None:
        found["smallest_p_tfce"] = float(result.p_tfce.min())
        found["voxels_below_05_tfce"] = int((result.p_tfce <= _ALPHA).sum())
    return maps, found


def write_peaks(
    people: PeopleMaps,
    cell: str,
    test: GroupTest | None,
    atlases: Sequence[Atlas],
    files: GroupFolder,
) -> dict[str, str]:
    """Write `peaks.tsv`: peaks of the leading mean map and of the test."""
    mean = people.mean(cell)
    tables = [peak_table(people, cell, mean, atlases)]
    if test is not None:
        result = test.result
        beside = {"p_fwe": result.p_fwe}
        if result.p_tfce is not None:
            beside["p_tfce"] = result.p_tfce
        tables.append(peak_table(people, CONTRAST, result.t, atlases, beside=beside))
    _write(files, "peaks.tsv", pd.concat(tables, ignore_index=True))
    return {"peaks": "peaks.tsv"}


def write_biomarkers(
    people: PeopleMaps,
    rows: pd.DataFrame,
    images: "CohortArray",
    atlases: Sequence[Atlas],
    files: GroupFolder,
    chosen: bool = False,
) -> tuple[dict[str, str], list[str]]:
    """Write `biomarkers.tsv` and `biomarkers_folds.tsv`; `chosen` where one fold alone is used."""
    if not any((people.window.cut(atlas.labels) > 0).any() for atlas in atlases):
        return {}, ["no biomarkers: no atlas has a region in the window"]
    table, by_fold = biomarker_tables(people, rows, images, atlases)
    names = {"biomarkers": "biomarkers.tsv", "biomarkers_by_fold": "biomarkers_folds.tsv"}
    for name, frame in zip(names.values(), (table, by_fold), strict=True):
        _write(files, name, frame)
    return names, [CHOSEN_FOLD_NOTE if chosen else LEAKAGE_NOTE]


def _write(files: GroupFolder, name: str, table: pd.DataFrame) -> None:
    """Write a table with six digits, n/a where a value is missing, and the stamp of leaks."""
    rounded = table.copy()
    for column in [name for name in rounded if rounded[name].dtype.kind == "f"]:
        rounded[column] = [
            float(f"{value:.6g}") if np.isfinite(value) else None for value in rounded[column]
        ]
    write_table(files.folder / name, stamped(rounded.replace({"": None}), files.stamp))
