"""What a run fits or chooses up to its scores, for the scope rule."""

from bidsapp.recipes.learning import Training
from bidsapp.recipes.schema import Recipe
from bidsapp.representation import spec
from bidsapp.representation.scope import FittedStep


def steps_of(recipe: Recipe) -> tuple[FittedStep, ...]:
    """List all that a run of this recipe fits before its scores are there."""
    return spec.fitted_steps(recipe.representation) + fitted_steps(recipe.training)


def fitted_steps(section: Training) -> tuple[FittedStep, ...]:
    """List the steps of a recipe's training section that are fitted."""
    steps = [FittedStep("training", "train_fold", uses_outcome=True)]
    if section.early_stopping is not None:
        steps.append(FittedStep("training.early_stopping", "train_fold", uses_outcome=True))
    if section.checkpoint == "inner":
        steps.append(FittedStep("training.checkpoint=inner", "train_fold", uses_outcome=True))
    if section.checkpoint == "test_fold":
        steps.append(FittedStep("training.checkpoint=test_fold", "dataset", uses_outcome=True))
    return tuple(steps)
