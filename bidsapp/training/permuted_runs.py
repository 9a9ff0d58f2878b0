"""Permuted outcomes of a cohort, divided into folds anew: what is to be trained for each."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from bidsapp.contracts.unit import unit_columns
from bidsapp.dataset.tables import write_table
from bidsapp.derivatives.atomic import make_folder
from bidsapp.derivatives.sealed import read_record
from bidsapp.errors import BadData, UsageError
from bidsapp.training.permute_outcomes import labels_of, shuffled_outcomes
from bidsapp.training.run import TrainingRun, run_splits
from bidsapp.training.search import check_searches, unsettled
from bidsapp.training.stages import with_people
from bidsapp.training.task import FoldTask, covariate_columns

_DRAWS = 100


@dataclass(frozen=True)
class PermutedRun:
    """One permutation: its number and its folds.

    Attributes
    ----------
    number
        From 1.
    folder
        Of its files.
    key
        Hash of all that its scores depend on.
    tasks
        Every fold of every variant, on the permuted outcomes.
    """

    number: int
    folder: Path
    key: str
    tasks: tuple[FoldTask, ...]

    @property
    def record_file(self) -> Path:
        """Holds the key, and is written when every fold is scored."""
        return self.folder / "scored.json"

    @property
    def scored(self) -> bool:
        """Whether every fold is trained and scored."""
        return read_record(self.record_file).get("key") == self.key


def permuted_runs(
    training: TrainingRun,
    tasks: Sequence[FoldTask],
    cohort: pd.DataFrame,
    given: Path | None,
    count: int,
) -> list[PermutedRun]:
    """Draw outcomes, divide the cohort by them, and list every fold that is to be trained.

    Splits are made anew from the permuted outcomes, as stratified splits are part of what saw
    them; outcomes with which they cannot be made are drawn again. Splits from a file stay, and
    outcomes then keep to people of the same roles. The numbers of the permutations are seeds: more
    of them later leaves the first as they are.

    Parameters
    ----------
    training, tasks
        The run and its own folds.
    cohort
        The cohort table.
    given
        The file of splits, where the person gave one.
    count
        How many permutations.

    Raises
    ------
    UsageError
        No permutation gives other outcomes: there is nothing to compare with.
    """
    kinds = {task.variant: unsettled(task, training.recipe) for task in tasks}
    settings = [task.fingerprint for task in kinds.values()]
    groups = training.recipe.group_column(training.variants)
    grouped = training.recipe.binds(training.variants)
    before = cohort["outcome"].to_numpy(dtype=int)
    recipes = [one.recipe for task in kinds.values() for one in task.chain()]
    names = [name for recipe in recipes for name in covariate_columns(recipe, cohort.columns)]
    if any(one.training.search for one in recipes) and "group" in cohort:
        names.append("group")  # a search divides the people of a fold again
    read = list(dict.fromkeys(names))
    runs = []
    changed = False
    for number in range(1, count + 1):
        table, splits = _draw(training, list(kinds), cohort, grouped, given, number)
        changed = changed or bool((table["outcome"].to_numpy() != before).any())
        folder = training.folder / "permuted" / f"{number:05d}"
        files = {"cohort": folder / "cohort.tsv", "splits": folder / "splits.tsv"}
        make_folder(folder)
        write_table(files["cohort"], table[[*unit_columns(table), "outcome", *read]])
        write_table(files["splits"], splits)
        texts = [path.read_text(encoding="utf-8") for path in files.values()]
        key = hashlib.sha256(json.dumps([settings, texts]).encode()).hexdigest()
        own = []
        for name, kind in kinds.items():
            mine = splits[splits["variant"] == name] if "variant" in splits else splits
            for repeat, fold in mine[["repeat", "fold"]].drop_duplicates().itertuples(index=False):
                own.append(_task(kind, folder, files, int(repeat), int(fold)))
        runs.append(PermutedRun(number, folder, key, tuple(own)))
    if not changed:
        what = f"groups ({groups})" if groups else "people"
        if within := training.recipe.evaluation.permute_within:
            what += f" of the same {', '.join(within)}"
        raise UsageError(
            f"--permutations {count}: no permutation changes an outcome: no two {what} of the same "
            "make-up and different outcomes can change place."
        )
    return runs


def _task(
    kind: FoldTask, folder: Path, files: Mapping[str, Path], repeat: int, fold: int
) -> FoldTask:
    """Make a fold of a variant on permuted outcomes; also what it begins with."""

    def place(variant: str) -> Path:
        return folder / "folds" / variant / f"repeat-{repeat}_fold-{fold}"

    return with_people(
        kind,
        repeat=repeat,
        fold=fold,
        folder=place(kind.variant),
        cohort=files["cohort"],
        splits=files["splits"],
        first_folder=lambda first: place(first.variant),
        pool=folder / "folds",
    )


def _draw(
    training: TrainingRun,
    variants: Sequence[str],
    cohort: pd.DataFrame,
    grouped: bool,
    given: Path | None,
    number: int,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    rng = np.random.default_rng([training.recipe.evaluation.seed, number])
    fixed = None if given is None else run_splits(training.recipe, variants, cohort, given)
    stratum = None if fixed is None else cohort["participant_id"].map(_roles(fixed))
    within = labels_of(cohort, training.recipe.evaluation.permute_within)
    if within is not None:
        stratum = within if stratum is None else stratum.astype(str) + "|" + within
    begun = {name: training.stage_outcomes.get(name) for name in training.stages}
    for _ in range(_DRAWS):
        table = cohort.assign(outcome=shuffled_outcomes(cohort, grouped, rng, stratum))
        try:
            divided = run_splits(training.recipe, variants, table, None) if fixed is None else fixed
            check_searches(training.recipe, variants, table, divided, begun)
            return table, divided
        except (UsageError, BadData) as error:
            reason = str(error)
    raise UsageError(
        f"--permutations: of {_DRAWS} permutations of the outcomes, none could be divided as the "
        f"recipe says ({reason})"
    )


def _roles(splits: pd.DataFrame) -> dict[str, str]:
    """Whoever has the same roles everywhere may change place, where the splits are one scheme."""
    if "variant" in splits or splits["repeat"].nunique() > 1:
        return dict.fromkeys(splits["participant_id"], "")
    ordered = splits.sort_values(["participant_id", "fold"])
    role = ordered["fold"].astype(str) + ordered["role"]
    return {str(k): v for k, v in role.groupby(ordered["participant_id"]).agg(" ".join).items()}
