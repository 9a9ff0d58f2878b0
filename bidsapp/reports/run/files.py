"""The files of a run, each of which may be absent: read once, with the reason of what is not."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from bidsapp.contracts.fitted import FittedStep, leaking, stamp_text
from bidsapp.dataset.covariates import users_columns
from bidsapp.errors import NociCastError
from bidsapp.evaluation.permutation import METHOD as WHOLE_PIPELINE
from bidsapp.evaluation.sample import Sample, from_scores
from bidsapp.evaluation.settings import EvaluationSettings, settings_from_recipe
from bidsapp.evaluation.tsv import is_missing, read_table
from bidsapp.intake.json_text import read_own_json
from bidsapp.recipes import Recipe, load_recipe

if TYPE_CHECKING:
    from bidsapp.recipes.schema import Recipe


class RunFiles:
    """A run folder, ``<output_dir>/group/<run label>``.

    Parameters
    ----------
    folder
        The folder.

    Attributes
    ----------
    absent
        File -> why it says nothing, for every file that was asked for and could not be read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.label = self.folder.name
        self.absent: dict[str, str] = {}
        self._tables: dict[str, pd.DataFrame] = {}

    def table(
        self, name: str, needed: Sequence[str] = (), numeric: Sequence[str] = ()
    ) -> pd.DataFrame:
        """Read a table of the run.

        Parameters
        ----------
        name
            Relative to the folder, such as ``tables/printed.tsv``.
        needed
            Columns without which the table says nothing.
        numeric
            Columns to turn into numbers, ``n/a`` into NaN.

        Returns
        -------
        pandas.DataFrame
            Text but for `numeric`; no rows, but the columns that were named, where the file is
            absent or not to be read (`absent` says why).
        """
        if name not in self._tables:
            try:
                self._tables[name] = read_table(self.folder / name, needed)
            except (NociCastError, OSError) as error:
                there = (self.folder / name).exists()
                self.absent[name] = str(error) if there else "not written by this run"
                self._tables[name] = pd.DataFrame()
        names = dict.fromkeys((*needed, *numeric, *self._tables[name].columns))
        table = self._tables[name].reindex(columns=pd.Index(list(names)))
        return table.assign(**{c: pd.to_numeric(table[c], errors="coerce") for c in numeric})

    @cached_property
    def recipe(self) -> "Recipe | None":
        """The resolved recipe, where it can be read."""
        path = self.folder / "recipe.yaml"
        if not path.is_file():
            self.absent["recipe.yaml"] = "not written by this run"
            return None
        try:
            return load_recipe(path)
        except NociCastError as error:
            self.absent["recipe.yaml"] = str(error)
            return None

    @cached_property
    def recipe_text(self) -> str:
        """The recipe as it stands in the folder."""
        try:
            return (self.folder / "recipe.yaml").read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return ""

    @cached_property
    def settings(self) -> EvaluationSettings:
        """How the run was evaluated; the defaults where there is no recipe."""
        return settings_from_recipe(self.recipe) if self.recipe else EvaluationSettings()

    @cached_property
    def cohort(self) -> pd.DataFrame:
        """Who is in."""
        return self.table("cohort.tsv", ("participant_id", "session_id", "outcome"))

    @property
    def covariates(self) -> list[str]:
        """Columns of the cohort beyond those that every run writes."""
        return users_columns(map(str, self.cohort.columns))

    @cached_property
    def exclusions(self) -> pd.DataFrame:
        """Who is not in, and why."""
        return self.table("exclusions.tsv", ("participant_id", "session_id", "reason"))

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """All numbers."""
        needed = ("variant", "scope", "metric", "value", "ci_low", "ci_high", "ci_method", "note")
        return self.table("metrics.tsv", needed, ("value", "ci_low", "ci_high"))

    @cached_property
    def scores(self) -> pd.DataFrame:
        """Held-out scores of networks, ensembles and baselines, one below the other."""
        columns = ("participant_id", "session_id", "variant", "repeat", "fold", "probability")
        numeric = ("repeat", "fold", "outcome", "probability")
        files = ("scores.tsv", "tables/ensemble_scores.tsv", "tables/baseline_scores.tsv")
        parts = [self.table(name, (*columns, "outcome"), numeric) for name in files]
        kinds = ("network", "ensemble", "baseline")
        marked = [part.assign(kind=kind) for part, kind in zip(parts, kinds, strict=True)]
        whole = pd.concat([part for part in marked if len(part)] or marked[:1], ignore_index=True)
        return whole[whole["probability"].notna() & whole["outcome"].isin((0, 1))]

    @cached_property
    def inner(self) -> pd.DataFrame | None:
        """Scores of the people of inner splits; None where the run has none."""
        if not (self.folder / "inner_scores.tsv").is_file():
            return None
        needed = ("variant", "repeat", "fold", "outcome", "probability")
        return self.table("inner_scores.tsv", needed, needed[1:])

    @cached_property
    def variants(self) -> list[str]:
        """Networks and ensembles, in the order of their scores, the leading one first."""
        return self._names("network") + self._names("ensemble")

    @cached_property
    def baselines(self) -> list[str]:
        """Baselines, in the order of their scores."""
        return self._names("baseline")

    def _names(self, kind: str) -> list[str]:
        rows = self.scores[self.scores["kind"] == kind]
        return [str(name) for name in rows["variant"].drop_duplicates()]

    @cached_property
    def lead(self) -> str:
        """The variant that the answer is about: fixed by the recipe, never by its result.

        The recipe's base where it ran, else the first that ran. Empty where nothing ran.
        """
        if self.settings.base in self.variants:
            return self.settings.base
        return self.variants[0] if self.variants else ""

    def sample(self, variant: str) -> Sample:
        """Pooled held-out scores of a variant or baseline."""
        return from_scores(self.scores_of(variant), self.settings.of(variant).threshold)

    def scores_of(self, variant: str) -> pd.DataFrame:
        """Held-out scores of one variant or baseline."""
        return self.scores[self.scores["variant"] == variant]

    def leaks_of(self, variant: str) -> tuple[FittedStep, ...]:
        """List the steps of a variant that saw the people it is scored on."""
        return leaking(self.settings.of(variant).leaks, "scores")

    def stamp_of(self, variant: str) -> str:
        """Words that every figure about a variant has to bear; empty where there is nothing."""
        parts = [
            "SIMULATED" if self.settings.simulated else "",
            stamp_text(self.leaks_of(variant)),
        ]
        return "; ".join(filter(None, parts))

    def permutation(self, variant: str) -> tuple[float, float, bool] | None:
        """Observed AUC, p against chance, and whether networks were trained anew for it.

        Of the two tests that a run can have, the one that permutes the whole pipeline is exact
        and comes first. None where there was none.
        """
        table = self.table("tables/permutations.tsv", ("variant", "method"), ("auc", "p"))
        rows = table[(table["variant"] == variant) & table["p"].notna()]
        whole = rows[rows["method"] == WHOLE_PIPELINE]
        chosen = whole if len(whole) else rows
        if chosen.empty:
            return None
        row = chosen.iloc[0]
        return float(row["auc"]), float(row["p"]), bool(len(whole))

    def metric(self, variant: str, metric: str, scope: str = "pooled") -> dict[str, Any] | None:
        """One row of the metrics, None where there is none or it is undefined."""
        table = self.metrics
        chosen = (table["variant"] == variant) & (table["scope"] == scope)
        rows = table[chosen & (table["metric"] == metric) & table["value"].notna()]
        return dict(rows.iloc[0]) if len(rows) else None

    @property
    def maps_unfinished(self) -> bool:
        """Whether maps were asked for and the run stopped, or is at work, before they were made."""
        from bidsapp.saliency.missing_maps import maps_unfinished

        return maps_unfinished(self.folder)

    @property
    def outcome_name(self) -> str:
        """What is predicted: in the recipe's words, where it has some, else by its rule."""
        words = self.recipe.outcome.words if self.recipe else None
        return words or self.outcome_rule

    @property
    def outcome_rule(self) -> str:
        """Who is positive, by columns of the tables."""
        if self.recipe is None:
            return "the outcome"
        outcome = self.recipe.outcome
        if outcome.column is None:
            return str(outcome.expression or "the outcome")
        values = " or ".join(map(str, outcome.positive or ()))
        return f"{outcome.column} = {values}" if values else str(outcome.column)

    def initial_weights(self, variant: str) -> list[dict[str, Any]]:
        """Say what the networks of a variant, or of an ensemble's members, began with."""
        members = self.settings.ensembles.get(variant, ((variant,), ""))[0]
        found = []
        for name in members:
            try:
                path = self.folder / "model" / name / "configs" / "metadata.json"
                content = read_own_json(path)
                found.append(dict(content["initial_weights"]))
            except (OSError, ValueError, KeyError, TypeError):
                continue
        return found

    @cached_property
    def bundle(self) -> dict[str, Any]:
        """Metadata of the leading variant's model, empty where there is none."""
        files = sorted(self.folder.glob("model/*/configs/metadata.json"))
        chosen = [path for path in files if path.parts[-3] == self.lead] or files
        try:
            return dict(read_own_json(chosen[0])) if chosen else {}
        except (OSError, ValueError):
            return {}


def known(value: object) -> str:
    """Text of a cell, empty for what is missing."""
    return "" if is_missing(value) else str(value)
