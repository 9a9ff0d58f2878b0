"""Methods and results of an external validation, to paste into a paper."""

from pathlib import Path
from typing import TYPE_CHECKING

from bidsapp.dataset.counts import cohort_counts, considered_words
from bidsapp.drawing.boilerplate import Draft, Section, finished, write_boilerplate
from bidsapp.drawing.wording import joined, many
from bidsapp.evaluation.validation_files import read_facts
from bidsapp.reports.run.group_run import GroupRun

if TYPE_CHECKING:
    from markupsafe import Markup

_NOTE = (
    "Written by NociCast from the files of this validation, for you to use and change as you "
    "like. Check it against your study, and add what no file can know."
)


def write_validation_words(folder: Path) -> "Markup":
    """Write ``<folder>/logs/CITATION.{md,bib,html}``; gives the text as HTML."""
    from markupsafe import Markup

    run, facts = GroupRun(folder), read_facts(folder)
    model = facts["model"]
    counts = cohort_counts(run.cohort.assign(outcome=run.cohort["outcome"].astype(int)))
    out = run.exclusions
    reasons = out["reason"].value_counts(sort=True).to_dict() if len(out) else {}
    named = joined(f"{reason} ({count})" for reason, count in reasons.items())
    left = f" {many(len(out), *considered_words(run.cohort, out))} were left out: "
    left = f"{left}{named}." if len(out) else " Nobody was left out."
    plan = run.recipe.evaluation
    trained = facts.get("trained_on", {})
    of = f", trained on {trained['participants']} participants" if "participants" in trained else ""
    weights = str(model["weights_sha256"])[:12]
    methods = [
        f"{model['name']} (version {model['version']}, weights SHA-256 {weights}…){of}, was "
        f"applied as it is: the mean probability of its {facts['models']} fold models, no weight "
        f"or threshold being changed. The outcome was {facts['outcome']['validation']}"
        f"{_same(facts)}. {counts.observations} were predicted, {counts.classes}.{left} People of "
        f"the training cohort are found by {_known(facts)}.",
        "Discrimination is the AUC with DeLong's interval on the logit scale, which holds as "
        "printed since nobody was seen by the model [@delong1988]. Calibration is calibration in "
        "the large, slope and observed to expected [@vancalster2016]; net benefit is that of "
        f"deciding at {plan.threshold:g} [@vickers2006]. Other intervals are bootstrapped over "
        f"participants ({plan.bootstrap:,} draws).",
        "How case mix differs is told by standardised differences from the training cohort's "
        "aggregates. What the AUC owes to case mix is the difference between the held-out AUC of "
        "training and the model-based concordance in these people "
        "[@klaveren2016], probabilities calibrated as in training. Recalibrations "
        "(intercept; intercept and slope) were fitted by maximum likelihood and judged by "
        "cross-validation among these people.",
    ]
    said = run.table("tables/findings.tsv")
    results = [" ".join(said["text"].astype(str))] if len(said) else []
    sections = [Section("External validation", methods), Section("Results", results)]
    text = finished(Draft(_NOTE, sections))
    write_boilerplate(text, folder / "logs", f"Methods text: {folder.name}")
    return Markup(text.html)


def _same(facts: dict) -> str:
    outcome = facts["outcome"]
    if outcome["training"] == outcome["validation"]:
        return ", as in training"
    return f" (in training: {outcome['training']})"


def _known(facts: dict) -> str:
    ways = {
        "hashes": "the hashes of their images",
        "prints": "what is their scans' own (prints)",
    }
    found = [words for key, words in ways.items() if facts.get("known_by", {}).get(key)]
    return joined(found) or "nothing, as the bundle lists none of them"
