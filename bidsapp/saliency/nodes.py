"""Steps of saliency as nipype nodes: explain a fold; train and explain one on shuffled outcomes."""

from pathlib import Path

from nipype.interfaces.base import BaseInterfaceInputSpec, File, TraitedSpec, isdefined, traits

from bidsapp.execution.failures import Step


class _ExplainInput(BaseInterfaceInputSpec):
    recipe = File(exists=True, mandatory=True, desc="the resolved recipe of the run")
    variant = traits.Str(mandatory=True, desc="name of the variant")
    repeat = traits.Int(mandatory=True)
    fold = traits.Int(mandatory=True)
    array = File(exists=True, mandatory=True, desc="the cohort's array, .npy")
    cohort = File(exists=True, mandatory=True, desc="cohort.tsv")
    splits = File(exists=True, mandatory=True, desc="splits.tsv")
    trained = traits.Str(mandatory=True, desc="folder of the trained fold")
    folder = traits.Str(mandatory=True, desc="where the maps are written")
    mask = File(exists=True, mandatory=True, desc="the template's brain mask")
    role = traits.Enum("test", "train", usedefault=True, desc="who is explained")
    shuffle = traits.Bool(False, usedefault=True, desc="train on shuffled outcomes first")
    weights = File(exists=True, desc="file of pretrained weights")
    device = traits.Str("auto", usedefault=True)
    threads = traits.Int(1, usedefault=True)


class _ExplainOutput(TraitedSpec):
    record = File(exists=True, desc="written when the maps are there")


class ExplainFold(Step):
    """Explain the people of one fold; what is done already is not done again."""

    input_spec = _ExplainInput
    output_spec = _ExplainOutput
    one_per_gpu = True

    def _work(self, folder: Path) -> None:
        from bidsapp.recipes import load_recipe
        from bidsapp.saliency.fold_maps import FoldMapsTask, explain_fold
        from bidsapp.saliency.shuffled import shuffled_task
        from bidsapp.training.fold import train_fold
        from bidsapp.training.task import FoldTask

        inputs = self.inputs
        task = FoldTask(
            recipe=load_recipe(inputs.recipe).with_variant(inputs.variant),
            variant=inputs.variant,
            repeat=inputs.repeat,
            fold=inputs.fold,
            array=Path(inputs.array),
            cohort=Path(inputs.cohort),
            splits=Path(inputs.splits),
            folder=Path(inputs.trained),
            weights=Path(inputs.weights) if isdefined(inputs.weights) else None,
            device=self._device,
            threads=inputs.threads,
        )
        place, role, checks = Path(inputs.folder), inputs.role, inputs.role == "test"
        if inputs.shuffle:
            task = shuffled_task(task, place / "training", task.recipe.training.seed)
            train_fold(task)
            role, checks = "checked", False
        record = explain_fold(FoldMapsTask(task, place, Path(inputs.mask), role, checks))
        self._results["record"] = str(record)
