"""Finished group runs to report on, and what a browser would find in their page."""

from pathlib import Path

import numpy as np

from bidsapp.evaluation.evaluate import evaluate
from bidsapp.recipes import dump_recipe, load_recipe
from bidsapp.reports.group_report import write_group_report
from tests.unit.evaluation_runs import write_run

NASTY = "<script>alert(1)</script>"
FAST = ("evaluation.bootstrap=100", "evaluation.permutations=100")


def finished_run(
    folder: Path,
    *,
    recipe: str = "attias2025",
    overrides: tuple[str, ...] = (),
    variants: tuple[str, ...] = ("axial", "coronal", "sagittal"),
    covariates: dict[str, list[object]] | None = None,
    **changes: object,
) -> Path:
    """Write state files of an invented run with learning curves, and evaluate them."""
    n = int(str(changes.get("n", 48)))
    extra = covariates or {
        "age": [20 + 7 * i % 41 for i in range(n)],
        "sex": ["FM"[i // 2 % 2] for i in range(n)],
        NASTY: [f"<b>{i}</b>" for i in range(n)],
    }
    write_run(folder, variants=variants, covariates=extra, **changes)  # type: ignore[arg-type]
    chosen = load_recipe(recipe, [*FAST, *overrides]).with_values({"run": list(variants)})
    (folder / "recipe.yaml").write_text(dump_recipe(chosen))
    rows = ["variant\trepeat\tfold\tepoch\ttrain_loss"]
    rng = np.random.default_rng(4)
    for variant in variants:
        for fold in range(1, 9):
            loss = np.exp(-np.arange(12) / 4) * rng.uniform(0.5, 0.8)
            lines = [f"{variant}\t1\t{fold}\t{e + 1}\t{x:.4f}" for e, x in enumerate(loss)]
            rows += lines
    (folder / "history.tsv").write_text("\n".join(rows) + "\n")
    left_out = [("sub-9001", "n/a", "failed quality", NASTY), ("sub-9002", "n/a", "no outcome", "")]
    lines = ["participant_id\tsession_id\treason\tdetail", *["\t".join(row) for row in left_out]]
    (folder / "exclusions.tsv").write_text("\n".join(lines) + "\n")
    evaluate(folder)
    return folder


def reported(folder: Path) -> str:
    """Write the report of a run and give its text."""
    return write_group_report(folder).read_text(encoding="utf-8")
