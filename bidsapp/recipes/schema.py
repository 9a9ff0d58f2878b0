"""A recipe: one study as data, checked as a whole."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from bidsapp.contracts.fitted import FittedStep, leaking
from bidsapp.contracts.modality import DEFAULT, modality_named, modality_packages
from bidsapp.errors import UsageError
from bidsapp.recipes.analysis import Ensemble, Evaluation, Saliency
from bidsapp.recipes.combinations import impossible
from bidsapp.recipes.images import Inputs, Outcome, Representation, Tables
from bidsapp.recipes.learning import Protocol, Training
from bidsapp.recipes.messages import one_of, problems_of
from bidsapp.recipes.names import ensemble_problems, name_problems, names_variant
from bidsapp.recipes.network import Network
from bidsapp.recipes.preparation import EARLIER, Preparation, current_keys, of_its_modality
from bidsapp.recipes.search import with_starts
from bidsapp.recipes.search_settings import search_problems, steps_of_settings
from bidsapp.recipes.section import Impossible, Name, Problem, Section, Text, Texts
from bidsapp.recipes.simulation import Simulation
from bidsapp.recipes.start import FromVariant, named_variant, stages_of, start_problems
from bidsapp.recipes.values import flat, merged

EXPERIMENT = (
    "mode",
    "inputs",
    "outcome",
    "preparation",
    "representation",
    "network",
    "training",
    "protocol",
    "evaluation",
    "saliency",
)
"""The keys that a variant may change; the others name and describe."""


def _single_line(text: str) -> str:
    if len(text.splitlines()) != 1:
        raise ValueError("should be a single line")
    return text


def _name_channels(values: dict[str, Any]) -> None:
    """Give networks the main channel of the modality, where a recipe names none."""
    given, shape = values.get("preparation"), values.get("representation", {})
    name = given.get("modality", DEFAULT) if isinstance(given, dict) else DEFAULT
    known = isinstance(name, str) and name in modality_packages()
    if known and isinstance(shape, dict) and "channels" not in shape:
        main = modality_named(name).main_channel_for(given if isinstance(given, dict) else {})
        if main != modality_named(DEFAULT).main_channel:
            values["representation"] = {**shape, "channels": [main]}


class Recipe(Section):
    """One study: what is read, done, tried and compared.

    The recipe itself is a variant too, under the name ``base``. Every variant is resolved and
    checked when the recipe is made, so that a Recipe that exists can be run in all its variants.
    """

    name: Name = Field(description="Name of the recipe, and of the run unless another is given.")
    summary: Annotated[Text, AfterValidator(_single_line)] = Field(
        description="What the recipe does, in one line."
    )
    reference: Text | None = Field(
        default=None, description="Publication, as doi:... or an address."
    )
    notes: str = Field(
        default="", description="What is printed, what is ours, and known weaknesses."
    )
    mode: Literal["strict", "paper"] = Field(
        default="strict",
        description="strict refuses whatever sees held-out people; paper runs it and stamps LEAK.",
    )
    inputs: Inputs = Field(default=Inputs(), description="Images that are read.")
    outcome: Outcome = Field(default=Outcome(), description="What is predicted.")
    tables: Tables = Field(default=Tables(), description="How the dataset's tables are read.")
    preparation: Annotated[Preparation, BeforeValidator(of_its_modality)] = Field(
        default_factory=lambda: of_its_modality({}),
        description="From the files of a scan to what networks are given.",
    )
    representation: Representation = Field(
        default=Representation(), description="From a prepared image to the network's input."
    )
    network: Network = Field(description="Architecture and initial weights.")
    training: Training = Field(default=Training(), description="How weights are fitted.")
    protocol: Protocol = Field(default=Protocol(), description="How participants are divided.")
    evaluation: Evaluation = Field(
        default=Evaluation(), description="Metrics, intervals, tests and baselines."
    )
    saliency: Saliency = Field(
        default=Saliency(), description="Maps of what moves the network's answer."
    )
    simulation: Simulation = Field(
        default=Simulation(), description="A known signal planted into the cohort."
    )
    base: Name = Field(
        default="base", description="Name that the recipe itself has among its variants."
    )
    variants: dict[Name, dict[str, Any]] = Field(
        default={},
        max_length=500,
        description="Name of a variant to the dotted keys that it changes, with their values.",
    )
    ensembles: dict[Name, Ensemble] = Field(
        default={}, description="Variants joined into one score."
    )
    run: Texts = Field(
        default=(),
        description="Variants and ensembles that run when none is asked for; empty: the base.",
    )
    reported: dict[str, dict[str, float]] = Field(
        default={},
        description="Printed values: name, metric, value. The name is a variant's, an ensemble's "
        "or a baseline's; <variant>/<baseline> is a baseline on that variant's folds, and @<scope> "
        "says which scope (mean where not given; pooled, best_fold, ...). cutoff is the "
        "fitted threshold itself.",
    )

    @model_validator(mode="before")
    @classmethod
    def _rename(cls, data: Any) -> Any:
        """Read the keys of earlier versions."""
        if not isinstance(data, dict):
            return data
        if EARLIER in data and "preparation" in data:
            raise ValueError(f"{EARLIER} is the earlier name of preparation: give one of them")
        found = current_keys(data)
        _name_channels(found)
        variants = found.get("variants")
        if isinstance(variants, dict):
            found["variants"] = {
                name: current_keys(values) if isinstance(values, dict) else values
                for name, values in variants.items()
            }
        return found

    @field_validator("variants", mode="after")
    @classmethod
    def _flatten(cls, variants: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        return {name: flat(values) for name, values in variants.items()}

    @model_validator(mode="after")
    def _check(self) -> "Recipe":
        problems = [*impossible(self), *name_problems(self)]
        if not problems and not self.variants:
            problems += search_problems(self)
        if not problems:
            resolved = {self.base: self}
            searched = self.variants and self.training.search is not None
            for name in (*([self.base] if searched else []), *self.variants):
                try:
                    resolved[name] = self._alone(name)
                except ValidationError as error:
                    prefix = "" if name == self.base else f"variants.{name}."
                    problems += [
                        (f"{prefix}{key}", text) for key, text in problems_of(error, Recipe)
                    ]
                except Impossible as error:
                    problems += error.problems
                if problems and name == self.base:
                    break  # what is wrong with the search of the base is so in its variants
            if not problems:
                problems += ensemble_problems(self, resolved)
            if not problems and not self._is_of_another:
                problems += start_problems(resolved)
                problems += [] if problems else self._inherited_leaks(resolved)
        if problems:
            raise Impossible(problems)
        return self

    def declares(self) -> tuple[FittedStep, ...]:
        """Say what of this recipe, without its variants, is fitted or chosen, and on whose data."""
        own = self.steps_of_sections()
        if self.training.search is None:
            return own
        alone = self._alone(self.base) if self.variants else self
        return tuple(dict.fromkeys((*own, *steps_of_settings(alone))))

    def steps_of_sections(self) -> tuple[FittedStep, ...]:
        """Say the same without what the settings of a search change."""
        sections = (getattr(self, name) for name in type(self).model_fields)
        return tuple(
            step for one in sections if isinstance(one, Section) for step in one.declares()
        )

    def leaks(self, reached: str = "") -> tuple[FittedStep, ...]:
        """List the steps that see held-out people, or may; see `contracts.fitted.leaking`."""
        return leaking(self.declares(), reached)

    @property
    def variant_names(self) -> tuple[str, ...]:
        """The base first, then the variants in the order of the recipe."""
        return (self.base, *self.variants)

    def with_variant(self, name: str) -> "Recipe":
        """Return the recipe of one variant alone.

        Parameters
        ----------
        name
            A variant's name, or that of the base.

        Returns
        -------
        Recipe
            The variant as a recipe that can be run by itself: its ``base`` is `name`, it has no
            variants or ensembles, and keeps the printed values that are about it.

        Raises
        ------
        UsageError
            There is no such variant.
        """
        if name not in self.variant_names:
            raise UsageError(f"recipe {self.name}: variant {one_of(name, self.variant_names)}")
        return self._resolved(name)

    @property
    def columns_beside(self) -> dict[str, bool]:
        """Columns that networks and fitted steps read, and whether new people must have them."""
        found = dict.fromkeys(self.network.covariates, True)
        for asked in self.representation.asked():
            found |= {
                name: needed or found.get(name, False) for name, needed in asked.columns.items()
            }
        return found

    def group_column(self, variants: Sequence[str]) -> str | None:
        """Column whose values bind participants, which the variants of one run share."""
        return self.with_variant(variants[0]).protocol.groups

    def binds(self, variants: Sequence[str]) -> bool:
        """Whether the cohort's groups bind participants: by a column, or as near-duplicates."""
        one = self.with_variant(variants[0])
        return one.protocol.groups is not None or one.inputs.near_duplicates == "together"

    def lone_groups(self, variants: Sequence[str]) -> bool:
        """Whether people without a group are one each: not where groups are left out in turn."""
        kinds = {self.with_variant(name).protocol.kind for name in variants}
        return "leave_one_group_out" not in kinds

    def dated(self, variants: Sequence[str]) -> dict[str, bool] | None:
        """Say how dates of scans are read, where some variant divides people by them; else None."""
        protocols = [self.with_variant(name).protocol for name in variants]
        temporal = [one for one in protocols if one.kind == "temporal"]
        if not temporal:
            return None
        return {"shifted_alike": any(bool(one.shifted_alike) for one in temporal)}

    def selected(self, names: Sequence[str] = ()) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Variants and ensembles to run, each in the order of the recipe.

        Parameters
        ----------
        names
            Names of variants and ensembles, ``all`` for everything, empty for the recipe's
            ``run``. An ensemble brings its members along.

        Returns
        -------
        variants, ensembles
            Names of the variants to run, and of the ensembles to make from them.

        Raises
        ------
        UsageError
            A name is neither a variant nor an ensemble.
        """
        known = (*self.variant_names, *self.ensembles)
        wanted = set(names or self.run or (self.base,))
        if "all" in wanted:
            wanted = set(known)
        for name in names:
            if name not in (*known, "all"):
                raise UsageError(f"recipe {self.name}: variant {one_of(name, (*known, 'all'))}")
        ensembles = tuple(name for name in self.ensembles if name in wanted)
        members = {member for name in ensembles for member in self.ensembles[name].of}
        return tuple(name for name in self.variant_names if name in wanted | members), ensembles

    def stages(self, variants: Sequence[str]) -> tuple[str, ...]:
        """Variants that some begin with and that are not among them, the first first."""
        return stages_of(self, tuple(variants))

    def with_values(self, values: Mapping[str, Any]) -> "Recipe":
        """Return the recipe with some dotted keys changed, checked as a whole.

        Raises
        ------
        pydantic.ValidationError
            The result is not a recipe; `bidsapp.recipes.apply_values` says it readably.
        """
        return Recipe.model_validate(merged(self.plain(), current_keys(values), Recipe))

    def _resolved(self, name: str) -> "Recipe":
        """Make the recipe of a variant, which knows what the one that it begins with has seen."""
        alone = self._alone(name)
        first, search = named_variant(alone), alone.training.search
        begun = [one for one in (search.begun_with if search else ()) if one in self.variant_names]
        if (first is None or first not in self.variant_names) and not begun:
            return alone
        values = alone.plain()
        if first in self.variant_names:
            values["network"]["start"] = FromVariant.after(first, self._resolved(first))
        if begun:
            values["training"]["search"]["starts"] = {
                one: FromVariant.after(one, self._resolved(one)) for one in begun
            }
        return Recipe.model_validate(values)

    @property
    def _is_of_another(self) -> bool:
        """Whether the variant that this one begins with is in the recipe that it was taken from."""
        start, search = self.network.start, self.training.search
        from_start = isinstance(start, FromVariant) and start.leaks is not None
        return from_start or (search is not None and bool(search.starts))

    def _inherited_leaks(self, resolved: Mapping[str, "Recipe"]) -> list[Problem]:
        """List strict variants that begin with one whose networks saw held-out people."""
        found: list[Problem] = []
        for name, one in resolved.items():
            search = one.training.search
            if named_variant(one) is None and not (search and search.begun_with):
                continue
            try:
                self._resolved(name)
            except ValidationError as error:
                prefix = "" if name == self.base else f"variants.{name}."
                found += [(f"{prefix}{key}", text) for key, text in problems_of(error, Recipe)]
        return found

    def _alone(self, name: str) -> "Recipe":
        values = self.variants.get(name, {})
        refused: list[Problem] = [
            (f"variants.{name}.{key}", f"a variant may change {', '.join(EXPERIMENT)} only")
            for key in values
            if (head := key.partition(".")[0]) in Recipe.model_fields and head not in EXPERIMENT
        ]
        if refused:
            raise Impossible(refused)
        alone = self.plain() | {"base": name, "run": [name], "variants": {}, "ensembles": {}}
        alone["reported"] = {
            key: numbers for key, numbers in self.reported.items() if names_variant(key, name, self)
        }
        try:
            one = merged(alone, values, Recipe)
        except Impossible as error:
            told = [(f"variants.{name}.{key}", text) for key, text in error.problems]
            raise Impossible(told) from None
        # what is no section is refused with its key below
        network, training, evaluation = (
            section if isinstance(section := one.get(key, {}), dict) else {}
            for key in ("network", "training", "evaluation")
        )
        if evaluation:
            one["evaluation"] = {**evaluation, "stack": {}}  # of several variants
        start = network.get("start")
        if isinstance(start, dict):  # the variant that it names is not in a recipe of one alone
            one["network"] = {**network, "start": {"leaks": {}, **start}}
        search = training.get("search")
        if isinstance(search, dict) and not search.get("starts"):
            one["training"] = {**training, "search": with_starts(search)}
        return Recipe.model_validate(one)
