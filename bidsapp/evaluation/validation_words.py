"""What an external validation found, in sentences: the same on the terminal, the page, the text."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from bidsapp.dataset.covariates import shown_name
from bidsapp.drawing.wording import joined
from bidsapp.evaluation.abstention import counted
from bidsapp.evaluation.case_mix import Drop
from bidsapp.evaluation.chance import chance_words
from bidsapp.evaluation.intended_use import OUTSIDE
from bidsapp.evaluation.sample import Sample
from bidsapp.evaluation.settings import EvaluationSettings
from bidsapp.evaluation.tsv import as_float, is_missing

FEW_EVENTS = 100
"""Positives, and negatives, that an external validation should have, at least (Vergouwe et al.
2005, doi:10.1016/j.jclinepi.2004.06.017; Collins et al. 2016, doi:10.1002/sim.6787)."""
KINDS = (
    *("result", "calibration", "benefit", "combined", "case_mix", "recalibration"),
    *("abstain", "use", "small", "skipped"),
)
"""What sentences can be about, in the order in which they are told."""
_MOST = 6


def findings(
    facts: Mapping[str, Any],
    metrics: pd.DataFrame,
    sample: Sample,
    drop: Drop,
    tables: Mapping[str, pd.DataFrame],
    plan: EvaluationSettings,
    combined: str = "",
) -> pd.DataFrame:
    """Say what was found: columns `kind`, `text`; the result first, then what weakens it."""
    model = str(facts["model"]["name"])
    found = [
        ("result", _result(model, facts, metrics, sample, plan)),
        ("calibration", f"{_calibration(model, metrics)}{_fitted_here(facts)}".strip()),
        ("benefit", _benefit(model, metrics)),
        ("combined", combined),
        ("case_mix", _case_mix(drop)),
        ("case_mix", _membership(tables["membership"])),
        ("recalibration", _recalibration(metrics, tables["recalibration"], model)),
        ("abstain", _abstain(tables["answers"], facts)),
        ("use", _use(tables["intended_use"])),
        ("small", _small(sample)),
        ("skipped", _lacking(facts)),
    ]
    rows = [(kind, text) for kind, text in found if text]
    return pd.DataFrame(rows, columns=pd.Index(["kind", "text"]))


def row_of(metrics: pd.DataFrame, variant: str, metric: str) -> dict[str, Any] | None:
    """Give one pooled row of the metrics, numbers as numbers; None where it is undefined."""
    rows = metrics[
        (metrics["variant"] == variant)
        & (metrics["scope"] == "pooled")
        & (metrics["metric"] == metric)
    ]
    if rows.empty or is_missing(rows.iloc[0]["value"]):
        return None
    row = dict(rows.iloc[0])
    numbers = {n: as_float(row[n]) for n in ("value", "ci_low", "ci_high")}
    return row | numbers


def shown(row: Mapping[str, Any] | None, digits: int = 2) -> str:
    """Write a value with its interval: ``0.71 (0.60 to 0.80)``."""
    if row is None:
        return "not defined"
    text = f"{row['value']:.{digits}f}"
    ends = (row["ci_low"], row["ci_high"])
    if not np.isfinite(ends).all():
        return text
    return f"{text} ({ends[0]:.{digits}f} to {ends[1]:.{digits}f})"


def _result(
    model: str,
    facts: Mapping[str, Any],
    metrics: pd.DataFrame,
    sample: Sample,
    plan: EvaluationSettings,
) -> str:
    row = row_of(metrics, model, "auc")
    people = len(np.unique(sample.participant))
    of = "" if sample.n == people else f"{sample.n} forecasts of "  # of visits, of both knees
    who = (
        f"{of}{people} new people ({sample.positives} positive, {sample.n - sample.positives} not)"
    )
    if row is None:
        return f"In {who} {model} has no AUC."
    before = facts.get("training_cohort", {}).get("held_out", {}).get("auc")
    told = f"; held out in training it was {before:.2f}" if before is not None else ""
    level = f"{100 * plan.level:g} %"
    return (
        f"In {who}, {model} reached an AUC of {row['value']:.2f} ({level} interval "
        f"{row['ci_low']:.2f} to {row['ci_high']:.2f}, DeLong: nobody of them was seen by the "
        f"model): {chance_words(row['ci_low'], row['ci_high'], '')}{told}."
    )


def outside_of(row: Mapping[str, Any] | None, ideal: float) -> bool:
    """Tell whether an interval leaves out the ideal value."""
    if row is None or not np.isfinite([row["ci_low"], row["ci_high"]]).all():
        return False
    return not row["ci_low"] <= ideal <= row["ci_high"]


def _calibration(model: str, metrics: pd.DataFrame) -> str:
    large = row_of(metrics, model, "calibration_intercept")
    slope = row_of(metrics, model, "calibration_slope")
    ratio = row_of(metrics, model, "observed_expected")
    if large is None:
        return ""
    if outside_of(large, 0):
        word = "too low" if large["value"] > 0 else "too high"
        verdict = f"its probabilities are {word} on the whole"
    else:
        verdict = "not shown to be wrong on the whole"
    steep = ""
    if slope is not None:
        steep = f", slope {shown(slope)}"
        if outside_of(slope, 1):
            steep += " (too extreme)" if slope["value"] < 1 else " (too cautious)"
    observed = f"; observed to expected {shown(ratio)}" if ratio else ""
    return f"Calibration in the large {shown(large)}: {verdict}{steep}{observed}."


def _fitted_here(facts: Mapping[str, Any]) -> str:
    """Say where a recalibration was fitted on these very people, or may have been."""
    if not facts.get("recalibration"):
        return ""
    count = facts.get("recalibrated_on_these")
    if count is None:
        return (
            " Whether the model was recalibrated on people who are among these cannot be told: the "
            "bundle lists no hashes of them."
        )
    if not count:
        return ""
    who = "one of these people is" if count == 1 else f"{count} of these people are"
    return (
        f" LEAK: {who} among those whom the model was recalibrated on, so that its calibration "
        "(probabilities, Brier score, net benefit) is not judged here; the AUC is."
    )


def _benefit(model: str, metrics: pd.DataFrame) -> str:
    gain = row_of(metrics, model, "net_benefit")
    parts = [
        f"{word} {shown(row)}"
        for word, name in (("sensitivity", "sensitivity"), ("specificity", "specificity"))
        if (row := row_of(metrics, model, name)) is not None
    ]
    if gain is None or not parts:
        return ""
    return (
        f"At the model's own threshold: {' and '.join(parts)}; net benefit {shown(gain, 3)}, "
        f"{gain['note']}."
    )


def _case_mix(drop: Drop) -> str:
    if drop.table.empty:
        return f"What of a difference of AUC case mix explains cannot be told: {drop.note}."
    before, expected, single, now = drop.table["auc"].astype(float)
    weak = ", which may be chance" if drop.chance else ""
    return (
        f"Case mix: single fold models had an AUC of {before:.2f} in training (held out); of these "
        f"people their own probabilities promise {expected:.2f}, so that {drop.case_mix:+.2f} goes "
        f"with who these people are. They reached {single:.2f} here: {drop.model:+.2f} goes with "
        f"the model{weak}. Their mean, which is the model's answer, reached {now:.2f}."
    )


def _membership(table: pd.DataFrame) -> str:
    if table.empty or is_missing(table.iloc[0]["auc"]):
        return ""
    row = table.iloc[0]
    names = joined(map(shown_name, str(row["columns"]).split(", ")))
    return (
        f"From {names}, training people are told from these with an AUC of "
        f"{as_float(row['auc']):.2f} (.5: alike, 1: nothing in common)."
    )


def recalibrations(
    metrics: pd.DataFrame, table: pd.DataFrame
) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Yield of each recalibration that could be fitted what it changes, and what came of it.

    Its words, the row of its calibration in the large, and its name among the metrics' variants.
    """
    for row in table.to_dict("records"):
        variant = str(row["variant"])
        after = row_of(metrics, variant, "calibration_intercept")
        if not is_missing(row["intercept"]) and after is not None:
            what = "intercept" if row["kind"] == "intercept" else "intercept and slope"
            yield what, after, variant


def _recalibration(metrics: pd.DataFrame, table: pd.DataFrame, model: str) -> str:
    before = row_of(metrics, model, "calibration_intercept")
    told = []
    for what, after, variant in recalibrations(metrics, table):
        told.append(
            f"{what}: calibration in the large {shown(after)}, slope "
            f"{shown(row_of(metrics, variant, 'calibration_slope'))}, Brier "
            f"{shown(row_of(metrics, variant, 'brier'), 3)}"
        )
    if not told:
        notes = [str(note) for note in table["note"]]
        return f"Recalibration was {notes[0]}." if notes else ""
    wish = "" if not outside_of(before, 0) else " --recalibrate writes one as a bundle of its own."
    return (
        f"Recalibrated, and judged on people that the coefficients were not fitted on: "
        f"{'; '.join(told)}.{wish}"
    )


def _abstain(table: pd.DataFrame, facts: Mapping[str, Any]) -> str:
    if table.empty:
        return ""
    rows = {str(row["part"]): row for row in table.to_dict("records")}
    count = {name: int(row["forecasts"]) for name, row in rows.items()}
    everybody, away = counted(rows)
    told = (
        f"About {away} of {everybody} there is no answer: "
        f"{count['unlike']} are unlike the training people ({rows['unlike']['note']}), "
        f"{count['unsure']} lie too near to the threshold."
    )
    kept = rows["answered"]
    if count["answered"]:
        told += (
            f" Of the {count['answered']} answers {as_float(kept['error_rate']):.0%} are wrong "
            f"({as_float(kept['ci_low']):.0%} to {as_float(kept['ci_high']):.0%}; of everybody "
            f"{as_float(rows['everybody']['error_rate']):.0%})"
        )
        promise = as_float(kept["promise"])
        told += f", {promise:.0%} were promised: {kept['note']}." if promise == promise else "."
        refitted = bool(facts["limits"].get("refitted"))
        if facts.get("recalibration") and not refitted:
            told += " Limits and promise are of the model before it was recalibrated."
        if refitted and facts.get("recalibrated_on_these"):
            told += " LEAK: the limits were fitted on some of these people, too."
    notes = [str(note) for note in facts["limits"]["notes"]]
    return f"{told} {' '.join(f'Not promised: {note}.' for note in notes)}".strip()


def _use(table: pd.DataFrame) -> str:
    outside = table[table["verdict"] == OUTSIDE]
    if outside.empty:
        return ""
    named = [
        f"{row['aspect']} ({row['note']})" if row["note"] else str(row["aspect"])
        for row in outside.to_dict("records")
    ]
    more = f" and {len(named) - _MOST} more" if len(named) > _MOST else ""
    return f"Used outside of what the model saw: {'; '.join(named[:_MOST])}{more}."


def _small(sample: Sample) -> str:
    fewer = min(sample.positives, sample.n - sample.positives)
    if fewer >= FEW_EVENTS:
        return ""
    return (
        f"{fewer} of the rarer outcome are few: an external validation wants {FEW_EVENTS} of each "
        "before it settles calibration."
    )


def _lacking(facts: Mapping[str, Any]) -> str:
    known = facts.get("known_by", {})
    if not facts.get("training_cohort"):
        return (
            "The bundle carries no aggregates of its training cohort, as those of this version do; "
            "case mix, age range and scanners cannot be compared. Its run, made again, writes them."
        )
    if not known.get("hashes") and not known.get("prints"):
        return (
            "The bundle lists neither hashes nor prints of its training scans: whether people of "
            "the training cohort are among these cannot be told."
        )
    return ""
