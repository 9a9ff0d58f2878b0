"""Steps of saliency as nipype nodes: explain a fold; train on half of its people and explain."""

from pathlib import Path

from nipype.interfaces.base import File, TraitedSpec, traits

from bidsapp.execution.failures import Step
from bidsapp.training.fold_node import FoldInput, task_of


class _ExplainInput(FoldInput):
    maps = traits.Str(mandatory=True, desc="where the maps are written")
    mask = File(exists=True, mandatory=True, desc="the template's brain mask")
    role = traits.Enum("test", "train", usedefault=True, desc="who is explained")
    half = traits.Int(0, usedefault=True, desc="train on half 1 or 2 of the people first")
    shuffle = traits.Int(0, usedefault=True, desc="on this permutation of their outcomes")


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
        from bidsapp.saliency.halves import half_task
        from bidsapp.training.fold import score_fold, train_fold

        inputs = self.inputs.get_traitsfree()
        task = task_of(inputs, load_recipe(inputs["recipe"]), self._device)
        place, role = Path(inputs["maps"]), inputs["role"]
        checks = role == "test"
        if inputs["half"]:
            task = half_task(task, place / "training", inputs["half"] - 1, inputs["shuffle"])
            train_fold(task)
            score_fold(task)
            checks = False
        record = explain_fold(FoldMapsTask(task, place, Path(inputs["mask"]), role, checks))
        self._results["record"] = str(record)
