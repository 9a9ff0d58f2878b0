"""Tables beside the group maps: regions, the voxelwise comparison and peaks, biomarkers."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bidsapp.dataset.tables import write_table
from bidsapp.evaluation.stamp import stamped
from bidsapp.saliency.atlas import Atlas, parts_as_atlas
from bidsapp.saliency.biomarkers import CHOSEN_FOLD_NOTE, LEAKAGE_NOTE, biomarker_tables
from bidsapp.saliency.group_test import HOLD_OUT, WHOLE_PIPELINE, GroupTest
from bidsapp.saliency.map_files import GroupFolder
from bidsapp.saliency.peaks import peak_table
from bidsapp.saliency.people import PeopleMaps
from bidsapp.saliency.regions import region_table
from bidsapp.saliency.requirements import choose_atlases

if TYPE_CHECKING:
    from bidsapp.representation.cohort_array import CohortArray

CONTRAST = "positives - negatives"
_ALPHA = 0.05
_P_FROM = {
    "": "none: descriptive",
    HOLD_OUT: "maps permuted (Freedman-Lane) with the network fixed, as it has seen nobody of them",
    WHOLE_PIPELINE: "maps of networks trained anew on permuted outcomes",
}


def atlases_for(
    people: PeopleMaps, space: str, names: Sequence[str], regions: Mapping[str, np.ndarray]
) -> tuple[list[Atlas], list[str]]:
    """Give the modality's own regions, the app's atlases and those named, with notes."""
    atlases, notes = choose_atlases(names, people.space, space)
    return [*parts_as_atlas(regions), *atlases], notes


def write_regions(
    people: PeopleMaps, cell: str, atlases: Sequence[Atlas], files: GroupFolder, seed: int
) -> dict[str, str]:
    """Write `regions.tsv`."""
    rng = np.random.default_rng([seed, 2])
    table = region_table(people, cell, atlases, rng=rng)
    write_rounded(files, "regions.tsv", table)
    return {"regions": "regions.tsv"}


def write_test(
    people: PeopleMaps, test: GroupTest | None, files: GroupFolder
) -> tuple[dict[str, str], dict[str, Any] | None]:
    """Write the maps of the comparison; gives their names and what the summary says of it."""
    if test is None:
        return {}, None
    entities = {"contrast": "positivesVsNegatives"}
    about = {
        "Of": CONTRAST,
        "Covariates": list(test.covariates),
        "DegreesOfFreedom": test.df,
        "N": {"positives": test.positives, "negatives": test.negatives},
        "WithinFolds": test.within_folds,
        "Permutations": test.permutations,
        "PFrom": _P_FROM[test.p_from],
        "Notes": list(test.notes),
    }
    corrected = f"corrected over {people.space.cell}s by the largest of each permutation"
    layers = {"t": ("t", test.t, "1", f"t of {CONTRAST} at every {people.space.cell}.")}
    if test.p_fwe is not None:
        words = f"Two-sided p of t, {corrected}."
        layers["log10p_fwe"] = ("logpfwe", -np.log10(test.p_fwe), "-log10(p)", words)
    if test.p_tfce is not None:
        words = f"Two-sided p of threshold-free cluster enhancement, {corrected}."
        layers["log10p_tfce"] = ("logptfce", -np.log10(test.p_tfce), "-log10(p)", words)
    if test.q is not None:
        words = "Rate of false discoveries (Benjamini and Hochberg) of t, by its distribution."
        layers["log10q_fdr"] = ("logqfdr", -np.log10(np.maximum(test.q, 1e-30)), "-log10(q)", words)
    maps = {
        name: files.write(
            entities | {"stat": stat},
            people.block(values),
            {"Description": words, "Units": units, **about},
        )
        for name, (stat, values, units, words) in layers.items()
    }
    found: dict[str, Any] = {
        "contrast": CONTRAST,
        "positives": test.positives,
        "negatives": test.negatives,
        "covariates": list(test.covariates),
        "within_folds": test.within_folds,
        "df": test.df,
        "p_from": test.p_from,
    }
    if test.p_fwe is not None:
        found["permutations"] = test.permutations
        found["smallest_p_fwe"] = float(test.p_fwe.min())
        found["voxels_below_05_fwe"] = int((test.p_fwe <= _ALPHA).sum())
    if test.q is not None:
        found["voxels_below_05_fdr"] = int((test.q <= _ALPHA).sum())
    if test.p_tfce is not None:
        found["smallest_p_tfce"] = float(test.p_tfce.min())
        found["voxels_below_05_tfce"] = int((test.p_tfce <= _ALPHA).sum())
    return maps, found


def write_peaks(
    people: PeopleMaps,
    cell: str,
    test: GroupTest | None,
    atlases: Sequence[Atlas],
    files: GroupFolder,
) -> dict[str, str]:
    """Write `peaks.tsv`: peaks of the leading mean map and of the comparison."""
    mean = people.mean(cell)
    tables = [peak_table(people, cell, mean, atlases)]
    if test is not None:
        p = {"p_fwe": test.p_fwe, "p_tfce": test.p_tfce}
        beside = {name: values for name, values in p.items() if values is not None}
        tables.append(peak_table(people, CONTRAST, test.t, atlases, beside=beside))
    write_rounded(files, "peaks.tsv", pd.concat(tables, ignore_index=True))
    return {"peaks": "peaks.tsv"}


OF_SERIES = (
    "no biomarkers: the images are series, and the average of a region in one volume of it is no "
    "measure of a person"
)


def write_biomarkers(
    people: PeopleMaps,
    rows: pd.DataFrame,
    images: "CohortArray",
    atlases: Sequence[Atlas],
    files: GroupFolder,
    chosen: bool = False,
) -> tuple[dict[str, str], list[str]]:
    """Write `biomarkers.tsv` and `biomarkers_folds.tsv`; `chosen` where one fold alone is used."""
    if not atlases:
        return {}, []
    if images.volumes:
        return {}, [OF_SERIES]
    if not any((people.space.cut(atlas.labels) > 0).any() for atlas in atlases):
        return {}, ["no biomarkers: no atlas has a region in the window"]
    table, by_fold = biomarker_tables(people, rows, images, atlases)
    names = {"biomarkers": "biomarkers.tsv", "biomarkers_by_fold": "biomarkers_folds.tsv"}
    for name, frame in zip(names.values(), (table, by_fold), strict=True):
        write_rounded(files, name, frame)
    return names, [CHOSEN_FOLD_NOTE if chosen else LEAKAGE_NOTE]


def write_rounded(files: GroupFolder, name: str, table: pd.DataFrame) -> None:
    """Write a table with six digits, n/a where a value is missing, and the stamp of leaks."""
    rounded = table.copy()
    for column in [name for name in rounded if rounded[name].dtype.kind == "f"]:
        rounded[column] = [
            float(f"{value:.6g}") if np.isfinite(value) else None for value in rounded[column]
        ]
    write_table(files.folder / name, stamped(rounded.replace({"": None}), files.stamp))
