"""Curves of held-out scores: ROC, precision-recall, calibration, decision curve."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from bidsapp.drawing.plot import Axis, Plot, unit_axis
from bidsapp.drawing.svg import number

_MOST_CONTEXT = 12  # more thin lines than these hide the one that is looked at


@dataclass(frozen=True)
class Subject:
    """Whose curve it is.

    Attributes
    ----------
    name
        Variant or baseline.
    on
        Whether its series shows first.
    baseline
        Whether it is a baseline, drawn in the background only.
    leak
        Stamp of a variant that leaks, or of a simulated run; empty where there is none.
    sentence
        Its main number, for the figure itself.
    """

    name: str
    on: bool = False
    baseline: bool = False
    leak: str = ""
    sentence: str = ""


@dataclass(frozen=True)
class Curves:
    """The subjects of a figure, and its numbers as ``figures/*.tsv`` holds them, as numbers.

    `level` is the coverage of the bands, of `band` or in the table.
    """

    subjects: Sequence[Subject]
    table: pd.DataFrame
    band: pd.DataFrame | None = field(default=None)
    level: float = 0.95

    def of(self, name: str) -> pd.DataFrame:
        """Rows of one subject."""
        return self.table[self.table["variant"] == name]

    def band_of(self, name: str) -> pd.DataFrame | None:
        """Band of one subject, where there is one."""
        if self.band is None:
            return None
        rows = self.band[self.band["variant"] == name]
        return rows if len(rows) else None

    @property
    def band_words(self) -> str:
        """What a legend says of a band."""
        return f"{100 * self.level:g} % band, pointwise"

    @property
    def networks(self) -> list[Subject]:
        """Subjects that a reader can choose."""
        return [subject for subject in self.subjects if not subject.baseline]


def roc(curves: Curves) -> Plot:
    """Draw true against false positive rate, with the pointwise band of each variant."""
    plot = Plot(
        "roc",
        "ROC curve",
        "True positive rate against false positive rate of pooled held-out scores. "
        + _insign(curves),
        unit_axis("False positive rate (1 − specificity)"),
        unit_axis("True positive rate (sensitivity)"),
    )
    plot.rule_between((0, 0), (1, 1), "chance")
    _context(plot, curves, "false_positive_rate", "true_positive_rate")
    for subject in curves.networks:
        with plot.series(subject.name, on=subject.on):
            band = curves.band_of(subject.name)
            if band is not None:
                xs = band["false_positive_rate"].tolist()
                plot.band(xs, band["ci_low"].tolist(), band["ci_high"].tolist(), "fill-band")
            _line(plot, curves.of(subject.name), "false_positive_rate", "true_positive_rate")
            sign(plot, subject)
    plot.legend(_entries(curves, band=curves.band_words, chance="chance"))
    return plot


def precision_recall(curves: Curves, prevalence: float) -> Plot:
    """Precision against recall, with the share of positives as what chance gives."""
    plot = Plot(
        "precision_recall",
        "Precision–recall curve",
        f"Precision against recall of pooled held-out scores; chance gives {prevalence:.2f}.",
        unit_axis("Recall (sensitivity)"),
        unit_axis("Precision (positive predictive value)"),
    )
    plot.rule("chance", y=prevalence)
    _context(plot, curves, "recall", "precision")
    for subject in curves.networks:
        with plot.series(subject.name, on=subject.on):
            _line(plot, curves.of(subject.name), "recall", "precision")
            sign(plot, subject)
    plot.legend(_entries(curves, chance=f"chance ({number(prevalence)})"))
    return plot


def calibration(curves: Curves) -> Plot:
    """Observed share of positives against the mean probability of each tenth."""
    plot = Plot(
        "calibration",
        "Calibration",
        "Observed share of positives against mean predicted probability, in groups of about "
        f"equal size, with Wilson's {100 * curves.level:g} % intervals; on the diagonal, "
        "probabilities mean what they say.",
        unit_axis("Predicted probability, mean of the group"),
        unit_axis("Observed share of positives"),
    )
    plot.rule_between((0, 0), (1, 1), "chance")
    for subject in curves.networks:
        rows = curves.of(subject.name)
        with plot.series(subject.name, on=subject.on):
            for _, row in rows.iterrows():
                ends = [row["ci_low"], row["ci_high"]]
                plot.line([row["probability"]] * 2, ends, "thin")
            plot.line(rows["probability"].tolist(), rows["observed"].tolist(), "context")
            for _, row in rows.iterrows():
                tip = (
                    f"{int(row['n'])} scans: predicted {number(row['probability'])}, observed "
                    f"{number(row['observed'])} ({number(row['ci_low'])} to "
                    f"{number(row['ci_high'])})"
                )
                plot.point(row["probability"], row["observed"], "point", radius=4.5, tip=tip)
            sign(plot, subject)
    plot.legend([("wide", f"group, {100 * curves.level:g} % interval"), ("chance", "ideal")])
    return plot


def decision_curve(curves: Curves) -> Plot:
    """Net benefit of acting on the score, on everybody, on nobody."""
    shown = curves.table[curves.table["variant"].isin([s.name for s in curves.networks])]
    finite = shown[["net_benefit", "ci_high"]].to_numpy(dtype=float)
    top = max(0.05, float(np.nanmax(finite))) if np.isfinite(finite).any() else 1.0
    plot = Plot(
        "decision_curve",
        "Decision curve",
        "Net benefit against the probability from which one would act: by the score, for "
        "everybody, for nobody.",
        unit_axis("Threshold probability"),
        Axis("Net benefit (true positives per person)", -0.35 * top, 1.15 * top),
    )
    plot.rule("chance", y=0)
    first = curves.of(curves.networks[0].name) if curves.networks else curves.table
    plot.line(first["threshold"].tolist(), first["treat_all"].tolist(), "baseline")
    for subject in curves.networks:
        rows = curves.of(subject.name)
        xs = rows["threshold"].tolist()
        with plot.series(subject.name, on=subject.on):
            plot.band(xs, rows["ci_low"].tolist(), rows["ci_high"].tolist(), "fill-band")
            plot.line(xs, rows["net_benefit"].tolist(), "main")
            sign(plot, subject)
    entries = [("main", "act on the score"), ("fill-band", curves.band_words)]
    plot.legend([*entries, ("baseline", "act on everybody"), ("chance", "act on nobody")])
    return plot


def _context(plot: Plot, curves: Curves, x: str, y: str) -> None:
    """Draw the others thinly behind: networks grey, baselines dashed."""
    for baseline in (False, True):
        others = [s for s in curves.subjects if s.baseline == baseline and _drawn(s)]
        if len(others) < 2 and not baseline:
            continue
        for subject in others[:_MOST_CONTEXT]:
            rows = curves.of(subject.name)
            css = "baseline" if baseline else "context"
            plot.line(rows[x].tolist(), rows[y].tolist(), css)


def _drawn(subject: Subject) -> bool:
    """Whether a line is worth drawing: the majority's is that of chance, which is there."""
    return not subject.name.endswith("majority")


def _line(plot: Plot, rows: pd.DataFrame, x: str, y: str) -> None:
    plot.line(rows[x].tolist(), rows[y].tolist(), "main")


def sign(plot: Plot, subject: Subject) -> None:
    """Write whose series it is and its number, and the stamp of one that leaks."""
    if subject.leak:
        plot.stamp(subject.leak)
    if subject.sentence:
        plot.caption(subject.sentence)


def _entries(curves: Curves, band: str = "", chance: str = "") -> list[tuple[str, str]]:
    entries = [("main", "shown variant")]
    if band and curves.band is not None:
        entries.append(("fill-band", band))
    if len(curves.networks) > 1:
        entries.append(("context", "other variants"))
    if any(_drawn(subject) for subject in curves.subjects if subject.baseline):
        entries.append(("baseline", "baselines"))
    return [*entries, ("chance", chance)] if chance else entries


def _insign(curves: Curves) -> str:
    return " ".join(f"{s.name}: {s.sentence}." for s in curves.networks if s.sentence)
