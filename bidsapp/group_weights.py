"""Files that a recipe names: asked for before work; whom weights have seen, in the cohort."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bidsapp.errors import BadData, NoInput, UsageError
from bidsapp.options import RunOptions
from bidsapp.recipes import Recipe, apply_values, load_recipe
from bidsapp.recipes.catalog import packaged
from bidsapp.recipes.search_settings import alternatives

if TYPE_CHECKING:
    from bidsapp.dataset.cohort import Cohort

_MOST = 5


def require_named_files(recipe: Recipe, variants: Sequence[str], *, saliency: bool) -> None:
    """Refuse before any work files of maps that are not there, or cannot be what they are for.

    Parameters
    ----------
    recipe, variants
        Of the run; those that others begin with too.
    saliency
        Whether maps of networks are wanted.

    Raises
    ------
    NoInput, BadData, UsageError
        As `bidsapp.representation.before_fitting.require_files`.
    """
    from bidsapp.intake.images import open_image
    from bidsapp.representation.before_fitting import require_files
    from bidsapp.representation.chain import Chain

    for name in variants:
        for one in alternatives(recipe.with_variant(name)):
            Chain.of(one.representation)
            require_files(one.representation)
        networks = recipe.with_variant(name).saliency.networks
        if saliency and networks:
            open_image(Path(networks))


def check_weights(recipe: Recipe, variants: Sequence[str], options: RunOptions) -> None:
    """Require a sound file of known origin where a variant begins with one, and only there.

    Raises
    ------
    NoInput, BadData, UsageError
        The file is not there, cannot serve, is not asked for, or nobody says where it comes from.
    """
    from bidsapp.networks.origin import require_origin
    from bidsapp.networks.weights import check_weights as check
    from bidsapp.networks.weights import require_weights, weights_file
    from bidsapp.representation.before_fitting import network_channels

    chosen = [one for name in variants for one in alternatives(recipe.with_variant(name))]
    needing = [one for one in chosen if one.network.start_kind not in ("random", "variant")]
    if options.weights is not None and all(one.network.start_path for one in needing):
        # --weights is for nobody: said in the words for the first network of all
        require_weights(chosen[0].network, 1, options.weights)
    kinds = {
        (one.network.model_dump_json(), one.representation.model_dump_json()): one
        for one in needing
    }
    for one in kinds.values():
        try:
            file = weights_file(one.network, options.weights)
            channels = len(network_channels(one.representation, one.representation.channels))
            check(one.network, channels, file, _shape_of(one))
            if file is not None:
                require_origin(one.network, file)
        except (BadData, NoInput, UsageError) as error:
            raise type(error)(f"Recipe {recipe.name}: {error}{_without_file(recipe)}") from error


def _without_file(recipe: Recipe) -> str:
    """Name the recipe for a study of one's own with such scans that begins at random, if any."""
    modality = recipe.preparation.modality
    for name in packaged():
        one = load_recipe(name)
        own = not one.reference and one.preparation.modality == modality
        if own and one.network.start_kind == "random" and name != recipe.name:
            return f" For a study of your own, --recipe {name} needs no such file."
    return ""


def _shape_of(recipe: Recipe) -> tuple[int, int, int] | None:
    """Voxels of the network's input as far as its weights hang on them; None if not known yet."""
    from bidsapp.recipes.known_names import PLANE_AXIS

    spec, grid = recipe.representation, recipe.preparation.grid()
    if spec.plane and spec.slices:
        shape = [10**6] * 3
        shape[PLANE_AXIS[spec.plane]] = spec.slices
        return shape[0], shape[1], shape[2]
    return spec.pad or (grid[0] if grid else None)


def refuse_seen(
    recipe: Recipe, variants: Sequence[str], cohort: "Cohort", options: RunOptions
) -> Recipe:
    """Refuse weights that NociCast fitted to people of this cohort; in mode paper, note it.

    Returns
    -------
    Recipe
        With ``network.origin.participants: overlap`` in the variants that begin with such weights,
        from which every stamp follows.

    Raises
    ------
    UsageError
        In mode strict.
    """
    from bidsapp.dataset.beside import seen_by
    from bidsapp.networks.origin import seen_people

    changed = {}
    for name, file in _files(recipe, variants, options):
        one, own = recipe.with_variant(name), seen_by(cohort, name)
        hashes = {
            " ".join(filter(None, scan.unit)): (str(voxels), scan.source_sha256)
            for scan, voxels in zip(own.files, own.table["sha256"], strict=True)
        }
        seen = seen_people(file, hashes)
        if not seen or (one.network.origin and one.network.origin.participants == "overlap"):
            continue
        if one.mode == "strict":
            more = f" and {len(seen) - _MOST} more" if len(seen) > _MOST else ""
            raise UsageError(
                f"--weights {file}: {len(seen)} of the {len(hashes)} scans of this cohort are "
                f"among those that this network was trained on ({', '.join(seen[:_MOST])}{more}), "
                "so that held-out people would not be held out. Take weights of other people, or "
                "begin with random ones: --set network.start=random. (mode: paper runs it and "
                "stamps LEAK.)"
            )
        key = "network.origin" if name == recipe.base else f"variants.{name}.network.origin"
        changed[f"{key}.dataset"] = "a cohort that shares people with this one"
        changed[f"{key}.participants"] = "overlap"
    return apply_values(recipe, changed)


def _files(
    recipe: Recipe, variants: Sequence[str], options: RunOptions
) -> Iterator[tuple[str, Path]]:
    from bidsapp.networks.weights import weights_file

    for name in variants:
        every = alternatives(recipe.with_variant(name))
        files = [weights_file(one.network, options.weights) for one in every]
        yield from ((name, file) for file in dict.fromkeys(files) if file is not None)
