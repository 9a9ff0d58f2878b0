"""Which folds are explained, of whom and where the results go."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bidsapp.derivatives.sealed import read_record
from bidsapp.recipes.schema import Recipe
from bidsapp.saliency.fold_maps import FoldMapsTask, is_explained
from bidsapp.saliency.halves import can_be_halved
from bidsapp.training.run import TrainingRun, gather_scores, node_name
from bidsapp.training.task import FoldTask

KINDS = ("test", "train", "half")


@dataclass(frozen=True)
class ExplainStep:
    """One node: a fold that is explained.

    Attributes
    ----------
    task
        The trained fold.
    kind
        ``test`` explains the held-out people, ``train`` those of the training fold, and
        ``half`` trains on one half of the fold's people and explains the held-out.
    folder
        Of the results.
    mask
        The template's brain mask.
    half, shuffle
        Which half of the people is trained on, 0 or 1, and on which permutation of their
        outcomes; 0 are the true ones.
    """

    task: FoldTask
    kind: str
    folder: Path
    mask: Path
    half: int = 0
    shuffle: int = 0

    @property
    def name(self) -> str:
        """Name of the node."""
        return f"{node_name(self.task)}_{self.folder.name.rpartition('_')[2]}".replace("-", "")

    @property
    def label(self) -> str:
        """What a person calls this step."""
        what = {
            "test": "maps of held-out people",
            "train": "maps of training people",
            "half": f"half {self.half + 1} of the people, "
            + (f"shuffled outcomes {self.shuffle}" if self.shuffle else "true outcomes"),
        }
        return f"{self.task.label}: {what[self.kind]}"

    @property
    def finished(self) -> bool:
        """Whether the results are there and are of this very task."""
        if self.kind == "half":
            # its tables are made by the node; its record says whose fold they were dealt from
            return bool(read_record(self.folder / "done.json"))
        job = FoldMapsTask(self.task, self.folder, self.mask, self.kind, self.kind == "test")
        return is_explained(job)


def plan_steps(training: TrainingRun, tasks: Sequence[FoldTask], mask: Path) -> list[ExplainStep]:
    """List every step of a run, in the order in which they are best begun.

    Parameters
    ----------
    training
        The run.
    tasks
        The trained folds, scored.
    mask
        The template's brain mask on the images' grid.
    """
    from bidsapp.evaluation.best_fold import best_fold

    steps = []
    for variant in dict.fromkeys(task.variant for task in tasks):
        own = [task for task in tasks if task.variant == variant]
        place = training.folder / "maps" / variant

        def step(task: FoldTask, kind: str, place: Path = place) -> ExplainStep:
            folder = place / f"repeat-{task.repeat}_fold-{task.fold}_{kind}"
            return ExplainStep(task, kind, folder, mask)

        # the longest first, so that no process is left alone with one at the end
        steps += _halves(own, step)
        if own[0].recipe.saliency.folds == "best":
            best = best_fold(gather_scores(own))
            steps += [step(task, "train") for task in own if (task.repeat, task.fold) == best]
        steps += [step(task, "test") for task in own]
    return steps


def _halves(
    tasks: Sequence[FoldTask], step: Callable[[FoldTask, str], ExplainStep]
) -> list[ExplainStep]:
    """List the trainings on halves of one fold's people: the first fold of which they can be."""
    count = shuffles(tasks[0].recipe)
    task = next((task for task in tasks if can_be_halved(task)), None) if count else None
    if task is None:
        return []
    found = []
    for shuffle in range(1 + count):
        for half in (0, 1):
            one = step(task, f"half{half + 1}x{shuffle}")
            found.append(replace(one, kind="half", half=half, shuffle=shuffle))
    return found


def shuffles(recipe: Recipe) -> int:
    """How often halves are trained on shuffled outcomes: 2 by default where that is cheap."""
    asked = recipe.saliency.shuffled_folds
    compact = recipe.network.stem_stride > 1 and recipe.network.stem_pool
    return (2 if compact else 0) if asked is None else asked


def workflow_of(
    training: TrainingRun, steps: Sequence[ExplainStep], name: str, memory_gb: float
) -> Any:
    """Make every step a node."""
    from bidsapp.execution.jobs import side_by_side
    from bidsapp.saliency.saliency_nodes import ExplainFold
    from bidsapp.training.fold_node import fold_inputs

    nodes = {
        step.name: ExplainFold(
            maps=str(step.folder),
            mask=str(step.mask),
            role="train" if step.kind == "train" else "test",
            half=step.half + 1 if step.kind == "half" else 0,
            shuffle=step.shuffle,
            **fold_inputs(training.recipe_of_nodes, step.task),
        )
        for step in steps
    }
    return side_by_side(name, training.folder, nodes, memory_gb)
