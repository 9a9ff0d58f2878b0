"""Which variants of a recipe one run can hold, as they share one cohort, and how to run others."""

from collections.abc import Sequence
from operator import attrgetter

from bidsapp.errors import UsageError
from bidsapp.recipes import Recipe

# What may not differ between the variants of one run, as they share one cohort table.
_SHARED = ("inputs", "outcome", "preparation", "protocol.groups")


def check_variants(recipe: Recipe, variants: Sequence[str], stages: Sequence[str] = ()) -> None:
    """Refuse variants that need images, outcomes or groups of their own.

    Parameters
    ----------
    recipe
        Of the run.
    variants
        Those that are scored.
    stages
        Those that are only trained, for others to begin with; they may have another outcome.

    Raises
    ------
    UsageError
        A variant's images, outcome or groups differ from those of the others.
    """
    first = recipe.with_variant(variants[0])
    for name in (*variants[1:], *stages):
        other = recipe.with_variant(name)
        for key in _differing(first, other):
            if key == "preparation" or (key == "outcome" and name in stages):
                continue
            if key == "inputs" and _other_files(first, other):
                continue
            raise UsageError(
                f"variants {variants[0]} and {name} differ in {key}, so that they cannot "
                f"share one cohort; run {name} by itself: --variants {name} --run-label {name}."
            )


def _other_files(one: Recipe, other: Recipe) -> bool:
    """Tell whether two variants begin with other files, so that their filters differ too."""
    near = one.inputs.near_duplicates == other.inputs.near_duplicates
    return near and one.preparation.modality != other.preparation.modality


def _differing(one: Recipe, other: Recipe) -> list[str]:
    return [key for key in _SHARED if attrgetter(key)(one) != attrgetter(key)(other)]


def sharing_variants(
    recipe: Recipe, variants: Sequence[str], ensembles: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...], list[str]]:
    """Those of the variants that can share the first one's cohort, and how to run the others.

    Returns
    -------
    variants, ensembles
        What one run can hold, in the order given.
    apart
        A sentence for each set of variants that needs images or outcomes of its own: which they
        are, and the commands that make their images and run them.
    """
    first = recipe.with_variant(variants[0])
    together: list[str] = []
    others: list[tuple[Recipe, list[str], list[str]]] = []
    for name in variants:
        own = recipe.with_variant(name)
        differ = _differing(first, own)
        if not differ:
            together.append(name)
            continue
        alike = [
            names for one, what, names in others if what == differ and not _differing(one, own)
        ]
        if alike:
            alike[0].append(name)
        else:
            others.append((own, differ, [name]))
    apart = []
    for _, differ, names in others:
        needs = "preparation" in differ
        images = f"run participant --variants {names[0]} for its images, then " if needs else ""
        apart.append(
            f"Not in this run: {', '.join(names)} ({' and '.join(differ)} other than that of "
            f"{variants[0]}: {images}run group --variants {' '.join(names)} "
            f"--run-label {recipe.name}-{names[0]})."
        )
    whole = tuple(name for name in ensembles if set(recipe.ensembles[name].of) <= set(together))
    return tuple(together), whole, apart
