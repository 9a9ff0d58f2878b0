"""The AUC of every network, ensemble and baseline as a line of a forest plot."""

from bidsapp.drawing.forest import Line
from bidsapp.evaluation.chance import WITHIN
from bidsapp.evaluation.tsv import as_float
from bidsapp.reports.run.answer import leading_row
from bidsapp.reports.run.files import RunFiles


def forest_lines(run: RunFiles) -> list[Line]:
    """AUC of every variant and baseline: both intervals, folds, and what was printed."""
    folds = run.metrics[
        run.metrics["scope"].astype(str).str.startswith("fold-") & (run.metrics["metric"] == "auc")
    ]
    printed = run.table("tables/printed.tsv", ("variant", "scope", "metric"), ("printed",))
    aucs = printed[(printed["metric"] == "auc") & (printed["scope"] != "best_fold")]
    by_name = dict(zip(aucs["variant"], aucs["printed"], strict=True))
    lines = []
    for name in [*run.variants, *run.baselines]:
        plain_row = run.metric(name, "auc")
        wide = leading_row(run, name)
        if plain_row is None:
            lines.append(Line(name, float("nan"), note="no pooled AUC"))
            continue
        is_baseline = name in run.baselines
        if wide is not None and wide["metric"] == WITHIN:
            plain_row = wide
        lines.append(
            Line(
                label=name,
                value=as_float(plain_row["value"]),
                low=as_float(plain_row["ci_low"]),
                high=as_float(plain_row["ci_high"]),
                wide_low=as_float(wide["ci_low"]) if wide else float("nan"),
                wide_high=as_float(wide["ci_high"]) if wide else float("nan"),
                points=tuple(folds.loc[folds["variant"] == name, "value"].tolist()),
                printed=by_name.get(name, float("nan")),
                baseline=is_baseline,
                note=run.stamp_of(name).split(":")[0] or ("baseline" if is_baseline else ""),
            )
        )
    return lines
