"""Scores of held-out images whose place was drawn otherwise, by the networks of their folds."""

import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from bidsapp.contracts.fitted import stamp_text
from bidsapp.contracts.modality import modality_named
from bidsapp.contracts.placement import Placement
from bidsapp.contracts.unit import with_part
from bidsapp.dataset.beside import seen_by
from bidsapp.dataset.cohort import Cohort
from bidsapp.dataset.tables import write_table
from bidsapp.derivatives.atomic import make_folder
from bidsapp.errors import NociCastError
from bidsapp.networks.predict import place, probability
from bidsapp.recipes import Recipe
from bidsapp.representation.device import resolve_device, steady
from bidsapp.representation.image_rows import ImageRows
from bidsapp.representation.sample import CohortRow, cohort_rows, read_sample
from bidsapp.training.columns import SCORES
from bidsapp.training.fold import fitted_of, load_fold
from bidsapp.training.scoring import image_logits
from bidsapp.training.task import FoldTask

FILE = "placement_scores.tsv"
FACTS = (
    *("apart_mm", "overlap", "slices_apart"),
    *("width_mm", "own_width_mm", "depth_mm", "own_depth_mm"),
)
Key = tuple[str, ...]


def write_placements(
    tasks: Sequence[FoldTask], cohort: Cohort, bids_dir: Path, work: Path, folder: Path
) -> None:
    """Score held-out images as they would be had their place been drawn otherwise.

    Nothing is trained anew: each image goes through the network, and the fitted steps, of the fold
    that held it out. Writes ``placement_scores.tsv`` into the run's folder, or takes an earlier one
    away where the recipe asks for none.

    Parameters
    ----------
    tasks
        The trained folds.
    cohort
        Of the run, with its files.
    bids_dir
        The raw dataset, from which other raters' places are cut.
    work
        A folder for the images; it is emptied and removed.
    folder
        Of the run.
    """
    parts = []
    made: dict[tuple[str, int], Mapping[Key, Sequence[Placement]]] = {}
    for task in tasks:
        section, pixels = task.recipe.preparation, task.recipe.evaluation.placement
        if not pixels:
            continue
        own = seen_by(cohort, task.variant)
        kind = (section.model_dump_json(), pixels)
        if kind not in made:
            place_of = work / str(len(made))
            made[kind] = _placements(task.recipe, own, pixels, bids_dir, place_of)
        parts.append(_scored(task, cohort_rows(own), made[kind]))
    shutil.rmtree(work, ignore_errors=True)
    (folder / FILE).unlink(missing_ok=True)
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    if not len(table):
        return
    recipes = {task.variant: task.recipe for task in tasks}
    leaks = {name: stamp_text(recipe.leaks("scores")) for name, recipe in recipes.items()}
    if any(leaks.values()):
        table["leak"] = table["variant"].map(leaks)
    if stamp := tasks[0].recipe.simulation.stamp:
        table["simulated"] = stamp
    write_table(folder / FILE, table)


def _placements(
    recipe: Recipe, cohort: Cohort, pixels: int, bids_dir: Path, work: Path
) -> dict[Key, Sequence[Placement]]:
    """Make the images of every unit; whose cannot be made is told, and has none."""
    modality = modality_named(recipe.preparation.modality)
    found: dict[Key, Sequence[Placement]] = {}
    make_folder(work)
    for file in cohort.files:
        try:
            found[_key(*file.unit)] = modality.placements(file.image, pixels, bids_dir, work)
        except NociCastError as error:
            print(f"Not placed otherwise: {error}", file=sys.stderr)
    return found


def _key(person: str, session: str = "", part: str = "") -> Key:
    return person, session, part


def _scored(
    task: FoldTask, rows: Sequence[CohortRow], made: Mapping[Key, Sequence[Placement]]
) -> pd.DataFrame:
    """Score the held-out images of a fold in every other place."""
    device = resolve_device(task.device)
    channel = modality_named(task.recipe.preparation.modality).main_channel
    held = task.rows("test")
    ways: dict[str, list[tuple[int, Placement]]] = {}
    for row in held:
        one = rows[row]
        for placement in made.get(_key(one.participant_id, one.session_id, one.part_id), ()):
            ways.setdefault(placement.name, []).append((int(row), placement))
    parts = []
    with steady(device, task.threads):
        network, _ = load_fold(task)
        place(network, device)
        fitted = fitted_of(task)
        for name, some in ways.items():
            samples = []
            for row, placement in some:
                one = rows[row]
                images = {**one.images, channel: placement.file}
                moved = CohortRow(one.participant_id, one.session_id, images, one.part_id)
                samples.append(read_sample(moved, task.recipe.representation)[0])
            taken = np.array([row for row, _ in some])
            columns = task.image_rows.picked(taken).columns
            images_of = ImageRows(
                np.stack(samples).astype(np.float16), columns=columns, space=task.images.space
            )
            logits = image_logits(task, network, fitted, images_of, device)
            people = task.table.iloc[taken]
            facts = pd.DataFrame([dict(placement.facts) for _, placement in some])
            part = people.assign(
                variant=task.variant,
                repeat=task.repeat,
                fold=task.fold,
                probability=probability(logits),
                placement=name,
                kind=some[0][1].kind,
            ).reset_index(drop=True)
            part = pd.concat([part, facts.reindex(columns=pd.Index(FACTS))], axis=1)
            parts.append(part[[*with_part(SCORES, people), "placement", "kind", *FACTS]])
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
