"""The answer in one sentence, and what weakens it."""

import json
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bidsapp.contracts.fitted import stamp_text
from bidsapp.contracts.modality import Modality, modality_named
from bidsapp.contracts.unit import one_each
from bidsapp.dataset.counts import cohort_counts
from bidsapp.drawing.svg import number
from bidsapp.evaluation.added_value_tables import SHOWN
from bidsapp.evaluation.chance import CHANCE, LEADING, WITHIN, against_chance, chance_words
from bidsapp.evaluation.permutation import LIBERAL
from bidsapp.evaluation.prevalence import scope_of
from bidsapp.evaluation.verdicts import after_correction
from bidsapp.networks.origin import resting_on_word, weights_words
from bidsapp.reports.run.files import RunFiles, known
from bidsapp.reports.run.saliency_tables import leading_region

_UNFINISHED = (
    "The saliency maps are not made yet: the run is at work still, or was stopped; the same "
    "command then makes them and keeps what is done."
)
_WHOM = {
    "": "On people it had not seen",
    "LEAK": "With something fitted or chosen on the people who are tested (LEAK)",
    "LEAK?": "With what may have been fitted or chosen on the people who are tested (LEAK?)",
}
_TOO_FEW = (
    "That does not show that there is nothing: of studies of this size, more than one in five miss "
    "an effect, however strong."
)
_ONE_COHORT = (
    "All of them are of this cohort: whether it holds elsewhere, only people of another place show."
)
_BELOW = "An AUC below 0.5 is within chance here: turned round it would be no forecast either."
_WEAKENING = ("leak", "separation", "confound", "baseline", "tried", "small")


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
    could_show
        What a cohort of this size could have shown, where nothing was; whom the answer is about,
        where something was; empty else.
    doubts
        What weakens it, a sentence each.
    where
        Where the leading variant's maps are strongest; empty where it has none.
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
    could_show: str = ""


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
    shown = against_chance(row["ci_low"], row["ci_high"])
    within = ""
    if row["metric"] == WITHIN:
        within = f" within folds (people held out together), as {known(row['note'])}"
    leaks = run.leaks_of(run.lead)
    stamp = stamp_text(leaks)
    mark = stamp.partition(":")[0]
    sentence = (
        f"{_WHOM[mark]}, the model {run.lead} forecast {run.outcome_name} with an AUC of "
        f"{number(row['value'])}{within} ({_limits(run, row)}; {_people(run)}): "
        f"{chance_words(row['ci_low'], row['ci_high'], stamp)}"
    )
    sentence += "." if stamp else f", {_against_baseline(run)}."
    beyond = _beyond(run, findings.loc[findings["kind"] == "added", "text"].tolist())
    sentence = f"{beyond} {sentence}".strip()
    status, word, could_show = "pass", "Better than chance.", ""
    if any(step.certain for step in leaks):
        status, word = "fail", "LEAK: not a held-out result."
    elif leaks:
        status, word = "fail", "LEAK?: not known to be a held-out result."
    elif run.settings.simulated:
        status, word = "warn", "Simulated: says nothing of the real outcome."
    elif shown != "better":
        status, word = "warn", "Not shown to beat chance."
        could_show = _could_show(run, row) if shown != "worse" else ""
        if could_show == _TOO_FEW:
            word = "Too few people to tell."
    elif any(kind in ("separation", "confound") for kind, text in found if text in doubts):
        status, word = "warn", f"Better than chance, but it may not be {_depicted(run)}."
    elif doubts:
        status, word = "warn", "Better than chance, with doubts."
    if status == "pass" and beyond and not beyond.endswith(f"{SHOWN}."):
        status, word = "warn", "Better than chance; not shown to add to what is known."
    where = leading_region(run, run.lead)
    if run.maps_unfinished:
        where = f"{where} {_UNFINISHED}".strip()
        if status == "pass":
            status, word = "warn", "Better than chance; the maps are still to be made."
    if not stamp and not run.settings.simulated:
        if shown == "better":
            could_show = _ONE_COHORT
        elif shown != "worse" and row["value"] < CHANCE:
            could_show = f"{_BELOW} {could_show}".strip()
    others, marked = _others(run), f" ({mark})" * bool(mark)
    numbers = [(f"{name}{marked}", value, remark) for name, value, remark in cards(run)]
    return Answer(status, word, sentence, doubts, where, others, skipped, numbers, could_show)


def _depicted(run: RunFiles) -> str:
    """Name what a forecast is meant to rest on, as the modality calls it."""
    kind = modality_named(run.recipe.preparation.modality) if run.recipe else Modality
    return kind.depicted


def _beyond(run: RunFiles, sentences: list[str]) -> str:
    """Give the sentence on what the leading variant adds to what is known without it."""
    named = [text for text in sentences if f"the scan ({run.lead})" in text]
    alone = [text for text in sentences if "the scan adds" in text]
    return "".join((named or alone)[:1])


def _could_show(run: RunFiles, row: dict[str, Any]) -> str:
    """Say what effect a study of this size finds, as nothing found is else read as nothing there.

    Parameters
    ----------
    row
        The AUC that leads.
    """
    widened = "widened" in str(row["ci_method"])
    table = run.table("tables/planning.tsv", ("quantity",), ("value",))
    name = "smallest_detectable_auc" + ("@retrained" if widened else "")
    rows = table[table["quantity"] == name]
    if rows.empty:
        return ""
    least = float(rows.iloc[0]["value"])
    if np.isnan(least):
        return _TOO_FEW
    return (
        f"That does not show that there is nothing: of studies of this size, more than one in five "
        f"miss an effect whose true AUC is below {number(least)}."
    )


def _concerns(run: RunFiles, kind: str, text: str) -> bool:
    """Whether a finding weakens the leading variant, or the whole run."""
    if kind in ("separation", "tried", "small"):
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
    """AUC that leads, with the interval by which it is judged (`chance.LEADING`)."""
    rows = (run.metric(variant or run.lead, metric) for metric in LEADING)
    return next((row for row in rows if row is not None), None)


def _limits(run: RunFiles, row: dict[str, Any]) -> str:
    """Say the interval that leads, what it allows for, and what repeats do not do to it."""
    if np.isnan(row["ci_low"]):
        return f"no interval: {known(row['note']) or 'not defined'}"
    level = f"{100 * run.settings.level:g}\u00a0% interval"
    text = f"{level} {number(row['ci_low'])} to {number(row['ci_high'])}"
    if "widened" not in str(row["ci_method"]):
        return text
    text += ", allowing for training on other people"
    repeats = run.scores_of(run.lead)["repeat"].nunique()
    if repeats > 1:
        text += f"; {repeats} repeats add no people and do not narrow it"
    return text


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
    below = row["auc_confound"] < CHANCE
    gap = f"difference{' from chance' if below else ''} {_signed(row['difference'])}"
    if np.isfinite([low, high]).all():
        gap += f", {_signed(low)} to {_signed(high)}"
    its = f"AUC {number(row['auc_confound'])}{', which counts as chance' if below else ''}; {gap}"
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
    prevalence = run.settings.prevalence
    pooled = "pooled"
    elsewhere = pooled if prevalence is None else scope_of(prevalence)
    wanted = (
        ("average_precision", "Average precision", elsewhere),
        ("sensitivity", "Sensitivity", pooled),
        ("specificity", "Specificity", pooled),
        *((("precision", "Positive predictive value", elsewhere),) if prevalence else ()),
        *(
            (("negative_predictive_value", "Negative predictive value", elsewhere),)
            if prevalence
            else ()
        ),
        ("brier_skill", "Brier skill score", elsewhere),
        ("calibration_slope", "Calibration slope", elsewhere),
    )
    found = _leading_card(run)
    threshold = run.settings.of(run.lead).threshold
    share = _share(run)
    for metric, name, scope in wanted:
        row = run.metric(run.lead, metric, scope)
        if row is not None:
            remark = "no interval"
            if np.isfinite([row["ci_low"], row["ci_high"]]).all():
                remark = f"{number(row['ci_low'])} to {number(row['ci_high'])}"
            if metric in ("sensitivity", "specificity"):
                remark += f", at threshold {threshold:g}"
            if metric == "calibration_slope":
                remark += ", ideal 1"
            if scope != pooled:
                remark += f"; if {prevalence:.0%} are positive"
            elif metric in ("average_precision", "brier_skill"):
                remark += f"; for {share:.0%} positive"
            # what these are worth cannot be guessed from their names, nor from 0.5 of an AUC
            if metric == "average_precision":
                remark += f"; a coin has {number(share if prevalence is None else prevalence)}"
            elif metric == "brier_skill":
                remark += "; 0 is no better than that share alone"
            found.append((name, number(row["value"]), remark))
    permuted = run.permutation(run.lead)
    if permuted is not None and (permuted[2] or not _is_liberal(run)):
        _, p, anew = permuted
        how = "networks trained anew" if anew else "scores fixed"
        found.append(("Permutation p", f"{p:.2g}", f"outcomes permuted, {how}"))
    return found


def _leading_card(run: RunFiles) -> list[tuple[str, str, str]]:
    """Give the AUC and the interval of the answer's sentence, so that one number is read once."""
    row = leading_row(run)
    if row is None:
        return []
    remark = "no interval"
    if np.isfinite([row["ci_low"], row["ci_high"]]).all():
        remark = f"{number(row['ci_low'])} to {number(row['ci_high'])}"
    name = "AUC within folds" if row["metric"] == WITHIN else "AUC"
    return [(name, number(row["value"]), f"{remark}; a coin has 0.5, a perfect forecast 1")]


def _share(run: RunFiles) -> float:
    """Share of positives among what was scored."""
    rows = one_each(run.scores_of(run.lead))
    return float(rows["outcome"].mean())


def _is_liberal(run: RunFiles) -> bool:
    """Tell whether p is smaller than it should be, as on fixed scores of a cross-validation.

    It then decides nothing, and does not stand among the first numbers, where it would be taken
    for the proof.
    """
    table = run.table("tables/permutations.tsv", ("variant", "method", "note"))
    notes = table.loc[table["variant"] == run.lead, "note"].astype(str)
    return bool(notes.str.contains(LIBERAL, regex=False).any())


def _people(run: RunFiles) -> str:
    rows = run.scores_of(run.lead)
    counts = cohort_counts(one_each(rows))
    if counts.people == counts.scans:
        return f"{counts.people} people, {counts.positive} positive"
    if counts.by_scan:
        return f"{counts.observations}, {counts.positive} {counts.what} positive"
    return f"{counts.observations}, {counts.positive} people positive"


def _signed(value: float) -> str:
    text = number(value)
    return text if text.startswith(("−", "–")) else f"+{text}"
