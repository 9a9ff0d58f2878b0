"""The folder of a run as the methods texts read it: a file that cannot be read is an error."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from bidsapp.contracts.fitted import FittedStep, leaking
from bidsapp.contracts.unit import one_each
from bidsapp.dataset.tables import read_frame
from bidsapp.errors import InputOutputError, NoInput
from bidsapp.intake.json_text import read_own_json
from bidsapp.recipes import Recipe, load_recipe
from bidsapp.training.earlier_run import other_runs


@dataclass(frozen=True)
class GroupRun:
    """The folder of a run, ``<output_dir>/group/<run label>``.

    Tables are read when they are first asked for; one that a run does not have is empty.
    """

    folder: Path

    @cached_property
    def recipe(self) -> Recipe:
        """As resolved."""
        if not (self.folder / "recipe.yaml").is_file():
            raise NoInput(
                f"{self.folder} holds no group run (no recipe.yaml); {other_runs(self.folder)}."
            )
        return load_recipe(self.folder / "recipe.yaml")

    @cached_property
    def variants(self) -> tuple[str, ...]:
        """Networks that were scored, in the order of the recipe."""
        scored = set(self.scores["variant"]) if "variant" in self.scores else set()
        return tuple(name for name in self.recipe.variant_names if name in scored)

    @cached_property
    def ensembles(self) -> tuple[str, ...]:
        """Ensembles that were evaluated."""
        known = set(self.metrics["variant"]) if "variant" in self.metrics else set()
        return tuple(name for name in self.recipe.ensembles if name in known)

    @cached_property
    def leaks(self) -> tuple[FittedStep, ...]:
        """Steps of the variants that were run that saw held-out people."""
        names = self.variants or (self.recipe.base,)
        return leaking(step for name in names for step in self.recipe.with_variant(name).leaks())

    def leaks_of(self, name: str) -> tuple[FittedStep, ...]:
        """List the steps that let held-out people into the scores of a variant or an ensemble."""
        members = self.recipe.ensembles[name].of if name in self.recipe.ensembles else (name,)
        return leaking(
            step for one in members for step in self.recipe.with_variant(one).leaks("scores")
        )

    @cached_property
    def cohort(self) -> pd.DataFrame:
        """Who is in."""
        return self.table("cohort.tsv")

    @cached_property
    def exclusions(self) -> pd.DataFrame:
        """Who is not, and why."""
        return self.table("exclusions.tsv")

    @cached_property
    def splits(self) -> pd.DataFrame:
        """Repeat, fold, participant and role."""
        return self.table("splits.tsv")

    @cached_property
    def scores(self) -> pd.DataFrame:
        """Held-out scores."""
        return self.table("scores.tsv")

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """Every metric of every variant."""
        table = self.table("metrics.tsv")
        for name in ("value", "ci_low", "ci_high"):
            if name in table:
                table[name] = pd.to_numeric(table[name], errors="coerce")
        return table

    @cached_property
    def metadata(self) -> dict[str, dict[str, Any]]:
        """Variant to ``configs/metadata.json`` of its bundle."""
        found = {}
        for path in sorted(self.folder.glob("model/*/configs/metadata.json")):
            try:
                content = read_own_json(path)
            except (OSError, ValueError) as error:
                raise InputOutputError(f"{path} cannot be read: {error}.") from error
            found[path.parents[1].name] = content
        return found

    def initial_weights(self, name: str) -> dict[str, Any]:
        """Say what the networks of a variant began with; empty where it is not recorded."""
        return dict(self.metadata.get(name, {}).get("initial_weights") or {})

    @cached_property
    def saliency(self) -> dict[str, dict[str, Any]]:
        """Variant to ``saliency/<variant>/summary.json``."""
        found = {}
        for path in sorted(self.folder.glob("saliency/*/summary.json")):
            try:
                found[path.parent.name] = read_own_json(path)
            except (OSError, ValueError) as error:
                raise InputOutputError(f"{path} cannot be read: {error}.") from error
        return found

    def scored(self, name: str) -> pd.DataFrame:
        """Held-out scans of a variant or an ensemble, one row each however often scored."""
        members = self.recipe.ensembles[name].of if name in self.recipe.ensembles else (name,)
        rows = self.scores[self.scores["variant"] == members[0]]
        return one_each(rows)

    def table(self, name: str) -> pd.DataFrame:
        """Read a table as text; ``n/a`` stays as it is. Empty where there is none."""
        path = self.folder / name
        if not path.is_file():
            return pd.DataFrame()
        try:
            return read_frame(path)
        except pd.errors.EmptyDataError:
            return pd.DataFrame()
        except (OSError, ValueError) as error:
            raise InputOutputError(f"{path} cannot be read: {error}.") from error

    def metric(self, variant: str, name: str, scope: str = "pooled") -> "pd.Series | None":
        """One row of `metrics`, None where it is not there or undefined."""
        table = self.metrics
        if not len(table):
            return None
        rows = table[
            (table["variant"] == variant) & (table["scope"] == scope) & (table["metric"] == name)
        ]
        rows = rows[rows["value"].notna()]
        return rows.iloc[0] if len(rows) else None
