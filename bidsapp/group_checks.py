"""What a group run is refused for before it begins: folders, variants and weights."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bidsapp.dataset import check_dataset
from bidsapp.derivatives import check_output
from bidsapp.errors import UsageError
from bidsapp.execution.compute import check_device
from bidsapp.execution.run import check_plugin
from bidsapp.execution.work import check_work
from bidsapp.group_weights import check_weights
from bidsapp.options import RunOptions
from bidsapp.recipes import Recipe

if TYPE_CHECKING:
    pass


def check_before_work(
    recipe: Recipe, variants: Sequence[str], stages: Sequence[str], options: RunOptions
) -> None:
    """Refuse at once what can be known to be wrong."""
    from bidsapp.representation.chain import Chain, require_files
    from bidsapp.training.variants import check_variants

    check_dataset(options.bids_dir)
    check_output(options.output_dir, options.bids_dir)
    check_work(options)
    check_plugin(options.nipype_plugin)
    if recipe.outcome.column is None and recipe.outcome.expression is None:
        raise UsageError(
            f"recipe {recipe.name} leaves the outcome to you: give --outcome COLUMN "
            "--positive VALUE, or outcome.expression in a recipe of your own."
        )
    check_variants(recipe, variants, stages)
    for name in (*stages, *variants):
        Chain.of(recipe.with_variant(name).representation)
        require_files(recipe.with_variant(name).representation)
    check_weights(recipe, (*stages, *variants), options)
    check_device(options.device)
