"""What the files of a group run say of it, in the words of a reporting guideline."""

from datetime import UTC, datetime
from functools import cached_property

import pandas as pd

from bidsapp.dataset.counts import cohort_counts
from bidsapp.dataset.covariates import SIDECAR, user_name, users_columns
from bidsapp.derivatives.sidecars import file_sha256
from bidsapp.drawing.wording import many
from bidsapp.errors import NociCastError
from bidsapp.evaluation.tsv import is_missing, read_table
from bidsapp.reports.run.group_run import GroupRun

SHOWN = 12
"""So many names are listed."""

MODELS = ("model", "folder", "manifest_sha256", "frozen_utc")
FROZEN = "reporting/frozen_models.tsv"


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
    def performance(self) -> str:
        """The measures of every network, pooled, with intervals."""
        told = []
        for name in (*self.run.variants, *self.run.ensembles):
            values = []
            for metric in ("auc", "brier", "calibration_slope", "calibration_intercept"):
                row = self.run.metric(name, metric)
                if row is not None:
                    limits = f" ({row['ci_low']:.2f} to {row['ci_high']:.2f})"
                    known = row["ci_low"] == row["ci_low"]
                    words = metric.replace("_", " ").replace("auc", "AUC")
                    values.append(f"{words} {row['value']:.2f}{limits if known else ''}")
            told.append(f"{name}: {', '.join(values)}")
        return "; ".join(told)

    @cached_property
    def as_a_test(self) -> str:
        """Sensitivity, specificity and the like of every network, at the fixed threshold."""
        told = []
        for name in (*self.run.variants, *self.run.ensembles):
            values = []
            for metric in ("sensitivity", "specificity", "ppv", "npv"):
                row = self.run.metric(name, metric)
                if row is not None and row["value"] == row["value"]:
                    known = row["ci_low"] == row["ci_low"]
                    limits = f" ({row['ci_low']:.2f} to {row['ci_high']:.2f})" if known else ""
                    values.append(f"{metric.replace('pv', 'PV')} {row['value']:.2f}{limits}")
            told.append(f"{name}: {', '.join(values) or 'not defined'}")
        cut = self.recipe.evaluation.threshold
        return f"At a probability of {cut:g}: {'; '.join(told)}."

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
