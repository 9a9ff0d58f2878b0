"""The answers that a group run gives to TRIPOD+AI's items on results, limits and use."""

from collections.abc import Callable, Mapping

import pandas as pd

from bidsapp.drawing.wording import many
from bidsapp.reports.reporting.run_facts import SHOWN, Answer, RunFacts
from bidsapp.training.columns import LEARNING


def _flow(k: RunFacts) -> Answer:
    return f"{k.counts}; {k.excluded}.", ("figures/flow.svg", "exclusions.tsv", "cohort.tsv")


def _people(k: RunFacts) -> Answer:
    return (
        f"Table 1 compares those with and without the outcome; {k.missing}.",
        ("tables/cohort.tsv", "report.html"),
    )


def _compared(_k: RunFacts) -> Answer:
    return (
        "Within one cohort everybody is trained on and tested in turn; of a single division the "
        "two are compared. New people: external validation (--model with --outcome).",
        ("tables/held_out.tsv", "splits.tsv"),
    )


def _analyses(k: RunFacts) -> Answer:
    splits = k.run.splits
    learned = splits[splits["role"].isin(LEARNING)]
    keys = [name for name in ("variant", "repeat", "fold") if name in splits]
    sizes = learned.groupby(keys).size()
    tested = splits[splits["role"] == "test"].groupby(keys).size()
    return (
        f"{k.counts}; {many(len(sizes), 'fold')}: {_range(sizes)} people trained on, "
        f"{_range(tested)} tested in each.",
        ("splits.tsv", "cohort.tsv"),
    )


def _range(sizes: "pd.Series[int]") -> str:
    low, high = int(sizes.min()), int(sizes.max())
    return str(low) if low == high else f"{low} to {high}"


def _whole_model(k: RunFacts) -> Answer:
    return (
        "The whole model is in the bundle, with its card; --model and Python apply it to new "
        "people.",
        (f"model/{k.variant}/docs/README.md", f"model/{k.variant}/configs/models.json"),
    )


def _performance(k: RunFacts) -> Answer:
    told = (f"{k.performance}.", k.by_group, k.findings("added"))
    return " ".join(filter(None, told)), (
        "metrics.tsv: scopes pooled and subgroup",
        "figures/roc.svg",
        "figures/calibration.svg",
        "figures/decision_curve.svg",
    )


def _by_cluster(k: RunFacts) -> Answer:
    site = k.recipe.evaluation.site
    own = [scope for scope in k.subgroups if site and f"{site}=" in scope]
    if own:
        named = [scope.removeprefix("subgroup:") for scope in own]
        return f"By {site}: {', '.join(named[:SHOWN])}.", ("metrics.tsv",)
    if site and k.recipe.group_column(k.run.variants or (k.recipe.base,)) == site:
        return f"Fold by fold, as every fold is a {site}.", ("metrics.tsv",)
    return "Not looked at: no site is named as a subgroup.", ("recipe.yaml: evaluation",)


def _no_update(_k: RunFacts) -> Answer:
    return "Nothing: the model was not updated in this run.", ("recipe.yaml",)


def _meaning(k: RunFacts) -> Answer:
    return k.findings("added", "result", "compared", "baseline"), ("tables/findings.tsv",)


def _limits(k: RunFacts) -> Answer:
    doubts = k.findings("leak", "separation", "confound", "tried", "small", "skipped")
    runs = len(k.run.table("tables/other_runs.tsv"))
    return (
        f"{doubts} {many(runs, 'other run')} of this output folder used the same people. Tested "
        "inside one cohort only.".strip(),
        ("tables/findings.tsv", "tables/other_runs.tsv", f"model/{k.variant}/docs/README.md"),
    )


def _poor_input(k: RunFacts) -> Answer:
    return (
        "An image of failed quality, or whose left and right are not certain, gets no forecast.",
        (f"model/{k.variant}/docs/README.md: Limits",),
    )


def _users(k: RunFacts) -> Answer:
    return (
        "Images in BIDS; the model prepares them itself. The card says what it is not for.",
        (f"model/{k.variant}/docs/README.md",),
    )


def _next(k: RunFacts) -> Answer:
    return (
        "Not tested elsewhere by this run: external validation is a next step (--model with "
        "--outcome).",
        (f"model/{k.variant}/docs/README.md: Limits",),
    )


RESULTS: Mapping[str, Callable[[RunFacts], Answer]] = {
    "20a": _flow,
    "20b": _people,
    "20c": _compared,
    "21": _analyses,
    "22": _whole_model,
    "23a": _performance,
    "23b": _by_cluster,
    "24": _no_update,
    "25": _meaning,
    "26": _limits,
    "27a": _poor_input,
    "27b": _users,
    "27c": _next,
}
"""Number of an item to what answers it."""
