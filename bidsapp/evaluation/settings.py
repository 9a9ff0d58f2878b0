"""What an evaluation does, as plain values; the one place that knows a recipe's shape."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bidsapp.contracts.fitted import FittedStep, leaking
from bidsapp.evaluation.intervals import LEVEL
from bidsapp.evaluation.sample import DEFAULT_THRESHOLD

if TYPE_CHECKING:
    from bidsapp.recipes.schema import Recipe

RESAMPLES = 2000
CLINICAL = "clinical"
"""Name of the model of the clinical columns alone."""
WITH_IMAGE = f"{CLINICAL} + "
"""Stands before a variant's name in that of the model of the clinical columns and the variant."""
PERMUTATIONS = 1000


@dataclass(frozen=True)
class VariantSettings:
    """What a variant may do otherwise than the run; see `EvaluationSettings`."""

    threshold: float = DEFAULT_THRESHOLD
    fitted_threshold: str = "train_fold"
    best_fold: bool = False
    leaks: tuple[FittedStep, ...] = ()


@dataclass(frozen=True)
class EvaluationSettings:
    """How scores are evaluated.

    Attributes
    ----------
    tests
        Of ``permutation``, ``delong``, ``mcnemar``.
    subgroups, predictors
        Columns of the cohort table: for subgroups; for the baselines logistic, random_forest,
        xgboost.
    baselines
        Names of `baselines.BASELINES`.
    site
        Column of the site, for the baseline of that name.
    permute_within
        Columns within whose values outcomes are permuted.
    clinical, clinical_model
        Columns of the clinical model, and what it is.
    stack
        Name -> variants whose logits are joined into one model.
    net_benefit_range
        Thresholds over which the gain in net benefit is averaged.
    prevalence
        Share of positives where the model is to be used; None where it is not said.
    permutations, resamples, seed
        Permutations of outcomes on fixed scores, bootstrap resamples (0: none), their seed.
    level
        Coverage of intervals.
    threshold
        Probability from which an observation is called positive.
    fitted_threshold
        Where the second threshold comes from: ``none``, ``train_fold``, ``inner`` or
        ``test_fold``.
    best_fold
        Whether the best fold is printed, beside what chance would give.
    ensembles
        Name -> (members, ``mean`` or ``vote``).
    reported
        Printed values: name, optionally with ``@scope`` -> metric -> value.
    leaks
        Steps that saw held-out people; stamped on every row that depends on them.
    variants
        Variants whose thresholds, best fold or leaks are their own.
    simulated
        What was planted into the cohort; stamped on every row. Empty for real results.
    base
        The variant that the recipe itself is; baselines without a prefix share its folds.
    same_as_outcome
        Columns that are left out of the cohort table as they say the outcome in other words.
    """

    tests: tuple[str, ...] = ("permutation",)
    subgroups: tuple[str, ...] = ()
    baselines: tuple[str, ...] = ("majority",)
    predictors: tuple[str, ...] = ()
    site: str | None = None
    permute_within: tuple[str, ...] = ()
    clinical: tuple[str, ...] = ()
    clinical_model: str = "logistic"
    stack: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    net_benefit_range: tuple[float, float] = (0.1, 0.5)
    prevalence: float | None = None
    permutations: int = PERMUTATIONS
    resamples: int = RESAMPLES
    seed: int = 0
    level: float = LEVEL
    threshold: float = DEFAULT_THRESHOLD
    fitted_threshold: str = "train_fold"
    best_fold: bool = False
    ensembles: Mapping[str, tuple[tuple[str, ...], str]] = field(default_factory=dict)
    reported: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    leaks: tuple[FittedStep, ...] = ()
    variants: Mapping[str, VariantSettings] = field(default_factory=dict)
    base: str = "base"
    simulated: str = ""
    same_as_outcome: tuple[str, ...] = ()

    def of(self, name: str) -> "EvaluationSettings":
        """Return the settings that hold for one variant, ensemble or baseline.

        An ensemble, or a stack, has the leaks of all its members. A baseline sees no image, so only
        leaks of the evaluation itself are its own.
        """
        own = self.variants.get(name)
        if own is not None:
            return replace(self, **vars(own))
        if name in self.ensembles:
            found = [step for member in self.ensembles[name][0] for step in self.of(member).leaks]
            return replace(self, leaks=leaking(found))
        joined = self.stack.get(name) or [name.partition(WITH_IMAGE)[2]] * (WITH_IMAGE in name)
        if joined:
            found = [step for member in joined for step in self.of(member).leaks]
            return replace(self, leaks=leaking(found), best_fold=False)
        if name.rpartition("/")[2] in (*self.baselines, CLINICAL):
            return replace(self, leaks=leaking(self.leaks, "baselines"), best_fold=False)
        return self


def settings_from_recipe(recipe: "Recipe") -> EvaluationSettings:
    """Take from a recipe what evaluation needs."""
    plan = recipe.evaluation
    return EvaluationSettings(
        tests=tuple(plan.tests),
        subgroups=tuple(plan.subgroups),
        baselines=tuple(plan.baselines),
        predictors=tuple(plan.predictors),
        site=plan.site,
        permute_within=tuple(plan.permute_within),
        clinical=tuple(plan.clinical),
        clinical_model=plan.clinical_model,
        stack={name: tuple(variants) for name, variants in plan.stack.items()},
        net_benefit_range=plan.net_benefit_range,
        prevalence=plan.prevalence,
        permutations=plan.permutations,
        resamples=plan.bootstrap,
        seed=plan.seed,
        level=plan.confidence,
        threshold=plan.threshold,
        fitted_threshold=plan.fitted_threshold,
        best_fold=plan.best_fold,
        ensembles={name: (tuple(e.of), e.rule) for name, e in recipe.ensembles.items()},
        reported=recipe.reported,
        leaks=recipe.leaks(),
        variants={name: _variant(recipe.with_variant(name)) for name in recipe.variant_names},
        base=recipe.base,
        simulated=recipe.simulation.stamp,
        same_as_outcome=tuple(recipe.tables.same_as_outcome),
    )


def _variant(recipe: "Recipe") -> VariantSettings:
    plan = recipe.evaluation
    return VariantSettings(plan.threshold, plan.fitted_threshold, plan.best_fold, recipe.leaks())


def subgroup_column(name: str) -> str:
    """Column of a subgroup: ``nsaid`` of ``nsaid=ibuprofen``, and of ``nsaid``."""
    return name.rpartition("=")[0] or name


def asked_columns(recipe: "Recipe", variants: Sequence[str]) -> list[str]:
    """Columns that the recipe names for what is made of the scores and the maps, each once."""
    found: dict[str, None] = {}
    for name in variants:
        one = recipe.with_variant(name)
        plan = one.evaluation
        site = [plan.site] if plan.site else []
        adjusted = one.saliency.covariates or ()
        found |= dict.fromkeys(
            [
                *map(subgroup_column, plan.subgroups),
                *plan.predictors,
                *plan.clinical,
                *one.columns_beside,
                *site,
                *plan.permute_within,
                *adjusted,
            ]
        )
    return list(found)


def evaluated_columns(recipe: "Recipe", variants: Sequence[str]) -> list[str]:
    """Those of `asked_columns` that no model is given: new people need not have them."""
    given: set[str] = set()
    for name in variants:
        one = recipe.with_variant(name)
        given |= {*one.columns_beside, *one.evaluation.clinical}
    return [name for name in asked_columns(recipe, variants) if name not in given]


def settings_of_run(run_folder: Path) -> EvaluationSettings:
    """Read `recipe.yaml` of a run; the defaults where there is none."""
    path = Path(run_folder) / "recipe.yaml"
    if not path.is_file():
        return EvaluationSettings()
    from bidsapp.recipes import load_recipe

    return settings_from_recipe(load_recipe(path))
