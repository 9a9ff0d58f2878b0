"""The answer in one sentence, and what weakens it."""

import json
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bidsapp.dataset.counts import cohort_counts
from bidsapp.evaluation.confounds import after_correction
from bidsapp.evaluation.metric_table import RETRAINED
from bidsapp.evaluation.permutation import LIBERAL
from bidsapp.networks.origin import resting_on_word, weights_words
from bidsapp.recipes.scope import stamp_text
from bidsapp.reports.charts.drawing import number
from bidsapp.reports.run.files import RunFiles, known
from bidsapp.reports.run.saliency_tables import leading_region

_CHANCE = 0.5
_UNFINISHED = (
    "The saliency maps are not made yet: the run is at work still, or was stopped; the same "
    "command then makes them and keeps what is done."
)
_WEAKENING = ("leak", "confound", "baseline", "tried", "small")


@dataclass(frozen=True)
class Answer:
    """What the report says first.

    Attributes
    ----------
    status
        ``pass``, ``warn`` or ``fail``: the look of the box.
    word
        Two or three words.
    sentence
        The answer: value, interval, chance, baseline.
    doubts
        What weakens it, a sentence each.
    where
        Where in the brain the leading variant's maps are strongest; empty where it has none.
    others
        A sentence on the other variants; empty where there is one.
    skipped
        What was asked for and could not be had.
    cards
        Main numbers: name, value, remark.
    """

    status: str
    word: str
    sentence: str
    doubts: list[str] = field(default_factory=list)
    where: str = ""
    others: str = ""
    skipped: list[str] = field(default_factory=list)
    cards: list[tuple[str, str, str]] = field(default_factory=list)


def answer(run: RunFiles) -> Answer:
    """Take the answer from the tables of a run."""
    findings = run.table("tables/findings.tsv", ("kind", "text"))
    said = {kind: findings.loc[findings["kind"] == kind, "text"].tolist() for kind in _WEAKENING}
    found = [(kind, text) for kind in _WEAKENING for text in said[kind]]
    doubts = [text for kind, text in found if _concerns(run, kind, text)]
    leading = sum(text.startswith("LEAK") for text in doubts)
    doubts[leading:leading] = _foreign_weights(run)
    skipped = findings.loc[findings["kind"] == "skipped", "text"].tolist()
    row = leading_row(run)
    if row is None:
        why = "there are no scores" if not run.lead else "the metrics hold no pooled AUC"
        sentence = f"{why[:1].upper()}{why[1:]} in this run."
        return Answer("warn", "No answer yet.", sentence, doubts, skipped=skipped)
    level = f"{100 * run.settings.level:g}\u00a0% interval"
    limits = f"{level} {number(row['ci_low'])} to {number(row['ci_high'])}"
    if np.isnan(row["ci_low"]):
        limits = f"no interval: {known(row['note']) or 'not defined'}"
    elif row["metric"] == RETRAINED:
        limits += ", allowing for training on other people"
    chance, better = _against_chance(row)
    sentence = (
        f"On people it had not seen, {run.lead} forecast {run.outcome_name} with an AUC of "
        f"{number(row['value'])} ({limits}; {_people(run)}): {chance}, {_against_baseline(run)}."
    )
    stamp = stamp_text(run.leaks_of(run.lead))
    status, word = "pass", "Better than chance."
    if stamp.startswith("LEAK: "):
        status, word = "fail", "LEAK: not a held-out result."
    elif stamp:
        status, word = "fail", "LEAK?: not known to be a held-out result."
    elif run.settings.simulated:
        status, word = "warn", "Simulated: says nothing of the real outcome."
    elif not better:
        status, word = "warn", "Not shown to beat chance."
    elif doubts:
        status, word = "warn", "Better than chance, with doubts."
    where = leading_region(run, run.lead)
    if run.maps_unfinished:
        where = f"{where} {_UNFINISHED}".strip()
        if status == "pass":
            status, word = "warn", "Better than chance; the maps are still to be made."
    return Answer(status, word, sentence, doubts, where, _others(run), skipped, cards(run))


def _concerns(run: RunFiles, kind: str, text: str) -> bool:
    """Whether a finding weakens the leading variant, or the whole run."""
    if kind in ("tried", "small"):
        return True
    if kind == "leak":  # those of other variants stand in the banner
        return text.startswith((f"LEAK: {run.lead}:", f"LEAK?: {run.lead}:"))
    named = [name for name in run.variants if _names(text, name)]
    return run.lead in named or not named


def _foreign_weights(run: RunFiles) -> list[str]:
    """Say with what file the leading networks began, where that rests on a person's word."""
    files = {json.dumps(one, sort_keys=True): one for one in run.initial_weights(run.lead)}
    return [
        f"{run.lead} began with {weights_words(one, short=True)}."
        for one in files.values()
        if resting_on_word(one)
    ]


def _names(text: str, variant: str) -> bool:
    """Whether a finding gives a variant's AUC; a longer name that ends alike is another's."""
    return re.search(rf"(?<!\S){re.escape(variant)} \(AUC", text) is not None


def leading_row(run: RunFiles, variant: str | None = None) -> dict[str, Any] | None:
    """Pooled AUC with the interval that allows for retraining, or the plain one."""
    name = variant or run.lead
    return run.metric(name, RETRAINED) or run.metric(name, "auc")


def _against_chance(row: dict[str, Any]) -> tuple[str, bool]:
    if np.isnan(row["ci_low"]):
        return "whether that is better than chance (0.50) cannot be told", False
    if row["ci_low"] > _CHANCE:
        return "better than chance (0.50)", True
    if row["ci_high"] < _CHANCE:
        return "worse than chance (0.50)", False
    return "not shown to differ from chance (0.50)", False


def _against_baseline(run: RunFiles) -> str:
    """Say how the lead compares with the strongest baseline that is no mere confound."""
    numeric = ("auc_confound", "difference", "difference_low", "difference_high")
    needed = ("variant", "confound", "verdict", "p_holm", "comparisons")
    table = run.table("tables/baselines.tsv", needed, numeric)
    rows = table[(table["variant"] == run.lead) & table["auc_confound"].notna()]
    if "tables/baselines.tsv" in run.absent and (run.folder / "tables/baselines.tsv").is_file():
        return "and tables/baselines.tsv does not tell how it compares with baselines"
    if rows.empty:
        return "and no baseline was run to compare it with"
    row = rows.sort_values("auc_confound").iloc[-1]
    low, high = row["difference_low"], row["difference_high"]
    side, _, uncorrected = str(row["verdict"]).partition(", ")
    verdict = "and not shown to differ from"
    if side in ("better", "worse"):
        verdict = f"and not shown to be {side} than" if uncorrected else f"and {side} than"
    gap = f"difference {_signed(row['difference'])}"
    if np.isfinite([low, high]).all():
        gap += f", {_signed(low)} to {_signed(high)}"
    its = f"AUC {number(row['auc_confound'])}; {gap}"
    return (
        f"{verdict} the strongest baseline, {row['confound']} ({its}){after_correction(row, side)}"
    )


def _others(run: RunFiles) -> str:
    found = [leading_row(run, name) for name in run.variants if name != run.lead]
    values = [float(row["value"]) for row in found if row is not None]
    if not values:
        return ""
    why = "it is the recipe's base" if run.lead == run.settings.base else "it is named first"
    span = " to ".join(dict.fromkeys(map(number, (min(values), max(values)))))
    what = "The other variant has" if len(values) == 1 else f"The other {len(values)} variants have"
    return f"{run.lead} leads because {why}, not because of its result. {what} an AUC of {span}."


def cards(run: RunFiles) -> list[tuple[str, str, str]]:
    """Collect the main numbers of the leading variant."""
    wanted = (
        ("auc", "AUC, scores as given"),
        ("average_precision", "Average precision"),
        ("sensitivity", "Sensitivity"),
        ("specificity", "Specificity"),
        ("brier_skill", "Brier skill score"),
        ("calibration_slope", "Calibration slope"),
    )
    found = []
    threshold = run.settings.of(run.lead).threshold
    for metric, name in wanted:
        row = run.metric(run.lead, metric)
        if row is not None:
            remark = "no interval"
            if np.isfinite([row["ci_low"], row["ci_high"]]).all():
                remark = f"{number(row['ci_low'])} to {number(row['ci_high'])}"
            if metric in ("sensitivity", "specificity"):
                remark += f", at {threshold:g}"
            if metric == "calibration_slope":
                remark += ", ideal 1"
            found.append((name, number(row["value"]), remark))
    permuted = run.permutation(run.lead)
    if permuted is not None:
        _, p, anew = permuted
        how = "networks trained anew" if anew else f"scores fixed{_caveat(run)}"
        found.append(("Permutation p", f"{p:.2g}", f"outcomes permuted, {how}"))
    return found


def _caveat(run: RunFiles) -> str:
    """Say how large a p on fixed scores really is; empty where they are no cross-validation's."""
    return f"; {LIBERAL}" if run.scores_of(run.lead)["fold"].nunique() > 1 else ""


def _people(run: RunFiles) -> str:
    rows = run.scores_of(run.lead)
    counts = cohort_counts(rows.drop_duplicates(["participant_id", "session_id"]))
    if counts.people == counts.scans:
        return f"{counts.people} people, {counts.positive} positive"
    if counts.by_scan:
        return f"{counts.observations}, {counts.positive} scans positive"
    return f"{counts.observations}, {counts.positive} people positive"


def _signed(value: float) -> str:
    text = number(value)
    return text if text.startswith(("−", "–")) else f"+{text}"
