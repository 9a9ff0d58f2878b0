"""What the files of a group run say of it, in the words of a reporting guideline."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property

import pandas as pd

from bidsapp.dataset.counts import cohort_counts
from bidsapp.dataset.covariates import SIDECAR, user_name, users_column, users_columns
from bidsapp.derivatives.sidecars import file_sha256
from bidsapp.drawing.wording import many
from bidsapp.errors import NociCastError
from bidsapp.evaluation.planning import SMALLEST
from bidsapp.evaluation.settings import CLINICAL, WITH_IMAGE
from bidsapp.evaluation.tsv import is_missing, read_table
from bidsapp.reports.run.group_run import GroupRun

SHOWN = 12
"""So many names are listed."""
OF_COLUMNS = (CLINICAL, "logistic", "random_forest", "xgboost")
"""Models of the columns that a recipe names, by the last part of their names."""
MEASURES = {
    "auc": "AUC",
    "brier": "Brier",
    "calibration_slope": "calibration slope",
    "calibration_intercept": "calibration intercept",
}
AS_A_TEST = {
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "precision": "PPV",
    "negative_predictive_value": "NPV",
}

MODELS = ("model", "folder", "manifest_sha256", "frozen_utc")
FROZEN = "reporting/frozen_models.tsv"


Answer = tuple[str, tuple[str, ...]]
"""A text, empty where the run says nothing, and files of the run, behind a colon the place."""


class RunFacts:
    """What a run knows, as the answers need it.

    Parameters
    ----------
    run
        A finished group run.
    """

    def __init__(self, run: GroupRun) -> None:
        self.run = run
        self.recipe = run.recipe
        self.variant = run.variants[0] if run.variants else run.recipe.base

    @cached_property
    def _people(self) -> pd.DataFrame:
        return self.run.cohort.assign(outcome=self.run.cohort["outcome"].astype(int))

    @cached_property
    def counts(self) -> str:
        """How many take part, with and without the outcome."""
        found = cohort_counts(self._people)
        return f"{many(found.people, 'participant')}, {many(found.scans, 'scan')}; {found.classes}"

    @cached_property
    def columns(self) -> list[str]:
        """Columns that the user has of the people."""
        mine = users_columns(map(str, self.run.cohort.columns))
        return [user_name(name) for name in mine if not name.startswith(("region_", SIDECAR))]

    @cached_property
    def predictors(self) -> tuple[list[str], list[str]]:
        """Columns that the recipe takes for predictors: those that the cohort has, and lacks."""
        plan, networks = self.recipe.evaluation, self.run.variants or (self.recipe.base,)
        beside = [one for name in networks for one in self.recipe.with_variant(name).columns_beside]
        asked = dict.fromkeys((*plan.clinical, *plan.predictors, *beside))
        columns = list(map(str, self.run.cohort.columns))
        there = [name for name in asked if users_column(columns, name)]
        return there, [name for name in asked if name not in there]

    @cached_property
    def of_columns(self) -> bool:
        """Whether any model of the run was fitted to columns that the recipe names."""
        names = self.run.variants or (self.recipe.base,)
        if any(self.recipe.with_variant(name).network.covariates for name in names):
            return True
        table = self.run.metrics
        scored = table["variant"].astype(str).unique() if len(table) else ()
        return any(
            name.startswith(WITH_IMAGE) or name.rpartition("/")[2] in OF_COLUMNS for name in scored
        )

    @cached_property
    def scanners(self) -> str:
        """What the images' sidecars say of scanners and sequences."""
        told = []
        for name in map(str, self.run.cohort.columns):
            if name.startswith(SIDECAR):
                values = [v for v in self.run.cohort[name].unique() if not is_missing(v)]
                some = ", ".join(map(str, values[:SHOWN]))
                told.append(f"{name.removeprefix(SIDECAR)} {some or 'not known'}")
        return "; ".join(told)

    @cached_property
    def excluded(self) -> str:
        """How many are left out, and why."""
        if not len(self.run.exclusions):
            return "nobody was left out"
        reasons = self.run.exclusions["reason"].value_counts()
        return "left out: " + ", ".join(f"{n} ({reason})" for reason, n in reasons.items())

    @cached_property
    def missing(self) -> str:
        """How many values of each column are missing."""
        cohort = self.run.cohort
        found = []
        for name in users_columns(map(str, cohort.columns)):
            lost = int(cohort[name].map(is_missing).sum())
            if lost and not name.startswith(("region_", SIDECAR)):
                found.append(f"{user_name(name)} {lost}")
        return f"missing values: {', '.join(found[:SHOWN])}" if found else "no value is missing"

    def findings(self, *kinds: str) -> str:
        """Sentences of the run's findings."""
        table = self.run.table("tables/findings.tsv")
        if not len(table):
            return ""
        return " ".join(table.loc[table["kind"].isin(kinds), "text"])

    @cached_property
    def detectable(self) -> str:
        """The smallest AUC that such a cohort shows, by the table of the plan."""
        table = self.run.table("tables/planning.tsv")
        told = []
        for suffix, of in (("", "Tested on new people"), ("@retrained", "By this run's intervals")):
            rows = table[table["quantity"] == f"{SMALLEST}{suffix}"] if len(table) else table
            for row in rows.to_dict("records"):
                least, note = row["value"], row["note"]
                found = "" if is_missing(least) else f"{float(least):.2f}"
                told.append(f"{of}: {f'AUC {found} is found with power .8' if found else note}.")
        return " ".join(told)

    @cached_property
    def copies(self) -> dict[str, str]:
        """Networks whose scores are those of an earlier one, as they share it."""
        first: dict[tuple[object, ...], str] = {}
        found = {}
        for name in self.run.variants:
            rows = self.run.scores[self.run.scores["variant"] == name]
            rows = rows[["participant_id", "session_id", "repeat", "fold", "probability"]]
            other = first.setdefault(tuple(sorted(map(tuple, rows.to_numpy().tolist()))), name)
            if other != name:
                found[name] = other
        return found

    def _measured(self, name: str, measures: Mapping[str, str], scope: str = "pooled") -> str:
        """Measures of a network with intervals; of one that is not defined, why; empty if none."""
        table, told = self.run.metrics, []
        own = table[(table["variant"] == name) & (table["scope"] == scope)] if len(table) else table
        for metric, words in measures.items():
            for row in own[own["metric"] == metric].to_dict("records") if len(own) else ():
                limits = f" ({row['ci_low']:.2f} to {row['ci_high']:.2f})"
                known = row["ci_low"] == row["ci_low"]
                if row["value"] == row["value"]:
                    told.append(f"{words} {row['value']:.2f}{limits if known else ''}")
                else:
                    told.append(f"{words} not defined ({row['note']})")
        return ", ".join(told)

    @cached_property
    def by_group(self) -> str:
        """The AUC of every network in every group; empty where no group was asked for."""
        table = self.run.metrics
        told = []
        for scope in self.subgroups:
            for name in (*self.run.variants, *self.run.ensembles):
                own = (table["variant"] == name) & (table["scope"] == scope)
                row = table[own & (table["metric"] == "auc")]
                words = self._measured(name, {"auc": "AUC"}, scope)
                if words:
                    note = str(row["note"].iloc[0])
                    few = "" if is_missing(note) or note in words else f" ({note})"
                    told.append(f"{scope.removeprefix('subgroup:')}, {name}: {words}{few}")
        return f"By group: {'; '.join(told)}." if told else ""

    @cached_property
    def performance(self) -> str:
        """The measures of every network, pooled, with intervals."""
        names = (*self.run.variants, *self.run.ensembles)
        told = {name: self._measured(name, MEASURES) or "not measured" for name in names}
        return "; ".join(f"{name}: {words}" for name, words in told.items())

    @cached_property
    def as_a_test(self) -> str:
        """Sensitivity, specificity and predictive values of every network, at the threshold."""
        names = (*self.run.variants, *self.run.ensembles)
        told = []
        for name in names:
            of = self.recipe if name in self.run.ensembles else self.recipe.with_variant(name)
            measured = self._measured(name, AS_A_TEST) or "not measured"
            told.append(f"{name}, from a probability of {of.evaluation.threshold:g}: {measured}")
        return f"{'; '.join(told)}." if told else ""

    @cached_property
    def bundles(self) -> list[tuple[str, str, str, str]]:
        """Name of each model of the run, its folder, its SHA-256 and when it was frozen (UTC).

        A model that an earlier report named with this hash keeps its time: nothing of it changed.
        """
        earlier = self._frozen_before
        found = []
        for manifest in sorted(self.run.folder.glob("model/*/configs/manifest.json")):
            folder = manifest.parent.parent
            written = datetime.fromtimestamp(manifest.stat().st_mtime, UTC)
            place = folder.relative_to(self.run.folder).as_posix()
            digest = file_sha256(manifest)
            when = earlier.get((place, digest)) or written.strftime("%Y-%m-%d %H:%M:%S")
            found.append((folder.name, place, digest, when))
        return found

    @property
    def _frozen_before(self) -> dict[tuple[str, str], str]:
        """Folder and hash of the models in the table of an earlier report, to their times."""
        try:
            table = read_table(self.run.folder / FROZEN, MODELS)
        except (OSError, NociCastError):
            return {}
        return {
            (str(row["folder"]), str(row["manifest_sha256"])): str(row["frozen_utc"])
            for row in table.to_dict("records")
        }

    @cached_property
    def subgroups(self) -> list[str]:
        """Scopes of the metrics that are of a subgroup."""
        table = self.run.metrics
        scopes = list(table["scope"].astype(str).unique()) if len(table) else []
        return [scope for scope in scopes if "=" in scope and not scope.startswith("prevalence")]
