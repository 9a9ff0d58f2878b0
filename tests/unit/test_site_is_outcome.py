"""A cohort whose site says the outcome: the command's and the page's first lines say so."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bidsapp.cli import main
from bidsapp.evaluation.tsv import read_table
from tests.unit.added_value_runs import write_added_run

RECIPE = """\
name: sites
summary: Sites that are the outcome
outcome: {column: chronic, positive: ["yes"]}
representation: {kind: slab, plane: axial, slices: 3}
network: {name: resnet, depth: 10, start: random}
protocol: {kind: kfold, folds: 4}
evaluation: {bootstrap: 100, permutations: 50, site: hospital, baselines: [site]}
"""


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The output folders of two runs of 48 people: hospital is the outcome, or has nothing of it.

    The network of both knows the outcome, as one that reads the scanner would.
    """
    roots = []
    for name in ("outcome", "nothing"):
        root = tmp_path_factory.mktemp(name)
        folder = write_added_run(root / "out" / "group" / "sites", n=48, effect=4.0)
        cohort = pd.read_csv(folder / "cohort.tsv", sep="\t", na_filter=False)
        alone = np.random.default_rng(0).permutation(cohort["outcome"].to_numpy())
        site = cohort["outcome"].to_numpy() if name == "outcome" else alone
        cohort.assign(hospital=np.where(site, "north", "south")).to_csv(
            folder / "cohort.tsv", sep="\t", index=False
        )
        (folder / "recipe.yaml").write_text(RECIPE)
        (root / "bids").mkdir()
        roots.append(root)
    return roots[0], roots[1]


def run(root: Path, capsys: pytest.CaptureFixture[str]) -> tuple[list[str], Path]:
    """Evaluate a run by the command; gives the lines that it prints, and the run's folder."""
    words = (root / "bids", root / "out", "group", "--evaluate-only", "--run-label", "sites")
    assert main([str(word) for word in words]) == 0
    return capsys.readouterr().out.splitlines(), root / "out" / "group" / "sites"


def test_a_site_that_is_the_outcome_stands_in_the_first_lines(
    evaluated: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    lines, folder = run(evaluated[0], capsys)
    told = [line for line in lines if not line.startswith(("[", "evaluation"))]
    assert told[0].startswith("CONFOUND: hospital")
    page = (folder / "report.html").read_text()
    answer = page[page.index('id="answer"') : page.index('id="cohort"')]
    shown = " ".join(re.sub(r"<[^>]+>", " ", answer).split())
    assert "What weakens it CONFOUND: hospital" in shown
    assert "Better than chance, but it may not be the brain." in shown
    table = read_table(folder / "tables" / "sites.tsv", ("told",))
    assert len(table)
    words = " ".join((folder / "logs" / "CITATION.md").read_text().split())
    assert "hospital" in words


def test_a_site_that_has_nothing_of_the_outcome_is_not_called_a_confound(
    evaluated: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    lines, folder = run(evaluated[1], capsys)
    assert not any("CONFOUND" in line for line in lines)
    page = (folder / "report.html").read_text()
    assert "it may not be the brain" not in page
