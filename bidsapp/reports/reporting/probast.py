"""Risk of bias of a run, asked of itself: the signalling questions of PROBAST by their numbers.

Those of PROBAST (2019) are numbered. PROBAST+AI (2025) asks 16 questions of a model's making and 18
of its testing, in the same four domains; what it asks beyond is here by its theme, under ``AI``,
and without a number, as its list is not carried by this package.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import pandas as pd

from bidsapp.evaluation.sample_size import regression_parameters, riley_words
from bidsapp.evaluation.settings import settings_from_recipe
from bidsapp.reports.reporting import answers
from bidsapp.reports.reporting.run_facts import RunFacts

SOURCE = (
    "Wolff et al. 2019, Ann Intern Med 170:51-58, doi:10.7326/M18-1376; PROBAST+AI: Moons et al. "
    "2025, BMJ 388:e082505, doi:10.1136/bmj-2024-082505"
)
COUNT = 20
"""Signalling questions of PROBAST (2019): 2, 3, 6 and 9 in its four domains."""
YES, NO, UNKNOWN, AUTHOR = "probably yes", "probably no", "no information", "author"
ANSWERS = (YES, NO, UNKNOWN, AUTHOR)
EXPECTED_AUC = 0.7
FEW = 100
"""People of the rarer class that a test is to have by PROBAST's explanation of 4.1."""

Judged = tuple[str, str, tuple[str, ...]]
"""One of `ANSWERS`, why, and files of the run."""


class Question(NamedTuple):
    """A signalling question: a yes speaks against bias.

    Attributes
    ----------
    number
        As published (2019), or ``AI``.
    domain
        Participants, predictors, outcome or analysis.
    asks
        In our own words.
    """

    number: str
    domain: str
    asks: str


QUESTIONS = (
    Question("1.1", "participants", "Do the data come from a design that fits the question?"),
    Question("1.2", "participants", "Were the right people let in and left out?"),
    Question("2.1", "predictors", "Were predictors measured alike in everybody?"),
    Question("2.2", "predictors", "Were they measured without knowing the outcome?"),
    Question("2.3", "predictors", "Will all be there when the model is to be used?"),
    Question("3.1", "outcome", "Was the outcome found out in a fitting way?"),
    Question("3.2", "outcome", "Is its definition a standard, or fixed beforehand?"),
    Question("3.3", "outcome", "Is no predictor a part of the outcome?"),
    Question("3.4", "outcome", "Was it found out alike in everybody?"),
    Question("3.5", "outcome", "Was it found out without knowing the predictors?"),
    Question("3.6", "outcome", "Is the time between predictors and outcome right?"),
    Question("4.1", "analysis", "Are there enough people with the outcome?"),
    Question("4.2", "analysis", "Were numbers and categories handled as they should be?"),
    Question("4.3", "analysis", "Is everybody who was let in in the analysis?"),
    Question("4.4", "analysis", "Were missing values handled as they should be?"),
    Question("4.5", "analysis", "Were predictors not chosen by their own association alone?"),
    Question("4.6", "analysis", "Are clusters, competing events and sampling dealt with?"),
    Question("4.7", "analysis", "Are discrimination and calibration judged?"),
    Question("4.8", "analysis", "Are overfitting and optimism dealt with?"),
    Question("4.9", "analysis", "Is the model that is handed on the one that was judged?"),
    Question("AI", "analysis", "Did nothing of those tested reach training (leakage)?"),
    Question("AI", "analysis", "If classes were balanced, was calibration mended?"),
    Question("AI", "analysis", "Were settings chosen inside the training data?"),
    Question("AI", "analysis", "Was performance looked at in groups that may fare worse?"),
    Question("AI", "analysis", "Is the model tested on people from elsewhere?"),
)


def judged(k: RunFacts) -> list[Judged]:
    """Answer every question of `QUESTIONS`, in their order."""
    others = iter(_AI)
    return [(next(others) if one.number == "AI" else _NUMBERED[one.number])(k) for one in QUESTIONS]


def _author(what: str) -> Callable[[RunFacts], Judged]:
    return lambda _k: (AUTHOR, f"For the authors: {what}.", ())


def _alike(k: RunFacts) -> Judged:
    images = k.run.cohort.get("image", pd.Series(dtype=str)).astype(str)
    foreign = int((images.str.startswith("bids:") & ~images.str.startswith("bids::")).sum())
    text = "Images are prepared by one recipe; "
    if foreign:
        text = f"{foreign} of {len(images)} images were prepared by other software; "
    if k.scanners:
        text += f"scanners by the sidecars: {k.scanners}; "
    verdict = UNKNOWN if foreign else YES
    return (
        verdict,
        f"{text}clinical columns are for the authors to judge.",
        ("measures.tsv", "cohort.tsv"),
    )


def _blind(_k: RunFacts) -> Judged:
    return (
        YES,
        "Images are prepared and scored without the outcome; clinical columns are for the authors.",
        ("splits.tsv",),
    )


def _apart(k: RunFacts) -> Judged:
    told = k.findings("separation")
    if told:
        return NO, told, ("tables/columns.tsv",)
    return YES, "No column by itself tells the classes nearly apart.", ("tables/columns.tsv",)


def _enough(k: RunFacts) -> Judged:
    cohort = k.run.cohort.assign(outcome=k.run.cohort["outcome"].astype(int))
    count = regression_parameters(cohort, settings_from_recipe(k.recipe))
    people = cohort.groupby("participant_id")["outcome"].max()
    positives = int(people.sum())
    words = riley_words(positives, len(people) - positives, count, EXPECTED_AUC)
    rarer = min(positives, len(people) - positives)
    if rarer < FEW:
        words = f"{rarer} people of the rarer class, where {FEW} are asked for. {words}"
        return NO, words, ("cohort.tsv", "tables/planning.tsv")
    verdict = UNKNOWN if not count else NO if "too few" in words else YES
    return verdict, words, ("cohort.tsv", "tables/planning.tsv")


def _handled(k: RunFacts) -> Judged:
    if not k.of_columns:
        return YES, "The model reads no column; images are numbers.", ("recipe.yaml",)
    return (
        YES,
        "Numbers are not cut into classes; categories have a column each; scaled in the fold.",
        ("recipe.yaml",),
    )


def _everybody(k: RunFacts) -> Judged:
    lost = len(k.run.exclusions)
    verdict = YES if not lost else UNKNOWN
    return verdict, f"Of the people in the dataset, {k.excluded}.", ("exclusions.tsv",)


def _missing(k: RunFacts) -> Judged:
    text = answers.filled(k)
    if not k.of_columns:
        told = f"{text} People without an image or an outcome: {k.excluded}."
        return UNKNOWN if len(k.run.exclusions) else YES, told, ("exclusions.tsv",)
    return (
        YES if k.missing.startswith("no value") else UNKNOWN,
        f"{text} No multiple imputation.",
        ("tables/cohort.tsv",),
    )


def _not_chosen(_k: RunFacts) -> Judged:
    return YES, "No column is chosen by its association with the outcome.", ("recipe.yaml",)


def _clusters(k: RunFacts) -> Judged:
    return (
        UNKNOWN,
        f"{answers.splits_level(k)} Sampling is for the authors to judge.",
        ("splits.tsv",),
    )


def _measures(_k: RunFacts) -> Judged:
    return (
        YES,
        "AUC, calibration, Brier score and net benefit, with intervals.",
        ("metrics.tsv", "figures/decision_curve.tsv"),
    )


def _leak_free(k: RunFacts) -> Judged:
    steps = ", ".join(step.name for step in k.run.leaks)
    if steps:
        return NO, f"Steps that see, or may see, held-out people: {steps}.", ("recipe.yaml",)
    refused = "; strict mode refuses all else" if k.recipe.mode == "strict" else ""
    return (
        YES,
        f"Everything is fitted in the training fold{refused}.",
        ("recipe.yaml", "splits.tsv"),
    )


def _optimism(k: RunFacts) -> Judged:
    verdict, why, where = _leak_free(k)
    if verdict == NO:
        return verdict, why, where
    return YES, f"Only held-out scores are judged. {why}", (*where, "scores.tsv")


def _handed_on(_k: RunFacts) -> Judged:
    return (
        UNKNOWN,
        "The bundle holds the very fold models that were judged; its answer is their mean, which "
        "was not judged as such.",
        ("model", "scores.tsv"),
    )


def _balanced(k: RunFacts) -> Judged:
    weight = k.recipe.with_variant(k.variant).training.positive_weight
    if weight == 1:
        return YES, "Classes were not balanced.", ("recipe.yaml: training",)
    return NO, f"Positives weigh {weight:g} in the loss; nothing is recalibrated.", ("recipe.yaml",)


def _settings(k: RunFacts) -> Judged:
    where = ("tables/other_runs.tsv",)
    if told := k.findings("tried"):
        return NO, told, where
    return UNKNOWN, "What was tried elsewhere, or before, no file of the run knows.", where


def _fair(k: RunFacts) -> Judged:
    if k.subgroups:
        return YES, f"Subgroups: {', '.join(k.subgroups)}.", ("metrics.tsv",)
    return NO, "No subgroup was asked for (evaluation.subgroups).", ("recipe.yaml: evaluation",)


def _elsewhere(_k: RunFacts) -> Judged:
    return NO, "Not in this run: --model with --outcome does it on people from elsewhere.", ()


_AI = (_leak_free, _balanced, _settings, _fair, _elsewhere)
_NUMBERED: Mapping[str, Callable[[RunFacts], Judged]] = {
    "1.1": _author("where the people come from"),
    "1.2": _author("criteria of recruitment"),
    "2.1": _alike,
    "2.2": _blind,
    "2.3": _author("which columns are known when the forecast is wanted"),
    "3.1": _author("how the outcome was assessed"),
    "3.2": _author("whether its definition was fixed beforehand"),
    "3.3": _apart,
    "3.4": _author("whether it was assessed alike in everybody"),
    "3.5": _author("whether assessors knew the predictors"),
    "3.6": _author("the time between scan and outcome"),
    "4.1": _enough,
    "4.2": _handled,
    "4.3": _everybody,
    "4.4": _missing,
    "4.5": _not_chosen,
    "4.6": _clusters,
    "4.7": _measures,
    "4.8": _optimism,
    "4.9": _handed_on,
}
