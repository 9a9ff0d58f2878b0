"""The names inside a recipe: variants, ensembles and printed results, and what they refer to."""

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, get_args

from bidsapp.recipes.known_names import Baseline
from bidsapp.recipes.messages import one_of
from bidsapp.recipes.section import Problem

if TYPE_CHECKING:
    from bidsapp.recipes.schema import Recipe

SCOPE = re.compile(r"mean|pooled|best_fold|fold-\d+|subgroup:[^=]+=.+")


def split_reported(key: str) -> tuple[str, str]:
    """Split a key of ``reported`` into the name and the scope.

    Examples
    --------
    >>> split_reported("axial@best_fold"), split_reported("stratified/xgboost")
    (('axial', 'best_fold'), ('stratified/xgboost', 'mean'))
    """
    name, _, scope = key.partition("@")
    return name, scope or "mean"


def names_variant(key: str, variant: str, recipe: "Recipe") -> bool:
    """Whether a key of ``reported`` is about one variant or the baselines on its folds."""
    name, _ = split_reported(key)
    on_base_folds = variant == recipe.base and name in recipe.evaluation.baselines
    return name == variant or name.startswith(f"{variant}/") or on_base_folds


def name_problems(recipe: "Recipe") -> Iterator[Problem]:
    """Names that clash, and names that nothing has."""
    variants, ensembles = recipe.variant_names, tuple(recipe.ensembles)
    taken = {"all": "a word of the command line"}
    taken |= dict.fromkeys(get_args(Baseline), "a baseline")
    places = [("base", recipe.base)]
    places += [(f"variants.{name}", name) for name in recipe.variants]
    places += [(f"ensembles.{name}", name) for name in ensembles]
    for key, name in places:
        if name in taken:
            yield key, f"the name {name} is {taken[name]} already"
        taken[name] = "the base" if key == "base" else f"in {key.partition('.')[0]}"
    labels: dict[str, str] = {}
    for key, name in places:
        # folders and BIDS labels are made of letters and digits alone
        same = labels.setdefault("".join(c for c in name if c.isalnum()), name)
        if same != name:
            yield key, f"the name {name} differs from {same} by signs only: rename one"
    for ensemble, settings in recipe.ensembles.items():
        for member in settings.of:
            if member not in variants:
                yield f"ensembles.{ensemble}.of", f"variant {one_of(member, variants)}"
    for name, members in recipe.evaluation.stack.items():
        key = f"evaluation.stack.{name}"
        if name in taken:
            yield key, f"the name {name} is {taken[name]} already"
        for member in members:
            if member not in variants:
                yield key, f"variant {one_of(member, variants)}"
    for name in recipe.run:
        if name not in (*variants, *ensembles):
            yield "run", f"variant {one_of(name, (*variants, *ensembles))}"
    yield from _reported_problems(recipe)


def _reported_problems(recipe: "Recipe") -> Iterator[Problem]:
    baselines = recipe.evaluation.baselines
    known = (*recipe.variant_names, *recipe.ensembles, *baselines)
    for key, numbers in recipe.reported.items():
        name, scope = split_reported(key)
        variant, slash, baseline = name.partition("/")
        if slash and variant not in recipe.variant_names:
            yield f"reported.{key}", f"variant {one_of(variant, recipe.variant_names)}"
        elif slash and baseline not in baselines:
            yield f"reported.{key}", f"baseline {one_of(baseline, baselines)}"
        elif not slash and name not in known:
            yield f"reported.{key}", f"variant, ensemble or baseline {one_of(name, known)}"
        if not SCOPE.fullmatch(scope):
            yield (
                f"reported.{key}",
                f"unknown scope {scope}: mean, pooled, best_fold, fold-<k> or "
                "subgroup:<column>=<value>",
            )
        for metric in numbers:
            if not re.fullmatch(r"[a-z][a-z0-9_]*", metric):
                yield f"reported.{key}.{metric}", "a metric's name has small letters, 0-9 and _"


def ensemble_problems(recipe: "Recipe", resolved: Mapping[str, "Recipe"]) -> Iterator[Problem]:
    """Ensembles, and stacks, whose members cannot be joined."""
    for name, ensemble in recipe.ensembles.items():
        if ensemble.rule == "vote" and len(ensemble.of) % 2 == 0:
            yield f"ensembles.{name}.of", "a majority vote needs an odd number of variants"
    joined = {f"ensembles.{name}.of": ensemble.of for name, ensemble in recipe.ensembles.items()}
    joined |= {f"evaluation.stack.{name}": of for name, of in recipe.evaluation.stack.items()}
    for place, members in joined.items():
        what = "a stack" if place.startswith("evaluation") else "an ensemble"
        first, *others = (resolved[member] for member in members)
        for other in others:
            for key in ("outcome", "protocol"):
                if getattr(other, key) != getattr(first, key):
                    yield (
                        place,
                        f"{first.base} and {other.base} differ in {key}; {what} joins scores "
                        "of the same people in the same folds",
                    )
