"""All that is written of a variant's components: their worth, their names, who differs in them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bidsapp.saliency.component_files import Written, write_components
from bidsapp.saliency.component_names import component_names, likeness
from bidsapp.saliency.component_people import own_maps
from bidsapp.saliency.component_table import Joined
from bidsapp.saliency.component_tests import compare_components, write_tests
from bidsapp.saliency.explaining import Explaining
from bidsapp.saliency.map_files import GroupFolder
from bidsapp.saliency.masks import mask_of

if TYPE_CHECKING:
    from bidsapp.saliency.plan import ExplainStep


def write_all_components(
    steps: "Sequence[ExplainStep]", joined: Joined, files: GroupFolder, about: Explaining
) -> Written:
    """Write components by what the forecast loses, and positives against negatives in them.

    Parameters
    ----------
    steps
        Of one variant.
    joined
        Effects of its folds.
    files, about
        Where, and what of.

    Raises
    ------
    NoInput, BadData
        The file of named maps cannot be used.
    """
    recipe, space = steps[0].task.recipe, steps[0].task.images.space
    settings, seed = recipe.saliency, recipe.evaluation.seed
    names, like = dict(component_names(recipe)), {}
    if settings.networks and not names:
        like = dict(likeness(joined.names, joined.maps, space, Path(settings.networks)))
        names = {component: one.name for component, one in like.items() if one.name}
    tables, notes = write_components(joined, files, seed, names, like)
    if not settings.permutations:
        return tables, notes
    file = steps[0].folder.parent / "component_people.npy"
    stack = own_maps(steps, joined, file)
    tests, said = compare_components(
        stack,
        mask_of(space, about.mask),
        about.cohort,
        settings.covariates,
        threshold=recipe.evaluation.threshold,
        permutations=settings.permutations,
        seed=seed,
    )
    chosen = any(step.offer.uses_outcome for step in recipe.representation.asked())
    more, told = write_tests(tests, files, names, settings, valid=not chosen)
    del stack
    file.unlink(missing_ok=True)
    return tables | more, [*notes, *said, *told]
