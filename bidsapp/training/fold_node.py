"""One fold as a nipype node, so that a plugin can spread folds over processes and machines."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nipype.interfaces.base import BaseInterfaceInputSpec, File, TraitedSpec, traits

from bidsapp.execution.failures import Step

if TYPE_CHECKING:
    from bidsapp.recipes import Recipe
    from bidsapp.training.task import FoldTask

WORKERS_IMPORT = (
    "bidsapp.training.fold",
    "bidsapp.networks.architectures.resnet",
    "torch._dynamo",
)
"""What workers that train import: seconds and 190 MB each, shared if they are forked after it."""


class FoldInput(BaseInterfaceInputSpec):
    """What a node has to be told of a fold: `fold_inputs` gives it, `task_of` reads it."""

    recipe = File(exists=True, mandatory=True, desc="the resolved recipe of the run")
    variant = traits.Str(mandatory=True, desc="name of the variant")
    repeat = traits.Int(mandatory=True)
    fold = traits.Int(mandatory=True)
    array = File(exists=True, mandatory=True, desc="the cohort's array, .npy")
    cohort = File(exists=True, mandatory=True, desc="cohort.tsv")
    splits = File(exists=True, mandatory=True, desc="splits.tsv")
    folder = traits.Str(mandatory=True, desc="where this fold's files are written")
    weights = File(exists=True, desc="file of pretrained weights")
    first = traits.Dict(desc="what fold_inputs gives of the fold whose network is begun with")
    after = File(exists=True, desc="record of that fold, or of a twin: to be waited for")
    pool = traits.Str(desc="folder of all variants' folds, to take networks over from")
    inner = traits.Int(desc="number of the inner fold, for a network of one")
    starts = traits.List(traits.Dict(), desc="the same of variants that settings begin with")
    given = traits.Str(desc="what --weights names, for the settings of a search")
    setting = traits.Dict(desc="dotted keys of the recipe that a search gives other values")
    resident_bytes = traits.Float(desc="room for the cohort's images; they are streamed else")
    device = traits.Str("auto", usedefault=True)
    threads = traits.Int(1, usedefault=True, desc="threads of a CPU; part of what gives the bits")


class _FoldOutput(TraitedSpec):
    model = File(exists=True, desc="weights kept, safetensors")
    record = File(exists=True, desc="what was done, JSON")
    history = File(exists=True, desc="loss curve")
    scores = File(exists=True, desc="held-out scores")


class _TrainInput(FoldInput):
    score = traits.Bool(True, usedefault=True, desc="whether held-out people are scored")


class TrainFold(Step):
    """Train and score one fold of one variant; a killed node continues from its last epoch."""

    input_spec = _TrainInput
    output_spec = _FoldOutput
    one_per_gpu = True

    def _work(self, folder: Path) -> None:
        from bidsapp.recipes import load_recipe
        from bidsapp.training.fold import score_fold, train_fold

        inputs = self.inputs.get_traitsfree()
        task = task_of(inputs, load_recipe(inputs["recipe"]), self._device)
        record = train_fold(task)
        self._results.update(
            model=str(task.model_file),
            record=str(record),
            history=str(task.folder / "history.tsv"),
        )
        if inputs["score"]:
            score_fold(task)
            self._results["scores"] = str(task.scores_file)


class _CrossFitOutput(TraitedSpec):
    scores = File(exists=True, desc="scores of the training people whom the inner fold holds out")
    record = File(exists=True, desc="what was done, JSON")


class _CrossFitInput(FoldInput):
    trial = traits.Bool(False, usedefault=True, desc="whether it is a network of a search")


class CrossFit(Step):
    """Train an inner network and score whom it holds out; its scores are kept, its weights not."""

    input_spec = _CrossFitInput
    output_spec = _CrossFitOutput
    one_per_gpu = True

    def _work(self, folder: Path) -> None:
        from bidsapp.recipes import load_recipe
        from bidsapp.training.passing import score_and_forget

        inputs = self.inputs.get_traitsfree()
        task = task_of(inputs, load_recipe(inputs["recipe"]), self._device)
        score_and_forget(task, trial=inputs["trial"])
        self._results.update(scores=str(task.scores_file), record=str(task.record_file))


def fold_inputs(recipe_file: Path, task: "FoldTask") -> dict[str, Any]:
    """Give the inputs of a node that works on a fold, as plain values.

    Parameters
    ----------
    recipe_file
        The resolved recipe of the run.
    task
        The fold.
    """
    some: dict[str, Any] = {"weights": str(task.weights)} if task.weights else {}
    if task.resident_bytes is not None:
        some["resident_bytes"] = task.resident_bytes
    if task.pool is not None:
        some["pool"] = str(task.pool)
    if task.inner is not None:
        some["inner"] = task.inner
    if task.setting is not None:
        some["setting"] = dict(task.setting)
    if task.first is not None:
        some["first"] = fold_inputs(recipe_file, task.first)
    if task.recipe.training.search is not None:
        some["starts"] = [fold_inputs(recipe_file, one) for one in task.starts]
        some |= {"given": str(task.given)} if task.given else {}
    return some | {
        "recipe": str(recipe_file),
        "variant": task.variant,
        "repeat": task.repeat,
        "fold": task.fold,
        "array": str(task.array),
        "cohort": str(task.cohort),
        "splits": str(task.splits),
        "folder": str(task.folder),
        "device": task.device,
        "threads": task.threads or 1,
    }


def task_of(inputs: Mapping[str, Any], recipe: "Recipe", device: str) -> "FoldTask":
    """Make the fold again from what `fold_inputs` gave.

    Parameters
    ----------
    inputs
        Of the node.
    recipe
        Of the run.
    device
        The node's own device, which may be one of several.
    """
    from bidsapp.recipes.search_settings import at_setting
    from bidsapp.training.task import FoldTask

    own, setting = recipe.with_variant(inputs["variant"]), inputs.get("setting")
    return FoldTask(
        recipe=own if setting is None else at_setting(own, setting),
        variant=inputs["variant"],
        repeat=inputs["repeat"],
        fold=inputs["fold"],
        array=Path(inputs["array"]),
        cohort=Path(inputs["cohort"]),
        splits=Path(inputs["splits"]),
        folder=Path(inputs["folder"]),
        weights=Path(inputs["weights"]) if "weights" in inputs else None,
        first=task_of(inputs["first"], recipe, device) if inputs.get("first") else None,
        device=device,
        threads=inputs["threads"],
        resident_bytes=inputs.get("resident_bytes"),
        inner=inputs.get("inner"),
        setting=setting,
        starts=tuple(task_of(one, recipe, device) for one in inputs.get("starts") or ()),
        given=Path(inputs["given"]) if inputs.get("given") else None,
        pool=Path(inputs["pool"]) if "pool" in inputs else None,
    )
