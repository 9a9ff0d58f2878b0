"""One permutation of the whole pipeline as a nipype node."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nipype.interfaces.base import BaseInterfaceInputSpec, File, TraitedSpec, traits

from bidsapp.execution.failures import Step

if TYPE_CHECKING:
    from bidsapp.training.task import FoldTask


class PermutedInput(BaseInterfaceInputSpec):
    """What a node has to be told of a permutation."""

    recipe = File(exists=True, mandatory=True, desc="the resolved recipe of the run")
    folds = traits.List(traits.Dict(), mandatory=True, desc="what fold_inputs gives of each fold")
    record = traits.Str(mandatory=True, desc="file that says that all is scored")
    key = traits.Str(mandatory=True, desc="hash of all that the scores depend on")
    device = traits.Str("auto", usedefault=True)
    threads = traits.Int(1, usedefault=True)


class _PermutedOutput(TraitedSpec):
    scores = traits.List(File(exists=True), desc="held-out scores of each fold")


class TrainPermuted(Step):
    """Train and score every fold of one permutation; keep the scores, not the models."""

    input_spec = PermutedInput
    output_spec = _PermutedOutput
    one_per_gpu = True

    def _work(self, folder: Path) -> None:
        from bidsapp.derivatives import write_json
        from bidsapp.recipes import load_recipe
        from bidsapp.training.fold import score_fold, train_fold
        from bidsapp.training.nodes import task_of
        from bidsapp.training.permuted import is_scored

        recipe = load_recipe(self.inputs.recipe)
        tasks = [task_of(inputs, recipe, self._device) for inputs in self.inputs.folds]
        for task in tasks:
            if not (is_scored(task) and self._used(task)):
                # scores of other outcomes must not be taken for those of the model to come
                task.scores_file.unlink(missing_ok=True)
                train_fold(task)
                score_fold(task)
                self._use(task)
            task.model_file.unlink(missing_ok=True)
        self._finish(tasks)
        write_json(Path(self.inputs.record), {"key": self.inputs.key})
        self._results.update(scores=[str(task.scores_file) for task in tasks])

    def _used(self, task: "FoldTask") -> bool:
        """Tell whether all that is made of a fold's network beside its scores is there."""
        return True

    def _use(self, task: "FoldTask") -> None:
        """Make of a trained network what is wanted beside its scores."""

    def _finish(self, tasks: "Sequence[FoldTask]") -> None:
        """Make what is wanted of all folds together."""
