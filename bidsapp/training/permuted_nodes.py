"""One permutation of the whole pipeline as a nipype node."""

from pathlib import Path

from nipype.interfaces.base import BaseInterfaceInputSpec, File, TraitedSpec, traits

from bidsapp.execution.failures import Step


class _PermutedInput(BaseInterfaceInputSpec):
    recipe = File(exists=True, mandatory=True, desc="the resolved recipe of the run")
    arrays = traits.Dict(mandatory=True, desc="variant to the cohort's array, .npy")
    weights = traits.Dict(usedefault=True, desc="variant to its file of pretrained weights")
    folds = traits.List(traits.Any(), mandatory=True, desc="(variant, repeat, fold, folder) each")
    cohort = File(exists=True, mandatory=True, desc="cohort.tsv with permuted outcomes")
    splits = File(exists=True, mandatory=True, desc="splits.tsv made from these")
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
        from bidsapp.training.permuted import is_scored
        from bidsapp.training.task import FoldTask

        inputs = self.inputs
        recipe = load_recipe(inputs.recipe)
        scores = []
        for variant, repeat, fold, place in inputs.folds:
            weights = inputs.weights.get(variant)
            task = FoldTask(
                recipe=recipe.with_variant(variant),
                variant=variant,
                repeat=repeat,
                fold=fold,
                array=Path(inputs.arrays[variant]),
                cohort=Path(inputs.cohort),
                splits=Path(inputs.splits),
                folder=Path(place),
                weights=Path(weights) if weights else None,
                device=self._device,
                threads=inputs.threads,
            )
            if not is_scored(task):
                # scores of other outcomes must not be taken for those of the model to come
                task.scores_file.unlink(missing_ok=True)
                train_fold(task)
                score_fold(task)
            task.model_file.unlink(missing_ok=True)
            scores.append(str(task.scores_file))
        write_json(Path(inputs.record), {"key": inputs.key})
        self._results.update(scores=scores)
