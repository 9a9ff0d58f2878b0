"""Group maps of one variant: what the network looks at over held-out people, and its files."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bidsapp.contracts.fitted import FittedStep, leaking, stamp_text
from bidsapp.derivatives import write_json
from bidsapp.evaluation.best_fold import best_fold
from bidsapp.evaluation.held_out import trained_elsewhere
from bidsapp.evaluation.stamp import leak_facts, leak_notes
from bidsapp.recipes.analysis import BEST_FOLD, Saliency
from bidsapp.recipes.folders import without_folders
from bidsapp.saliency.group_tables import (
    atlases_for,
    write_biomarkers,
    write_peaks,
    write_regions,
    write_test,
)
from bidsapp.saliency.group_test import VoxelNull, compare_groups
from bidsapp.saliency.map_files import GroupFolder, description_of, space_facts
from bidsapp.saliency.masks import group_mask
from bidsapp.saliency.mean_maps import (
    cell_maps,
    channel_maps,
    overlap_facts,
    overlap_map,
    spread_maps,
)
from bidsapp.saliency.mean_picture import write_mean_picture
from bidsapp.saliency.people import CELLS, Fold, PeopleMaps, people_maps
from bidsapp.saliency.stack import MapStack
from bidsapp.saliency.told_right import told_right_by_all

if TYPE_CHECKING:
    from bidsapp.representation.cohort_array import CohortArray


Further = Callable[[GroupFolder], tuple[dict[str, str], list[str]]]


def write_group(
    stack: MapStack,
    folder: Path,
    *,
    template_label: str,
    mask: Path,
    settings: Saliency,
    covariates: pd.DataFrame | None = None,
    sanity: Mapping[str, Any] | None = None,
    seed: int = 0,
    images: "CohortArray | None" = None,
    coverage: np.ndarray | None = None,
    leaks: Sequence[FittedStep] = (),
    null: VoxelNull | None = None,
    splits: pd.DataFrame | None = None,
    scores: pd.DataFrame | None = None,
    regions: Mapping[str, np.ndarray] | None = None,
    further: Further | None = None,
    matched: MapStack | None = None,
    said: Sequence[str] = (),
) -> None:
    """Write group maps, statistics and tables of one variant, and `summary.json` last.

    A participant counts once in every map: maps of several repeats and sessions are averaged
    first. Signed maps are averaged, then smoothed inside the brain mask and the window, so nothing
    outside of either is drawn in.

    Parameters
    ----------
    stack
        Maps of held-out scans.
    folder
        ``<out>/group/<label>/saliency/<variant>``.
    template_label
        Value of BIDS' ``space`` for the template.
    mask
        The mask of the values on the grid of the maps: the template's brain.
    settings
        The recipe's ``saliency`` section.
    covariates
        A row per participant with `participant_id` and whatever the test of positives against
        negatives may adjust for (`cohort.tsv` will do); the recipe says which columns it does.
    sanity
        ``verdict`` (pass, fail, not decisive, not run) and ``sentences``; every map that did not
        pass has `verdict.mark_of` it in its name.
    seed
        Of permutations and bootstrap.
    images
        The cohort's images on the same window, for the biomarkers; none are written without.
    coverage
        Bool of the space's shape: voxels that there are maps of, where not all have one.
    leaks
        Steps by which the networks saw the people whom they held out; every sidecar and table is
        stamped.
    null
        Of the voxelwise comparison, from permuted pipelines; see `compare_groups`.
    splits
        Rows of splits.tsv by which these people were held out. Where nobody who was tested was
        trained on elsewhere, the comparison has a p with the networks fixed; without them it has
        none.
    scores
        Held-out scores of all variants of the run, where the settings ask who was told right by
        all of them.
    regions
        Parts of the whole that the modality names, bool each.
    matched
        The maps with channels in one order, where folds number their components differently.
    further
        Writes tables of its own into the folder; gives their names and notes.
    said
        Notes of the one who calls.

    Raises
    ------
    BadData
        No map can be used; the mask lies on another grid or has no voxel in the window.
        An atlas is in another space.
    NoInput
        The mask, or an atlas, is not there.
    UsageError
        The cohort lacks a covariate that the recipe names.
    """
    (folder / "summary.json").unlink(missing_ok=True)
    threshold = float(stack.about.get("threshold", 0.5))
    notes = [*said, *leak_notes(leaks)]
    held_out = stack.about.get("role", "test") == "test"
    if settings.told_right_by == "all_variants" and scores is not None and held_out:
        stack, kept = told_right_by_all(stack, scores, threshold)
        notes += kept
    only_fold = _only_fold(stack, notes) if settings.folds == "best" else None
    chosen = [step for step in settings.declares() if only_fold or step.name != BEST_FOLD]
    steps = leaking([*leaks, *chosen])
    unseen = not leaking(steps, "network")
    people = people_maps(
        stack,
        group_mask(stack.space, mask, coverage),
        fwhm_mm=settings.smoothing_fwhm_mm,
        threshold=threshold,
        cell=settings.of,
        only_fold=only_fold,
        source=str(folder),
    )
    # Before anything is written: a wrong atlas is known now.
    atlases, atlas_notes = atlases_for(people, template_label, settings.atlases, regions or {})
    notes += atlas_notes
    verdict = dict(sanity or {"verdict": "not run", "sentences": []})
    files = GroupFolder(
        folder,
        description_of(str(stack.about["method"]), str(verdict.get("verdict", ""))),
        stack.space,
        _common(stack, people, settings, template_label, verdict, threshold)
        | _aggregation(people, settings, only_fold, held_out)
        | {"HeldOut": held_out and unseen}
        | leak_facts(steps),
        stamp_text(steps),
    )
    units, cell = str(stack.about.get("units", "arbitrary")), people.cell
    maps = cell_maps(people, files, units)
    maps |= spread_maps(people, files, cell, units)
    overlap, overlap_maps = overlap_map(people, files, cell)
    maps |= overlap_maps | channel_maps(people, matched or stack, files, cell, units, settings)
    test, why_not = (
        compare_groups(
            people,
            covariates,
            settings.covariates,
            independent=splits is not None and not trained_elsewhere(splits) and not steps,
            null=None if steps else null,
            permutations=settings.permutations,
            tfce=settings.tfce,
            fdr=settings.fdr,
            seed=seed,
        )
        if held_out
        else (None, [])
    )
    test_maps, tested = write_test(people, test, files)
    maps |= test_maps
    notes += why_not if test is None else test.notes
    if not held_out:
        notes.append(
            "the people of these maps are explained by networks that were trained on them: their "
            "maps are not compared and give no biomarkers"
        )
    below = write_mean_picture(people, cell, images, files)
    tables = write_regions(people, cell, atlases, files, seed)
    tables |= write_peaks(people, cell, test, atlases, files)
    if images is not None and held_out:
        biomarkers, said = write_biomarkers(
            people, stack.rows, images, atlases, files, chosen=only_fold is not None
        )
        tables |= biomarkers
        notes += said
    if further is not None:
        others, about_others = further(files)
        tables |= others
        notes += about_others
    if (folder / "sanity.tsv").is_file():
        tables["sanity"] = "sanity.tsv"
    files.forget_others(tables.values())
    summary = {
        "variant": stack.about.get("variant", folder.name),
        "method": stack.about["method"],
        "target": stack.about.get("target", settings.target),
        "template": template_label,
        "absolute": settings.absolute,
        "scale": settings.scale,
        "units": units,
        "threshold": threshold,
        "of": cell,
        "n": {name: people.count(name) for name in CELLS},
        "held_out": held_out and unseen,
        "leaks": [step.name for step in steps],
        "repeats": people.repeats,
        "channels": list(stack.channels),
        "default": maps[cell],
        "maps": maps,
        "tables": tables,
        "smoothing_fwhm_mm": settings.smoothing_fwhm_mm,
        "cell": people.space.cell,
        "overlap_of_folds": overlap_facts(overlap),
        "test": tested,
        "atlases": [atlas.name for atlas in atlases],
        "atlas_files": {atlas.name: dict(atlas.files) for atlas in atlases if atlas.files},
        "sanity": verdict,
        "notes": [*people.notes, *notes],
    }
    if below:
        summary["below"] = below
    if "joined" in stack.about:
        summary["joined"] = stack.about["joined"]
    write_json(folder / "summary.json", summary)


def _only_fold(stack: MapStack, notes: list[str]) -> Fold | None:
    """Give the best fold alone, as the mode of a paper asks for; None where none is best."""
    folds = stack.rows[["repeat", "fold"]].drop_duplicates().astype(int)
    if stack.about.get("role", "test") == "test":
        best = best_fold(stack.rows)
    else:  # training people are explained for the best fold alone
        best = next(folds.itertuples(index=False, name=None))
    if best is None:
        notes.append("no fold has both classes, so there is no best one: all folds are in the map")
    else:
        notes.append(
            f"LEAK: the maps are those of fold {best[1]} (repeat {best[0]}) alone, chosen because "
            "its held-out AUC is the best"
        )
    return best


def _aggregation(
    people: PeopleMaps, settings: Saliency, only_fold: Fold | None, held_out: bool
) -> dict[str, Any]:
    """Say over whom the maps are averaged and whether that is smoothed."""
    who, whose = "Mean over people", {}
    if only_fold:
        repeat, fold = only_fold
        did = "held out" if held_out else "was trained on"
        who = f"Mean over the people whom fold {fold} (repeat {repeat}) alone {did}"
        whose = {"Repeat": [repeat], "Fold": [fold]}
    how = f", then Gaussian smoothing inside {people.space.field} and the window"
    smoothed = how if settings.smoothing_fwhm_mm else ", not smoothed"
    return {"Aggregation": who + smoothed, **whose}


def _common(
    stack: MapStack,
    people: PeopleMaps,
    settings: Saliency,
    template_label: str,
    sanity: Mapping[str, Any],
    threshold: float,
) -> dict[str, Any]:
    rows = stack.rows
    folds = zip(rows["repeat"].astype(int), rows["fold"].astype(int), strict=True)
    used = rows[[fold in people.fold_people for fold in folds]]
    return {
        "Method": stack.about["method"],
        "Target": stack.about.get("target", settings.target),
        "Variant": stack.about.get("variant"),
        **space_facts(template_label),
        "AbsoluteValues": settings.absolute,
        "Scaling": settings.scale,
        "SmoothingFWHM": settings.smoothing_fwhm_mm,
        "SmoothingUnits": "mm",
        "Threshold": threshold,
        "Window": people.space.facts() | {"Voxels": int(people.inside.sum())},
        "Sanity": dict(sanity),
        "Settings": without_folders(settings.plain()),
        **({"Joined": stack.about["joined"]} if "joined" in stack.about else {}),
        "ModelSHA256": sorted(
            {one for value in used["model_sha256"] for one in str(value).split()}
        ),
        "Sources": ["../../cohort.tsv", "../../splits.tsv", "../../scores.tsv"],
    }
