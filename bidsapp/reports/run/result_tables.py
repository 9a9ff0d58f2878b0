"""The tables of a run as a page shows them."""

import numpy as np
import pandas as pd

from bidsapp.contracts.fitted import stamp_text
from bidsapp.dataset.counts import cohort_counts
from bidsapp.dataset.covariates import shown_name
from bidsapp.evaluation.chance import WITHIN
from bidsapp.evaluation.prevalence import scope_of
from bidsapp.evaluation.tsv import as_float
from bidsapp.reports.run.components import fold_minutes
from bidsapp.reports.run.files import RunFiles
from bidsapp.reports.run.grids import Cell, Grid, decimal, grid, interval, p_value, plain

_MOST_LEVELS = 12
_SUMMARY = (
    ("auc", "AUC"),
    ("average_precision", "Average precision"),
    ("balanced_accuracy", "Balanced accuracy"),
    ("sensitivity", "Sensitivity"),
    ("specificity", "Specificity"),
    ("brier", "Brier score"),
    ("calibration_slope", "Calibration slope"),
)


def variants_table(run: RunFiles) -> Grid | None:
    """Pooled held-out results of every variant, ensemble and baseline, and the mean over folds."""
    pooled = run.metrics[run.metrics["scope"].isin(("pooled", "mean"))]
    values = {
        (row["variant"], row["scope"], row["metric"]): row for row in pooled.to_dict("records")
    }
    names = [*run.variants, *run.baselines]
    if not any((name, "pooled", "auc") in values for name in names):
        return None
    inside = any((name, "pooled", WITHIN) in values for name in names)
    within = ["AUC within folds"] if inside else []
    headings = ["Variant", "Kind", *within, "AUC, mean of folds", *[text for _, text in _SUMMARY]]
    took = fold_minutes(run)
    headings += ["A fold took"] * bool(took)
    rows = []
    for name in names:
        cells = [Cell(name), Cell(_kind(run, name))]
        cells += [_with_limits(values.get((name, "pooled", WITHIN)))] if inside else []
        cells.append(_with_limits(values.get((name, "mean", "auc"))))
        cells += [_with_limits(values.get((name, "pooled", metric))) for metric, _ in _SUMMARY]
        cells += [took.get(name, Cell("–", -np.inf))] * bool(took)
        rows.append(cells)
    caption = (
        "Pooled held-out results with intervals (scores as given), and the mean AUC over folds "
        "with the Nadeau–Bengio interval"
    )
    if inside:
        caption += "; AUC within folds, widened for training on other people, is what leads"
    return Grid("variants", caption, headings, rows, tuple(range(2, len(headings))))


def _kind(run: RunFiles, name: str) -> str:
    if name in run.baselines:
        return "baseline"
    kind = "ensemble" if name in run.settings.ensembles else "network"
    leaks = run.leaks_of(name)
    return f"{kind}, {stamp_text(leaks)}" if leaks else kind


def _with_limits(row: dict | None) -> Cell:
    if row is None or not np.isfinite(as_float(row["value"])):
        return Cell("n/a", -np.inf)
    value, low, high = (as_float(row[name]) for name in ("value", "ci_low", "ci_high"))
    text = decimal("value")(pd.Series(row)).text
    if np.isfinite([low, high]).all():
        text += f" ({interval()(pd.Series(row)).text})"
    return Cell(text, value)


def subgroup_rows(run: RunFiles, variant: str) -> pd.DataFrame:
    """Pooled results of a variant's subgroups: `subgroup`, and the columns of the metrics."""
    rows = run.metrics[
        (run.metrics["variant"] == variant)
        & run.metrics["scope"].astype(str).str.startswith("subgroup:")
    ]
    return rows.assign(subgroup=rows["scope"].astype(str).str.removeprefix("subgroup:"))


def subgroup_table(run: RunFiles) -> Grid | None:
    """Results of the leading variant in every subgroup."""
    rows = subgroup_rows(run, run.lead)
    wanted = ("auc", "sensitivity", "specificity", "balanced_accuracy")
    columns = [
        ("Subgroup", plain("subgroup")),
        ("Measure", plain("metric")),
        ("Value", decimal("value")),
        ("Interval", interval()),
        ("n", plain("n")),
        ("Note", plain("note")),
    ]
    chosen = rows[rows["metric"].isin(wanted)]
    return grid("subgroups", "Subgroups", chosen, columns, numeric=("Value", "Interval", "n"))


def cohort_table(run: RunFiles) -> Grid | None:
    """Table 1: positives against negatives."""
    counts = cohort_counts(run.cohort)
    unit = f" {counts.what}" if counts.by_scan else ""
    heads = (
        f"Positive (n = {counts.positive}{unit})",
        f"Negative (n = {counts.negative}{unit})",
    )
    return _two_groups(run, "cohort", heads, "Positives against negatives")


def held_out_table(run: RunFiles) -> Grid | None:
    """Table 1 of a hold-out: the people trained on against those held out."""
    if not (run.folder / "tables" / "held_out.tsv").is_file():
        return None
    heads = ("Trained on", "Held out")
    return _two_groups(run, "held_out", heads, "People trained on against those held out")


def _two_groups(run: RunFiles, name: str, heads: tuple[str, str], caption: str) -> Grid | None:
    table = run.table(f"tables/{name}.tsv", ("column", "value", "first", "second"))
    columns = [
        ("Column", plain("column")),
        ("Value", plain("value")),
        (heads[0], plain("first")),
        (heads[1], plain("second")),
        ("Missing", _missing),
        ("Test", plain("test")),
        ("p", p_value("p")),
        ("p, Bonferroni", p_value("p_bonferroni")),
        ("p, false discovery rate", p_value("p_fdr")),
        ("Standardised difference", decimal("standardised_difference")),
        ("Note", plain("note")),
    ]
    there = ["missing_first", "missing_second", "test", "p", "p_bonferroni", "p_fdr", "note"]
    table = table.reindex(
        columns=[*dict.fromkeys([*table.columns, *there, "standardised_difference"])]
    )
    table = _folded(table.assign(column=table["column"].map(shown_name)))
    right = ("p", "p, Bonferroni", "p, false discovery rate", "Standardised difference")
    return grid(f"{name.replace('_', '-')}-table", caption, table, columns, numeric=right)


def _folded(table: pd.DataFrame) -> pd.DataFrame:
    """Put a column of very many categories (an identifier, mostly) on one line."""
    counts = table["column"].map(table["column"].value_counts())
    many = counts > _MOST_LEVELS
    first = many & ~table["column"].duplicated()
    table = table.assign(value=table["value"].mask(first, counts.astype(str) + " different values"))
    for name in ("first", "second"):
        table[name] = table[name].mask(first, "")
    return table[~many | first]


def _missing(row: pd.Series) -> Cell:
    counts = [as_float(row[name]) for name in ("missing_first", "missing_second")]
    if not np.isfinite(counts).all():
        return Cell("–", -1)
    return Cell(f"{counts[0]:.0f} and {counts[1]:.0f}", sum(counts))


def printed_table(run: RunFiles) -> Grid | None:
    """Set what a paper printed beside what this run gives."""
    numeric = ("printed", "ours", "ci_low", "ci_high")
    needed = ("variant", "scope", "metric", "inside", "note")
    table = run.table("tables/printed.tsv", needed, numeric)
    ran = set(run.variants) | set(run.baselines)
    columns = [
        ("Variant", plain("variant")),
        ("Scope", plain("scope")),
        ("Measure", plain("metric")),
        ("Printed", decimal("printed")),
        ("Ours", decimal("ours")),
        ("Our interval", interval()),
        ("Print inside", plain("inside")),
        ("Note", plain("note")),
    ]
    chosen = table[table["variant"].isin(ran)]
    right = ("Printed", "Ours", "Our interval")
    return grid("printed", "Printed values beside ours", chosen, columns, numeric=right)


def comparisons_table(run: RunFiles) -> Grid | None:
    """Paired tests between variants and against baselines."""
    numeric = ("difference", "ci_low", "ci_high", "p", "p_holm")
    needed = ("first", "second", "test", "n", "note")
    table = run.table("tables/comparisons.tsv", needed, numeric)
    columns = [
        ("First", plain("first")),
        ("Second", plain("second")),
        ("Test", plain("test")),
        ("Difference", decimal("difference")),
        ("Interval", interval()),
        ("p", p_value("p")),
        ("p, Holm", p_value("p_holm")),
        ("n", plain("n")),
        ("Note", plain("note")),
    ]
    right = ("Difference", "Interval", "p", "p, Holm", "n")
    caption = (
        "First minus second: AUC (DeLong, paired, from both intervals) and accuracy (McNemar); "
        "widened where the same people test and train models"
    )
    return grid("comparisons", caption, table, columns, numeric=right, find=True)


def rivals_table(run: RunFiles) -> Grid | None:
    """Every variant against every baseline and confound."""
    numeric = ("auc", "auc_confound", "difference", "difference_low", "difference_high", "p_holm")
    needed = ("variant", "confound", "verdict", "note")
    parts = [
        run.table(f"tables/{name}.tsv", needed, numeric).assign(kind=kind)
        for name, kind in (("confounds", "confound"), ("baselines", "baseline"))
    ]
    columns = [
        ("Variant", plain("variant")),
        ("Against", plain("confound")),
        ("Kind", plain("kind")),
        ("AUC", decimal("auc")),
        ("Its AUC", decimal("auc_confound")),
        ("Difference", decimal("difference")),
        ("Interval", interval("difference_low", "difference_high")),
        ("p, Holm", p_value("p_holm")),
        ("Shown to do better", _better),
        ("Note", plain("note")),
    ]
    table = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
    right = ("AUC", "Its AUC", "Difference", "Interval", "p, Holm")
    caption = "Networks against models that need no network, on the same folds"
    return grid("rivals", caption, table, columns, numeric=right)


def _better(row: pd.Series) -> Cell:
    words = {
        "better": "yes",
        "better, uncorrected": "no: only before correction",
        "cannot be told": "cannot be told",
        "no difference shown": "no",
        "worse, uncorrected": "no: worse before correction",
        "worse": "no: worse",
    }
    shown = str(row["verdict"])
    return Cell(words.get(shown, shown), [*words].index(shown) if shown in words else len(words))


def best_fold_table(run: RunFiles) -> Grid | None:
    """Set the best fold beside what the best fold is under chance."""
    numeric = ("value", "chance", "chance_low", "chance_high", "p")
    if not (run.folder / "tables" / "best_fold.tsv").is_file():
        return None
    table = run.table("tables/best_fold.tsv", ("variant", "metric", "fold", "note"), numeric)
    columns = [
        ("Variant", plain("variant")),
        ("Fold", plain("fold")),
        ("Measure", plain("metric")),
        ("Value", decimal("value")),
        ("Best fold under chance", decimal("chance")),
        ("95 % under chance", interval("chance_low", "chance_high")),
        ("p", p_value("p")),
        ("Note", plain("note")),
    ]
    right = ("Value", "Best fold under chance", "95 % under chance", "p")
    caption = "The best fold, chosen by its result, beside what the best of as many gives by chance"
    return grid("best-fold", caption, table, columns, numeric=right)


def metrics_table(run: RunFiles, variant: str) -> Grid | None:
    """Every pooled number of a variant."""
    rows = run.metrics[(run.metrics["variant"] == variant) & (run.metrics["scope"] == "pooled")]
    columns = [
        ("Measure", plain("metric")),
        ("Value", decimal("value", 3)),
        ("Interval", interval(digits=3)),
        ("Method", plain("ci_method")),
        ("n", plain("n")),
        ("Note", plain("note")),
    ]
    right = ("Value", "Interval", "n")
    return grid(
        f"metrics-{variant}", f"All pooled numbers of {variant}", rows, columns, numeric=right
    )


def planning_table(run: RunFiles) -> Grid | None:
    """Tell what a sample of this size can show."""
    later = ("retrained_low", "retrained_high", "power_retrained")
    numeric = ("value", "ci_low", "ci_high", "power", *later)
    table = run.table("tables/planning.tsv", ("quantity", "n", "note"), numeric)
    columns = [
        ("Quantity", plain("quantity")),
        ("If it were", decimal("value")),
        ("Interval to expect", interval()),
        ("Power", decimal("power")),
        ("Interval of the answer", interval("retrained_low", "retrained_high")),
        ("Power of the answer", decimal("power_retrained")),
        ("n", plain("n")),
        ("Note", plain("note")),
    ]
    right = tuple(name for name, _ in columns[1:-1])
    caption = (
        "What a sample of this size can show: scores of one model in new people, and the answer of "
        "this report, which allows for training on other people"
    )
    return grid("planning", caption, table, columns, numeric=right)


def prevalence_table(run: RunFiles) -> Grid | None:
    """Tell what the leading variant's scores are worth at the share of positives of the recipe."""
    if run.settings.prevalence is None:
        return None
    scope = run.metrics["scope"] == scope_of(run.settings.prevalence)
    rows = run.metrics[scope & (run.metrics["variant"] == run.lead)]
    columns = [
        ("Measure", plain("metric")),
        ("Value", decimal("value", 3)),
        ("Interval", interval(digits=3)),
        ("Method", plain("ci_method")),
        ("Note", plain("note")),
    ]
    caption = f"{run.lead} where {run.settings.prevalence:.1%} are positive"
    return grid("prevalence", caption, rows, columns, numeric=("Value", "Interval"))
