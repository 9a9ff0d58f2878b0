"""The report of an external validation: one page, from the files of its folder."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bidsapp import __version__
from bidsapp.contracts.calibrated import Calibrated
from bidsapp.contracts.fitted import FittedStep
from bidsapp.dataset.counts import cohort_counts
from bidsapp.dataset.covariates import shown_name
from bidsapp.derivatives import write_text
from bidsapp.derivatives.shown import BIDS_DIR, MODEL, OUTPUT_DIR
from bidsapp.drawing.flow import Step, flow
from bidsapp.drawing.pages import render, script, script_hash
from bidsapp.drawing.wording import joined
from bidsapp.evaluation.chance import against_chance
from bidsapp.evaluation.stacking import with_image
from bidsapp.evaluation.validation_files import read_facts
from bidsapp.evaluation.validation_words import outside_of, row_of, shown
from bidsapp.reports.run import figures, result_tables
from bidsapp.reports.run.figures import Figure, considered, keep
from bidsapp.reports.run.files import RunFiles
from bidsapp.reports.run.grids import Grid, decimal, grid, interval, plain
from bidsapp.reports.run.held_back import answers_table, coverage
from bidsapp.reports.run.people import people_table
from bidsapp.reports.validation.words import write_validation_words

_SCRIPTS = ("tables.js", "variants.js")
_HELPED = {
    "calibration_intercept": ("Calibration in the large", 0.0),
    "calibration_slope": ("Calibration slope", 1.0),
    "observed_expected": ("Observed to expected", 1.0),
}


class ValidationFiles(RunFiles):
    """The folder of a validation: nobody in it was seen by the model, so that nothing leaks."""

    def leaks_of(self, variant: str) -> tuple[FittedStep, ...]:
        """Give nothing: what leaked in training did not see these people."""
        return ()

    @property
    def lead(self) -> str:
        """The model as it is."""
        return self.variants[0] if self.variants else ""


def write_validation_report(folder: Path) -> Path:
    """Write ``report.html``, ``figures/*.svg`` and ``logs/CITATION.*`` of a validation.

    Parameters
    ----------
    folder
        ``<output_dir>/group/<label>``, evaluated.

    Returns
    -------
    Path
        The report.

    Raises
    ------
    NoInput
        The folder holds no validation.
    """
    folder = Path(folder)
    facts = read_facts(folder)
    methods = write_validation_words(folder)
    page = render(
        "validation.html.j2", report=_content(ValidationFiles(folder), facts) | {"methods": methods}
    )
    path = folder / "report.html"
    write_text(path, page)
    return path


def _content(run: ValidationFiles, facts: dict[str, Any]) -> dict[str, Any]:
    """Everything that the page's template names."""
    said = run.table("tables/findings.tsv", ("kind", "text"))
    by_kind = {kind: rows["text"].tolist() for kind, rows in said.groupby("kind", sort=False)}
    _, subgroups = figures.forests(run)
    people, others = people_table(run)
    scripts = [script(name) for name in _SCRIPTS]
    status, word = _verdict(run, facts)
    return {
        "title": f"{run.label}: external validation",
        "subtitle": f"{facts['model']['name']} {facts['model']['version']}, {run.outcome_name}",
        "status": status,
        "word": word,
        "said": by_kind,
        "cards": _cards(run),
        "flow": _flow(run),
        "exclusions": _exclusions(run),
        "use": _grid(run, "intended_use", "Is the model used as it is meant", _USE),
        "case_mix": _case_mix(run),
        "drop": _drop(run),
        "cohort": result_tables.cohort_table(run),
        "charts": _lead_first(figures.performance(run)),
        "variants": run.variants,
        "lead": run.lead,
        "metrics": {
            name: found
            for name in run.variants
            if (found := result_tables.metrics_table(run, name))
        },
        "subgroups": subgroups,
        "subgroup_table": result_tables.subgroup_table(run),
        "recalibration": _recalibration(run, "recalibration", run.lead),
        "combined": _recalibration(run, "recalibration_combined", with_image(run.lead)),
        "coverage": coverage(run),
        "answers": answers_table(run, "answers", by_variant=False),
        "worth": _worth(facts),
        "people": people,
        "other_covariates": others,
        "command": (
            f"nocicast '{BIDS_DIR}' '{OUTPUT_DIR}' group --model '{MODEL}' \\\n"
            f"  --run-label {run.label}"
        ),
        "recipe_text": run.recipe_text,
        "model": {
            "name": facts["model"]["name"],
            "version": facts["model"]["version"],
            "fold models": str(facts["models"]),
            "bundle (SHA-256)": facts["model"]["sha256"],
            "weights (SHA-256)": facts["model"]["weights_sha256"],
            "recalibrated": _history(facts),
        },
        "leaks": facts.get("leaks", ()),
        "version": f"nocicast {__version__}",
        "scripts": scripts,
        "script_hashes": " ".join(map(script_hash, scripts)),
    }


def _worth(facts: dict[str, Any]) -> str:
    """Say what some of the model's probabilities are worth; empty where the bundle does not."""
    if not facts.get("calibrated"):
        return ""
    line = Calibrated.read(facts["calibrated"])
    told = [
        f"one of {said:g} is worth {float(value):.0%} ({float(low):.0%} to {float(high):.0%})"
        for said, value, low, high in zip(_SAID, *line.of(np.array(_SAID)), strict=True)
    ]
    whose = "the people it was recalibrated on" if facts.get("recalibration") else "training"
    return (
        f"What a probability of the fold models is worth among people like those of {whose}, by a "
        f"regression on {line.people} whom no model had seen ({line.level:.0%} intervals): "
        f"{joined(told)}. Each person's stands in answers.tsv."
    )


def _history(facts: dict[str, Any]) -> str:
    told = [
        f"{one.get('kind')} on {one.get('people')} people, from {one.get('from')}"
        for one in facts.get("history", ())
    ]
    return "; ".join(told) or "no"


def _verdict(run: ValidationFiles, facts: dict[str, Any]) -> tuple[str, str]:
    """Look and words of the answer: does it tell people apart, do its probabilities hold."""
    auc = row_of(run.metrics, run.lead, "auc")
    if auc is None or against_chance(auc["ci_low"], auc["ci_high"]) != "better":
        return "fail", "Not shown to tell these people apart."
    if facts.get("recalibrated_on_these"):
        return "warn", "Tells these people apart; recalibrated on them, its calibration is open."
    wrong = [
        name
        for name, (_, ideal) in _HELPED.items()
        if outside_of(row_of(run.metrics, run.lead, name), ideal)
    ]
    if wrong:
        return "warn", "Tells these people apart; its probabilities do not hold here."
    return "pass", "Tells these people apart; no miscalibration shown."


def _cards(run: ValidationFiles) -> list[tuple[str, str, str]]:
    wanted = (
        ("auc", "AUC", "nobody was seen by the model", 2),
        ("calibration_intercept", "Calibration in the large", "0 is ideal", 2),
        ("calibration_slope", "Calibration slope", "1 is ideal", 2),
        ("observed_expected", "Observed to expected", "1 is ideal", 2),
        ("brier", "Brier score", "0 is perfect", 3),
        ("net_benefit", "Net benefit", "at the model's threshold", 3),
    )
    return [
        (title, shown(row, digits), remark)
        for metric, title, remark, digits in wanted
        if (row := row_of(run.metrics, run.lead, metric)) is not None
    ]


def _flow(run: ValidationFiles) -> Figure | None:
    """Flow diagram: who was found, who was left out and why, who was predicted."""
    cohort, out = run.cohort, run.exclusions
    if cohort.empty:
        return None
    counts = cohort_counts(cohort)
    steps = [
        considered(cohort, out),
        Step("Predicted by every fold model", [counts.observations, counts.classes]),
    ]
    return keep(run, flow(steps), "exclusions.tsv")


def _exclusions(run: ValidationFiles) -> Grid | None:
    table = run.exclusions
    if "detail" not in table:
        table = table.assign(detail="")
    columns = [(word.capitalize(), plain(name)) for word, name in _OUT]
    return grid("exclusions", "Left out, and why", table, columns)


_SAID = (0.1, 0.3, 0.5, 0.7, 0.9)
_OUT = (
    ("participant", "participant_id"),
    ("session", "session_id"),
    ("reason", "reason"),
    ("detail", "detail"),
)
_USE = (
    ("Aspect", "aspect"),
    ("Model", "model"),
    ("These people", "people"),
    ("Verdict", "verdict"),
    ("Note", "note"),
)


def _grid(
    run: ValidationFiles, name: str, caption: str, columns: tuple[tuple[str, str], ...]
) -> Grid | None:
    table = run.table(f"tables/{name}.tsv", tuple(column for _, column in columns))
    return grid(name, caption, table, [(head, plain(column)) for head, column in columns])


def _case_mix(run: ValidationFiles) -> Grid | None:
    numeric = ("standardised_difference", "outside")
    needed = ("column", "value", "training", "validation", "note")
    table = run.table("tables/case_mix.tsv", needed, numeric)
    table["column"] = table["column"].map(shown_name)
    columns = [
        ("Column", plain("column")),
        ("Value", plain("value")),
        ("Training", plain("training")),
        ("These people", plain("validation")),
        ("Standardised difference", decimal("standardised_difference")),
        ("Outside of training", decimal("outside", 0)),
        ("Note", plain("note")),
    ]
    return grid("case_mix", "The training cohort beside these people", table, columns)


def _drop(run: ValidationFiles) -> Grid | None:
    table = run.table(
        "tables/drop.tsv", ("step", "note"), ("auc", "ci_low", "ci_high", "difference")
    )
    columns = [
        ("AUC", plain("step")),
        ("Value", decimal("auc")),
        ("Interval", interval()),
        ("Difference", decimal("difference")),
        ("What it is", plain("note")),
    ]
    return grid("drop", "What case mix explains of the difference in AUC", table, columns)


def _recalibration(run: ValidationFiles, name: str, variant: str) -> Grid | None:
    """Lay a model as it is beside its recalibrations: calibration and Brier, with intervals."""
    needed = ("kind", "variant", "note")
    table = run.table(f"tables/{name}.tsv", needed, ("intercept", "slope"))
    if variant != run.lead and table.empty:
        return None
    rows: list[dict[str, Any]] = [
        {"what": "as it is", "variant": variant, "formula": "", "note": ""}
    ]
    for row in table.to_dict("records"):
        done = row["intercept"] == row["intercept"]
        rows.append(
            {
                "what": "intercept" if row["kind"] == "intercept" else "intercept and slope",
                "variant": row["variant"],
                "formula": f"{row['intercept']:+.3f} + {row['slope']:.3f} × logit" if done else "",
                "note": row["note"],
            }
        )
    for one in rows:
        for name in (*_HELPED, "brier"):
            digits = 3 if name == "brier" else 2
            found = row_of(run.metrics, str(one["variant"]), name)
            one[name] = shown(found, digits) if found else ""
    made = pd.DataFrame(rows)
    columns = [
        ("Model", plain("what")),
        ("New logit", plain("formula")),
        *[(title, plain(name)) for name, (title, _) in _HELPED.items()],
        ("Brier score", plain("brier")),
        ("Note", plain("note")),
    ]
    who = "The model" if variant == run.lead else "Clinical columns and scan"
    return grid(name, f"{who} as it is, and recalibrated", made, columns)


def _lead_first(found: list[tuple[Figure, str]]) -> list[tuple[Figure, str]]:
    """Put calibration first: it is what fails elsewhere most often."""
    return sorted(found, key=lambda one: one[0].key != "calibration")
