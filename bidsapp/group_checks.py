"""What a group run is refused for before it begins: folders, variants and weights."""

import sys
from collections.abc import Collection, Sequence
from math import prod

from bidsapp.contracts.modality import modality_named
from bidsapp.dataset import check_dataset
from bidsapp.derivatives import check_output
from bidsapp.errors import UsageError
from bidsapp.execution.compute import check_device
from bidsapp.execution.run import check_plugin
from bidsapp.execution.work import check_work
from bidsapp.group_weights import check_weights, require_named_files
from bidsapp.options import RunOptions
from bidsapp.recipes import Recipe


def check_before_work(
    recipe: Recipe, variants: Sequence[str], stages: Sequence[str], options: RunOptions
) -> None:
    """Refuse at once what can be known to be wrong."""
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
    for sentence in mostly_padding(recipe, (*stages, *variants)):
        print(sentence, file=sys.stderr)
    require_named_files(recipe, (*stages, *variants), saliency=options.saliency)
    check_weights(recipe, (*stages, *variants), options)
    modalities = {recipe.with_variant(name).preparation.modality for name in variants}
    check_native_maps(modalities, options)
    check_device(options.device)


def check_native_maps(modalities: Collection[str], options: RunOptions) -> None:
    """Refuse ``--native-maps`` where no map of these modalities can come back onto its scan.

    Raises
    ------
    UsageError
        None of them writes a way back.
    """
    if not (options.native_maps and options.saliency):
        return
    found = [modality_named(name) for name in sorted(modalities)]
    if found and not any(modality.leads_home for modality in found):
        raise UsageError(
            f"--native-maps: for {' and '.join(one.title for one in found)} no way back from the "
            "standard space to the scan is written, so that no map can be brought onto the scan's "
            "own voxels. Leave the option out: maps are written in the standard space."
        )


def mostly_padding(recipe: Recipe, names: Sequence[str]) -> list[str]:
    """Say of which variants a volume is padded to more than twice its grid along some axis.

    ``representation.pad`` counts voxels, whatever their size: with another resolution than the
    recipe's it holds that much more of nothing, and costs as much.
    """
    found: dict[str, list[str]] = {}
    for name in names:
        own = recipe.with_variant(name)
        pad, known = own.representation.pad, own.preparation.grid()
        if pad is None or known is None:
            continue
        shape, grid = known
        if any(wanted > 2 * size for wanted, size in zip(pad, shape, strict=True)):
            times = prod(pad) / prod(shape)
            sentence = (
                f"representation.pad: {list(pad)} voxels hold {grid} {times:.1f} times over: all "
                "else is zeros, which the network computes too. It is meant for another "
                "preparation.resolution: give fewer voxels, or --set representation.pad=null."
            )
            found.setdefault(sentence, []).append(name)
    return [f"{sentence} ({', '.join(names)})" for sentence, names in found.items()]
