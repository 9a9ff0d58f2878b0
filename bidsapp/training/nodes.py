"""One fold as a nipype node, so that a plugin can spread folds over processes and machines."""

from pathlib import Path
from typing import TYPE_CHECKING

from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    File,
    TraitedSpec,
    isdefined,
    traits,
)

from bidsapp.execution.failures import Step

if TYPE_CHECKING:
    from bidsapp.training.task import FoldTask


class _FoldInput(BaseInterfaceInputSpec):
    recipe = File(exists=True, mandatory=True, desc="the resolved recipe of the run")
    variant = traits.Str(mandatory=True, desc="name of the variant")
    repeat = traits.Int(mandatory=True)
    fold = traits.Int(mandatory=True)
    array = File(exists=True, mandatory=True, desc="the cohort's array, .npy")
    cohort = File(exists=True, mandatory=True, desc="cohort.tsv")
    splits = File(exists=True, mandatory=True, desc="splits.tsv")
    folder = traits.Str(mandatory=True, desc="where this fold's files are written")
    weights = File(exists=True, desc="file of pretrained weights")
    device = traits.Str("auto", usedefault=True)
    threads = traits.Int(1, usedefault=True, desc="threads of a CPU; part of what gives the bits")


class _FoldOutput(TraitedSpec):
    model = File(exists=True, desc="weights kept, safetensors")
    record = File(exists=True, desc="what was done, JSON")
    history = File(exists=True, desc="loss curve")
    scores = File(exists=True, desc="held-out scores")


class TrainFold(Step):
    """Train and score one fold of one variant; a killed node continues from its last epoch."""

    input_spec = _FoldInput
    output_spec = _FoldOutput
    one_per_gpu = True

    def _work(self, folder: Path) -> None:
        from bidsapp.training.fold import score_fold, train_fold

        task = self._task()
        record = train_fold(task)
        score_fold(task)
        self._results.update(
            model=str(task.model_file),
            record=str(record),
            history=str(task.folder / "history.tsv"),
            scores=str(task.scores_file),
        )

    def _task(self) -> "FoldTask":
        from bidsapp.recipes import load_recipe
        from bidsapp.training.task import FoldTask

        inputs = self.inputs
        return FoldTask(
            recipe=load_recipe(inputs.recipe).with_variant(inputs.variant),
            variant=inputs.variant,
            repeat=inputs.repeat,
            fold=inputs.fold,
            array=Path(inputs.array),
            cohort=Path(inputs.cohort),
            splits=Path(inputs.splits),
            folder=Path(inputs.folder),
            weights=Path(inputs.weights) if isdefined(inputs.weights) else None,
            device=self._device,
            threads=inputs.threads,
        )
