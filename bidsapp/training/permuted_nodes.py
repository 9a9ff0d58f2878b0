"""One permutation of the whole pipeline as a nipype node."""

from pathlib import Path

from nipype.interfaces.base import BaseInterfaceInputSpec, File, TraitedSpec, traits

from bidsapp.execution.failures import Step


class _PermutedInput(BaseInterfaceInputSpec):
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

    input_spec = _PermutedInput
    output_spec = _PermutedOutput
    one_per_gpu = True

    def _work(self, folder: Path) -> None:
        from bidsapp.derivatives import write_json
        from bidsapp.recipes import load_recipe
        from bidsapp.training.fold import score_fold, train_fold
        from bidsapp.training.nodes import task_of
        from bidsapp.training.permuted import is_scored

        recipe = load_recipe(self.inputs.recipe)
        scores = []
        for inputs in self.inputs.folds:
            task = task_of(inputs, recipe, self._device)
            if not is_scored(task):
                # scores of other outcomes must not be taken for those of the model to come
                task.scores_file.unlink(missing_ok=True)
                train_fold(task)
                score_fold(task)
            task.model_file.unlink(missing_ok=True)
            scores.append(str(task.scores_file))
        write_json(Path(self.inputs.record), {"key": self.inputs.key})
        self._results.update(scores=scores)
