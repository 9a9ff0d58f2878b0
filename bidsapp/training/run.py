"""All folds of all variants of a run: their splits, their arrays, their tasks, their scores."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from bidsapp.dataset.cohort import Cohort
from bidsapp.dataset.tables import read_frame
from bidsapp.errors import BadData
from bidsapp.networks.bundle_images import TrainingImage
from bidsapp.recipes import Recipe
from bidsapp.representation.chain import Chain
from bidsapp.representation.cohort_array import build_cohort_array
from bidsapp.representation.sample import CohortRow
from bidsapp.training.columns import ROLES
from bidsapp.training.same_network import trained_by
from bidsapp.training.splits import make_splits
from bidsapp.training.splits_file import read_splits
from bidsapp.training.stages import Outcomes, dependent_of, linked, stage_files
from bidsapp.training.task import FoldTask


@dataclass(frozen=True)
class TrainingRun:
    """What the folds of a run read.

    Attributes
    ----------
    recipe
        The run's recipe, with its variants.
    variants
        Names of those that are trained.
    recipe_file, cohort_file, splits_file
        The state files.
    folder
        Where folds keep what they need to be resumed.
    stages
        Names of the variants that are trained because others begin with them, and not scored; the
        first first.
    stage_outcomes
        What stages predict that is not the run's outcome.
    """

    recipe: Recipe
    variants: tuple[str, ...]
    recipe_file: Path
    cohort_file: Path
    splits_file: Path
    folder: Path
    stages: tuple[str, ...] = ()
    stage_outcomes: Mapping[str, Outcomes] = field(default_factory=dict)

    @property
    def recipe_of_nodes(self) -> Path:
        """The recipe with the folders of its files, in the work folder, where it was written."""
        own = self.folder / "recipe.yaml"
        return own if own.is_file() else self.recipe_file

    @property
    def trained(self) -> tuple[str, ...]:
        """Names of all that is trained: the stages first."""
        return (*self.stages, *self.variants)


def run_splits(
    recipe: Recipe, variants: Sequence[str], cohort: pd.DataFrame, given: Path | None
) -> pd.DataFrame:
    """Make the splits of all variants, or read and check those of a file.

    Returns
    -------
    pandas.DataFrame
        Columns repeat, fold, participant_id, role; where variants have protocols of their own,
        also variant.

    Raises
    ------
    UsageError, BadData
        These people cannot be divided so; or a step that is fitted in the fold cannot be, such as
        a harmonisation of sites that training would not know.
    """
    table = _made_or_read(recipe, variants, cohort, given)
    for name in variants:
        own = table[table["variant"] == name] if "variant" in table else table
        check_steps(recipe.with_variant(name), cohort, own)
    return table


def check_steps(
    recipe: Recipe,
    cohort: pd.DataFrame,
    splits: pd.DataFrame,
    where: str = "",
    texts: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Refuse a fold in which steps cannot do with the columns of the people.

    Parameters
    ----------
    recipe
        Of one variant.
    cohort
        The cohort table.
    splits
        Columns repeat, fold, participant_id, role.
    where
        What its folds are, for messages; nothing for those of the run.
    texts
        `column_texts` of the cohort, where they are asked for again and again.

    Raises
    ------
    BadData
        As `Chain.check_columns`.
    """
    chain = Chain.of(recipe.representation)
    if not chain.reads_columns:
        return
    columns = column_texts(cohort) if texts is None else texts
    for (_, number), fold in splits.groupby(["repeat", "fold"]):
        role = cohort["participant_id"].map(fold.set_index("participant_id")["role"])
        train, others = role == "train", role.isin(ROLES) & (role != "train")
        try:
            chain.check_columns(columns, np.flatnonzero(train), np.flatnonzero(others))
        except BadData as error:
            raise BadData(f"{where} {number}: {error}" if where else str(error)) from error


class _Texts(Mapping[str, Sequence[str]]):
    """Columns of a table as texts, each made when it is first asked for: few are of many."""

    def __init__(self, table: pd.DataFrame) -> None:
        self._table = table
        self._names = {str(name): name for name in table}
        self._made: dict[str, Sequence[str]] = {}

    def __getitem__(self, name: str) -> Sequence[str]:
        if name not in self._made:
            column = self._table[self._names[name]]
            self._made[name] = column.astype(object).where(column.notna(), "").astype(str).tolist()
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def column_texts(cohort: pd.DataFrame) -> Mapping[str, Sequence[str]]:
    """Give the columns of a cohort table as texts, empty where nothing is known."""
    return _Texts(cohort)


def _made_or_read(
    recipe: Recipe, variants: Sequence[str], cohort: pd.DataFrame, given: Path | None
) -> pd.DataFrame:
    grouped = recipe.binds(variants)
    if given is not None:
        return read_splits(given, cohort, grouped, variants)
    protocols = {name: recipe.with_variant(name).protocol for name in variants}
    first = protocols[variants[0]]
    if all(protocol == first for protocol in protocols.values()):
        return make_splits(cohort, first, grouped)
    tables = []
    for name, protocol in protocols.items():
        table = make_splits(cohort, protocol, grouped)
        table.insert(0, "variant", name)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def fold_tasks(
    training: TrainingRun,
    rows: Sequence[CohortRow],
    splits: pd.DataFrame,
    template_mask: Path,
    *,
    device: str,
    threads: int,
    weights: Path | None,
    mem_gb: float | None = None,
    others: Mapping[str, tuple[Sequence[CohortRow], Path]] = MappingProxyType({}),
) -> list[FoldTask]:
    """Build each array once, and list every fold of every variant.

    Parameters
    ----------
    training
        The run.
    rows
        The cohort's scans.
    splits
        As `run_splits` gives them.
    template_mask
        The template's brain mask on the images' grid.
    device, threads, weights
        For every task.
    mem_gb
        Memory of a fold; images that find no room in it are streamed. None sets no limit.
    others
        Variant to its own scans and mask, where these are of another preparation.

    Returns
    -------
    list of FoldTask
        Those of the stages first.
    """
    from bidsapp.networks.weights import weights_file
    from bidsapp.training.fold_memory import resident_bytes

    tasks: list[FoldTask] = []
    for name in training.trained:
        recipe = training.recipe.with_variant(name)
        own_rows, mask = others.get(name, (rows, template_mask))
        array = build_cohort_array(
            own_rows, recipe.representation, training.folder / "arrays", mask
        )
        files, own = (
            (training.cohort_file, training.splits_file),
            splits_of(training.recipe, name, training.variants, splits),
        )
        if name in training.stages:
            place, outcomes = training.folder / "stages" / name, training.stage_outcomes.get(name)
            files = stage_files(place, training.cohort_file, own, outcomes)
        mine: list[FoldTask] = []
        for repeat, fold in own[["repeat", "fold"]].drop_duplicates().itertuples(index=False):
            mine.append(
                FoldTask(
                    recipe=recipe,
                    variant=name,
                    repeat=int(repeat),
                    fold=int(fold),
                    array=array.path,
                    cohort=files[0],
                    splits=files[1],
                    pool=training.folder / "folds",
                    folder=training.folder / "folds" / name / f"repeat-{repeat}_fold-{fold}",
                    weights=weights_file(recipe.network, weights),
                    given=weights if recipe.training.search else None,
                    device=device,
                    threads=threads,
                )
            )
        room = resident_bytes(mine[0], mem_gb) if mine and mem_gb is not None else None
        tasks += [replace(task, resident_bytes=room) for task in mine]
    return linked(tasks)


def splits_of(
    recipe: Recipe, name: str, variants: Sequence[str], splits: pd.DataFrame
) -> pd.DataFrame:
    """Rows of a variant's splits; a stage has those of the variants that begin with it."""
    if "variant" not in splits:
        return splits
    whose = name if name in variants else dependent_of(recipe, name, variants)
    return splits[splits["variant"] == whose]


def training_workflow(
    training: TrainingRun, tasks: Sequence[FoldTask], name: str, memory_gb: float
) -> Any:
    """Make every fold a node; those that need another variant's network wait for it."""
    from bidsapp.execution.jobs import side_by_side
    from bidsapp.training.fold_node import TrainFold, fold_inputs

    steps = {
        node_name(task): TrainFold(
            score=task.variant in training.variants, **fold_inputs(training.recipe_of_nodes, task)
        )
        for task in tasks
    }
    there = {task.record_file for task in tasks}
    after = {
        node_name(task): node_name(task.first)
        for task in tasks
        if task.first is not None and task.first.record_file in there
    }
    after |= {node_name(tasks[at]): node_name(whose) for at, whose in trained_by(tasks).items()}
    return side_by_side(name, training.folder, steps, memory_gb, after)


def forget_other_folds(tasks: Sequence[FoldTask]) -> None:
    """Take away results that lie where a fold's will be, and are of other data or settings.

    Where a fold fails, what an earlier run left in its place would else be taken for its own.
    """
    from bidsapp.training.fold import is_trained

    for task in tasks:
        if not is_trained(task):
            task.record_file.unlink(missing_ok=True)
            task.scores_file.unlink(missing_ok=True)


def seen_images(tasks: Sequence[FoldTask], cohort: Cohort) -> list[TrainingImage]:
    """List the scans that folds of one variant trained on or chose their epoch by, as hashes.

    Parameters
    ----------
    tasks
        The folds, in the order of the bundle's models.
    cohort
        Whose rows are those of the folds' array.
    """
    found = []
    hashes = zip(cohort.table["sha256"], cohort.files, strict=True)
    roles = zip(*(task.table["role"] for task in tasks), strict=True)
    for (voxels, scan), parts in zip(hashes, roles, strict=True):
        unseen = tuple(k for k, role in enumerate(parts) if role not in ("train", "validation"))
        if len(unseen) < len(tasks):
            found.append(TrainingImage(str(voxels), scan.source_sha256, unseen))
    return found


def node_name(task: FoldTask) -> str:
    """Name of a task's node: letters, digits and underscores."""
    variant = "".join(c if c.isalnum() else "_" for c in task.variant)
    return f"{variant}_r{task.repeat}_f{task.fold}"


def gather_scores(tasks: Sequence[FoldTask]) -> pd.DataFrame:
    """Put the held-out scores of all folds together, in the order of the tasks."""
    tables = [read_frame(task.scores_file, None) for task in tasks]
    return pd.concat(tables, ignore_index=True)


def gather_inner(tasks: Sequence[FoldTask]) -> pd.DataFrame | None:
    """Put the scores of inner splits together; None where no variant takes a threshold there."""
    files = [task.inner_file for task in tasks if task.inner_wanted]
    tables = [read_frame(file, None) for file in files]
    return pd.concat(tables, ignore_index=True) if tables else None


def gather_history(tasks: Sequence[FoldTask]) -> pd.DataFrame:
    """Put the loss curves of all folds together."""
    tables = []
    for task in tasks:
        table = read_frame(task.folder / "history.tsv", None, ["n/a"])
        table = table.assign(variant=task.variant, repeat=task.repeat, fold=task.fold)
        tables.append(table.set_index(["variant", "repeat", "fold"]).reset_index())
    return pd.concat(tables, ignore_index=True)
