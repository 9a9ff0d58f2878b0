"""What the scores look like: distributions, confusion tables, chance, learning."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from bidsapp.drawing.plot import Axis, Plot, unit_axis
from bidsapp.drawing.svg import Drawing, number
from bidsapp.reports.charts.curves import Curves, Subject, sign

_NULL_BINS = 40


def distributions(curves: Curves, threshold: float) -> Plot:
    """Histograms of the held-out scores: positives upwards, negatives downwards."""
    top = max(1.0, float(curves.table[["positive", "negative"]].to_numpy().max(initial=1)))
    plot = Plot(
        "score_distribution",
        "Score distributions",
        "Histogram of pooled held-out probabilities: positives above the line, negatives below.",
        unit_axis("Predicted probability"),
        _both_ways("Scans (positives up, negatives down)", 1.12 * top),
    )
    for subject in curves.networks:
        with plot.series(subject.name, on=subject.on):
            for _, row in curves.of(subject.name).iterrows():
                ends = (row["low"], row["high"])
                words = f"{number(row['low'])} to {number(row['high'])}: "
                if row["positive"]:
                    tip = f"{words}{int(row['positive'])} positive"
                    plot.bar(ends, (0, row["positive"]), "fill-pos", tip=tip)
                if row["negative"]:
                    tip = f"{words}{int(row['negative'])} negative"
                    plot.bar(ends, (-row["negative"], 0), "fill-neg", tip=tip)
            sign(plot, subject)
    plot.rule("axis", y=0)
    plot.rule("chance", x=threshold)
    entries = [("fill-pos", "positive"), ("fill-neg", "negative")]
    plot.legend([*entries, ("chance", f"threshold {number(threshold)}")])
    return plot


def _both_ways(label: str, top: float) -> Axis:
    step = max(1, int(top // 2))
    return Axis(label, -top, top, tuple(float(n * step) for n in range(-2, 3)))


def permutation_null(
    curves: Curves,
    tested: Mapping[str, tuple[float, float]],
    how: str,
    key: str = "permutation_null",
    title: str = "What chance gives",
) -> Plot:
    """Histogram of the AUCs under permuted outcomes, and the observed one.

    Parameters
    ----------
    curves
        The AUCs, in the column `auc`.
    tested
        Observed AUC and p value of each subject.
    how
        What was kept or done again, in two words.
    key, title
        Name and title of the figure.
    """
    counts = {
        s.name: np.histogram(curves.of(s.name)["auc"].to_numpy(dtype=float), _NULL_BINS, (0, 1))[0]
        for s in curves.networks
    }
    top = max((int(count.max()) for count in counts.values() if len(count)), default=1) or 1
    plot = Plot(
        key,
        title,
        "Histogram of the pooled AUC under permuted outcomes, with the observed AUC.",
        unit_axis("AUC under permuted outcomes"),
        Axis("Permutations", 0.0, 1.15 * top),
    )
    for subject in curves.networks:
        with plot.series(subject.name, on=subject.on):
            for place, count in enumerate(counts[subject.name].tolist()):
                if count:
                    ends = (place / _NULL_BINS, (place + 1) / _NULL_BINS)
                    plot.bar(ends, (0, count), "fill-null", tip=f"{count} permutations")
            observed, p = tested.get(subject.name, (np.nan, np.nan))
            if np.isfinite(observed):
                plot.rule("observed", x=observed)
            if np.isfinite(p):
                plot.caption(f"{subject.name}: p = {p:.2g}, {how}")
            if subject.leak:
                plot.stamp(subject.leak)
    plot.legend([("fill-null", "permuted"), ("observed", "observed")])
    return plot


def learning_curves(history: pd.DataFrame, subjects: Sequence[Subject]) -> Plot:
    """Loss of every fold against the epoch; dashed on the validation people, where there are."""
    losses = [name for name in ("train_loss", "validation_loss") if name in history]
    values = history[losses].to_numpy(dtype=float)
    values = values[np.isfinite(values)]
    low, high = (values.min(), values.max()) if values.size else (0.0, 1.0)
    log = bool(low > 0 and high / low > 30)
    y = Axis("Loss", 0.0, 1.05 * high or 1.0)
    if log:
        y = Axis("Loss (logarithmic)", low / 1.2, high * 1.2, _decades(low / 1.2, high * 1.2), True)
    last = max(2.0, float(history["epoch"].max()))
    plot = Plot(
        "learning_curves",
        "Learning curves",
        "Training loss of every fold against the epoch.",
        Axis("Epoch", 1.0, last, _whole_ticks(last)),
        y,
    )
    for subject in subjects:
        rows = history[history["variant"] == subject.name]
        with plot.series(subject.name, on=subject.on):
            folds = list(rows.groupby(["repeat", "fold"], sort=False))
            for _, fold in folds:
                for name in losses:
                    css = "thin" if name == "train_loss" else "validation"
                    plot.line(fold["epoch"].tolist(), fold[name].tolist(), css)
            plot.caption(f"{len(folds)} folds" if folds else "no training of its own")
            if subject.leak:
                plot.stamp(subject.leak)
    entries = [("thin", "training")]
    if "validation_loss" in losses and history["validation_loss"].notna().any():
        entries.append(("validation", "validation"))
    plot.legend(entries)
    return plot


def _decades(low: float, high: float) -> tuple[float, ...]:
    first, last = int(np.floor(np.log10(low))), int(np.ceil(np.log10(high)))
    step = max(1, (last - first) // 5)
    marks = [10.0**power for power in range(first, last + 1, step)]
    inside = tuple(mark for mark in marks if low <= mark <= high)
    return inside or (low, high)


def _whole_ticks(last: float) -> tuple[float, ...]:
    step = max(1, round(last / 5))
    return (1.0, *[float(n) for n in range(step, int(last) + 1, step) if n > 1])


def confusion(table: pd.DataFrame, subjects: Sequence[Subject]) -> Drawing:
    """Four counts at each threshold, for each variant; wrong decisions in the other colour."""
    drawing = Drawing(
        "confusion",
        "Confusion matrices",
        "Counts of right and wrong decisions at the fixed threshold and at the one fitted on the "
        "other folds: rows are true outcomes, columns are decisions.",
        height=292.0,
    )
    for subject in subjects:
        rows = table[table["variant"] == subject.name]
        with drawing.series(subject.name, on=subject.on):
            for place, (_, row) in enumerate(rows.iterrows()):
                _four_cells(drawing, 34.0 + 200.0 * place, row)
            if subject.leak:
                drawing.lines(8, 254, subject.leak, 60, "leak")
    return drawing


def _four_cells(drawing: Drawing, x: float, row: pd.Series) -> None:
    size, top = 84.0, 66.0
    drawing.text(x + size, 18, f"{row['rule']}: {row['words']}", "strong", "middle")
    for column, words in enumerate(("called negative", "called positive")):
        for line, word in enumerate(words.split()):
            drawing.text(x + size * (column + 0.5), 42 + 15 * line, word, "tick", "middle")
    for line, words in enumerate(("truly negative", "truly positive")):
        middle = top + size * (line + 0.5)
        drawing.add(
            f'<text class="tick" text-anchor="middle" transform="translate({x - 8:.1f} '
            f'{middle:.1f}) rotate(-90)">{words}</text>'
        )
    cells = (("tn", "fp"), ("fn", "tp"))
    for line, names in enumerate(cells):
        total = sum(int(row[name]) for name in names)
        for column, name in enumerate(names):
            count = int(row[name])
            share = count / total if total else 0.0
            css = "cell" if name in ("tn", "tp") else "cell-wrong"
            left, upper = x + size * column, top + size * line
            drawing.add(
                f'<rect class="{css}" x="{left:.1f}" y="{upper:.1f}" width="{size}" '
                f'height="{size}" fill-opacity="{0.08 + 0.42 * share:.2f}"/>'
            )
            drawing.text(left + size / 2, upper + size / 2 + 2, str(count), "count", "middle")
            drawing.text(left + size / 2, upper + size / 2 + 20, f"{share:.0%}", "note", "middle")
