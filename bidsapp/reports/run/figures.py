"""The figures of a run: drawn for the page, and written with their numbers under ``figures/``."""

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pandas as pd

from bidsapp.contracts.unit import one_each
from bidsapp.dataset.counts import cohort_counts, considered_words
from bidsapp.derivatives import write_text
from bidsapp.drawing.flow import Step, flow
from bidsapp.drawing.forest import Line, forest
from bidsapp.drawing.svg import Drawing, number
from bidsapp.evaluation.permutation import LIBERAL, null_words
from bidsapp.evaluation.permutation import METHOD as WHOLE_PIPELINE
from bidsapp.evaluation.stamp import stamp
from bidsapp.evaluation.tsv import as_float, write_table
from bidsapp.reports.charts import curves as draw
from bidsapp.reports.charts import scores as draw_scores
from bidsapp.reports.charts.curves import Curves, Subject
from bidsapp.reports.run import numbers
from bidsapp.reports.run.answer import leading_row
from bidsapp.reports.run.files import RunFiles
from bidsapp.reports.run.forest_lines import forest_lines
from bidsapp.reports.run.result_tables import subgroup_rows

if TYPE_CHECKING:
    from markupsafe import Markup

_MOST_REASONS = 8


@dataclass(frozen=True)
class Figure:
    """A figure on a page: its SVG, and the file of its numbers relative to the run's folder."""

    key: str
    title: str
    svg: "Markup"
    numbers: str


def keep(run: RunFiles, drawing: Drawing, file: str = "") -> Figure:
    """Write a figure as ``figures/<key>.svg``, and give it for the page."""
    from markupsafe import Markup

    write_text(run.folder / "figures" / f"{drawing.key}.svg", drawing.standalone() + "\n")
    there = file if file and (run.folder / file).is_file() else ""
    return Figure(drawing.key, drawing.title, Markup(drawing.inline()), there)


def performance(run: RunFiles) -> list[tuple[Figure, str]]:
    """Figures of the held-out scores, each with a note; what has no numbers is left out."""
    found = []
    for make in (
        _roc,
        _precision_recall,
        _distributions,
        _confusion,
        _calibration,
        _decision,
        _null,
        _pipeline_null,
    ):
        result = make(run)
        if result is not None:
            found.append(result)
    return found


def subjects(run: RunFiles) -> list[Subject]:
    """Variants and baselines with the sentence that their ROC curve bears."""
    found = []
    for name in [*run.variants, *run.baselines]:
        row = leading_row(run, name)
        words = name
        if row is not None:
            words += f": AUC {number(as_float(row['value']))}"
            if as_float(row["ci_low"]) == as_float(row["ci_low"]):
                words += (
                    f" ({number(as_float(row['ci_low']))} to {number(as_float(row['ci_high']))})"
                )
        mark = run.stamp_of(name)
        found.append(Subject(name, name == run.lead, name in run.baselines, mark, words))
    return found


def _curves(run: RunFiles, name: str, columns: tuple[str, ...]) -> Curves | None:
    table = run.table(f"figures/{name}.tsv", ("variant",), columns)
    known = [s for s in subjects(run) if (table["variant"] == s.name).any()]
    if all(s.baseline for s in known):
        return None
    return Curves(known, table, level=run.settings.level)


def _kept(run: RunFiles, name: str, table: pd.DataFrame) -> pd.DataFrame:
    """Write numbers that the figure is drawn from, stamped where they leak."""
    write_table(stamp(table, run.settings), run.folder / "figures" / f"{name}.tsv")
    return table


def _roc(run: RunFiles) -> tuple[Figure, str] | None:
    curves = _curves(run, "roc", ("false_positive_rate", "true_positive_rate"))
    if curves is None:
        return None
    band = _kept(run, "roc_band", numbers.roc_bands(run))
    drawing = draw.roc(replace(curves, band=band if len(band) else None))
    note = "The band is from 1,000 bootstrap draws of people within outcome classes."
    return keep(run, drawing, "figures/roc.tsv"), note


def _precision_recall(run: RunFiles) -> tuple[Figure, str] | None:
    curves = _curves(run, "precision_recall", ("recall", "precision"))
    if curves is None:
        return None
    sample = run.sample(run.lead)
    drawing = draw.precision_recall(curves, sample.positives / sample.n)
    note = "Chance is the share of positives in this cohort; elsewhere it may differ."
    return keep(run, drawing, "figures/precision_recall.tsv"), note


def _distributions(run: RunFiles) -> tuple[Figure, str] | None:
    if not run.variants:
        return None
    table = _kept(run, "score_distribution", numbers.distributions(run))
    known = [s for s in subjects(run) if not s.baseline]
    threshold = run.settings.of(run.lead).threshold
    drawing = draw_scores.distributions(Curves(known, table), threshold)
    note = "The further apart the two sides, the better the scores tell the outcomes apart."
    return keep(run, drawing, "figures/score_distribution.tsv"), note


def _confusion(run: RunFiles) -> tuple[Figure, str] | None:
    if not run.variants:
        return None
    table = _kept(run, "confusion", numbers.confusions(run))
    known = [s for s in subjects(run) if not s.baseline]
    note = "Percentages are of the row: of those with that true outcome."
    return keep(run, draw_scores.confusion(table, known), "figures/confusion.tsv"), note


def _calibration(run: RunFiles) -> tuple[Figure, str] | None:
    columns = ("bin", "n", "probability", "observed", "ci_low", "ci_high")
    curves = _curves(run, "calibration", columns)
    if curves is None:
        return None
    note = f"Groups of about equal size; bars are Wilson's {_level(run)} intervals. {_holds(run)}"
    return keep(run, draw.calibration(curves), "figures/calibration.tsv"), note


def _decision(run: RunFiles) -> tuple[Figure, str] | None:
    columns = ("threshold", "net_benefit", "ci_low", "ci_high", "treat_all")
    curves = _curves(run, "decision_curve", columns)
    if curves is None:
        return None
    note = (
        "Worth acting on where it lies above both other lines, if probabilities mean what they "
        f"say (see the calibration). {_holds(run)}"
    )
    return keep(run, draw.decision_curve(curves), "figures/decision_curve.tsv"), note


def _level(run: RunFiles) -> str:
    return f"{100 * run.settings.level:g}\u00a0%"


def _holds(run: RunFiles) -> str:
    """Say for which share of positives a figure holds."""
    if run.settings.prevalence is not None:
        return f"For {run.settings.prevalence:.0%} positive (evaluation.prevalence)."
    rows = one_each(run.scores_of(run.lead))
    share = f"{rows['outcome'].mean():.0%}"
    return (
        f"Holds for people of whom {share} are positive, as in this cohort; for another share set "
        "evaluation.prevalence."
    )


def _null(run: RunFiles) -> tuple[Figure, str] | None:
    curves = _curves(run, "permutation_null", ("auc",))
    if curves is None:
        return None
    drawing = draw_scores.permutation_null(curves, _tested(run, anew=False), "scores fixed")
    noted = run.table("tables/permutations.tsv", ("note",))["note"].astype(str)
    caveat = f": {LIBERAL}" if noted.str.contains(LIBERAL, regex=False).any() else ""
    note = f"Outcomes permuted on fixed scores{caveat}. {null_words(run.settings.permute_within)}"
    return keep(run, drawing, "figures/permutation_null.tsv"), note


def _pipeline_null(run: RunFiles) -> tuple[Figure, str] | None:
    if not (run.folder / "figures" / "pipeline_null.tsv").is_file():
        return None
    curves = _curves(run, "pipeline_null", ("auc",))
    if curves is None:
        return None
    names = ("pipeline_null", "The whole pipeline by chance")
    tested = _tested(run, anew=True)
    drawing = draw_scores.permutation_null(curves, tested, "trained anew", *names)
    note = (
        "Outcomes permuted, and everything done again, training included: the test holds its "
        f"level. {null_words(run.settings.permute_within)}"
    )
    return keep(run, drawing, "figures/pipeline_null.tsv"), note


def _tested(run: RunFiles, *, anew: bool) -> dict[str, tuple[float, float]]:
    """Observed AUC and p of every variant, by one of the two tests."""
    table = run.table("tables/permutations.tsv", ("variant", "method"), ("auc", "p"))
    rows = table[(table["method"] == WHOLE_PIPELINE) == anew]
    return {str(row["variant"]): (row["auc"], row["p"]) for row in rows.to_dict("records")}


def learning(run: RunFiles) -> Figure | None:
    """Learning curves of every fold."""
    numeric = ("epoch", "train_loss")
    table = run.table("history.tsv", ("variant", "repeat", "fold"), numeric)
    table = table[table["epoch"].notna()]
    if "validation_loss" in table:
        validation = pd.to_numeric(table["validation_loss"], errors="coerce")
        table = table.assign(validation_loss=validation)
    if table.empty:
        return None
    known = [s for s in subjects(run) if not s.baseline] or [
        Subject(str(name), place == 0) for place, name in enumerate(table["variant"].unique())
    ]
    return keep(run, draw_scores.learning_curves(table, known), "history.tsv")


def forests(run: RunFiles) -> tuple[Figure | None, Figure | None]:
    """Forest of all variants and baselines, and of the leading variant's subgroups."""
    lines = forest_lines(run)
    label = "AUC (0.5: chance)"
    first = second = None
    if lines:
        words = "AUC of every variant and baseline with intervals, single folds and print."
        drawing = forest("forest", "AUC of every variant and baseline", words, lines, label)
        first = keep(run, drawing, "metrics.tsv")
    rows = subgroup_rows(run, run.lead)
    rows = rows[rows["metric"] == "auc"]
    if len(rows):
        groups = [_subgroup_line(row) for row in rows.to_dict("records")]
        words = f"AUC of {run.lead} in each subgroup with its interval."
        drawing = forest("subgroups", f"Subgroups, {run.lead}", words, groups, label)
        second = keep(run, drawing, "metrics.tsv")
    return first, second


def _subgroup_line(row: dict) -> Line:
    few = "fewer than" in str(row["note"])
    note = f"n = {row['n']}" + (", too few" if few else "")
    limits = (as_float(row["ci_low"]), as_float(row["ci_high"]))
    return Line(str(row["subgroup"]), as_float(row["value"]), *limits, note=note)


def cohort_flow(run: RunFiles) -> Figure | None:
    """Flow diagram: scans that were found, left out with reasons, in, divided, scored."""
    cohort, out = run.cohort, run.exclusions
    if cohort.empty:
        return None
    counts = cohort_counts(cohort)
    one = counts.people == counts.scans
    steps = [
        considered(cohort, out),
        Step(
            "Cohort",
            [
                f"{counts.scans} {counts.what}" if one else counts.observations,
                counts.classes,
                *_values(run),
            ],
        ),
    ]
    drawing = flow([*steps, *_division(run)])
    return keep(run, drawing, "exclusions.tsv")


def considered(cohort: pd.DataFrame, out: pd.DataFrame) -> Step:
    """Say how many scans were found, and why some were left out, the commonest reasons first."""
    reasons = Counter(out["reason"].astype(str))
    common = reasons.most_common(_MOST_REASONS)
    leaving = [f"{reason}: {n}" for reason, n in common]
    rest = sum(reasons.values()) - sum(n for _, n in common)
    if rest:
        leaving.append(f"other reasons: {rest}")
    return Step(
        f"{len(cohort) + len(out)} considered",
        [f"{considered_words(cohort, out)[1]} of the dataset"],
        [f"{len(out)} left out", *leaving] if len(out) else (),
    )


def _values(run: RunFiles) -> list[str]:
    """Say which values of the outcome's column are positive and negative."""
    outcome = run.recipe.outcome if run.recipe else None
    if outcome is None or outcome.negative is None:
        return []
    named = {"positive": outcome.positive, "negative": outcome.negative}
    return [f"{word}: {' or '.join(map(str, values or ()))}" for word, values in named.items()]


def _division(run: RunFiles) -> list[Step]:
    splits = run.table("splits.tsv", ("repeat", "fold", "participant_id", "role"))
    steps = []
    if len(splits):
        own = splits
        if "variant" in splits and run.lead in set(splits["variant"]):
            own = splits[splits["variant"] == run.lead]
        folds = own[["repeat", "fold"]].drop_duplicates()
        repeats = folds["repeat"].nunique()
        sizes = own[own["role"] == "test"].groupby(["repeat", "fold"]).size()
        span = f"{sizes.min()}" if sizes.min() == sizes.max() else f"{sizes.min()} to {sizes.max()}"
        many = f"{len(folds) // max(repeats, 1)} folds" + (
            f", {repeats} times" if repeats > 1 else ""
        )
        steps.append(Step("Divided", [many, f"{span} people held out in each"]))
    if run.lead:
        rows = one_each(run.scores_of(run.lead))
        scored = cohort_counts(rows)
        lines = [f"{scored.scans} {scored.what} by {run.lead}", scored.classes]
        steps.append(Step("Scored while held out", lines))
    return steps
